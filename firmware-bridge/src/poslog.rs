//! POSLog (ARTS IXRetail 2.x and 6.0) as sales: one transaction at a time, in bounded memory.
//!
//! A file is `POSLog` with any number of `Transaction`; names are taken by namespace, never by
//! prefix. Byte-order marks, UTF-16 and declared encodings are followed. What is read of a
//! transaction is listed in `element`; card numbers and authorisations are not in that list.
//!
//! Vendors differ in what an amount holds. Where a file says it, that counts; where it does not,
//! the readings of `balance` are tried in a fixed order, and a sale is told only if one of them
//! makes lines − discounts + tax = total = tenders − change. Nothing is guessed beyond that.
//!
//! A fault inside a transaction costs that transaction: the reader goes on at the next. Text that
//! ends too early is [`PosLogError::Truncated`]; sales told before it are whole, and are told
//! again when the grown file is read again, so take them by their [`TransactionKey`].
//! [`PosLogFile`] reads a file from any transaction on, and past one that was cut off anywhere.
//!
//! What is deliberately lacking: points, promotions without money, receipts' images, foreign
//! currency amounts, operators, and control transactions beyond their being skipped.

mod amount;
mod balance;
mod element;
mod file;
mod goods;
mod header;
mod loyalty;
mod markup;
mod retail;
mod tender;
mod text;
mod void;

use std::fmt;
use std::io::BufRead;

use chrono::NaiveDate;

use crate::sale::{Imbalance, Sale};
use element::Broken;
pub use file::{Fault, Piece, Place, PosLogFile, ReadAt};
use markup::{Markup, Tag, Token, Vocabulary};
pub use text::Position;

/// What identifies a transaction (ARTS): each part as far as the source tells it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TransactionKey {
    /// Number of the store.
    pub store: Option<String>,
    /// Number of the till.
    pub workstation: Option<String>,
    /// Business day.
    pub business_day: Option<NaiveDate>,
    /// Number of the transaction.
    pub sequence: Option<String>,
}

impl fmt::Display for TransactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
        let day = self
            .business_day
            .map_or_else(|| "?".to_owned(), |day| day.to_string());
        write!(
            f,
            "store {} till {} day {day} number {}",
            part(&self.store),
            part(&self.workstation),
            part(&self.sequence)
        )
    }
}

/// Why a transaction is no sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// A control transaction, as in sign-on or cash count.
    Control,
    /// Another kind than retail, as in inventory or a customer's order.
    NotRetail,
    /// Suspended: the sale comes with the transaction that resumes it.
    Suspended,
}

/// One transaction of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PosLogItem {
    /// A retail transaction whose arithmetic holds.
    Sale(Sale),
    /// A transaction that is no sale.
    Skipped {
        /// Why.
        reason: SkipReason,
        /// Its number, if told.
        sequence: Option<String>,
    },
}

/// A bound of the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of one tag, text or comment.
    Token,
    /// Bytes of one transaction.
    TransactionBytes,
    /// Elements of one transaction.
    Elements,
    /// Elements inside one another.
    Depth,
    /// Bytes of one number, name or date.
    Text,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Token => "a single tag or text is too long",
            Limit::TransactionBytes => "the transaction has too many bytes",
            Limit::Elements => "the transaction has too many elements",
            Limit::Depth => "elements are nested too deeply",
            Limit::Text => "the text of an element is too long",
        })
    }
}

/// Why a file, or one transaction of it, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PosLogError {
    /// The source failed.
    #[error("the file cannot be read: try again")]
    Io(#[source] std::io::Error),
    /// The text ends before its last element does.
    #[error("the file ends in the middle ({at}): wait if it is still being written")]
    Truncated {
        /// Where it ends.
        at: Position,
    },
    /// A transaction has no end: another begins behind its torn piece, or the file stays as it is.
    #[error(
        "{at}: the transaction{} that starts here is cut off at byte {end}: look it up on the POS \
         and have it written again",
        number.as_ref().map(|n| format!(" number {n}")).unwrap_or_default()
    )]
    CutOff {
        /// Where it starts.
        at: Position,
        /// Byte of the file up to which there is something of it.
        end: u64,
        /// Its number, if there is that much of it.
        number: Option<String>,
    },
    /// The file is something else.
    #[error("{at}: this is no POSLog but starts with {found:?}: check the folder's format")]
    NotPosLog {
        /// Where it shows.
        at: Position,
        /// The first element, or empty if there is none.
        found: String,
    },
    /// The text breaks the rules of XML.
    #[error("{at}: {problem}: have the POS write the transaction again")]
    NotWellFormed {
        /// Where.
        at: Position,
        /// What.
        problem: String,
    },
    /// A bound is exceeded.
    #[error("{at}: {limit}: have the file checked where it was made")]
    TooLarge {
        /// Where the token or the transaction starts.
        at: Position,
        /// Which bound.
        limit: Limit,
    },
    /// An element is missing or holds something else than it should.
    #[error("{at}: {element} {problem}: have the POS write the transaction again")]
    Malformed {
        /// Where the element, or what should hold it, starts.
        at: Position,
        /// Which element.
        element: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The file is a template.
    #[error("{at}: not a transaction but a template: {element} still holds its placeholder")]
    NotATransaction {
        /// Where the placeholder stands.
        at: Position,
        /// Which element holds it.
        element: String,
    },
    /// The amounts contradict each other in every reading.
    #[error("{at}: the amounts of the transaction ({key}) do not add up: have it checked")]
    DoesNotReconcile {
        /// Where the transaction starts.
        at: Position,
        /// Which transaction.
        key: Box<TransactionKey>,
        /// What contradicts what, in the most literal reading.
        #[source]
        imbalance: Imbalance,
    },
}

