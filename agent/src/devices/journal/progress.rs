//! How far a file was told, and which file that is.
//!
//! A file is known by its contents: the bytes before the mark are what was told, and their first
//! and last kilobyte are kept as a hash. So a file that was renamed or copied goes on where it was,
//! and one that was truncated or replaced starts anew, whatever its name or inode. A day's file
//! that begins with yesterday's header, in yesterday's inode, is told apart by the end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use tillbind_firmware_bridge::journal::FileSeen;
use tillbind_firmware_bridge::journal::entry::Mark;

/// Bytes hashed at each end of what was told.
const PROBE_BYTES: u64 = 1024;
/// Length of a kept hash. Files are told apart by it, not protected.
const HASH_BYTES: usize = 16;

/// Hash of the first bytes of a file and of the last of those by which it is known.
pub(super) type Print = [u8; HASH_BYTES];

/// How far a file was told. Durable before anything behind it is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The file as it was listed when it was read.
    pub file: FileSeen,
    /// All before it was told.
    pub mark: Mark,
    /// Faults told of this file.
    pub faults: u32,
    /// Whether its end was taken for whole.
    pub closed: bool,
    /// By what it is known.
    pub print: Print,
    /// Byte at which something stands, if it does, that waits for its rest or for the quiet time, and
    /// that nobody has told if the file goes.
    pub open_at: Option<u64>,
    /// Faults before this byte were told when the file was quiet, though reading goes on before
    /// them.
    pub reported_to: u64,
}

impl Progress {
    /// Starts a file.
    pub(super) fn start(file: FileSeen) -> Self {
        Self {
            file,
            mark: Mark::START,
            faults: 0,
            closed: false,
            print: [0; HASH_BYTES],
            open_at: None,
            reported_to: 0,
        }
    }

    /// Returns this as it is once what was open is told, or is another file's.
    pub(super) fn with_nothing_open(&self) -> Self {
        Self {
            open_at: None,
            ..self.clone()
        }
    }

    /// Returns by how many of its first bytes the file is known: those told, or else all there were,
    /// if anything was said of them or will be.
    pub(super) fn known_bytes(&self) -> u64 {
        match self.mark.offset {
            0 if self.open_at.is_some() => self.file.len,
            0 => self.reported_to,
            told => told,
        }
    }

    /// Returns whether `file` begins with what this tells of. A file of which nothing was told is
    /// known by nothing.
    pub(super) fn is_of(&self, file: &mut File, len: u64) -> io::Result<bool> {
        let known = self.known_bytes();
        if known == 0 || known > len {
            return Ok(false);
        }
        Ok(print(file, known)? == self.print)
    }

    /// Writes a note: time, size, offset, line (8 bytes each), faults (4), closed (1), print (16),
    /// what is open, counted from 1, what was reported (8 bytes each); little-endian.
    pub(super) fn to_note(&self) -> Vec<u8> {
        let mut note = self.file.modified_ms.to_le_bytes().to_vec();
        note.extend_from_slice(&self.file.len.to_le_bytes());
        note.extend_from_slice(&self.mark.offset.to_le_bytes());
        note.extend_from_slice(&self.mark.line.to_le_bytes());
        note.extend_from_slice(&self.faults.to_le_bytes());
        note.push(u8::from(self.closed));
        note.extend_from_slice(&self.print);
        let open_at = self.open_at.map_or(0, |byte| byte + 1);
        note.extend_from_slice(&open_at.to_le_bytes());
        note.extend_from_slice(&self.reported_to.to_le_bytes());
        note
    }

    /// Reads a note; one of another form is as good as none. Notes of older versions end with the
    /// print.
    pub(super) fn from_note(name: String, note: &[u8]) -> Option<Self> {
        let (modified_ms, rest) = note.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<8>()?;
        let (offset, rest) = rest.split_first_chunk::<8>()?;
        let (line, rest) = rest.split_first_chunk::<8>()?;
        let (faults, rest) = rest.split_first_chunk::<4>()?;
        let (closed, rest) = rest.split_first()?;
        let (print, rest) = rest.split_first_chunk::<HASH_BYTES>()?;
        let (open_at, reported_to) = match rest.split_first_chunk::<8>() {
            Some((open_at, rest)) => (*open_at, rest.try_into().ok()?),
            None if rest.is_empty() => Default::default(),
            None => return None,
        };
        Some(Self {
            file: FileSeen {
                name,
                modified_ms: i64::from_le_bytes(*modified_ms),
                len: u64::from_le_bytes(*len),
            },
            mark: Mark {
                offset: u64::from_le_bytes(*offset),
                line: u64::from_le_bytes(*line),
            },
            faults: u32::from_le_bytes(*faults),
            closed: *closed != 0,
            print: *print,
            open_at: u64::from_le_bytes(open_at).checked_sub(1),
            reported_to: u64::from_le_bytes(reported_to),
        })
    }
}

/// Hashes the first and the last bytes of the `told` first bytes of a file.
pub(super) fn print(file: &mut File, told: u64) -> io::Result<Print> {
    let mut hasher = blake3::Hasher::new();
    let mut add = |from: u64, bytes: u64| -> io::Result<()> {
        file.seek(SeekFrom::Start(from))?;
        let mut read = Vec::new();
        file.take(bytes).read_to_end(&mut read)?;
        hasher.update(&read);
        Ok(())
    };
    let bytes = told.min(PROBE_BYTES);
    add(0, bytes)?;
    add(told - bytes, bytes)?;
    let mut print = [0; HASH_BYTES];
    print.copy_from_slice(&hasher.finalize().as_bytes()[..HASH_BYTES]);
    Ok(print)
}
