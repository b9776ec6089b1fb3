//! What only makes sense across the crates: end-to-end tests, the simulation, benchmarks, the demo.
//!
//! [`sim`] steps the machines by fake time in one process, [`powercut`] cuts the power of a virtual
//! machine. All else here is whole houses: real processes, real ports, real databases.
//!
//! A [`scene::Scene`] owns a folder in which a [`central::Central`] and any number of
//! [`terminal::Terminal`]s live, each a process of its own that can be killed at any time. Between
//! them lies a [`line::Line`] that can be cut and healed. Devices are simulated at the wire: a
//! [`scanner::Scanner`] is a pseudo-terminal behind a stable link, a [`printer::Printer`] a TCP
//! socket that keeps what it was sent.
//!
//! No house waits for a fixed time: every wait is for a condition, with a deadline, in
//! [`clock::wait_for`]. Deliberately lacking: any look into the products' memory; what is checked is
//! what a user, a POS or headquarters can see.

pub mod api;
pub mod backlog;
pub mod bench;
pub mod cable;
pub mod central;
pub mod clock;
pub mod day;
pub mod environment;
pub mod flips;
pub mod kills;
pub mod leak;
pub mod line;
pub mod port;
pub mod poslog;
pub mod postgres;
pub mod powercut;
pub mod printer;
pub mod process;
mod provider;
pub mod pseudo_terminal;
pub mod receipt;
pub mod retail;
pub mod sale;
pub mod scanner;
pub mod scene;
pub mod shop;
pub mod sim;
pub mod tally;
pub mod terminal;
