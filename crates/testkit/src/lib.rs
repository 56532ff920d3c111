//! testkit.

pub mod clock;
pub mod conformance;
pub mod entropy;
pub mod faulty;
pub mod peers;
