//! Sessions: `POST sessions:login`, `POST sessions`, `GET sessions/self`, `DELETE sessions/{id}`.

use crypto::secret::SecretText;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Position, Timestamp, Ttl};

/// Trades a one-time login for a session.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The one-time login token.
    #[serde(serialize_with = "crate::reveal")]
    #[schema(value_type = String, format = Password)]
    pub token: SecretText,
}

/// Opens a session for a principal.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssueSession {
    /// Name of the principal.
    pub principal: String,
    /// How long it lives; the server's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

/// A session, without its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Id of the session, `ses_…`.
    pub id: String,
    /// Name of the principal.
    pub principal: String,
    /// Id of the entity behind it, `ent_…`.
    pub entity: String,
    /// Id of its tenant, `ten_…`.
    pub tenant: String,
    /// Roles of the principal.
    #[serde(default)]
    pub roles: Vec<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A new session with its token, shown this once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct IssuedSession {
    /// The session.
    pub session: Session,
    /// The token that proves it, `aum_ses_…`.
    #[serde(serialize_with = "crate::reveal")]
    #[schema(value_type = String, format = Password)]
    pub token: SecretText,
}

/// Answer to a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevokedSession {
    /// Id of the session.
    pub id: String,
    /// Where the change stands in the ledger.
    pub position: Position,
}
