//! The daemon on a terminal: devices in, durable events out, member data at hand.
//!
//! Data goes one way round: devices → events → outbox → central, and central → replica → the till's
//! API. An event counts as accepted only once [`outbox`] has it on the disk.

pub mod api;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod config;
pub mod devices;
pub mod downlink;
pub mod event;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
pub mod members;
pub mod metrics;
pub mod outbox;
pub mod platform;
pub mod run;
pub mod storage;
pub mod till;
pub mod uplink;
pub mod vault;
