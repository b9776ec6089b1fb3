//! Bytes of a file at any place: looked through for tags, counted by lines, read on from a place.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use zeroize::Zeroizing;

use super::super::text::read_buffered;

/// Bytes read at once.
pub(super) const CHUNK_BYTES: usize = 16 * 1024;

/// A source that can be read at any place.
pub trait ReadAt {
    /// Reads what stands at byte `at` into `into`; 0 bytes at the end.
    ///
    /// # Errors
    /// Whatever the source fails with.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for [u8] {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.len());
        let bytes = into.len().min(self.len() - from);
        into[..bytes].copy_from_slice(&self[from..from + bytes]);
        Ok(bytes)
    }
}

/// A place between two transactions of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Bytes before it.
    pub offset: u64,
    /// Bytes before the file's first transaction, in which the namespaces are; 0 at the start.
    pub head: u64,
}

impl Place {
    /// Returns the byte of the file at which the byte `at` of the head and what follows this place
    /// stands.
    pub(super) fn in_file(self, at: u64) -> u64 {
        match at.checked_sub(self.head) {
            Some(behind) => self.offset + behind,
            None => at,
        }
    }
}

/// What of a source is looked at.
pub(super) struct Extent<'a, S: ?Sized> {
    pub(super) source: &'a S,
    pub(super) len: u64,
}

impl<S: ?Sized> Clone for Extent<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: ?Sized> Copy for Extent<'_, S> {}

/// Tags of transactions.
#[derive(Debug, Default)]
pub(super) struct Tags {
    /// Byte at which one opens.
    pub(super) start: Option<u64>,
    /// Byte behind one that closes, before that.
    pub(super) end: Option<u64>,
}

/// Returns whether `bytes` begin with a tag that begins so.
fn is_tag(bytes: &[u8], beginning: &[u8]) -> bool {
    let behind = bytes.strip_prefix(beginning).and_then(<[u8]>::first);
    behind.is_some_and(|&b| b.is_ascii_whitespace() || matches!(b, b'>' | b'/'))
}

impl<S: ReadAt + ?Sized> Extent<'_, S> {
    /// Returns whether a tag starts at `at` that opens an element, or that another cuts off before
    /// its name.
    pub(super) fn is_start_tag(&self, at: u64) -> io::Result<bool> {
        let mut bytes = [0; 2];
        let read = self.fill(&mut bytes, at)?;
        Ok(read == 2
            && bytes[0] == b'<'
            && (bytes[1].is_ascii_alphabetic()
                || bytes[1].is_ascii_whitespace()
                || matches!(bytes[1], b'_' | b'<' | 0x80..)))
    }

    /// Returns whether `prefix` stands at `at`.
    pub(super) fn starts_with(&self, at: u64, prefix: &[u8]) -> io::Result<bool> {
        let mut bytes = vec![0; prefix.len()];
        let read = self.fill(&mut bytes, at)?;
        Ok(&bytes[..read] == prefix)
    }

    /// Reads as many bytes as there are.
    fn fill(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            let place = at + filled as u64;
            let most = usize::try_from(self.len.saturating_sub(place)).unwrap_or(usize::MAX);
            let until = into.len().min(filled.saturating_add(most));
            match self.source.read_at(&mut into[filled..until], place)? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Looks for the first tag within `range` that begins with `opening`, and for the end of one
    /// before it.
    pub(super) fn tags(&self, range: Range<u64>, opening: &[u8]) -> io::Result<Tags> {
        let mut tags = Tags::default();
        let closing = [b"</", &opening[1..]].concat();
        // A tag is known with the byte behind its name.
        let needed = closing.len() + 1;
        let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
        let mut at = range.start;
        loop {
            let most = usize::try_from(range.end.saturating_sub(at)).unwrap_or(usize::MAX);
            let until = chunk.len().min(most);
            let filled = self.fill(&mut chunk[..until], at)?;
            let is_last = filled < chunk.len();
            let mut from = 0;
            while let Some(found) = chunk[from..filled].iter().position(|&b| b == b'<') {
                from += found;
                let rest = &chunk[from..filled];
                if rest.len() < needed && !is_last {
                    break;
                }
                if is_tag(rest, opening) {
                    tags.start = Some(at + from as u64);
                    return Ok(tags);
                }
                if tags.end.is_none() && is_tag(rest, &closing) {
                    let end = rest.iter().position(|&b| b == b'>');
                    tags.end = end.map(|end| at + (from + end + 1) as u64);
                }
                from += 1;
                if from == filled {
                    break;
                }
            }
            if is_last {
                return Ok(tags);
            }
            // A tag that the chunk cuts in two starts the next one.
            let is_cut = from < filled && chunk[from] == b'<' && filled - from < needed;
            at += if is_cut { from } else { filled } as u64;
        }
    }

    /// Returns how many lines end within `range`.
    pub(super) fn lines(&self, range: Range<u64>) -> io::Result<u64> {
        let (mut lines, mut at) = (0, range.start);
        let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
        while at < range.end {
            let most = usize::try_from(range.end - at).unwrap_or(usize::MAX);
            let until = chunk.len().min(most);
            let filled = self.fill(&mut chunk[..until], at)?;
            if filled == 0 {
                break;
            }
            lines += chunk[..filled].iter().filter(|&&b| b == b'\n').count() as u64;
            at += filled as u64;
        }
        Ok(lines)
    }
}

/// The head of a file, and what follows a place.
pub(super) struct Spliced<'a, S: ?Sized> {
    extent: Extent<'a, S>,
    at: u64,
    place: Place,
    chunk: Zeroizing<Vec<u8>>,
    used: usize,
    filled: usize,
}

impl<'a, S: ReadAt + ?Sized> Spliced<'a, S> {
    pub(super) fn new(extent: Extent<'a, S>, place: Place) -> Self {
        Self {
            extent,
            at: 0,
            place,
            chunk: Zeroizing::new(vec![0; CHUNK_BYTES]),
            used: 0,
            filled: 0,
        }
    }
}

impl<S: ReadAt + ?Sized> BufRead for Spliced<'_, S> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.filled {
            if self.at == self.place.head {
                self.at = self.place.offset;
            }
            let in_head = self.at < self.place.head;
            let end = if in_head {
                self.place.head
            } else {
                self.extent.len
            };
            let most = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let until = self.chunk.len().min(most);
            let source = self.extent.source;
            self.filled = source.read_at(&mut self.chunk[..until], self.at)?;
            self.at += self.filled as u64;
            self.used = 0;
        }
        Ok(&self.chunk[self.used..self.filled])
    }

    fn consume(&mut self, amount: usize) {
        self.used = (self.used + amount).min(self.filled);
    }
}

impl<S: ReadAt + ?Sized> Read for Spliced<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}
