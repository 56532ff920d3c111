//! Refusals as RFC 9457 problem details.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What kind of refusal it is: whose fault, whether to retry, whether it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The request cannot be meant; nothing happened.
    Invalid,
    /// Nobody is logged in; nothing happened.
    Unauthenticated,
    /// The caller may not; nothing happened.
    Denied,
    /// There is no such thing; nothing happened.
    NotFound,
    /// Something else came first; nothing happened. Read again.
    Conflict,
    /// Too much at once; nothing happened. Later.
    Limited,
    /// The server has no root key; nothing happened. Later.
    Sealed,
    /// Something the server needs is away; nothing happened. Later.
    Unavailable,
    /// It may have happened or not; ask for the operation.
    Unknown,
    /// Stored data does not verify; nothing happened.
    Corrupt,
    /// A fault of the software; nothing happened.
    Bug,
}

/// A refusal (RFC 9457). Never holds a value, nor the cause inside the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// `urn:aumbry:error:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The class in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code, `<noun>.<reason>`.
    pub code: String,
    /// Class of the code.
    pub class: Class,
    /// What happened, in this case.
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Id of the request, as in the access log.
    pub request_id: String,
    /// Id of the operation whose outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<String>,
}
