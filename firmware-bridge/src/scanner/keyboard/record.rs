//! The kernel's input records, as `/dev/input/event…` gives them.
//!
//! Layout (`struct input_event`): seconds and microseconds, each a machine word; type and code, 16
//! bits each; value, 32 bits; all in the machine's own byte order.

use std::time::Duration;

/// A machine word of this build, which is the kernel's for it.
const WORD_BYTES: usize = size_of::<usize>();
/// The bytes of one record.
pub const RECORD_BYTES: usize = 2 * WORD_BYTES + 8;

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
/// The highest type that the kernel knows.
const EV_MAX: u16 = 0x1f;
const SYN_REPORT: u16 = 0;
const SYN_DROPPED: u16 = 3;
const MICROS_PER_SECOND: u64 = 1_000_000;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Record {
    /// A key went down or up.
    Key {
        /// The kernel's code of the key.
        code: u16,
        /// Down, not up.
        is_down: bool,
        /// When, by the kernel's clock.
        at: Duration,
    },
    /// The records before this one were lost: nobody read them in time.
    Dropped,
    /// The end of what happened at once.
    Report,
    /// Anything else: scan codes, lamps, the repeats of a key that is held.
    Other,
    /// No record: the bytes are out of step.
    Noise,
}

impl Record {
    pub(super) fn of(bytes: &[u8; RECORD_BYTES]) -> Self {
        let (time, event) = bytes.split_at(2 * WORD_BYTES);
        let (seconds, micros) = time.split_at(WORD_BYTES);
        let &[t0, t1, c0, c1, v0, v1, v2, v3] = event else {
            return Self::Noise;
        };
        let (seconds, micros) = (word(seconds), word(micros));
        let kind = u16::from_ne_bytes([t0, t1]);
        if micros >= MICROS_PER_SECOND || kind > EV_MAX {
            return Self::Noise;
        }
        let code = u16::from_ne_bytes([c0, c1]);
        let at = Duration::from_secs(seconds) + Duration::from_micros(micros);
        match (kind, code, i32::from_ne_bytes([v0, v1, v2, v3])) {
            (EV_KEY, code, value @ 0..=1) => Self::Key {
                code,
                is_down: value == 1,
                at,
            },
            (EV_SYN, SYN_DROPPED, _) => Self::Dropped,
            (EV_SYN, SYN_REPORT, _) => Self::Report,
            _ => Self::Other,
        }
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |word| usize::from_ne_bytes(*word) as u64)
}

/// Makes the record of a key's press or release, for programs that play a keyboard.
pub fn key_record(code: u16, is_down: bool, at: Duration) -> [u8; RECORD_BYTES] {
    record(EV_KEY, code, i32::from(is_down), at)
}

/// Makes the record that ends what happened at once.
pub fn report_record(at: Duration) -> [u8; RECORD_BYTES] {
    record(EV_SYN, SYN_REPORT, 0, at)
}

pub(super) fn record(kind: u16, code: u16, value: i32, at: Duration) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    let seconds = usize::try_from(at.as_secs()).unwrap_or(usize::MAX);
    let micros = usize::try_from(at.subsec_micros()).unwrap_or(0);
    let parts = seconds
        .to_ne_bytes()
        .into_iter()
        .chain(micros.to_ne_bytes())
        .chain(kind.to_ne_bytes())
        .chain(code.to_ne_bytes())
        .chain(value.to_ne_bytes());
    for (byte, part) in bytes.iter_mut().zip(parts) {
        *byte = part;
    }
    bytes
}