impl PosLogError {
    /// Returns whether nothing of this file can be read after it.
    pub fn is_fatal(&self) -> bool {
        match self {
            PosLogError::Io(_)
            | PosLogError::Truncated { .. }
            | PosLogError::NotPosLog { .. }
            | PosLogError::TooLarge {
                limit: Limit::Token,
                ..
            } => true,
            PosLogError::CutOff { .. }
            | PosLogError::NotWellFormed { .. }
            | PosLogError::TooLarge { .. }
            | PosLogError::Malformed { .. }
            | PosLogError::NotATransaction { .. }
            | PosLogError::DoesNotReconcile { .. } => false,
        }
    }

    /// Returns whether reading the same file again gives the same: waiting does not help.
    pub fn is_permanent(&self) -> bool {
        !matches!(self, PosLogError::Io(_) | PosLogError::Truncated { .. })
    }

    /// Returns whether the text is XML up to the transaction's end, and what stands there is at
    /// fault.
    fn is_of_content(&self) -> bool {
        match self {
            PosLogError::Malformed { .. }
            | PosLogError::NotATransaction { .. }
            | PosLogError::DoesNotReconcile { .. } => true,
            PosLogError::Io(_)
            | PosLogError::Truncated { .. }
            | PosLogError::CutOff { .. }
            | PosLogError::NotPosLog { .. }
            | PosLogError::NotWellFormed { .. }
            | PosLogError::TooLarge { .. } => false,
        }
    }

    fn at(&self) -> Option<Position> {
        match self {
            PosLogError::Io(_) => None,
            PosLogError::Truncated { at }
            | PosLogError::CutOff { at, .. }
            | PosLogError::NotPosLog { at, .. }
            | PosLogError::NotWellFormed { at, .. }
            | PosLogError::TooLarge { at, .. }
            | PosLogError::Malformed { at, .. }
            | PosLogError::NotATransaction { at, .. }
            | PosLogError::DoesNotReconcile { at, .. } => Some(*at),
        }
    }

    fn at_mut(&mut self) -> Option<&mut Position> {
        match self {
            PosLogError::Io(_) => None,
            PosLogError::Truncated { at }
            | PosLogError::CutOff { at, .. }
            | PosLogError::NotPosLog { at, .. }
            | PosLogError::NotWellFormed { at, .. }
            | PosLogError::TooLarge { at, .. }
            | PosLogError::Malformed { at, .. }
            | PosLogError::NotATransaction { at, .. }
            | PosLogError::DoesNotReconcile { at, .. } => Some(at),
        }
    }
}

/// The transaction that an item of the reader, or its error, is of.
#[derive(Debug, Clone)]
struct Begun {
    /// Where it starts in the text.
    at: Position,
    /// Byte of the source at which it starts, where the source is UTF-8 up to there.
    byte: Option<u64>,
    /// Its number, if it could not be read to its end and there is that much of it.
    number: Option<String>,
    /// Whether a comment or a section in it holds what looks like the tag of another.
    hides_tag: bool,
}

/// Where the reader stands.
enum Stage {
    /// Outside any transaction.
    Between,
    /// After a fault, with this many elements to stay open.
    Broken(usize),
    /// A transaction's tag was met while another was being given up.
    Met(Tag),
    /// At the end, or past a fatal error.
    Finished,
}

/// Reads a POSLog from `R`; yields each transaction or why it could not be read.
pub struct PosLogReader<R> {
    markup: Markup<R>,
    stage: Stage,
    root: Option<Vocabulary>,
    first_at: Option<u64>,
    begun: Option<Begun>,
}

impl<R: BufRead> PosLogReader<R> {
    /// Starts at the beginning of `reader`.
    pub fn new(reader: R) -> Self {
        Self {
            markup: Markup::new(reader),
            stage: Stage::Between,
            root: None,
            first_at: None,
            begun: None,
        }
    }

    /// Returns whether bytes unknown to the file's encoding were replaced by U+FFFD so far.
    pub fn replaced_text(&self) -> bool {
        self.markup.replaced_text()
    }

