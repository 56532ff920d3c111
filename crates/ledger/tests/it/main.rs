//! The ledger over real storage engines, driven by a small engine of its own.

mod house;
mod journey;
