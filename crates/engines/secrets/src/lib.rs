//! Rules of versioned secrets: what may be written, deleted, undone and purged, and what records come of it.
//!
//! Pure: no clock, no randomness, no storage. A value arrives sealed ([`Fresh`]); a decision names the places
//! of its key and blob; [`SecretRules`] alone turn events into records. Version numbers of a path are dense,
//! start at 1 and never repeat, not even after a purge of the whole secret.

mod codec;
pub mod command;
mod event;
mod folder;
pub mod limits;
mod record;
mod reply;
mod rules;

pub use event::{
    DELETED, EXPIRED, EXPIRING, KEYS_REWRAPPED, METADATA_WRITTEN, PURGED, UNDELETED, VERSION_WRITTEN, paths_named,
    purged_by,
};
pub use folder::{Folder, folder_name};
pub use record::{Encoding, Labels, Secret, State, Stored, Version, secret_name};
pub use reply::Reply;
pub use rules::SecretRules;

/// Kind under which data keys of secrets are wrapped; part of the associated data.
pub const KEY_KIND: &str = "secret";