    /// Returns how many bytes of the source come before its first transaction, once that was met:
    /// what a later reader needs before it goes on behind [`Self::reached`]. `None` where the source
    /// is not UTF-8.
    pub fn head_bytes(&self) -> Option<u64> {
        self.markup.source_byte(self.first_at?)
    }

    /// Returns how many bytes of the source were read up to the end of the last transaction that
    /// was yielded without an error; `None` where the source is not UTF-8.
    pub fn reached(&self) -> Option<u64> {
        self.markup.source_byte(self.markup.reached().byte)
    }

    /// Reads up to the next transaction and returns its tag, or nothing at the file's end.
    fn next_tag(&mut self) -> Result<Option<(Tag, Vocabulary)>, PosLogError> {
        match std::mem::replace(&mut self.stage, Stage::Between) {
            Stage::Between => {}
            Stage::Finished => {
                self.stage = Stage::Finished;
                return Ok(None);
            }
            Stage::Met(tag) => return Ok(Some((tag, self.root.unwrap_or(Vocabulary::Arts)))),
            Stage::Broken(depth) => {
                let root = self.root.unwrap_or(Vocabulary::Arts);
                let met = self.markup.resume(
                    depth,
                    |tag| tag.local == "Transaction" && element::is_arts(tag, root),
                    element::ATTRIBUTES,
                );
                match met {
                    Ok(Some(tag)) => return Ok(Some((tag, root))),
                    Ok(None) => {}
                    Err(error) => {
                        self.stage = Stage::Finished;
                        return Err(error);
                    }
                }
            }
        }
        loop {
            let outside_all = self.markup.depth() == 0;
            match self.markup.next(element::ATTRIBUTES, outside_all)? {
                Token::Open(tag) => {
                    let root = match self.root {
                        Some(root) => root,
                        None => {
                            let root = root_vocabulary(&tag)?;
                            self.root = Some(root);
                            root
                        }
                    };
                    if tag.local == "Transaction" && element::is_arts(&tag, root) {
                        return Ok(Some((tag, root)));
                    }
                }
                Token::Close => {}
                Token::Text(text) if self.markup.depth() == 0 && !text.trim().is_empty() => {
                    let at = self.markup.at();
                    return Err(match self.root {
                        None => PosLogError::NotPosLog {
                            at,
                            found: String::new(),
                        },
                        Some(_) => PosLogError::NotWellFormed {
                            at,
                            problem: "text stands after the last element".to_owned(),
                        },
                    });
                }
                Token::Text(_) => {}
                Token::End => {
                    let at = self.markup.at();
                    // A file without its first element yet is one that is being written.
                    if self.markup.depth() > 0 || self.root.is_none() {
                        return Err(PosLogError::Truncated { at });
                    }
                    self.stage = Stage::Finished;
                    return Ok(None);
                }
            }
        }
    }

    fn step(&mut self) -> Result<Option<PosLogItem>, PosLogError> {
        self.begun = None;
        let depth_before = self.markup.depth();
        let (tag, root) = match self.next_tag() {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) => {
                if self.root.is_none() {
                    self.stage = Stage::Finished;
                }
                if !matches!(self.stage, Stage::Finished) {
                    self.stage = Stage::Broken(depth_before.min(self.markup.depth()));
                }
                return Err(error);
            }
        };
        self.first_at.get_or_insert(tag.at.byte);
        let begun = self.begun.insert(Begun {
            at: tag.at,
            byte: self.markup.source_byte(tag.at.byte),
            number: None,
            hides_tag: false,
        });
        let outside = self.markup.depth().saturating_sub(1);
        self.markup.take_hidden_tag();
        let read = element::read_transaction(&mut self.markup, tag, root, &mut begun.number);
        begun.hides_tag = self.markup.take_hidden_tag();
        match read {
            Ok(transaction) => retail::read(&transaction).map(Some),
            Err(Broken::Fault(error)) => {
                self.stage = Stage::Broken(outside);
                Err(error)
            }
            Err(Broken::Overrun(error, tag)) => {
                self.markup.adopt_last(outside);
                self.stage = Stage::Met(*tag);
                Err(error)
            }
        }
    }
}

impl<R: BufRead> Iterator for PosLogReader<R> {
    type Item = Result<PosLogItem, PosLogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.stage, Stage::Finished) {
            return None;
        }
        let item = self.step().transpose();
        if let Some(Err(error)) = &item
            && error.is_fatal()
        {
            self.stage = Stage::Finished;
        }
        item
    }
}

/// Returns in which words the file is written, by its first element.
fn root_vocabulary(tag: &Tag) -> Result<Vocabulary, PosLogError> {
    let known = matches!(tag.vocabulary, Vocabulary::Arts | Vocabulary::Bare);
    if known && matches!(tag.local.as_str(), "POSLog" | "Transaction") {
        return Ok(tag.vocabulary);
    }
    Err(PosLogError::NotPosLog {
        at: tag.at,
        found: tag.local.chars().take(64).collect(),
    })
}

#[cfg(test)]
mod tests;
