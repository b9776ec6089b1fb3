//! Scanners that type: from the kernel's records of keys to scans.
//!
//! A keyboard wedge sends each character as the keys of some country's keyboard, and Enter or Tab
//! behind the last. The machine keeps Shift, AltGr (also as Ctrl with Alt), Caps Lock, dead keys,
//! characters typed as Alt and digits of the keypad, and control characters typed with Ctrl, so
//! that GS (Ctrl and `]`) stays between the fields of a GS1 code.
//!
//! A scan is told from typing by its pace: every key follows the one before within
//! [`KeyboardConfig::key_gap`]. One slower key makes a run typing, up to its Enter or to a pause of
//! [`RUN_PAUSE`]; it is thrown away and counted, never cut in two. A run with a key that means
//! nothing on the layout is thrown away as well: half a code could be another's.
//!
//! Times are those that stand in the records, so the pace is the keyboard's own, and the same
//! records give the same scans in any chunks.
//!
//! Limits: a scan holds at most [`FRAME_BYTES_MAX`] bytes, at least [`SCAN_CHARS_MIN`] characters.
//! Alt codes above 127 count only with their leading zero (Windows-1252); without it they depend on
//! a code page that the scanner does not tell. Caps Lock is taken to be off at the start, and moves
//! letters alone.

pub mod layout;
mod modifier;
pub mod record;

use std::fmt;
use std::time::Duration;

use zeroize::{Zeroize, Zeroizing};

use super::frame::{Counters, FRAME_BYTES_MAX, Frame, Reading};
use super::line::{LineConfig, Suffixes};
use super::wipe::{wipe, wipe_front};
pub use layout::Layout;
use layout::{Level, composed, keypad_digit, spacing};
use modifier::{Held, control};
pub use record::RECORD_BYTES;
use record::Record;

/// The longest pause between two keys of one scan unless told otherwise: scanners leave up to 40 ms,
/// and who types leaves 80 and more.
pub const KEY_GAP: Duration = Duration::from_millis(60);
/// A pause that ends typing: what comes behind it is judged anew.
pub const RUN_PAUSE: Duration = Duration::from_secs(1);
/// A run of fewer characters is keys pressed by hand: no member code is so short.
pub const SCAN_CHARS_MIN: usize = 4;
/// The most digits of an Alt code: `0255`.
const ALT_DIGITS_MAX: u8 = 4;

/// What a scanner types, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyboardConfig {
    /// The keyboard that the scanner is set to.
    pub layout: Layout,
    /// The longest pause between two keys of one scan.
    pub key_gap: Duration,
    /// Which keys end a scan: CR and LF are Enter; none of all is the pause alone. Prefix and code
    /// id are taken off as on a line.
    pub line: LineConfig,
}

impl Default for KeyboardConfig {
    fn default() -> Self {
        Self {
            layout: Layout::default(),
            key_gap: KEY_GAP,
            line: LineConfig::default(),
        }
    }
}

/// Why a run of keys is no scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// A key came too late for a scanner.
    Typed,
    /// A key means nothing here.
    Unreadable,
    /// It is longer than any code.
    Oversized,
}

const BACKSPACE: u16 = 14;
const TAB: u16 = 15;
const ENTER: u16 = 28;
const CAPS_LOCK: u16 = 58;
const NUM_LOCK: u16 = 69;
const KEYPAD_ENTER: u16 = 96;

/// The digits typed while Alt is down.
#[derive(Debug, Clone, Copy, Default)]
struct AltCode {
    digits: u8,
    has_zero: bool,
    value: u16,
}

/// Reads the keys of one scanner; the same scans and counts whatever the chunks.
pub struct KeyboardDecoder {
    config: KeyboardConfig,
    buffer: Zeroizing<Vec<u8>>,
    /// Allocated once at its full size, so that no growth leaves a copy behind.
    text: Zeroizing<String>,
    fault: Option<Fault>,
    /// Keys of the run, those among them that made no character yet.
    keys: u32,
    last_key_at: Option<Duration>,
    held: Held,
    caps: bool,
    dead: Option<char>,
    alt_code: AltCode,
    /// Set from a loss of records to the end of what happened at once.
    is_dropping: bool,
    counters: Counters,
}

impl fmt::Debug for KeyboardDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyboardDecoder")
            .field("config", &self.config)
            .field("typed_bytes", &self.text.len())
            .field("fault", &self.fault)
            .field("counters", &self.counters)
            .finish()
    }
}

