//! Secrets: put, get, list, versions, roll back, delete, undelete, purge, metadata.

mod generate;
mod list;
mod place;
mod quota;
mod read;
mod write;

pub(crate) use place::Places;
pub(crate) use quota::Counts;
pub(crate) use read::name_of;
pub(crate) use write::generated;

pub use generate::{Characters, Recipe, generate};
pub use list::{Item, ItemKind, ListQuery, list};
pub use read::{About, Fate, Revealed, VersionAbout, about, get, read_many};
pub use secrets::command::{Edit, MetadataEdit};
pub use secrets::{Encoding, Labels};
pub use write::{
    Deleted, NewValue, Purged, Rollback, Scope, Source, Undeleted, Written, annotate, delete, purge, put, rollback,
    undelete,
};
