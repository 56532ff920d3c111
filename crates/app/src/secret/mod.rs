//! Secrets: put, get, patch, list, versions, roll back, delete, undelete, purge, metadata.

mod batch;
mod copy;
mod generate;
mod import;
mod last_use;
mod list;
mod notices;
mod password;
mod patch;
mod place;
mod quota;
mod read;
mod resolve;
mod search;
mod write;

pub(crate) use last_use::Uses;
pub(crate) use place::Places;
pub(crate) use quota::Counts;
pub(crate) use read::name_of;
pub(crate) use write::generated;

pub use copy::{Copied, CopiedItem, Copying, copy};
pub use crypto::pair::{PairKind, RsaSize};
pub use generate::{Recipe, generate};
pub use import::{Fallen, Imported, ImportedItem, NewItem, OnConflict, import, import_check};
pub use last_use::{LastUse, keep_uses};
pub use list::{Item, ItemKind, ListQuery, list};
pub use notices::run_due;
pub use password::{Characters, Password};
pub use patch::patch;
pub(crate) use read::wrapped;
pub use read::{About, Fate, Revealed, VersionAbout, about, get, read_many};
pub use resolve::{get_resolved, read_many_resolved};
pub use search::{Search, search};
pub use secrets::command::{Edit, MetadataEdit};
pub use secrets::{Encoding, Labels};
pub use write::{
    Deleted, NewValue, Purged, Rollback, Scope, Source, Undeleted, Written, annotate, delete, purge, put, rollback,
    undelete,
};
