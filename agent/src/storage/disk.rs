//! The file system as the stores see it: few calls, each of which says what it makes durable.
//!
//! It is a trait so that tests can cut the power, fill the disk or fail a sync at any call.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::FallocateFlags;

/// Written at once while a file is filled with zeros, in bytes.
const ZERO_CHUNK_BYTES: usize = 256 * 1024;

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskRoom {
    /// All of it.
    pub total_bytes: u64,
    /// What an ordinary user may still fill.
    pub free_bytes: u64,
}

/// A file system.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Makes a directory (0700) with its parents. Its name is not yet durable.
    ///
    /// # Errors
    /// The system's.
    fn make_dir(&self, dir: &Path) -> io::Result<()>;
    /// Returns the names in a directory, sorted.
    ///
    /// # Errors
    /// The system's.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes an empty file (0600), or empties the one that is there.
    ///
    /// # Errors
    /// The system's.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// The system's.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Renames a file or directory, replacing a file of the new name. Durable after [`Self::sync_dir`]
    /// on both directories.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The system's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory with all in it.
    ///
    /// # Errors
    /// The system's.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Returns how much room the file system has that a directory lies on.
    ///
    /// # Errors
    /// The system's.
    fn room(&self, dir: &Path) -> io::Result<DiskRoom>;

    /// Returns a small file's content, or nothing when there is no such file.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let length = usize::try_from(file.length()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        file.read_at(&mut bytes, 0)?;
        Ok(Some(bytes))
    }

    /// Replaces a small file, so that after a power cut either the old or the new content is there.
    ///
    /// # Errors
    /// The system's; the old content then stands.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".tmp");
        let staged = path.with_file_name(name);
        let file = self.create(&staged)?;
        file.write_at(bytes, 0)?;
        file.sync_data()?;
        self.rename(&staged, path)?;
        self.sync_dir(parent(path))
    }

    /// Removes a file for good; none there is fine.
    ///
    /// # Errors
    /// The system's.
    fn remove_durably(&self, path: &Path) -> io::Result<()> {
        match self.remove_file(path) {
            Ok(()) => self.sync_dir(parent(path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// Makes a directory under an existing parent, durably.
    ///
    /// # Errors
    /// The system's.
    fn make_dir_durably(&self, dir: &Path) -> io::Result<()> {
        self.make_dir(dir)?;
        self.sync_dir(parent(dir))
    }
}

/// Returns the directory that a path stands in.
fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send {
    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// The system's; a file that ends earlier is one.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The system's; part of the bytes may then be written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content and the length durable.
    ///
    /// # Errors
    /// The system's; what was written since the last sync is then unknown for good.
    fn sync_data(&self) -> io::Result<()>;
    /// Returns the length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn length(&self) -> io::Result<u64>;
    /// Cuts the file off behind so many bytes, or grows it with zeros.
    ///
    /// # Errors
    /// The system's.
    fn set_length(&self, bytes: u64) -> io::Result<()>;
    /// Fills an empty file with real zero blocks, so that later writes within it change no metadata.
    ///
    /// # Errors
    /// The system's, above all a full disk.
    fn fill_zero(&self, bytes: u64) -> io::Result<()>;
}

/// The machine's own file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = fs::read_dir(dir)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(LocalFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Box::new(LocalFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn room(&self, dir: &Path) -> io::Result<DiskRoom> {
        let found = rustix::fs::statvfs(dir)?;
        Ok(DiskRoom {
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        })
    }
}

#[derive(Debug)]
struct LocalFile(File);

impl DiskFile for LocalFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn fill_zero(&self, bytes: u64) -> io::Result<()> {
        // The allocation first: a full disk says so before anything is written, and the blocks lie
        // together. A file system that cannot do it just gets the zeros.
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
            Err(e) => return Err(e.into()),
        }
        let zeros = vec![0; ZERO_CHUNK_BYTES];
        let mut offset = 0;
        while offset < bytes {
            let left = usize::try_from(bytes - offset).unwrap_or(usize::MAX);
            let chunk = &zeros[..left.min(ZERO_CHUNK_BYTES)];
            self.0.write_all_at(chunk, offset)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }
}
