//! Secrets: values, versions, metadata and lists.
//!
//! | call | request | answer |
//! |---|---|---|
//! | `PUT secrets/{path}` | [`PutSecret`], or raw bytes with [`PutQuery`] | [`Written`] |
//! | `GET secrets/{path}?view=value` | [`ReadQuery`] | [`Secret`], or raw bytes |
//! | `GET secrets/{path}?view=metadata` | [`ReadQuery`] | [`Metadata`] |
//! | `GET secrets/{path}?view=versions` | [`ReadQuery`] | [`Versions`] |
//! | `DELETE secrets/{path}` | | [`Deleted`] |
//! | `GET secrets` | [`ListQuery`] | [`SecretList`] |
//! | `POST secrets:rollback` | [`Rollback`] | [`Written`] |
//! | `POST secrets:undelete` | [`Undelete`] | [`Restored`] |
//! | `POST secrets:purge` | [`Purge`] | [`Purged`] |
//! | `POST secrets:metadata` | [`SetMetadata`] | [`Metadata`] |
//! | `POST secrets:read` | [`ReadMany`] | [`Secrets`] |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Encoding, Position, Timestamp, Value};

/// A new version of a secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSecret {
    /// The value: a string, or any JSON.
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// How the value stands in this message; by its JSON type when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// The current version the caller expects; 0 when the secret must not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
    /// Labels to set in place of the present ones; the present ones stay when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// When this version stops being readable, a time or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many versions to keep from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u32>,
}

/// What a value that the server makes looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratedKind {
    /// Characters of the sets asked for, at least one of each.
    #[default]
    Password,
    /// Random bytes as lower-case hex.
    Hex,
    /// Random bytes as standard base64 with padding.
    Base64,
    /// Random bytes.
    Bytes,
}

/// Sets of characters of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Characters {
    /// `a` to `z`.
    Lower,
    /// `A` to `Z`.
    Upper,
    /// `0` to `9`.
    Digits,
    /// Printable ASCII but quotes, backslash and grave accent.
    Symbols,
}

/// A new version of a secret with a value that the server makes; it is read like any other.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Path of the secret.
    pub path: String,
    /// What the value looks like; a password when absent.
    #[serde(default)]
    pub kind: GeneratedKind,
    /// Characters of a password, random bytes of everything else, at most 4,096; 32 when absent. What has less than 64 bits is
    /// refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Sets of characters of a password; lower, upper and digits when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<Vec<Characters>>,
    /// The current version the caller expects; 0 when the secret must not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
    /// Labels to set in place of the present ones; the present ones stay when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// When this version stops being readable, a time or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many versions to keep from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u32>,
}

/// What goes with a raw value, in the query.
#[derive(Debug, Default, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PutQuery {
    /// The current version the caller expects; 0 when the secret must not exist yet. `If-Match` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
    /// Labels as `name=value`, separated by commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// When this version stops being readable, a time or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub expires_at: Option<Timestamp>,
    /// How many versions to keep from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u32>,
}

/// Answer to a write: durable when it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Written {
    /// Path of the secret.
    pub path: String,
    /// Version that was made.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Where the change stands in the ledger.
    pub position: Position,
    /// Whether this is the kept answer to an earlier request with the same idempotency key.
    #[serde(default)]
    pub replayed: bool,
}

/// What a read shows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// The value.
    #[default]
    Value,
    /// Everything but the value.
    Metadata,
    /// The versions, without values.
    Versions,
}

