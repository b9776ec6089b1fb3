//! Ports of the machine: the only part of this crate that does I/O, behind the feature `serial`.

#[cfg(feature = "serial")]
pub mod serial;
