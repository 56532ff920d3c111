//! Password policies: `PUT|GET|DELETE password-policies/{name}`, `GET password-policies` (with [`crate::policy::PageQuery`]).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::secret::{AtLeast, Characters};
use crate::{Position, Timestamp};

/// Which passwords may come out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRules {
    /// Characters, at most 4,096; 32 when absent. What has less than 64 bits is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// Sets of characters; lower, upper and digits when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub characters: Option<Vec<Characters>>,
    /// How many characters of a set there are at least; 1 of each set when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<AtLeast>,
    /// Symbols in place of the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbols: Option<String>,
    /// Characters that do not come, such as those that look alike; 128 bytes at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<String>,
}

/// A password policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasswordPolicy {
    /// Its name.
    pub name: String,
    /// Which passwords may come out, every rule named.
    pub rules: PasswordRules,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// Answer to a put.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasswordPolicyChanged {
    /// The password policy as it now is.
    pub policy: PasswordPolicy,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// Answer to a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasswordPolicyRemoved {
    /// The name, free again.
    pub name: String,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// A page of password policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasswordPolicyList {
    /// The password policies.
    pub items: Vec<PasswordPolicy>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}
