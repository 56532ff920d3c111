//! testkit.

pub mod clock;
pub mod entropy;
