//! What a journal's decoder tells: sales and faults, each with the place to go on from.

use std::fmt;

use crate::sale::Sale;

/// A place between two lines of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Bytes before it, as they stand in the file.
    pub offset: u64,
    /// Lines before it.
    pub line: u64,
}

impl Mark {
    /// The start of a file.
    pub const START: Self = Self { offset: 0, line: 0 };
}

/// Why a line, or the transaction that it belongs to, gives no sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineFault {
    /// The line, counted from 1; 0 where the problem itself says where it is.
    pub line: u64,
    /// What is wrong and what to do; shows no value that could be a card's.
    pub problem: String,
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.problem),
            line => write!(f, "line {line}: {}", self.problem),
        }
    }
}

/// One thing told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A transaction whose arithmetic holds.
    Sale(Box<Sale>),
    /// A line that gives none; the lines behind it are read.
    Fault(LineFault),
    /// The settings do not fit the file: nothing of it can be read.
    Unfit(LineFault),
}

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What was found.
    pub entry: Entry,
    /// Where reading can go on without telling this, or anything before it, again.
    pub mark: Mark,
}