/// What to read of a secret.
#[derive(Debug, Default, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReadQuery {
    /// What to show.
    #[serde(default)]
    #[param(inline)]
    pub view: View,
    /// The version to read; the current one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// One version of a secret with its value.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    /// Path of the secret.
    pub path: String,
    /// Version that was read.
    pub version: u64,
    /// How the value stands in this message.
    pub encoding: Encoding,
    /// The value.
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// When this version was made.
    pub created_at: Timestamp,
    /// When this version stops being readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Labels of the secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Everything about a secret but its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Metadata {
    /// Path of the secret.
    pub path: String,
    /// Version a read without version shows; absent when deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u64>,
    /// Highest version ever made.
    pub last_version: u64,
    /// How many versions are still kept.
    pub kept_versions: u32,
    /// How many versions are kept at most.
    pub max_versions: u32,
    /// Whether it is deleted and can be undeleted.
    pub deleted: bool,
    /// When the secret was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the current version stops being readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Labels of the secret.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What has become of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It can be read.
    Live,
    /// Its time is over; it cannot be read any more.
    Expired,
    /// The secret is deleted; undelete brings it back.
    Deleted,
    /// Its key is destroyed; nothing brings it back.
    Purged,
}

impl VersionState {
    /// The word for it on every surface.
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Deleted => "deleted",
            Self::Purged => "purged",
        }
    }
}

/// One version of a secret, without its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Number of the version, from 1.
    pub version: u64,
    /// What has become of it.
    pub state: VersionState,
    /// When it was made.
    pub created_at: Timestamp,
    /// Name or id of the principal that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// When it stops or stopped being readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The version whose value it repeats, when it was made by a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolled_back_to: Option<u64>,
}

/// All versions of a secret, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    /// Path of the secret.
    pub path: String,
    /// The versions, newest first.
    pub items: Vec<Version>,
}

/// Which secrets to list.
#[derive(Debug, Default, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// Folder to list, in whole segments; the tenant's top when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Where an earlier list stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items at most, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Whether to go into folders.
    #[serde(default)]
    pub recursive: bool,
    /// `name` to sort by name, for folders up to 10,000 children; store order when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(inline)]
    pub sort: Option<Sort>,
}

/// Order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// By name, bytewise.
    Name,
}

/// What an item of a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// A folder: the prefix of other secrets.
    Folder,
    /// A secret.
    Secret,
}

/// One item of a list; a name that is both folder and secret stands twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// Path of the secret, or of the folder without a slash at its end.
    pub path: String,
    /// What it is.
    pub kind: ItemKind,
    /// Current version of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// What has become of a secret's current version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<VersionState>,
    /// When a secret last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
    /// Labels of a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretList {
    /// The items the caller may see.
    pub items: Vec<Item>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Makes a new version that repeats an older one; exactly one of `version` and `at`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Path of the secret.
    pub path: String,
    /// The version to repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The moment whose current version to repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The current version the caller expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
}

/// Answer to a delete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// Path of the secret.
    pub path: String,
    /// The version that was current; undelete brings it back.
    pub version: u64,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// Brings a deleted secret back.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Undelete {
    /// Path of the secret.
    pub path: String,
}

/// Answer to an undelete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restored {
    /// Path of the secret.
    pub path: String,
    /// The version that is current again.
    pub version: u64,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// Destroys the keys of versions; exactly one of `versions` and `all`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Purge {
    /// Path of the secret.
    pub path: String,
    /// The versions to purge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<u64>>,
    /// Whether to purge all of them and the secret with its name.
    #[serde(default)]
    pub all: bool,
}

/// Answer to a purge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Purged {
    /// Path of the secret.
    pub path: String,
    /// The versions whose keys are destroyed.
    pub versions: Vec<u64>,
    /// Where the change stands in the ledger.
    pub position: Position,
    /// Where remains may still be read by somebody who also holds the seal, and until when.
    pub remains: String,
}

/// Changes what goes with a secret; fields that are absent stay.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetMetadata {
    /// Path of the secret.
    pub path: String,
    /// Labels in place of the present ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// When the current version stops being readable, a time or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// How many versions to keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_versions: Option<u32>,
}

/// Several secrets at once: all of them or a refusal that names the first that cannot be read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadMany {
    /// Paths to read, at most 1,000.
    pub paths: Vec<String>,
}

/// Several secrets with their values, in the order they were asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Secrets {
    /// The secrets.
    pub items: Vec<Secret>,
}
