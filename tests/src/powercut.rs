//! Power cuts for real: the agent in a virtual machine, on a drive that forgets what it was not told to
//! keep.
//!
//! **How it works.** QEMU boots Debian's kernel with a system of busybox and two programs: the daemon
//! `tillbind` and `powercut-guest`, both as they were built here. Its one disk, with an ext4 file system,
//! is a [`drive`] of the rig's own that takes down every write and flush. Over a serial port the machine
//! tells every event that was acknowledged; port and drive write one [`tape`], so that it is known which
//! acknowledgements were out when the drive had how many entries. A cut at any place of the tape then
//! is a [`disk_log`] matter: what was flushed is there, of all else each 4 KiB block (in a quarter of
//! the cuts each sector of 512 bytes) is kept or lost by a seeded coin. A machine comes up on the disk
//! that this leaves, with the same kernel and the same program; the [`ledger`] says what must be there.
//! It goes on for a few events and starts once more; some of these recoveries are cut in their turn.
//!
//! **What must fail does.** Each round cuts sled 0.34 with its bare `flush()`, and the outbox on a drive
//! that ignores flushes; where the rig does not see the loss, it is wrong, and the run fails.
//!
//! **Limits.** Neither root nor KVM, loop devices or a network are needed. The same seed chooses the same
//! cuts as far as the recordings are the same; their order of writes is the machine's, so a trial that
//! failed is kept whole and can be looked at again.
//!
//! **What it does not cover:** drives that lie about a flush (a control shows that all is lost then);
//! blocks that change or become unreadable by themselves, or tear within 512 bytes; flash that loses
//! neighbours or its translation table when power goes; writes that land elsewhere; a supply that sags
//! slowly, so that the processor goes on with bad memory; discard, write-zeroes and FUA, which the drive
//! does not offer; file systems and mount options other than ext4's defaults; RAID and LVM; a file system
//! that is full; and the rest of the computer, such as a clock that is back in 1970.

mod archive;
mod campaign;
mod choice;
mod disk_log;
mod drive;
pub mod guest;
mod image;
mod kit;
mod ledger;
mod machine;
mod tape;
mod trial;
mod words;

pub use campaign::{Caught, Plan, Tally, look, run};
pub use words::{Phase, Workload};
