//! Declarative configuration: `POST documents:plan`, `POST documents:apply`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Position;

/// Documents that say what there shall be.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// Name of the set that the documents make up; `main` when absent.
    #[serde(default = "main_set")]
    pub set: String,
    /// The documents, 250 at most.
    pub documents: Vec<Document>,
    /// Whether what the set held and no document names goes, unless another set names it too.
    #[serde(default)]
    pub prune: bool,
}

/// Name of a set that is given none.
#[must_use]
pub fn main_set() -> String {
    "main".to_owned()
}

/// What there shall be: a kind, a name and what it is like. Values never stand here.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// `policy`, `password_policy`, `principal`, `secret` or `tenant`.
    pub kind: String,
    /// Name, or path of a secret.
    pub name: String,
    /// Of a policy `text`; of a password policy `length`, `characters`, `at_least`, `symbols` and `exclude`; of a principal `roles` and `disabled`; of a secret `labels`, `max_versions` and `generate`, which
    /// makes it where it is not there, as `secrets:generate` does; of a tenant `limits` and `suspended`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub spec: serde_json::Value,
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is as it shall be; or it would go, and another set names it too.
    Keep,
    /// It goes: a policy is removed, a principal shut out, a secret deleted, a tenant suspended, a password policy removed.
    Prune,
}

/// A thing and what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Planned {
    /// `policy`, `password_policy`, `principal`, `secret` or `tenant`.
    pub kind: String,
    /// Its name or path.
    pub name: String,
    /// What happens to it.
    pub step: Step,
}

/// What applying would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApplyPlan {
    /// The steps, in the order of the documents.
    pub steps: Vec<Planned>,
}

/// What applying did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// The steps, in the order of the documents.
    pub steps: Vec<Planned>,
    /// Where the change stands in the ledger.
    pub position: Position,
}
