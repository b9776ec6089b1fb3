//! Headquarters' service: receives every event exactly once, decides bindings, sends member data
//! down.
//!
//! Processes keep no state of their own: everything is in one SQL database ([`store`]), private keys
//! in the data directory ([`data_dir`]). Decisions are synchronous and
//! know no clock and no database; the shells around them load facts, decide, and write in one
//! transaction.
//!
//! Deliberately absent: a web interface, outgoing connections, anything about payment.

pub mod clock;
pub mod config;
pub mod data_dir;
pub mod entropy;
pub mod serve;
pub mod store;
