//! XML as tags with resolved namespaces, positions and bounds; which namespaces matter is known
//! here, what the elements mean is not.

use std::io::BufRead;

use quick_xml::errors::{Error as XmlError, IllFormedError, SyntaxError};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{NamespaceResolver, ResolveResult};
use quick_xml::reader::Reader;
use zeroize::Zeroize;

use super::text::{Position, TokenTooLong, Utf8Text};
use super::{Limit, PosLogError};

/// Bytes of one tag, text or comment; a longer one ends the file as too large.
const TOKEN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Elements open at once; a deeper transaction is refused.
const DEPTH_MAX: usize = 64;

/// Buffer that is kept between tokens; a larger one is given back.
const BUFFER_KEPT_BYTES: usize = 64 * 1024;

/// Every ARTS namespace starts so; what follows is `namespace/` or a version.
const ARTS: &str = "http://www.nrf-arts.org/IXRetail/";

/// NCR ACS's extensions start so; what follows is a version.
const ACS: &str = "http://www.ncr.com/rsd/acs/tlog/markup/poslog/";

/// Whose element it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// ARTS POSLog.
    Arts,
    /// NCR ACS, of which the loyalty elements are read.
    Acs,
    /// No namespace at all.
    Bare,
    /// Some other vendor's.
    Other,
}

/// An opening tag.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) vocabulary: Vocabulary,
    pub(super) local: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) at: Position,
}

/// One step through the text. Comments, declarations and instructions are passed over.
#[derive(Debug)]
pub(super) enum Token {
    Open(Tag),
    Close,
    Text(String),
    End,
}

/// Reads tokens and keeps the stack of open elements.
pub(super) struct Markup<R> {
    xml: Reader<Utf8Text<R>>,
    names: NamespaceResolver,
    open: Vec<String>,
    buffer: Vec<u8>,
    at: Position,
    hides_tag: bool,
}

impl<R: BufRead> Markup<R> {
    pub(super) fn new(source: R) -> Self {
        let mut xml = Reader::from_reader(Utf8Text::new(source));
        let config = xml.config_mut();
        config.expand_empty_elements = true;
        // The stack here checks the names: quick-xml's own cannot be wound back after a fault.
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        Self {
            xml,
            names: NamespaceResolver::default(),
            open: Vec::new(),
            buffer: Vec::new(),
            at: Position { line: 1, byte: 0 },
            hides_tag: false,
        }
    }

    /// Returns how many elements are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Returns whether a comment or a section that was passed since the last call holds what looks
    /// like the tag of a transaction.
    pub(super) fn take_hidden_tag(&mut self) -> bool {
        std::mem::take(&mut self.hides_tag)
    }

    /// Returns the name of the outermost open element as it is written, prefix and all.
    pub(super) fn outermost(&self) -> Option<&str> {
        self.open.first().map(String::as_str)
    }

    /// Returns where the last token starts.
    pub(super) fn at(&self) -> Position {
        self.at
    }

    /// Returns where the next token starts.
    pub(super) fn reached(&self) -> Position {
        self.xml.get_ref().position()
    }

    /// Returns the byte of the source at which `text_byte` of the text stands; `None` where the
    /// source is not UTF-8 up to there.
    pub(super) fn source_byte(&self, text_byte: u64) -> Option<u64> {
        let text = self.xml.get_ref();
        let is_exact = text.exact_to().is_none_or(|exact| text_byte <= exact);
        let mark_bytes = text.mark_bytes().filter(|_| is_exact)?;
        Some(mark_bytes + text_byte)
    }

    pub(super) fn replaced_text(&self) -> bool {
        self.xml.get_ref().replaced()
    }

