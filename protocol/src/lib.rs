//! Tillbind's words on the wire and the state machines that keep terminal and central in step.
//!
//! The contract of every machine here: **feed it what happened, then drain what it wants, then sleep
//! until its timeout.** `handle_*` takes an input and the time, `poll_*` yields the next thing to do,
//! `poll_timeout` says when to come back and why. Nothing in this crate does I/O, reads a clock or
//! draws a random number: all of these come in as arguments, so that a simulation can run a thousand
//! terminals in one thread and a failing seed reproduces.
//!
//! Compatibility is described beside [`exchange::CURRENT`] and [`exchange::MIN`]; one byte-exact
//! golden file per version stands in `protocol/tests/golden` and is never edited.
//!
//! What this crate deliberately lacks: storage, sockets, TLS, devices. It knows no other crate of the
//! workspace.

pub mod backoff;
pub mod chain;
pub mod claim;
pub mod clock;
pub mod dictionary;
mod digest;
pub mod enrol;
pub mod event;
pub mod exchange;
pub mod ids;
pub mod intake;
pub mod member_code;
pub mod replica;
pub mod uplink;
