//! Values that are JSON documents, and references in them: picked, merged and filled in as text.
//!
//! Nothing here builds a tree: what is not changed is copied as it was written, straight into memory that is wiped. No error
//! holds anything of a value.

mod fill;
mod merge;
mod object;
mod reference;

pub use fill::{Filling, Slot, fill, slots};
pub use merge::{MERGE_DEPTH_MAX, merge};
pub use object::{Picked, object, pick};
pub use reference::{BadReference, Reference};

/// Why a document cannot be worked on; never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It is not a JSON object.
    NotAnObject,
    /// The object has no such field.
    NoField,
    /// It is nested deeper than is worked on.
    TooDeep,
    /// A text begins as a reference does and is none.
    Reference(BadReference),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAnObject => out.write_str("it is not a JSON object"),
            Self::NoField => out.write_str("it has no such field"),
            Self::TooDeep => out.write_str("it is nested too deep"),
            Self::Reference(bad) => write!(out, "a reference in it cannot be read: {bad}"),
        }
    }
}

impl std::error::Error for Unfit {}
