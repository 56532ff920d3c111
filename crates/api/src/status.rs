//! What everybody may know about a server: `GET status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// Whether the server can open anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// It has its root key.
    Open,
    /// It has not, and answers 503.
    Sealed,
    /// Nothing is stored yet, and it waits to be told how many shares its key is to have.
    Uninitialised,
}

/// What everybody may know about a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the software.
    pub version: String,
    /// Whether it can open anything.
    pub seal: Seal,
    /// Whether it answers requests; with a hindrance perhaps no changes.
    pub ready: bool,
    /// What is in the way of all requests, or of changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hindrance: Option<String>,
    /// What is in nobody's way, and somebody should see to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// The shares that are wanted, while it is not open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shares: Option<crate::operator::Gathered>,
    /// Its time.
    pub time: Timestamp,
}
