//! Devices that are not there: what a scanner, an NFC reader, a printer, a POS or a journal would send,
//! from a script. For technicians without the device at hand, and for tests.
//!
//! [`script`] reads the script; [`scanner`], [`nfc`] and [`printer`] are models without I/O that take what
//! the agent sends and say what the device answers. The command `tillbind-devsim` puts them on a
//! pseudo-terminal or a TCP port.
//!
//! The models are written from the vendors' guides and share nothing with the decoders of this crate, so
//! that neither can make the other's mistake.

pub mod nfc;
pub mod printer;
pub mod scanner;
pub mod script;
