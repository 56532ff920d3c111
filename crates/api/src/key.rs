//! Keys and the seal: `GET keys`, `POST keys:rotate`, `POST seal:rekey`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Position, Timestamp};

/// Which key to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The caller's tenant key.
    Tenant,
    /// The root key of the cluster.
    Root,
}

/// Replaces a key and re-wraps what stands under it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// Which key.
    pub scope: Scope,
}

/// Answer to a rotation: the new key is in use, re-wrapping goes on behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotated {
    /// Which key.
    pub scope: Scope,
    /// Id of the new version.
    pub key: String,
    /// How many keys below are still to be re-wrapped.
    pub remaining: u64,
    /// Where the change stands in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

/// One version of a key, never its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What it is for: `root`, `tenant`, `log`, `state`, `name`, `checkpoint`.
    pub purpose: String,
    /// `active`, `retired` or `destroyed`.
    pub state: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// How many seals it may have made, counted in reserved blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seals: Option<u64>,
}

/// All keys the caller may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// The keys.
    pub items: Vec<Key>,
}

/// Answer to a new seal: the root key is wrapped under it and the old seal opens nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rekeyed {
    /// Name of the seal in use, such as `key-file`.
    pub seal: String,
    /// What the operator has to do now, such as to back the new key file up.
    pub advice: String,
}
