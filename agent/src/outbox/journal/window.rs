//! Reading single events by their address, a stretch of a segment at a time.

use std::collections::BTreeMap;
use std::io;

use tillbind_protocol::ids::Seq;

use super::scan::{Address, Source};
use super::segment::{Content, Frame, RECORD_HEADER_BYTES};
use crate::storage::disk::DiskFile;

/// Read at once, at the most: some hundred events.
const AHEAD_BYTES_MAX: usize = 256 * 1024;

/// How often a segment was thinned out, if it was: part of its file's name.
pub(crate) type Revisions = BTreeMap<u64, u32>;

/// A stretch of a segment in memory.
#[derive(Debug, Default)]
pub(crate) struct Window {
    file: Option<(u64, Box<dyn DiskFile>, u64)>,
    begin: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Returns so many bytes at an offset, if they are in memory.
    fn get(&self, offset: u64, bytes: usize) -> Option<&[u8]> {
        let begin = usize::try_from(offset.checked_sub(self.begin)?).ok()?;
        self.bytes.get(begin..begin.checked_add(bytes)?)
    }
}

impl Source {
    /// Reads the event at an address, and some `ahead` bytes that may be wanted next; nothing if another
    /// record or none stands there.
    pub(crate) fn event(
        &self,
        window: &mut Window,
        revisions: &Revisions,
        seq: Seq,
        at: Address,
        ahead: usize,
    ) -> io::Result<Option<Vec<u8>>> {
        let wanted = RECORD_HEADER_BYTES + at.sealed_bytes as usize;
        let is_open = matches!(&window.file, Some((segment, ..)) if *segment == at.segment);
        if !is_open || window.get(at.offset, wanted).is_none() {
            self.load(
                window,
                revisions,
                at,
                wanted.max(ahead.min(AHEAD_BYTES_MAX)),
            )?;
        }
        let frame = window.get(at.offset, wanted).and_then(Frame::peek);
        Ok(
            frame.and_then(|frame| match frame.open(&self.seal, self.epoch)? {
                Content::Event(plain) if frame.seq == seq => Some(plain),
                Content::Event(_) | Content::Gap(_) => None,
            }),
        )
    }

    fn load(
        &self,
        window: &mut Window,
        revisions: &Revisions,
        at: Address,
        bytes: usize,
    ) -> io::Result<()> {
        let (file, length) = match window.file.take() {
            Some((segment, file, length)) if segment == at.segment => (file, length),
            Some(_) | None => {
                let revision = revisions.get(&at.segment).copied().unwrap_or(0);
                let file = self.disk.open(&self.path(at.segment, revision))?;
                let length = file.length()?;
                (file, length)
            }
        };
        let end = at.offset.saturating_add(bytes as u64).min(length);
        let bytes = usize::try_from(end.saturating_sub(at.offset)).map_err(io::Error::other)?;
        window.bytes.resize(bytes, 0);
        window.begin = at.offset;
        file.read_at(&mut window.bytes, at.offset)?;
        window.file = Some((at.segment, file, length));
        Ok(())
    }
}
