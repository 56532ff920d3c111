//! Policies in Cedar text: `PUT|GET|DELETE policies/{name}`, `GET policies`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Position, Timestamp};

/// A new or changed policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPolicy {
    /// Cedar text: one or more `permit` or `forbid` statements.
    pub text: String,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Name of the policy.
    pub name: String,
    /// Its Cedar text; absent in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When it last changed; absent for one that belongs to the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// Answer to a put or a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyChanged {
    /// Name of the policy.
    pub name: String,
    /// Where the change stands in the ledger.
    pub position: Position,
}

/// A page of policies, without text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyList {
    /// The policies.
    pub items: Vec<Policy>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// Asks whether a principal may do something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// Name of the principal.
    pub principal: String,
    /// The act, such as `secret.read`.
    pub action: String,
    /// What it would be done to: a secret's path, a folder with `/` at its end (`/` alone is the top), the name of a policy or
    /// principal; absent for a part of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The address it would come from; that of this request otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
    /// When it would come; now otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whether it would come over TLS; as this request otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<bool>,
    /// Whether it would say which version it replaces: `context.cas`.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub cas: bool,
}

/// Whether a principal may do something, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explained {
    /// Whether it may.
    pub allowed: bool,
    /// `permitted`, `forbidden`, `not_permitted` (no policy permits it), `unevaluable`, `broken_policy`, `disabled` (the principal) or
    /// `home_tenant_only`.
    pub reason: String,
    /// The policies that decided, with `#n` where one has several statements: satisfied permits, at least one, or forbids, or
    /// those that could not be evaluated.
    pub rules: Vec<String>,
    /// The principal's roles.
    pub roles: Vec<String>,
}

/// Asks questions as they would be answered after a change; nothing is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestPolicies {
    /// Cedar text by name of the policy that would be written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub put: BTreeMap<String, String>,
    /// Names of policies that would be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
    /// The questions, 1,000 at most.
    pub questions: Vec<Explain>,
}

/// Answers in the order of their questions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestedPolicies {
    /// The answers.
    pub answers: Vec<Explained>,
}

/// Asks whose access a change would alter; nothing is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffPolicies {
    /// Cedar text by name of the policy that would be written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub put: BTreeMap<String, String>,
    /// Names of policies that would be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// What a change would alter. Each principal is asked about each act and place that the changed statements concern; where
/// they concern many things, about one that no policy names. Conditions are judged for the circumstances of the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyDifference {
    /// Whose access, by name of the principal.
    pub altered: Vec<AlteredAccess>,
    /// How many principals were asked about.
    pub principals: usize,
    /// About how many acts on things each.
    pub probes: usize,
    /// Policies that come or go, or statements of them (`#n`), whose conditions were judged for one case only: what they change
    /// may be more than stands here.
    #[serde(default)]
    pub conditional: Vec<String>,
}

/// An access that a change would give or take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlteredAccess {
    /// Name of the principal.
    pub principal: String,
    /// The act.
    pub action: String,
    /// To what; `*` at its end stands for whatever no policy names.
    pub resource: String,
    /// Whether it would be allowed then, and was not before; or the other way round.
    pub allowed: bool,
    /// The policies that would decide.
    pub rules: Vec<String>,
}

/// Asks who may do something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoMay {
    /// The act, such as `secret.read`.
    pub action: String,
    /// What it would be done to, as in a question to `policies:explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Whether it would say which version it replaces: `context.cas`.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub cas: bool,
}

/// Those who may, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ThoseWhoMay {
    /// The principals.
    pub principals: Vec<PermittedPrincipal>,
}

/// A principal that may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PermittedPrincipal {
    /// Name of the principal.
    pub principal: String,
    /// The policies that permit it, at least one.
    pub rules: Vec<String>,
}

/// Which page of a list of policies or principals.
#[derive(Debug, Default, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Where an earlier list stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many items at most, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
