//! A receipt printer's answers (Epson's ESC/POS): real-time status, status by request, identity, automatic
//! status back.

use super::script::PrinterTurn;

/// A simulated printer. What it prints is the caller's to keep.
#[derive(Debug, Default)]
pub struct Printer {
    is_paper_out: bool,
    is_cover_open: bool,
    is_offline: bool,
    /// Automatic status back was asked for (`GS a n`, n > 0).
    tells: bool,
    /// The last bytes of what came before, since a request may come in pieces.
    tail: Vec<u8>,
}

/// Bytes that the longest request has before its last one.
const TAIL_BYTES: usize = 2;

impl Printer {
    /// Makes a printer that is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether it prints; one that does not leaves its bytes where they are.
    pub fn is_ready(&self) -> bool {
        !(self.is_paper_out || self.is_cover_open || self.is_offline)
    }

    /// Takes bytes from the POS; returns its answers.
    ///
    /// A real-time request counts wherever it stands, as in a real printer, also within an image.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in bytes {
            self.tail.push(*byte);
            match self.tail.as_slice() {
                [.., 0x10, 0x04, n @ 1..=4] => out.push(self.real_time(*n)),
                [.., 0x1d, b'r', 1 | b'1'] => out.push(if self.is_paper_out { 0x0c } else { 0 }),
                [.., 0x1d, b'r', 2 | b'2'] => out.push(0),
                [.., 0x1d, b'I', 1 | b'1'] => out.push(0x20),
                [.., 0x1d, b'I', b'C'] => out.extend_from_slice(b"_TM-T88VI\0"),
                [.., 0x1d, b'a', n] => {
                    self.tells = *n > 0;
                    if self.tells {
                        out.extend(self.status());
                    }
                }
                _ => {}
            }
            let excess = self.tail.len().saturating_sub(TAIL_BYTES);
            self.tail.drain(..excess);
        }
        out
    }

    /// Lets something happen; returns what the printer tells by itself.
    pub fn handle_turn(&mut self, turn: PrinterTurn) -> Vec<u8> {
        match turn {
            PrinterTurn::PaperOut => self.is_paper_out = true,
            PrinterTurn::PaperIn => self.is_paper_out = false,
            PrinterTurn::CoverOpen => self.is_cover_open = true,
            PrinterTurn::CoverClosed => self.is_cover_open = false,
            PrinterTurn::Offline => self.is_offline = true,
            PrinterTurn::Online => self.is_offline = false,
            PrinterTurn::Stall | PrinterTurn::Go | PrinterTurn::HangUp => return Vec::new(),
        }
        if self.tells {
            self.status().to_vec()
        } else {
            Vec::new()
        }
    }

    /// `DLE EOT n`: bits 1 and 4 are always set.
    fn real_time(&self, n: u8) -> u8 {
        let offline = !self.is_ready();
        0x12 | match n {
            1 => u8::from(offline) << 3,
            2 => u8::from(self.is_cover_open) << 2 | u8::from(self.is_paper_out) << 5,
            3 => 0,
            _ => {
                if self.is_paper_out {
                    0x60
                } else {
                    0
                }
            }
        }
    }

    /// The four bytes of automatic status back.
    fn status(&self) -> [u8; 4] {
        let first = 0x10 | u8::from(!self.is_ready()) << 3 | u8::from(self.is_cover_open) << 5;
        let third = if self.is_paper_out { 0x0c } else { 0 };
        [first, 0, third, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_answered_wherever_and_in_whatever_pieces_it_comes() {
        let mut printer = Printer::new();
        assert_eq!(
            printer.handle_bytes(b"tea\x10\x04\x01\x1dr\x01"),
            [0x12, 0x00]
        );
        assert!(printer.handle_bytes(b"\x10").is_empty());
        assert!(printer.handle_bytes(b"\x04").is_empty());
        assert_eq!(printer.handle_bytes(b"\x04"), [0x12]);
    }

    #[test]
    fn paper_and_cover_are_told_when_asked_and_by_itself_once_that_was_asked_for() {
        let mut printer = Printer::new();
        assert!(printer.handle_turn(PrinterTurn::PaperOut).is_empty());
        assert!(!printer.is_ready());
        assert_eq!(
            printer.handle_bytes(b"\x10\x04\x01\x10\x04\x04"),
            [0x1a, 0x72]
        );
        assert_eq!(printer.handle_bytes(b"\x1da\xff"), [0x18, 0, 0x0c, 0]);
        assert_eq!(printer.handle_turn(PrinterTurn::PaperIn), [0x10, 0, 0, 0]);
        assert_eq!(printer.handle_turn(PrinterTurn::CoverOpen), [0x38, 0, 0, 0]);
    }
}
