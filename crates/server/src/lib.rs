//! The composition root: configuration, then build, then run.

pub mod config;
pub mod files;
