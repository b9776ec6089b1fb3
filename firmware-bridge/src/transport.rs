//! Ports of the machine: the only part of this crate that does I/O, behind features.

#[cfg(feature = "serial")]
mod port;
#[cfg(feature = "serial")]
pub mod serial;
