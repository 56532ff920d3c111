//! The composition root: configuration, then build, then run.

pub mod clock;
pub mod config;
pub mod files;
pub mod listener;
pub mod seal;
pub mod sinks;
pub mod tls;
