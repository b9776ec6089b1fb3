//! A simulation of many terminals and several processes of central over the real machines of
//! `protocol`.
//!
//! One thread, virtual time, one seeded source of chance: a seed reproduces byte for byte, and the hash of
//! its story proves it. `terminal` and `central` are the shells of the agent and of central with every
//! await as a step of its own: it takes its time, now and then long, and a process may die before it and
//! after it. The [`world`] cuts and slows lines, loses, doubles and delays messages, kills processes and
//! pulls plugs, sets wall clocks, suspends machines, fills and damages disks, restores backups of
//! terminals and of central, clones disks onto other hardware, and installs older and newer versions.
//! Then all is healed, and must come to rest.
//!
//! `model` is what must be true, kept apart: what happened at tills, what became of disks, what central
//! committed in which order. `check` holds the one against the other; [`Promise`] lists what is promised.
//! [`Fault`] gives the shells known bugs, so that the checks are seen to find them.
//!
//! **What is not simulated here:** the files of the outbox and the replica (model tests and power cuts of
//! the agent), SQL and the rules of sales and bindings but for "the first wins" (central's story tests),
//! TLS and HTTP but for 426 and connections that end, dictionaries, a request too large for central.
//!
//! **What is not promised,** and the model knows it: what was on no disk but one that a backup replaced;
//! what central lost to a backup of its own in an epoch that the terminal has left; gaps of events that
//! were lost before a fork (the fork leaves them behind, and numbers what follows anew, so that a disk
//! restored again, which still has them, may bring events twice); a loss within a gap in which two
//! histories of a restored disk parted; that what both have behind such a gap comes once (the second to come
//! differs before the gap's end and moves as a whole).

mod central;
mod chance;
mod check;
mod disk;
mod fault;
mod model;
mod network;
mod page;
mod promise;
mod record;
mod stage;
mod story;
mod terminal;
mod timepiece;
mod transition;
pub mod world;

pub use fault::Fault;
pub use promise::{Breach, Promise};
pub use world::{Played, REST_WITHIN, Report, World, WorldConfig};
