//! The ledger over real storage engines, driven by a small engine of its own.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod access_log;
mod ahead;
mod backup;
mod crash;
mod damage;
mod house;
mod journey;
mod nodes;
mod sim;
