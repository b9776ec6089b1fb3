//! Headquarters' service: receives every event exactly once, decides bindings, sends member data
//! down.
//!
//! Processes keep no state of their own: everything is in one SQL database ([`store`]), private keys
//! in the data directory ([`data_dir`]). Decisions are synchronous and
//! know no clock and no database; the shells around them load facts, decide, and write in one
//! transaction.
//!
//! Headquarters' people and programs come in by [`cli`] and [`admin`]; [`export`] is all that they
//! read.
//!
//! Deliberately absent: a web interface, outgoing connections, anything about payment.

pub mod admin;
pub mod api_keys;
pub mod audit;
pub mod binding;
pub mod ca;
pub mod changes;
pub mod claims;
pub mod cli;
pub mod clock;
pub mod config;
pub mod data_dir;
pub mod dictionary;
pub mod duration;
pub mod enrolment;
pub mod entropy;
pub mod export;
pub mod intake;
pub mod keys;
pub mod ledger;
pub mod members;
pub mod metrics;
pub mod operations;
pub mod plain_text;
pub mod quarantine;
pub mod serve;
pub mod store;
pub mod sync;
pub mod terminals;
