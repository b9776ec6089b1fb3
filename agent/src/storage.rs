//! What the terminal's stores stand on: a disk whose refusals are heard, one opener of sled, one lock.
//!
//! Durability is spelled out at each call: data reaches the platter by [`disk::DiskFile::sync_data`], a
//! name by [`disk::Disk::sync_dir`]. Nothing here retries a failed sync: after it, what the kernel holds
//! in memory and what the disk holds may differ for good.

pub mod disk;
pub(crate) mod lock;
pub(crate) mod private_file;
#[cfg(test)]
pub(crate) mod sim_disk;
pub(crate) mod sled_store;
