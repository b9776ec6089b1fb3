//! The bytes of a journal segment.
//!
//! ```text
//! segment   header block of 4096 bytes, then records, then a terminator of 48 zero bytes
//! header    "TBJRNL1\n" │ number u64 │ epoch u64 │ salt 8 │ seq before u64 │ chain before 16 │ bytes u64
//!           │ key print 8 │ CRC u32
//! record    "TBJR" │ len u32 │ CRC u32 │ flags u32 │ seq u64 │ batch first seq u64 │ chain before 16
//!           │ sealed payload of len bytes │ zeros up to 8
//! payload   an event's text; of a gap: first lost event u64 │ chain after 16 │ reason
//! ```
//! A gap stands where events were given up on purpose, under the number of the last of them.
//!
//! All numbers are little endian, records begin at multiples of 8. CRC is CRC-32C; a record's covers the
//! segment's salt first, so that what a recycled file holds from its former life never verifies. The
//! terminator is overwritten by the next record: it tells a clean end from a damaged last record.

use std::ops::Range;

use tillbind_protocol::chain::{CHAIN_BYTES, ChainHash, Mark};
use tillbind_protocol::ids::{Epoch, Seq};

use crate::vault::{SEAL_OVERHEAD_BYTES, SEAL_PRINT_BYTES, Seal};

/// Where records begin. A block of its own, so that no write of records can tear the header.
pub(super) const HEADER_BYTES: u64 = 4096;
/// What stands before a record's payload; as many zeros end the segment.
pub(super) const RECORD_HEADER_BYTES: usize = 48;
pub(super) const TERMINATOR: [u8; RECORD_HEADER_BYTES] = [0; RECORD_HEADER_BYTES];
/// Records begin at multiples of this.
pub(super) const ALIGN_BYTES: usize = 8;

const MAGIC: [u8; 8] = *b"TBJRNL1\n";
const RECORD_MAGIC: [u8; 4] = *b"TBJR";
const SALT_BYTES: usize = 8;
const HEADER_CRC_AT: usize = 72;
/// The next record belongs to the same group: neither is kept without the other.
const FLAG_CONTINUES: u32 = 1;
/// The record is a gap: it stands for events that are no longer kept.
const FLAG_GAP: u32 = 2;
/// What a gap's payload begins with.
const GAP_HEAD_BYTES: usize = 8 + CHAIN_BYTES;

pub(super) type Salt = [u8; SALT_BYTES];

/// What a segment says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The segment's place in the journal; also its file name.
    pub(super) number: u64,
    pub(super) epoch: Epoch,
    /// Drawn anew for every life of the file.
    pub(super) salt: Salt,
    /// The mark before the segment's first record.
    pub(super) before: Mark,
    /// The length of the file.
    pub(super) bytes: u64,
    /// Tells under which key the records are sealed.
    pub(super) key_print: [u8; SEAL_PRINT_BYTES],
}

impl SegmentHeader {
    /// Returns the header block with a terminator behind it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEADER_BYTES as usize + RECORD_HEADER_BYTES);
        block.extend_from_slice(&MAGIC);
        block.extend_from_slice(&self.number.to_le_bytes());
        block.extend_from_slice(&self.epoch.0.to_le_bytes());
        block.extend_from_slice(&self.salt);
        block.extend_from_slice(&self.before.seq.0.to_le_bytes());
        block.extend_from_slice(&self.before.chain.0);
        block.extend_from_slice(&self.bytes.to_le_bytes());
        block.extend_from_slice(&self.key_print);
        debug_assert_eq!(block.len(), HEADER_CRC_AT);
        block.extend_from_slice(&crc32c::crc32c(&block).to_le_bytes());
        block.resize(HEADER_BYTES as usize, 0);
        block.extend_from_slice(&TERMINATOR);
        block
    }

    /// Reads a header block, or nothing if it is not one.
    pub(super) fn decode(block: &[u8]) -> Option<Self> {
        let mut fields = Fields(block);
        if fields.take::<8>()? != MAGIC {
            return None;
        }
        let header = Self {
            number: fields.number()?,
            epoch: Epoch(fields.number()?),
            salt: fields.take()?,
            before: Mark {
                seq: Seq(fields.number()?),
                chain: ChainHash(fields.take()?),
            },
            bytes: fields.number()?,
            key_print: fields.take()?,
        };
        let crc = u32::from_le_bytes(fields.take()?);
        (crc32c::crc32c(&block[..HEADER_CRC_AT]) == crc).then_some(header)
    }
}

/// Takes fixed-size fields off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// Returns what a record of `plain_bytes` takes in a segment.
pub(super) fn frame_bytes(plain_bytes: usize) -> usize {
    (RECORD_HEADER_BYTES + SEAL_OVERHEAD_BYTES + plain_bytes).next_multiple_of(ALIGN_BYTES)
}

