//! A disk in memory whose power can be cut, that can be full, and whose syncs can fail.
//!
//! It keeps what a real one may keep: unsynced writes survive a power cut sector by sector as chance has
//! it, names only up to some point of their order, and after a failed sync the pages look clean but never
//! reach the platter.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::disk::{Disk, DiskFile, DiskRoom};

const SECTOR_BYTES: u64 = 512;
/// Free room beside what tests leave.
const FREE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug, Default)]
struct Inode {
    /// What a reader sees.
    current: Vec<u8>,
    /// What the platter holds.
    durable: Vec<u8>,
    /// Written since the last sync.
    pending: Vec<(u64, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl NameChange {
    fn dir(&self) -> &Path {
        let (Self::Link(path, _) | Self::Rename(_, path) | Self::Remove(path)) = self;
        path.parent().unwrap()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Link(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
            Self::Rename(from, to) => {
                let moved: Vec<_> = names
                    .keys()
                    .filter(|name| name.starts_with(from))
                    .cloned()
                    .collect();
                for name in moved {
                    let inode = names.remove(&name).unwrap();
                    let rest = name.strip_prefix(from).unwrap();
                    let new = if rest.as_os_str().is_empty() {
                        to.clone()
                    } else {
                        to.join(rest)
                    };
                    names.insert(new, inode);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    power_cuts: u64,
    inodes: HashMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    dirs: BTreeSet<PathBuf>,
    pending_names: Vec<NameChange>,
    next_inode: u64,
    space_left: Option<u64>,
    failing_writes: u32,
    failing_syncs: u32,
    syncs: u64,
    /// The power is cut, with a seed, once so many more calls were made.
    cut_after: Option<(u64, u64)>,
}

impl State {
    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn cut_power(&mut self, seed: u64) {
        let mut chance = blake3::Hasher::new()
            .update(&seed.to_le_bytes())
            .finalize_xof();
        let mut draw = move |below: u64| {
            let mut bytes = [0; 8];
            chance.fill(&mut bytes);
            u64::from_le_bytes(bytes) % below
        };
        let state = self;
        state.cut_after = None;
        state.power_cuts += 1;
        let changes = std::mem::take(&mut state.pending_names);
        let kept = draw(changes.len() as u64 + 1) as usize;
        let mut names = std::mem::take(&mut state.durable_names);
        for change in &changes[..kept] {
            change.apply(&mut names);
        }
        state.names = names.clone();
        state.durable_names = names;
        let mut ids: Vec<_> = state.inodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let inode = state.inodes.get_mut(&id).unwrap();
            for (offset, bytes) in std::mem::take(&mut inode.pending) {
                let mut at = 0;
                while at < bytes.len() {
                    let place = offset + at as u64;
                    let room = (SECTOR_BYTES - place % SECTOR_BYTES) as usize;
                    let end = bytes.len().min(at + room);
                    let fate = draw(20);
                    if fate < 10 {
                        put(&mut inode.durable, place, &bytes[at..end]);
                    } else if fate == 19 {
                        let garbage: Vec<u8> = (at..end).map(|_| draw(256) as u8).collect();
                        put(&mut inode.durable, place, &garbage);
                    }
                    at = end;
                }
            }
            inode.current = inode.durable.clone();
        }
    }

    fn take_space(&mut self, bytes: u64) -> io::Result<()> {
        if let Some(left) = &mut self.space_left {
            *left = left
                .checked_sub(bytes)
                .ok_or_else(|| io::Error::from(io::ErrorKind::StorageFull))?;
        }
        Ok(())
    }

    fn give_space_back(&mut self, bytes: u64) {
        if let Some(left) = &mut self.space_left {
            *left += bytes;
        }
    }
}

/// The disk, as one life of the machine sees it; clones are the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct SimDisk {
    state: Arc<Mutex<State>>,
    /// Power cuts before this life: after the next one, every call fails.
    power_cuts: u64,
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Returns the state while this life's power is on.
    fn powered(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        match &mut state.cut_after {
            Some((0, seed)) => {
                let seed = *seed;
                state.cut_power(seed);
            }
            Some((calls, _)) => *calls -= 1,
            None => {}
        }
        if state.power_cuts == self.power_cuts {
            Ok(state)
        } else {
            Err(io::Error::other("the power was cut"))
        }
    }

    /// Returns the disk for the life after the last power cut.
    pub(crate) fn revived(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            power_cuts: self.state().power_cuts,
        }
    }

    /// Cuts the power: this life's disk and its files fail from now on.
    pub(crate) fn cut_power(&self, seed: u64) {
        self.state().cut_power(seed);
    }

    /// Cuts the power after so many more calls.
    pub(crate) fn cut_power_after(&self, calls: u64, seed: u64) {
        self.state().cut_after = Some((calls, seed));
    }

    /// Returns whether the power was cut since this life began.
    pub(crate) fn is_cut(&self) -> bool {
        self.state().power_cuts != self.power_cuts
    }

    /// Leaves so many bytes for new files to grow by; none for all they want.
    pub(crate) fn set_space_left(&self, bytes: Option<u64>) {
        self.state().space_left = bytes;
    }

    /// Makes the next writes fail after half of their bytes.
    pub(crate) fn fail_writes(&self, count: u32) {
        self.state().failing_writes = count;
    }

    /// Makes the next syncs of files fail; what they should have saved is lost at the next power cut.
    pub(crate) fn fail_syncs(&self, count: u32) {
        self.state().failing_syncs = count;
    }

    /// Returns how often a file was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// Returns the files under a directory.
    pub(crate) fn files(&self, dir: &Path) -> Vec<PathBuf> {
        let state = self.state();
        state
            .names
            .keys()
            .filter(|p| p.starts_with(dir))
            .cloned()
            .collect()
    }

    /// Changes a file behind everybody's back, on the platter too.
    pub(crate) fn spoil(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.names[path];
        let inode = state.inodes.get_mut(&id).unwrap();
        change(&mut inode.current);
        inode.durable = inode.current.clone();
        inode.pending.clear();
    }

    fn link(&self, inode: u64) -> Box<dyn DiskFile> {
        Box::new(SimFile {
            disk: self.clone(),
            inode,
        })
    }
}

fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let begin = offset as usize;
    if content.len() < begin + bytes.len() {
        content.resize(begin + bytes.len(), 0);
    }
    content[begin..begin + bytes.len()].copy_from_slice(bytes);
}

fn absent() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for SimDisk {
    fn make_dir(&self, dir: &Path) -> io::Result<()> {
        self.powered()?.dirs.insert(dir.to_owned());
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.powered()?;
        let below = state.names.keys().chain(&state.dirs);
        let names: BTreeSet<_> = below
            .filter_map(|path| path.strip_prefix(dir).ok()?.components().next())
            .map(|name| name.as_os_str().to_string_lossy().into_owned())
            .collect();
        Ok(names.into_iter().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.powered()?;
        let inode = state.next_inode;
        state.next_inode += 1;
        state.inodes.insert(inode, Inode::default());
        state.change(NameChange::Link(path.to_owned(), inode));
        Ok(self.link(inode))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.powered()?;
        let inode = *state.names.get(path).ok_or_else(absent)?;
        Ok(self.link(inode))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.powered()?;
        let moved: Vec<_> = state
            .dirs
            .iter()
            .filter(|dir| dir.starts_with(from))
            .cloned()
            .collect();
        if moved.is_empty() && !state.names.keys().any(|name| name.starts_with(from)) {
            return Err(absent());
        }
        for dir in moved {
            state.dirs.remove(&dir);
            let rest = dir.strip_prefix(from).unwrap().to_owned();
            state.dirs.insert(to.join(rest));
        }
        state.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.powered()?;
        if !state.names.contains_key(path) {
            return Err(absent());
        }
        let inode = state.names[path];
        let bytes = state.inodes[&inode].current.len() as u64;
        state.give_space_back(bytes);
        state.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.powered()?;
        state.dirs.retain(|known| !known.starts_with(dir));
        state.change(NameChange::Remove(dir.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.powered()?;
        let done = state
            .pending_names
            .iter()
            .rposition(|change| change.dir() == dir);
        let done = done.map_or(0, |last| last + 1);
        let changes: Vec<_> = state.pending_names.drain(..done).collect();
        for change in changes {
            change.apply(&mut state.durable_names);
        }
        Ok(())
    }

    fn room(&self, _dir: &Path) -> io::Result<DiskRoom> {
        let state = self.powered()?;
        // Others have their room on another disk: what the stores leave free for them does not count here.
        let free_bytes = state
            .space_left
            .map_or(u64::MAX / 4, |left| left.saturating_add(FREE_BYTES));
        Ok(DiskRoom {
            total_bytes: u64::MAX / 2,
            free_bytes,
        })
    }
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: u64,
}

impl SimFile {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        self.disk.powered()
    }

    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let length = state.inodes[&self.inode].current.len() as u64;
        state.take_space((offset + bytes.len() as u64).saturating_sub(length))?;
        let failing = state.failing_writes > 0;
        let bytes = if failing {
            state.failing_writes -= 1;
            &bytes[..bytes.len() / 2]
        } else {
            bytes
        };
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        put(&mut inode.current, offset, bytes);
        inode.pending.push((offset, bytes.to_vec()));
        if failing {
            return Err(io::Error::other("the disk refused a write"));
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state()?;
        let begin = offset as usize;
        let found = state.inodes[&self.inode]
            .current
            .get(begin..begin + bytes.len());
        bytes.copy_from_slice(found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state()?;
        state.syncs += 1;
        let failing = state.failing_syncs > 0;
        state.failing_syncs = state.failing_syncs.saturating_sub(1);
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        let pending = std::mem::take(&mut inode.pending);
        if failing {
            return Err(io::Error::other("the disk refused a sync"));
        }
        for (offset, bytes) in pending {
            put(&mut inode.durable, offset, &bytes);
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.state()?.inodes[&self.inode].current.len() as u64)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.state()?;
        let inode = state.inodes.get_mut(&self.inode).unwrap();
        let length = inode.current.len() as u64;
        inode.current.resize(bytes as usize, 0);
        inode.durable.truncate(bytes as usize);
        for (offset, written) in &mut inode.pending {
            written.truncate(bytes.saturating_sub(*offset) as usize);
        }
        state.give_space_back(length.saturating_sub(bytes));
        state.take_space(bytes.saturating_sub(length))
    }

    fn fill_zero(&self, bytes: u64) -> io::Result<()> {
        let length = self.length()?;
        let grown = bytes.saturating_sub(length);
        self.write(&vec![0; grown as usize], length)
    }
}
