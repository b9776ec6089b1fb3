//! A scan that is too long for one packet, put together from its segments.

use std::fmt;

use zeroize::Zeroizing;

use super::FRAME_BYTES_MAX;

const DECODE_DATA: u8 = 0xf3;
/// Stands between the code type and the length of the text.
const TEXT_MARK: u8 = 0x01;
/// The mark and the length, which the size in front counts with the text.
const TEXT_HEAD_BYTES: usize = 3;

/// What one segment made of the scan.
#[derive(PartialEq, Eq)]
pub(super) enum Segment {
    /// It was added; more follow.
    More,
    /// It was here before.
    Again {
        /// It was the last one of its scan.
        is_last: bool,
    },
    /// The scan is whole.
    Last {
        /// The code type.
        kind: u8,
        /// The scan.
        text: Zeroizing<Vec<u8>>,
    },
    /// It does not follow the one before, or its head makes no sense; the scan is dropped.
    Unfit {
        /// It says that it is longer than any scan.
        is_oversized: bool,
    },
}

/// The segments of one scan so far.
pub(super) struct Segments {
    kind: u8,
    text_bytes: usize,
    text: Zeroizing<Vec<u8>>,
    /// The number that the next one has; 0 outside a scan.
    next: u8,
    /// Set once the last scan is whole, since its last segment may come again.
    last_number: Option<u8>,
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments")
            .field("next", &self.next)
            .field("collected_bytes", &self.text.len())
            .field("text_bytes", &self.text_bytes)
            .finish()
    }
}

impl Segments {
    pub(super) fn new() -> Self {
        Self {
            kind: 0,
            text_bytes: 0,
            text: Zeroizing::new(Vec::new()),
            next: 0,
            last_number: None,
        }
    }

    /// Forgets what was collected.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    /// Takes a segment: its number, then its data.
    pub(super) fn take(&mut self, data: &[u8]) -> Segment {
        let unfit = Segment::Unfit {
            is_oversized: false,
        };
        let Some((&number, data)) = data.split_first() else {
            return unfit;
        };
        if number == 0 {
            // Also where an earlier scan was not finished: the scanner has begun anew.
            let is_again = self.next == 1 && data.ends_with(&self.text) && !self.text.is_empty();
            if is_again {
                return Segment::Again { is_last: false };
            }
            self.clear();
            let Some(head) = Head::of(data) else {
                return unfit;
            };
            if head.text_bytes > FRAME_BYTES_MAX {
                return Segment::Unfit { is_oversized: true };
            }
            self.kind = head.kind;
            self.text_bytes = head.text_bytes;
            self.text = Zeroizing::new(Vec::with_capacity(head.text_bytes));
            return self.add(number, head.text);
        }
        let is_last = self.next == 0 && self.last_number == Some(number);
        if is_last || number.checked_add(1) == Some(self.next) {
            return Segment::Again { is_last };
        }
        if number != self.next {
            self.clear();
            return unfit;
        }
        self.add(number, data)
    }

    fn add(&mut self, number: u8, text: &[u8]) -> Segment {
        if self.text.len() + text.len() > self.text_bytes {
            self.clear();
            return Segment::Unfit {
                is_oversized: false,
            };
        }
        self.text.extend_from_slice(text);
        if self.text.len() < self.text_bytes {
            // 255 segments of 250 bytes are beyond any scan that was let in.
            self.next = number.saturating_add(1);
            return Segment::More;
        }
        let kind = self.kind;
        let text = std::mem::take(&mut self.text);
        self.clear();
        self.last_number = Some(number);
        Segment::Last { kind, text }
    }
}

/// What the first segment says of the scan.
struct Head<'a> {
    kind: u8,
    text_bytes: usize,
    text: &'a [u8],
}

impl<'a> Head<'a> {
    fn of(data: &'a [u8]) -> Option<Self> {
        let &[
            DECODE_DATA,
            s0,
            s1,
            s2,
            s3,
            kind,
            TEXT_MARK,
            high,
            low,
            ref text @ ..,
        ] = data
        else {
            return None;
        };
        let size = usize::try_from(u32::from_be_bytes([s0, s1, s2, s3])).ok()?;
        let text_bytes = usize::from(u16::from_be_bytes([high, low]));
        (size == text_bytes + TEXT_HEAD_BYTES).then_some(Self {
            kind,
            text_bytes,
            text,
        })
    }
}
