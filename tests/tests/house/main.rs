//! End to end: real processes, devices, databases, and lines that break.

mod arrows;
mod bad_input;
mod claims;
mod clients;
mod contract;
mod cut_print;
mod flips;
mod full_disk;
mod kills;
mod personal_data;
mod printing_clients;
mod real_samples;
mod replug;
mod retail;
mod simulated_devices;
mod store_day;