/// Returns the place that a sealed event is bound to.
pub(crate) fn event_place(epoch: Epoch, seq: Seq) -> [u8; 16] {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&epoch.0.to_le_bytes());
    place[8..].copy_from_slice(&seq.0.to_le_bytes());
    place
}

/// Returns the place that a sealed gap is bound to, so that no event can pass for one.
fn gap_place(epoch: Epoch, last: Seq) -> [u8; 17] {
    let mut place = [0; 17];
    place[..16].copy_from_slice(&event_place(epoch, last));
    place[16] = b'g';
    place
}

/// Events that are no longer kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    /// The first of them.
    pub(crate) from: Seq,
    /// The last of them, and the chain after it.
    pub(crate) until: Mark,
    /// Why they are gone.
    pub(crate) reason: String,
}

/// What a record holds, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Event(Vec<u8>),
    Gap(Gap),
}

/// What the records of one write have in common.
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) epoch: Epoch,
    pub(super) salt: &'a Salt,
    pub(super) seal: &'a Seal,
    /// The first event of the write: a bad record whose successors all name a batch that began no later
    /// was never acknowledged.
    pub(super) first: Seq,
}

impl Batch<'_> {
    /// Writes the record that follows `before` onto `out`; returns where its sealed payload stands.
    pub(super) fn encode(
        &self,
        before: Mark,
        plain: &[u8],
        continues: bool,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        let seq = before.seq.next();
        let flags = if continues { FLAG_CONTINUES } else { 0 };
        let place = event_place(self.epoch, seq);
        self.frame(seq, before, flags, &place, plain, out)
    }

    /// Writes the gap that follows `before` onto `out`.
    pub(super) fn encode_gap(&self, before: Mark, gap: &Gap, out: &mut Vec<u8>) {
        let mut plain = Vec::with_capacity(GAP_HEAD_BYTES + gap.reason.len());
        plain.extend_from_slice(&gap.from.0.to_le_bytes());
        plain.extend_from_slice(&gap.until.chain.0);
        plain.extend_from_slice(gap.reason.as_bytes());
        let place = gap_place(self.epoch, gap.until.seq);
        self.frame(gap.until.seq, before, FLAG_GAP, &place, &plain, out);
    }

    fn frame(
        &self,
        seq: Seq,
        before: Mark,
        flags: u32,
        place: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        let begin = out.len();
        let payload = begin + RECORD_HEADER_BYTES;
        out.resize(payload, 0);
        self.seal.seal_into(place, plain, out);
        let end = out.len();
        let header = &mut out[begin..payload];
        header[..4].copy_from_slice(&RECORD_MAGIC);
        // The longest record is 256 KiB.
        header[4..8].copy_from_slice(&((end - payload) as u32).to_le_bytes());
        header[12..16].copy_from_slice(&flags.to_le_bytes());
        header[16..24].copy_from_slice(&seq.0.to_le_bytes());
        header[24..32].copy_from_slice(&self.first.0.to_le_bytes());
        header[32..48].copy_from_slice(&before.chain.0);
        let crc = record_crc(self.salt, &out[begin..end]);
        out[begin + 8..begin + 12].copy_from_slice(&crc.to_le_bytes());
        out.resize(end.next_multiple_of(ALIGN_BYTES), 0);
        payload..end
    }
}

/// `frame` from its magic to the end of its payload.
fn record_crc(salt: &Salt, frame: &[u8]) -> u32 {
    let crc = crc32c::crc32c(salt);
    let crc = crc32c::crc32c_append(crc, &frame[..8]);
    crc32c::crc32c_append(crc, &frame[12..])
}

/// A record whose CRC holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) seq: Seq,
    pub(super) batch_first: Seq,
    pub(super) continues: bool,
    is_gap: bool,
    pub(super) before: ChainHash,
    pub(super) sealed: &'a [u8],
    /// What it takes in the segment.
    pub(super) bytes: usize,
}

impl<'a> Frame<'a> {
    /// Reads the record at the front of `bytes`, or nothing if none that verifies is there.
    pub(super) fn decode(bytes: &'a [u8], salt: &Salt) -> Option<Self> {
        let frame = Self::peek(bytes)?;
        let end = RECORD_HEADER_BYTES + frame.sealed.len();
        let crc = u32::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
        (record_crc(salt, bytes.get(..end)?) == crc).then_some(frame)
    }

    /// Reads the record at the front of `bytes` without its CRC: for whoever opens the seal, which tells
    /// more, and asks for a certain place.
    pub(super) fn peek(bytes: &'a [u8]) -> Option<Self> {
        if !bytes.starts_with(&RECORD_MAGIC) {
            return None;
        }
        let mut fields = Fields(bytes.get(4..RECORD_HEADER_BYTES)?);
        let len = u32::from_le_bytes(fields.take()?) as usize;
        let _crc: [u8; 4] = fields.take()?;
        let flags = u32::from_le_bytes(fields.take()?);
        let seq = Seq(fields.number()?);
        let batch_first = Seq(fields.number()?);
        let before = ChainHash(fields.take::<CHAIN_BYTES>()?);
        let end = RECORD_HEADER_BYTES.checked_add(len)?;
        Some(Self {
            seq,
            batch_first,
            continues: flags & FLAG_CONTINUES != 0,
            is_gap: flags & FLAG_GAP != 0,
            before,
            sealed: bytes.get(RECORD_HEADER_BYTES..end)?,
            bytes: end.next_multiple_of(ALIGN_BYTES),
        })
    }

