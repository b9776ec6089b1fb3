//! What of a file could not be read, and where that stands.

use crate::poslog::{PosLogError, Position};

/// Text that gives no item: a transaction, or what stands between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Byte of the file at which it starts.
    pub start: u64,
    /// Byte of the file at which it ends.
    pub end: u64,
    /// Its number, if it was cut off and there is that much of it.
    pub number: Option<String>,
}

impl Piece {
    pub(super) fn of(start: u64, end: u64) -> Self {
        Self {
            start,
            end,
            number: None,
        }
    }
}

/// What could not be read.
#[derive(Debug)]
pub struct Fault {
    pub(super) error: PosLogError,
    pub(super) piece: Option<Piece>,
}

impl Fault {
    /// Returns why; its lines are not those of the file, see [`tell`](super::PosLogFile::tell).
    pub fn error(&self) -> &PosLogError {
        &self.error
    }

    /// Returns where the fault's text is; `None` where the file only lacks its last tags, or is not
    /// UTF-8.
    pub fn piece(&self) -> Option<&Piece> {
        self.piece.as_ref()
    }

    /// Makes of a transaction that has no end yet one whose rest will not come.
    pub fn given_up(self) -> Self {
        let error = match self.piece.clone() {
            Some(piece) => cut_off(piece),
            None => self.error,
        };
        Self { error, ..self }
    }

    /// Returns whether this is the same as a fault that was told when the file had `len` bytes.
    pub fn was_told_at(&self, len: u64) -> bool {
        match &self.piece {
            Some(piece) if self.error.is_of_content() => piece.end <= len,
            Some(piece) => piece.start < len,
            None => false,
        }
    }
}

/// Makes the error of a transaction that has no end.
pub(super) fn cut_off(piece: Piece) -> PosLogError {
    PosLogError::CutOff {
        at: Position {
            line: 0,
            byte: piece.start,
        },
        end: piece.end,
        number: piece.number,
    }
}
