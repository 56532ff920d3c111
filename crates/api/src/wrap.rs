//! Wrapped things: `POST wraps`, `POST wraps:open`.

use crypto::secret::SecretText;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::Secret;
use crate::{Position, Timestamp, Ttl};

/// Wraps a text or a secret: exactly one of `text` and `secret`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeWrap {
    /// Any text; it is stored nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "crate::reveal_some")]
    #[schema(value_type = Option<String>, format = Password)]
    pub text: Option<SecretText>,
    /// Path of a secret that the caller may read; what is handed over is its value of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Its version; the newest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// How long it waits, at most 7 days; an hour when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

/// What opens it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct MadeWrap {
    /// The token, `aum_wrap_…`, shown this once: it opens once.
    #[serde(serialize_with = "crate::reveal")]
    #[schema(value_type = String, format = Password)]
    pub token: SecretText,
    /// From then on it opens nothing.
    pub expires_at: Timestamp,
    /// The entry that says so.
    pub position: Position,
}

/// Opens something wrapped.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenWrap {
    /// The token.
    #[serde(serialize_with = "crate::reveal")]
    #[schema(value_type = String, format = Password)]
    pub token: SecretText,
}

/// What was wrapped: `text` or `secret`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct OpenedWrap {
    /// The text.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "crate::reveal_some")]
    #[schema(value_type = Option<String>, format = Password)]
    pub text: Option<SecretText>,
    /// The secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The entry that says that it was opened.
    pub position: Position,
}
