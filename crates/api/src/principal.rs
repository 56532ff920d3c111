//! Principals: `PUT|GET principals/{name}`, `GET principals` (with [`crate::policy::PageQuery`]).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Position;

/// A new or changed principal.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPrincipal {
    /// Roles it has from now on.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether it is shut out; its sessions end at once.
    #[serde(default)]
    pub disabled: bool,
    /// An identity of the house's own tenant, `ent_…`, that acts in this tenant as this principal; fixed once given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
}

/// A principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Principal {
    /// Its name.
    pub name: String,
    /// Id of the entity behind it, `ent_…`; policies name this.
    pub entity: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// Whether it is shut out.
    pub disabled: bool,
}

/// Answer to a put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrincipalChanged {
    /// The principal as it now is.
    pub principal: Principal,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// A page of principals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PrincipalList {
    /// The principals.
    pub items: Vec<Principal>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