impl KeyboardDecoder {
    /// Makes a decoder with nothing in it, and no key down.
    pub fn new(config: KeyboardConfig) -> Self {
        Self {
            config,
            buffer: Zeroizing::new(Vec::with_capacity(RECORD_BYTES)),
            text: Zeroizing::new(String::with_capacity(FRAME_BYTES_MAX)),
            fault: None,
            keys: 0,
            last_key_at: None,
            held: Held::default(),
            caps: false,
            dead: None,
            alt_code: AltCode::default(),
            is_dropping: false,
            counters: Counters::default(),
        }
    }

    /// Takes records of the keyboard, in any pieces; returns the scans that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Reading {
        let mut frames = Vec::new();
        for &byte in bytes {
            self.buffer.push(byte);
            if let Some(record) = self.buffer.first_chunk::<RECORD_BYTES>() {
                let record = Record::of(record);
                if record == Record::Noise {
                    self.counters.skipped_bytes += 1;
                    wipe_front(&mut self.buffer, 1);
                    continue;
                }
                wipe(&mut self.buffer);
                self.counters.packets += 1;
                frames.extend(self.take(record));
            }
        }
        Reading::of(frames)
    }

    /// Says that no key came for the key gap: the end of a scan where nothing else ends it.
    pub fn handle_idle(&mut self) -> Reading {
        self.counters.skipped_bytes += self.buffer.len() as u64;
        wipe(&mut self.buffer);
        if self.ends_by_pause() {
            Reading::of(self.finish())
        } else {
            Reading::default()
        }
    }

    /// Drops what is buffered, as after a keyboard was lost in mid-scan; no key is down then.
    pub fn reset(&mut self) {
        self.counters.skipped_bytes += (self.buffer.len() + self.text.len()) as u64;
        wipe(&mut self.buffer);
        self.clear_run();
        self.held = Held::default();
        self.last_key_at = None;
        self.is_dropping = false;
    }

    /// Returns what has been seen so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn take(&mut self, record: Record) -> Option<Frame> {
        match record {
            Record::Dropped => {
                // Which keys are down is not known any more; what was typed has a hole.
                self.is_dropping = true;
                self.held = Held::default();
                self.spoil(Fault::Unreadable);
                None
            }
            Record::Report => {
                self.is_dropping = false;
                None
            }
            Record::Key { .. } if self.is_dropping => None,
            Record::Key { code, is_down, at } => self.take_key(code, is_down, at),
            Record::Other | Record::Noise => None,
        }
    }

    fn take_key(&mut self, code: u16, is_down: bool, at: Duration) -> Option<Frame> {
        if let Some(held) = self.held.of(code) {
            *held = is_down;
            if Held::any(self.held.alt) || is_down {
                return None;
            }
            // Letting go of Alt ends a code that was typed with it.
            let typed = std::mem::take(&mut self.alt_code);
            return (typed.digits > 0)
                .then(|| self.take_alt_code(typed))
                .flatten();
        }
        if !is_down {
            return None;
        }
        let before = self.pace(at);
        match code {
            CAPS_LOCK => self.caps = !self.caps,
            NUM_LOCK => {}
            _ => return before.or(self.press(code)),
        }
        before
    }

    /// Judges the pause before a key; returns the scan that the pause ended.
    fn pace(&mut self, at: Duration) -> Option<Frame> {
        let last = self.last_key_at.replace(at)?;
        let pause = at.saturating_sub(last);
        if pause <= self.config.key_gap || self.keys == 0 {
            return None;
        }
        if self.ends_by_pause() {
            return self.finish();
        }
        if pause >= RUN_PAUSE {
            self.spoil(Fault::Typed);
            return self.finish();
        }
        self.spoil(Fault::Typed);
        None
    }

    fn press(&mut self, code: u16) -> Option<Frame> {
        match code {
            ENTER | KEYPAD_ENTER => return self.end_or_type('\r'),
            TAB => return self.end_or_type('\t'),
            BACKSPACE => {
                // A person corrects; a scanner does not.
                self.keys += 1;
                self.spoil(Fault::Typed);
                return None;
            }
            _ => {}
        }
        self.keys += 1;
        let [left_alt, right_alt] = self.held.alt;
        let alt = left_alt || right_alt;
        let ctrl = Held::any(self.held.ctrl);
        let alt_gr = right_alt && self.config.layout.has_alt_gr() || ctrl && alt;
        if alt && !alt_gr {
            match keypad_digit(code) {
                Some(digit) => self.add_alt_digit(digit),
                None => self.spoil(Fault::Unreadable),
            }
            return None;
        }
        let level = Level {
            shift: Held::any(self.held.shift),
            alt_gr,
        };
        let character = self
            .config
            .layout
            .character(code, level)
            .map(|character| self.with_caps(code, character));
        if Held::any(self.held.meta) {
            self.spoil(Fault::Unreadable);
            return None;
        }
        if ctrl && !alt_gr {
            let us = Layout::Us.character(code, level);
            let control = [character, us].into_iter().flatten().find_map(control);
            return match control {
                Some(control) => self.end_or_type(control),
                None => {
                    self.spoil(Fault::Unreadable);
                    None
                }
            };
        }
        match character {
            Some(character) => self.type_or_compose(character),
            None => self.spoil(Fault::Unreadable),
        }
        None
    }

    fn with_caps(&self, code: u16, character: char) -> char {
        let plain = Level {
            shift: false,
            alt_gr: false,
        };
        let is_letter = self
            .config
            .layout
            .character(code, plain)
            .is_some_and(char::is_alphabetic);
        if !(self.caps && is_letter) {
            return character;
        }
        let swapped = if character.is_lowercase() {
            single(character.to_uppercase())
        } else {
            single(character.to_lowercase())
        };
        swapped.unwrap_or(character)
    }

    fn add_alt_digit(&mut self, digit: u8) {
        let typed = &mut self.alt_code;
        typed.has_zero |= typed.digits == 0 && digit == 0;
        typed.digits = typed.digits.saturating_add(1);
        typed.value = typed
            .value
            .saturating_mul(10)
            .saturating_add(u16::from(digit));
    }

    fn take_alt_code(&mut self, typed: AltCode) -> Option<Frame> {
        let value = u8::try_from(typed.value)
            .ok()
            .filter(|value| typed.digits <= ALT_DIGITS_MAX && *value != 0);
        let character = match value {
            Some(ascii @ 0..=0x7f) => Some(char::from(ascii)),
            Some(high) if typed.has_zero => {
                let bytes = [high];
                let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&bytes);
                text.chars().next()
            }
            Some(_) | None => None,
        };
        match character {
            Some(character) => self.end_or_type(character),
            None => {
                self.spoil(Fault::Unreadable);
                None
            }
        }
    }

    /// Takes a character that may be what ends a scan.
    fn end_or_type(&mut self, character: char) -> Option<Frame> {
        let Suffixes { cr, lf, tab } = self.config.line.suffixes;
        let ends = match character {
            '\r' | '\n' => cr || lf || self.ends_by_pause(),
            '\t' => tab,
            _ => {
                self.type_or_compose(character);
                return None;
            }
        };
        if ends {
            return self.finish();
        }
        self.keys += 1;
        self.type_or_compose(character);
        None
    }

    fn type_or_compose(&mut self, character: char) {
        match self.dead.take() {
            None if spacing(character).is_some() => self.dead = Some(character),
            None => self.add(character),
            Some(dead) => match composed(dead, character) {
                Some(composed) => self.add(composed),
                None => {
                    self.add(spacing(dead).unwrap_or(dead));
                    self.add(spacing(character).unwrap_or(character));
                }
            },
        }
    }

    fn add(&mut self, character: char) {
        if self.text.len() + character.len_utf8() > FRAME_BYTES_MAX {
            self.spoil(Fault::Oversized);
        } else {
            self.text.push(character);
        }
    }

    /// Marks the run; the first fault stays.
    fn spoil(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
        self.text.zeroize();
    }

    fn ends_by_pause(&self) -> bool {
        self.config.line.suffixes
            == Suffixes {
                cr: false,
                lf: false,
                tab: false,
            }
    }

    /// Ends a run; returns it if it is a scan.
    fn finish(&mut self) -> Option<Frame> {
        if let Some(dead) = self.dead.take() {
            self.add(spacing(dead).unwrap_or(dead));
        }
        let frame = match self.fault {
            Some(Fault::Typed) => {
                self.counters.typed += 1;
                None
            }
            Some(Fault::Unreadable) => {
                self.counters.unreadable += 1;
                None
            }
            Some(Fault::Oversized) => {
                self.counters.oversized += 1;
                None
            }
            None if self.text.chars().count() < SCAN_CHARS_MIN => {
                self.counters.typed += u64::from(self.keys > 0);
                None
            }
            None => Frame::of(self.config.line.strip(self.text.as_bytes())),
        };
        self.counters.frames += u64::from(frame.is_some());
        self.clear_run();
        frame
    }

    fn clear_run(&mut self) {
        self.text.zeroize();
        self.fault = None;
        self.keys = 0;
        self.dead = None;
        self.alt_code = AltCode::default();
    }
}

/// Returns the one character of a case mapping; `None` where there are more.
fn single(mut characters: impl Iterator<Item = char>) -> Option<char> {
    let first = characters.next()?;
    characters.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests;
