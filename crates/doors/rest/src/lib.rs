//! The native REST door: HTTPS requests in, answers of the native API out. It holds no rules.

mod source;

pub use source::{Net, source_of};