    /// Reads the next token; `attributes` names those that are wanted, by local name. Text that is
    /// not wanted is passed over without a copy, since it may be payment data.
    ///
    /// # Errors
    /// After [`PosLogError::NotWellFormed`] the next token can be read.
    pub(super) fn next(
        &mut self,
        attributes: &[&str],
        wants_text: bool,
    ) -> Result<Token, PosLogError> {
        loop {
            self.at = self.reached();
            self.buffer.zeroize();
            self.buffer.shrink_to(BUFFER_KEPT_BYTES);
            self.xml.get_mut().allow(TOKEN_BYTES_MAX);
            let at = self.at;
            let event = match self.xml.read_event_into(&mut self.buffer) {
                Ok(event) => event,
                Err(error) => return Err(fault(error, at, self.xml.get_ref().at_end())),
            };
            match &event {
                Event::CData(text) => self.hides_tag |= text.contains("Transaction"),
                Event::Comment(text) => self.hides_tag |= text.contains("Transaction"),
                Event::PI(text) => self.hides_tag |= text.contains("Transaction"),
                Event::Start(_)
                | Event::Empty(_)
                | Event::End(_)
                | Event::Text(_)
                | Event::GeneralRef(_)
                | Event::Decl(_)
                | Event::DocType(_)
                | Event::Eof => {}
            }
            return Ok(match event {
                Event::Start(start) | Event::Empty(start) => {
                    if self.open.len() >= DEPTH_MAX {
                        return Err(PosLogError::TooLarge {
                            at,
                            limit: Limit::Depth,
                        });
                    }
                    Token::Open(open_tag(
                        &mut self.names,
                        &mut self.open,
                        &start,
                        attributes,
                        at,
                    )?)
                }
                Event::End(end) => {
                    let name = end.name().into_inner();
                    if self.open.last().is_none_or(|open| open != name) {
                        let open = self.open.last().map_or("none", String::as_str);
                        return Err(ill_formed(
                            at,
                            format!("</{name}> closes no open element; the one open is {open}"),
                        ));
                    }
                    self.close_to(self.open.len() - 1);
                    Token::Close
                }
                Event::Text(_) | Event::CData(_) if !wants_text => continue,
                Event::Text(text) => Token::Text(text.xml10_content().into_owned()),
                Event::CData(text) => Token::Text(text.xml10_content().into_owned()),
                Event::GeneralRef(reference) => match character(&reference) {
                    Some(_) if !wants_text => continue,
                    Some(character) => Token::Text(character.to_string()),
                    None => {
                        return Err(ill_formed(at, "an unknown entity is used".to_owned()));
                    }
                },
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => continue,
                Event::Eof => Token::End,
            });
        }
    }

    /// Reads on to the next transaction after a fault, closing what stays open above `depth`.
    ///
    /// Returns its tag when another transaction starts without the faulty one's having ended.
    pub(super) fn resume(
        &mut self,
        depth: usize,
        is_transaction: impl Fn(&Tag) -> bool,
        attributes: &[&str],
    ) -> Result<Option<Tag>, PosLogError> {
        let broken = self.open.get(depth).cloned();
        self.close_to(depth);
        let mut progress = self.reached();
        loop {
            self.xml.get_mut().allow(TOKEN_BYTES_MAX);
            self.at = self.reached();
            self.buffer.zeroize();
            self.buffer.shrink_to(BUFFER_KEPT_BYTES);
            let at = self.at;
            match self.xml.read_event_into(&mut self.buffer) {
                Ok(Event::Start(start) | Event::Empty(start)) => {
                    // The lost elements' own namespaces cannot be known: only the root's count.
                    if let Ok(tag) =
                        open_tag(&mut self.names, &mut self.open, &start, attributes, at)
                    {
                        if is_transaction(&tag) {
                            return Ok(Some(tag));
                        }
                        self.close_to(depth);
                    }
                }
                Ok(Event::End(end)) => {
                    let name = end.name().into_inner();
                    if broken.as_deref() == Some(name) {
                        return Ok(None);
                    }
                    if let Some(outer) = self.open.iter().rposition(|open| open == name) {
                        self.close_to(outer);
                        return Ok(None);
                    }
                }
                Ok(Event::Eof) => return Ok(None),
                Ok(
                    Event::Text(_)
                    | Event::CData(_)
                    | Event::GeneralRef(_)
                    | Event::Comment(_)
                    | Event::Decl(_)
                    | Event::PI(_)
                    | Event::DocType(_),
                ) => {}
                Err(error) => {
                    let error = fault(error, at, self.xml.get_ref().at_end());
                    // Without progress the same fault would come again, for ever.
                    if error.is_fatal() || self.reached() == progress {
                        return Err(error);
                    }
                }
            }
            progress = self.reached();
        }
    }

    /// Forgets what stays open between `depth` elements and the last tag.
    ///
    /// Namespaces that the last tag itself declares are forgotten with them: its elements are then
    /// unknown and its transaction is refused, which is better than read by a broken scope.
    pub(super) fn adopt_last(&mut self, depth: usize) {
        let Some(last) = self.open.pop() else {
            return;
        };
        self.close_to(depth);
        self.open.push(last);
        self.names.set_level(self.names.level().saturating_add(1));
    }

