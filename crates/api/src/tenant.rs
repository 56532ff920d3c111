//! Tenants: `GET|POST tenants`, `GET|DELETE tenants/{name}`, `POST tenants:change`.

use crypto::secret::SecretText;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Position, Timestamp};

/// How much a tenant may have and ask for; what is absent has no limit of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantLimits {
    /// Secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<u64>,
    /// Requests in a second, on each node; 1 to 1,000,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_rate: Option<u32>,
}

/// Makes a tenant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTenant {
    /// Its name: 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit.
    pub name: String,
    /// How much it may have.
    #[serde(default)]
    pub limits: TenantLimits,
}

/// Makes a one-time login for a tenant's owner.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginToTenant {
    /// The tenant's name.
    pub name: String,
}

/// Changes a tenant; what is absent stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTenant {
    /// Its name.
    pub name: String,
    /// Whether nothing may be done in it until it is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// All limits anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<TenantLimits>,
}

/// What may be done in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TenantState {
    /// Everything that policies allow.
    Active,
    /// Nothing, until it is resumed.
    Suspended,
    /// Nothing ever again: it is being emptied.
    Deleting,
}

impl TenantState {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            TenantState::Active => "active",
            TenantState::Suspended => "suspended",
            TenantState::Deleting => "deleting",
        }
    }
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id, `ten_…`, never used again.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What may be done in it.
    pub state: TenantState,
    /// How much it may have.
    pub limits: TenantLimits,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A tenant with a one-time login of its owner, shown this once.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CreatedTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// One-time login of the tenant's owner, `aum_login_…`.
    #[serde(serialize_with = "crate::reveal")]
    #[schema(value_type = String, format = Password)]
    pub login: SecretText,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// Answer to a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantChanged {
    /// The tenant as it now is.
    pub tenant: Tenant,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// A page of tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantList {
    /// The tenants.
    pub items: Vec<Tenant>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
