//! Journal segments that were damaged or forged.
//!
//! The input is a list of edits to a good journal of two segments; one of them mends every CRC, so that
//! what lies behind the CRCs is reached too. Oracles: an event that comes out is the one that went in at
//! that place, byte for byte; places never repeat or go back, and where some are skipped a gap says so;
//! untouched, all of it comes out.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tillbind_agent::fuzzing::{Piece, scan};
use tillbind_agent::outbox::{Outbox, OutboxConfig, SEGMENT_BYTES_MIN};
use tillbind_agent::vault::Vault;
use tillbind_fuzz::{folder, random, vault};
use tillbind_protocol::ids::Epoch;

const HEADER_BYTES: usize = 4096;
const HEADER_CRC_AT: usize = 72;
const RECORD_HEADER_BYTES: usize = 48;

struct Journal {
    dir: PathBuf,
    epoch: Epoch,
    vault: Vault,
    segments: Vec<(PathBuf, Vec<u8>)>,
    events: Vec<Vec<u8>>,
}

static JOURNAL: LazyLock<Journal> = LazyLock::new(Journal::write);

impl Journal {
    fn write() -> Self {
        let dir = folder("journal");
        let vault = vault(&dir);
        let mut config = OutboxConfig::new(dir.join("outbox"), Arc::new(|| Duration::ZERO));
        config.segment_bytes = SEGMENT_BYTES_MIN;
        let outbox = Outbox::open(config, &vault, random(2))
            .expect("an outbox")
            .outbox;
        let mut events = Vec::new();
        while events.len() < 120 {
            let group: Vec<Vec<u8>> = (0..events.len() % 4 + 1)
                .map(|index| {
                    let number = events.len() + index;
                    format!("event {number} {}", "x".repeat(number * 7 % 1_000)).into_bytes()
                })
                .collect();
            outbox.append_all(group.clone()).wait().expect("room");
            events.extend(group);
        }
        let epoch = outbox.epoch();
        outbox.close().expect("a clean stop");
        let epochs = dir.join("outbox").join("epochs");
        let of_epoch = fs::read_dir(epochs)
            .expect("epochs")
            .next()
            .expect("one")
            .expect("one")
            .path();
        let mut segments: Vec<_> = fs::read_dir(&of_epoch)
            .expect("segments")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "segment"))
            .map(|path| (path.clone(), fs::read(path).expect("a segment")))
            .collect();
        segments.sort();
        assert!(segments.len() >= 2, "{} segments", segments.len());
        let journal = Self {
            dir: of_epoch,
            epoch,
            vault,
            segments,
            events,
        };
        assert_eq!(journal.check(), journal.events.len());
        journal
    }

    /// Scans what is there and returns how many events came out.
    fn check(&self) -> usize {
        let Ok((pieces, _)) = scan(&self.dir, self.epoch, &self.vault) else {
            return 0;
        };
        let mut events = 0;
        let mut last = None;
        for piece in pieces {
            match piece {
                Piece::Event(mark, plain) => {
                    if let Some(last) = last {
                        assert_eq!(mark.seq.0, last + 1, "an unexplained step");
                    }
                    let place = usize::try_from(mark.seq.0).expect("a place") - 1;
                    assert_eq!(self.events.get(place), Some(&plain), "a wrong event");
                    last = Some(mark.seq.0);
                    events += 1;
                }
                Piece::Gap(from, until) => {
                    if let Some(last) = last {
                        assert_eq!(from.0, last + 1, "an unexplained step");
                    }
                    assert!(until.seq >= from, "a gap that ends before it begins");
                    last = Some(until.seq.0);
                }
            }
        }
        events
    }
}

fuzz_target!(|data: &[u8]| {
    let journal = &*JOURNAL;
    let mut segments: Vec<Vec<u8>> = journal.segments.iter().map(|(_, b)| b.clone()).collect();
    let mut input = data;
    while let Some((&[kind, which, low, high, length], rest)) = input.split_first_chunk::<5>() {
        input = rest;
        let count = segments.len();
        let which = usize::from(which) % count;
        let length = usize::from(length);
        let at = usize::from(u16::from_le_bytes([low, high]));
        match kind % 6 {
            0 => {
                let (bytes, rest) = input.split_at(length.min(input.len()));
                input = rest;
                put(&mut segments[which], at, bytes);
            }
            1 => put(&mut segments[which], at, &vec![0; length * 8]),
            2 => {
                if let Some(byte) = segments[which].get_mut(at) {
                    *byte ^= 1 << (length % 8);
                }
            }
            3 => {
                // A piece of another place, as a misdirected write would leave it.
                let from = (at * 13) & !7;
                let piece = segments[(which + length) % count]
                    .get(from..)
                    .map(|rest| rest[..rest.len().min(length * 8)].to_vec());
                if let Some(piece) = piece {
                    put(&mut segments[which], at & !7, &piece);
                }
            }
            4 => segments[which].truncate(at),
            _ => mend(&mut segments[which]),
        }
    }
    for ((path, _), bytes) in journal.segments.iter().zip(&segments) {
        fs::write(path, bytes).expect("memory takes it");
    }
    journal.check();
});

fn put(segment: &mut [u8], at: usize, bytes: &[u8]) {
    for (place, byte) in segment.iter_mut().skip(at).zip(bytes) {
        *place = *byte;
    }
}

/// Makes every CRC hold.
fn mend(segment: &mut [u8]) {
    let Some(header) = segment.get_mut(..HEADER_CRC_AT + 4) else {
        return;
    };
    let crc = crc32c::crc32c(&header[..HEADER_CRC_AT]);
    header[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    let mut salt = [0; 8];
    salt.copy_from_slice(&header[24..32]);
    let mut at = HEADER_BYTES;
    while let Some(record) = segment.get_mut(at..)
        && record.len() >= RECORD_HEADER_BYTES
    {
        let mut length = [0; 4];
        length.copy_from_slice(&record[4..8]);
        let end = RECORD_HEADER_BYTES + u32::from_le_bytes(length) as usize;
        if record.starts_with(b"TBJR") && end <= record.len() {
            let crc = crc32c::crc32c(&salt);
            let crc = crc32c::crc32c_append(crc, &record[..8]);
            let crc = crc32c::crc32c_append(crc, &record[12..end]);
            record[8..12].copy_from_slice(&crc.to_le_bytes());
            at += end.next_multiple_of(8);
        } else {
            at += 8;
        }
    }
}
