//! A simulation of many terminals and one central over the real machines of `protocol`.
//!
//! One thread, virtual time, one seeded source of chance: a seed reproduces byte for byte. The
//! network loses, doubles, delays and reorders requests and answers; terminals crash, are restored
//! from old backups and are cloned onto other hardware; central restarts, pushes back, and loses its
//! newest data to a restore. What is not simulated here: disks (the outbox's own model test does
//! that) and SQL (central's story tests do).
//!
//! A run ends with the line healed and everything drained, and then with [`World::check`]: every
//! event that a terminal acknowledged and still has, or that it was told had arrived, stands at
//! central once and in order; what is missing there is explained by a gap; every replica equals
//! central's truth.

mod central;
mod terminal;
mod world;

pub use world::{Report, World, WorldConfig};