    fn close_to(&mut self, depth: usize) {
        self.open.truncate(depth);
        // DEPTH_MAX keeps the stack far below the level's 16 bits.
        self.names
            .set_level(u16::try_from(self.open.len()).unwrap_or(u16::MAX));
    }
}

impl<R> Drop for Markup<R> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

fn open_tag(
    names: &mut NamespaceResolver,
    open: &mut Vec<String>,
    start: &BytesStart<'_>,
    wanted: &[&str],
    at: Position,
) -> Result<Tag, PosLogError> {
    let level = names.level();
    // XML has no < in a tag (1.0, 3.1): where one stands, the tag was cut off and another begins.
    if start.contains('<') {
        return Err(ill_formed(at, "a < stands inside a tag".to_owned()));
    }
    let tag = read_tag(names, start, wanted, at);
    match tag {
        Ok(tag) => {
            open.push(start.name().into_inner().to_owned());
            Ok(tag)
        }
        Err(error) => {
            names.set_level(level);
            Err(error)
        }
    }
}

fn read_tag(
    names: &mut NamespaceResolver,
    start: &BytesStart<'_>,
    wanted: &[&str],
    at: Position,
) -> Result<Tag, PosLogError> {
    names
        .push(start)
        .map_err(|error| ill_formed(at, error.to_string()))?;
    let (resolved, local) = names.resolve_element(start.name());
    let vocabulary = match resolved {
        ResolveResult::Bound(name) if name.into_inner().starts_with(ARTS) => Vocabulary::Arts,
        ResolveResult::Bound(name) if name.into_inner().starts_with(ACS) => Vocabulary::Acs,
        ResolveResult::Bound(_) | ResolveResult::Unknown(_) => Vocabulary::Other,
        ResolveResult::Unbound => Vocabulary::Bare,
    };
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| ill_formed(at, error.to_string()))?;
        let key = attribute.key.local_name().into_inner();
        if !wanted.contains(&key) {
            continue;
        }
        let value = quick_xml::escape::unescape(&attribute.value)
            .map_err(|_| ill_formed(at, format!("attribute {key} uses an unknown entity")))?;
        attributes.push((key.to_owned(), value.trim().to_owned()));
    }
    Ok(Tag {
        vocabulary,
        local: local.into_inner().to_owned(),
        attributes,
        at,
    })
}

/// Returns the character of one of XML's five entities or of a character reference.
fn character(reference: &quick_xml::events::BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    match reference.xml10_content().as_ref() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => None,
    }
}

/// Words of a problem that are kept: a hostile name must not fill the log.
const PROBLEM_CHARS_MAX: usize = 160;

fn ill_formed(at: Position, problem: String) -> PosLogError {
    PosLogError::NotWellFormed {
        at,
        problem: problem.chars().take(PROBLEM_CHARS_MAX).collect(),
    }
}

/// Turns quick-xml's fault into ours; what stays unclosed at the end of the source is truncation.
fn fault(error: XmlError, at: Position, at_end: bool) -> PosLogError {
    match error {
        XmlError::Io(error) => {
            let too_long = error
                .get_ref()
                .is_some_and(<dyn std::error::Error + Send + Sync>::is::<TokenTooLong>);
            if too_long {
                return PosLogError::TooLarge {
                    at,
                    limit: Limit::Token,
                };
            }
            PosLogError::Io(std::io::Error::new(error.kind(), error))
        }
        XmlError::Syntax(SyntaxError::InvalidBangMarkup) if !at_end => {
            ill_formed(at, "unknown markup after <!".to_owned())
        }
        XmlError::Syntax(_) => PosLogError::Truncated { at },
        // A reference that the source's end cuts in two.
        XmlError::IllFormed(_) if at_end => PosLogError::Truncated { at },
        XmlError::IllFormed(IllFormedError::UnclosedReference) => {
            ill_formed(at, "an & stands alone, it is written &amp;".to_owned())
        }
        XmlError::IllFormed(error) => ill_formed(at, error.to_string()),
        XmlError::InvalidAttr(error) => ill_formed(at, error.to_string()),
        XmlError::Encoding(error) => ill_formed(at, error.to_string()),
        XmlError::Escape(error) => ill_formed(at, error.to_string()),
        XmlError::Namespace(error) => ill_formed(at, error.to_string()),
    }
}
