//! Secrets: values, versions, metadata and lists.
//!
//! | call | request | answer |
//! |---|---|---|
//! | `PUT secrets/{path}` | [`PutSecret`], or raw bytes with [`PutQuery`] | [`Written`] |
//! | `GET secrets/{path}?view=value` | [`ReadQuery`] | [`Secret`], or raw bytes |
//! | `GET secrets/{path}?view=metadata` | [`ReadQuery`] | [`Metadata`] |
//! | `GET secrets/{path}?view=versions` | [`ReadQuery`] | [`Versions`] |
//! | `PATCH secrets/{path}` | [`Patch`] with [`PatchQuery`] | [`Written`] |
//! | `DELETE secrets/{path}` | | [`Deleted`] |
//! | `GET secrets` | [`ListQuery`] | [`SecretList`] |
//! | `POST secrets:import` | [`Import`] | [`Imported`] |
//! | `POST secrets:copy`, `POST secrets:move` | [`Copy`] | [`Copied`] |
//! | `POST secrets:rollback` | [`Rollback`] | [`Written`] |
//! | `POST secrets:undelete` | [`Undelete`] | [`Restored`] |
//! | `POST secrets:purge` | [`Purge`] | [`Purged`] |
//! | `POST secrets:metadata` | [`SetMetadata`] | [`Metadata`] |
//! | `POST secrets:search` | [`Search`] | [`SecretList`] |
//! | `POST secrets:read` | [`ReadMany`] | [`Secrets`] |

use std::collections::BTreeMap;

use crypto::SecretText;
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
    /// A random UUID (RFC 9562, version 4).
    Uuid,
    /// A pair for signatures by Ed25519, in PEM.
    Ed25519,
    /// A pair for key agreement by X25519, in PEM.
    X25519,
    /// A pair for ECDSA over P-256, in PEM.
    EcdsaP256,
    /// A pair for signatures by Ed25519, as OpenSSH writes it.
    SshEd25519,
    /// A pair for RSA with 2,048 bits, in PEM.
    #[serde(rename = "rsa_2048")]
    Rsa2048,
    /// A pair for RSA with 3,072 bits, in PEM.
    #[serde(rename = "rsa_3072")]
    Rsa3072,
    /// A pair for RSA with 4,096 bits, in PEM.
    #[serde(rename = "rsa_4096")]
    Rsa4096,
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

/// How many characters of each set there are at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AtLeast {
    /// Of `a` to `z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<usize>,
    /// Of `A` to `Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<usize>,
    /// Of `0` to `9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<usize>,
    /// Of the symbols.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<usize>,
}

/// A new version of a secret with a value that the server makes; it is read like any other.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Path of the secret.
    pub path: String,
    /// What the value looks like; a password when absent. A pair is a JSON object of `private_key` and `public_key`.
    #[serde(default)]
    pub kind: GeneratedKind,
    /// Name of the password policy that a password is made by, in place of rules of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Characters of a password, random bytes of hex, base64 and bytes, at most 4,096; 32 when absent. What has less than 64 bits
    /// is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Sets of characters of a password; lower, upper and digits when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<Vec<Characters>>,
    /// How many characters of a set a password has at least; 1 of each set when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<AtLeast>,
    /// Symbols in place of the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<String>,
    /// Characters that do not come in a password, such as those that look alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
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

/// Fields of a value that is a JSON object, changed by a merge patch (RFC 7396): what is named is set, what is `null` is
/// taken out, the rest stays.
#[derive(Debug, ToSchema)]
#[schema(value_type = BTreeMap<String, serde_json::Value>)]
pub struct Patch(pub SecretText);

impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let raw = <&'de serde_json::value::RawValue>::deserialize(input)?.get();
        Ok(Self(SecretText::new(raw.to_owned())))
    }
}

/// What goes with a patch, in the query.
#[derive(Debug, Default, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PatchQuery {
    /// The current version the caller expects. `If-Match` says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<u64>,
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

/// What an import does where a secret is there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// Nothing at all is written.
    #[default]
    Fail,
    /// That secret stays as it is.
    Skip,
    /// It gets a new version.
    Overwrite,
}

/// A secret to be imported.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportItem {
    /// Path of the secret.
    pub path: String,
    /// The value: a string, or any JSON.
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// How the value stands in this message; by its JSON type when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,
    /// Labels to set in place of the present ones; the present ones stay when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// When this version stops being readable, a time or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Many secrets, written in one commit or not at all.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Import {
    /// The secrets, at most 1,000 and 5 MiB of values; each path once.
    pub items: Vec<ImportItem>,
    /// What to do where a secret is there already.
    #[serde(default)]
    pub on_conflict: OnConflict,
    /// Whether only to say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportState {
    /// It was written; after a dry run, it would be.
    Written,
    /// A secret is there and stays as it is.
    Skipped,
    /// A secret is there, so that the import would be refused; after a dry run only.
    Conflict,
}

/// One item of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportedItem {
    /// Path of the secret.
    pub path: String,
    /// What became of it.
    pub state: ImportState,
    /// Version that was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
}

/// Answer to an import: durable when it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// The items, in the order they were sent.
    pub items: Vec<ImportedItem>,
    /// Where the change stands in the ledger; absent when nothing was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Whether this is the kept answer to an earlier request with the same idempotency key.
    #[serde(default)]
    pub replayed: bool,
}

/// Secrets to be copied or moved, in one commit or not at all.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// Path of the secret; of a folder with `recursive`.
    pub from: String,
    /// Its new path.
    pub to: String,
    /// Whether all secrets below the folder `from` are meant that the caller may list.
    #[serde(default)]
    pub recursive: bool,
    /// Whether a secret that is there already gets a new version; otherwise nothing at all is done then.
    #[serde(default)]
    pub overwrite: bool,
}

/// One secret that was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopiedItem {
    /// Where it was.
    pub from: String,
    /// Where it is.
    pub to: String,
    /// The version there.
    pub version: u64,
}

/// Answer to a copy or a move: durable when it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Copied {
    /// The secrets.
    pub items: Vec<CopiedItem>,
    /// Secrets that are deleted, expired or purged and stayed behind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Where the change stands in the ledger; absent when there was nothing to copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
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
    /// Whether references in the value are resolved: `aumbry://tenant/path?version=3#field` as the whole value, or as a whole
    /// text of a JSON value.
    #[serde(default)]
    pub resolve: bool,
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
    /// Who first wrote it, by name or id; absent where that is not known any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the current version stops being readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Labels of the secret.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When its value was last read; absent when it was not, or not within 400 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read_at: Option<Timestamp>,
    /// Name or id of the principal that read it, for who may query the access log about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_read_by: Option<String>,
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
    /// When its values stop being readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Who made a secret, by name; only for who may see its metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
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

/// Which secrets to find: those to which everything named applies.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Folder to look below, in whole segments; the tenant's top when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// A part of the path, or a pattern of the whole: `*` within a segment, `**` across segments, `?` for one character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels it has, with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The name of the principal that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// A time before which its values stop being readable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_before: Option<Timestamp>,
    /// Where an earlier page stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items at most, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
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
    /// Whether references in the values are resolved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resolve: bool,
}

/// Several secrets with their values, in the order they were asked for.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Secrets {
    /// The secrets.
    pub items: Vec<Secret>,
}
