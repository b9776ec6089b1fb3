//! Where segments wait for reuse, and where unreadable ones go.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::disk::Disk;

/// Spare segments that are kept for thinning on a full disk alone.
pub(super) const RESERVES: usize = 1;
/// Spare segments kept, the reserve among them; more would only hold disk that others could use.
pub(super) const SPARES_MAX: usize = RESERVES + 2;
/// A segment being filled with zeros; it gets its name once it is whole.
const FRESH_NAME: &str = "fresh";

/// Where spare and damaged segments go.
#[derive(Debug, Clone)]
pub(crate) struct Yard {
    pub(crate) spare_dir: PathBuf,
    pub(crate) damaged_dir: PathBuf,
    pub(crate) segment_bytes: u64,
}

impl Yard {
    /// Makes a file of zeros that is to become a segment; its name is not durable.
    pub(super) fn make_fresh(&self, disk: &dyn Disk, bytes: u64) -> io::Result<PathBuf> {
        let path = self.spare_dir.join(FRESH_NAME);
        let filled = disk.create(&path).and_then(|file| file.fill_zero(bytes));
        if let Err(e) = filled {
            forget(disk, &path);
            return Err(e);
        }
        Ok(path)
    }

    /// Returns the spares that can be used; half-made ones and those of another size are removed.
    pub(super) fn usable_spares(&self, disk: &dyn Disk) -> io::Result<Vec<PathBuf>> {
        let mut spares = Vec::new();
        for name in disk.list(&self.spare_dir)? {
            let path = self.spare_dir.join(&name);
            let fits = disk.open(&path)?.length()? == self.segment_bytes;
            if fits && name != FRESH_NAME && spares.len() < SPARES_MAX {
                spares.push(path);
            } else {
                forget(disk, &path);
            }
        }
        Ok(spares)
    }
}

/// Removes a file that no longer matters; what remains of it is found and set aside at the next start.
pub(super) fn forget(disk: &dyn Disk, path: &Path) {
    if let Err(error) = disk.remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a file of the journal");
    }
}
