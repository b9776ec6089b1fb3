//! What only makes sense across the crates: end-to-end tests, the simulation, benchmarks, the demo.

pub mod sim;