    /// Opens the seal; nothing if what is in it belongs to another place.
    pub(super) fn open(&self, seal: &Seal, epoch: Epoch) -> Option<Content> {
        if !self.is_gap {
            let place = event_place(epoch, self.seq);
            return seal.open(&place, self.sealed).ok().map(Content::Event);
        }
        let plain = seal.open(&gap_place(epoch, self.seq), self.sealed).ok()?;
        let mut fields = Fields(&plain);
        let from = Seq(fields.number()?);
        let chain = ChainHash(fields.take()?);
        let reason = String::from_utf8_lossy(fields.0).into_owned();
        (from <= self.seq && from > Seq::ZERO).then_some(Content::Gap(Gap {
            from,
            until: Mark {
                seq: self.seq,
                chain,
            },
            reason,
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::vault::{Purpose, Vault, test_random};

    fn seal() -> Seal {
        Vault::from_key([1; 32], test_random(1)).seal(Purpose::Journal)
    }

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_spoils_it() {
        let header = SegmentHeader {
            number: 7,
            epoch: Epoch(9),
            salt: [3; 8],
            before: Mark::genesis(Epoch(9)).next(b"x"),
            bytes: 65536,
            key_print: [2; 8],
        };
        let block = header.encode();
        assert_eq!(SegmentHeader::decode(&block), Some(header));
        for bit in 0..(HEADER_CRC_AT + 4) * 8 {
            let mut bad = block.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bad), None, "bit {bit}");
        }
        assert_eq!(SegmentHeader::decode(&block[..40]), None);
    }

    #[test]
    fn a_gap_reads_back_and_neither_passes_for_an_event_nor_an_event_for_a_gap() {
        let (seal, epoch, salt) = (seal(), Epoch(4), [5; 8]);
        let before = Mark::genesis(epoch);
        let batch = Batch {
            epoch,
            salt: &salt,
            seal: &seal,
            first: Seq(1),
        };
        let gap = Gap {
            from: Seq(1),
            until: Mark {
                seq: Seq(7),
                chain: before.next(b"x").chain,
            },
            reason: "why".to_owned(),
        };
        let mut bytes = Vec::new();
        batch.encode_gap(before, &gap, &mut bytes);
        let frame = Frame::decode(&bytes, &salt).unwrap();
        assert_eq!(frame.open(&seal, epoch), Some(Content::Gap(gap)));
        let mut forged = frame;
        forged.is_gap = false;
        assert_eq!(forged.open(&seal, epoch), None);
        let mut event = Vec::new();
        batch.encode(before, &[0; 40], false, &mut event);
        let mut forged = Frame::decode(&event, &salt).unwrap();
        forged.is_gap = true;
        assert_eq!(forged.open(&seal, epoch), None);
    }

    proptest! {
        #[test]
        fn a_record_reads_back_in_its_own_segment_only_and_never_after_a_flip(
            plain in proptest::collection::vec(any::<u8>(), 0..200),
            continues: bool,
            bit in any::<proptest::sample::Index>(),
        ) {
            let (seal, epoch, salt) = (seal(), Epoch(4), [5; 8]);
            let before = Mark::genesis(epoch);
            let batch = Batch { epoch, salt: &salt, seal: &seal, first: Seq(1) };
            let mut bytes = Vec::new();
            let sealed = batch.encode(before, &plain, continues, &mut bytes);
            prop_assert_eq!(bytes.len(), frame_bytes(plain.len()));
            let frame = Frame::decode(&bytes, &salt).unwrap();
            prop_assert_eq!(frame.sealed, &bytes[sealed.clone()]);
            prop_assert_eq!((frame.seq, frame.before, frame.continues), (Seq(1), before.chain, continues));
            prop_assert_eq!(frame.open(&seal, epoch), Some(Content::Event(plain)));
            prop_assert_eq!(frame.open(&seal, Epoch(5)), None);
            prop_assert_eq!(Frame::decode(&bytes, &[6; 8]), None);
            let mut bad = bytes.clone();
            let bit = bit.index(sealed.end * 8);
            bad[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Frame::decode(&bad, &salt), None);
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut framed = RECORD_MAGIC.to_vec();
            framed.extend_from_slice(&bytes);
            prop_assert_eq!(Frame::decode(&framed, &[0; 8]), None);
            prop_assert_eq!(SegmentHeader::decode(&bytes), None);
        }
    }
}
