//! Sessions: `POST sessions:login|:derive|:renew`, `GET|POST sessions`, `GET sessions/self`, `GET|DELETE sessions/{id}`.

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

/// Defines a request with the conditions of a session beside fields of its own: unknown fields are refused, which a
/// shared part inside a struct would not do.
macro_rules! asks_for_session {
    ($(#[$doc:meta])* $name:ident { $($(#[$own_doc:meta])* $own:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$own_doc])* pub $own: $ty,)*
            /// How long it lives, and what one renewal gives; the server's default when absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ttl: Option<Ttl>,
            /// No renewal goes beyond this life in all; without it there is no renewal.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub max_ttl: Option<Ttl>,
            /// Life that may be renewed for ever, in place of `ttl` and `max_ttl`; needs `session.periodic`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub period: Option<Ttl>,
            /// How many requests it is good for, 1 to 1,000,000; any number when absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub uses: Option<u32>,
            /// The only roles that count in it; all of the principal's when absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub roles: Option<Vec<String>>,
            /// The only acts that policies may allow in it; any when empty.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub scope: Vec<ScopeRule>,
            /// The only networks it may be used from, such as `10.0.0.0/8`; any when empty.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            pub networks: Vec<String>,
        }
    };
}

asks_for_session! {
    /// Opens a session for a principal.
    IssueSession {
        /// Name of the principal.
        principal: String,
    }
}

asks_for_session! {
    /// Derives a session from the caller's own: it may do as much or less, and ends with it.
    DeriveSession {
        /// Whether it outlives the one it is derived from; needs `session.orphan`.
        #[serde(default)]
        orphan: bool,
    }
}

/// Some acts at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeRule {
    /// Names of actions such as `secret.read`, or of groups such as `secret`.
    pub actions: Vec<String>,
    /// A folder with `/` at its end and all below it, the name of one thing, or nothing for everywhere.
    #[serde(default)]
    pub place: String,
}

/// What a session may not. It has the bounds of every session that it was derived from, each as one of these; what one
/// refuses no other allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Bounds {
    /// The only roles that count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// The only acts that policies may allow; any when empty.
    #[serde(default)]
    pub scope: Vec<ScopeRule>,
    /// The only networks it may be used from; any when empty.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// Puts a session's end off.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewSession {
    /// Id of the session; the caller's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How long from now on, at most what its terms give; as much as they give when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
}

/// Answer to a renewal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RenewedSession {
    /// The session as it now is.
    pub session: Session,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The sessions.
    pub items: Vec<Session>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
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
    /// Roles of the principal that count in it.
    #[serde(default)]
    pub roles: Vec<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends: it or one that it hangs on.
    pub expires_at: Timestamp,
    /// No renewal goes beyond; absent when it may be renewed for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewable_until: Option<Timestamp>,
    /// Whether a renewal may put its end off.
    #[serde(default)]
    pub renewable: bool,
    /// Ids of the sessions it hangs on, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    /// What it may not, though its principal may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bounds: Vec<Bounds>,
    /// Uses that are neither made nor set aside yet, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses_left: Option<u32>,
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
