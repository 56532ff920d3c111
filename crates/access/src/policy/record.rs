//! Policies as stored, and the commands that write and remove them.

use super::parse::ValidPolicy;
use super::schema::checked_here;
use crate::codec::{decode, encode};
use crate::name::PolicyName;
use crypto::WallMs;
use crypto::id::EntityId;
use ledger::code::{self, Refusal};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordKind, RecordName, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Event: a policy was written.
pub const WRITTEN: &str = "policy.written";
/// Event: a policy was removed.
pub const REMOVED: &str = "policy.removed";

/// A policy as stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoredPolicy {
    /// First form.
    V1(PolicyV1),
    /// With what it was checked against.
    V2(PolicyV1, Checked),
}

/// Digest of the schema that a text was checked against when it was written, and of how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checked(pub(crate) [u8; 16]);

/// A policy as stored, first form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PolicyV1 {
    /// Cedar text as written.
    pub text: String,
    /// When.
    pub written: WallMs,
    /// By whom.
    pub by: EntityId,
    /// Leaf index of the entry: the generation of a snapshot that has it.
    pub position: u64,
}

impl StoredPolicy {
    /// Reads a stored policy. Errors: `Damaged`.
    pub fn decode(bytes: &[u8]) -> Result<StoredPolicy, Damaged> {
        decode("policy record", bytes)
    }

    /// The policy, whichever form it is stored in.
    pub fn policy(&self) -> &PolicyV1 {
        match self {
            StoredPolicy::V1(policy) | StoredPolicy::V2(policy, _) => policy,
        }
    }

    /// The same, taken out.
    pub fn into_policy(self) -> PolicyV1 {
        match self {
            StoredPolicy::V1(policy) | StoredPolicy::V2(policy, _) => policy,
        }
    }

    /// Whether it was checked as this build checks.
    pub(crate) fn is_checked(&self) -> bool {
        matches!(self, StoredPolicy::V2(_, checked) if Some(*checked) == checked_here())
    }
}

/// The record of a policy; all of them are children of the tenant.
pub fn record_name(name: &PolicyName) -> RecordName {
    RecordName::new(RecordKind::POLICY, [name.as_str()])
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Written {
    V1 { name: String, text: String },
    V2 { name: String, text: String, checked: Checked },
}

impl Written {
    pub(crate) fn name(&self) -> &str {
        match self {
            Written::V1 { name, .. } | Written::V2 { name, .. } => name,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Removed {
    V1 { name: String },
}

/// The policy that a [`WRITTEN`] event is about. Errors: `Damaged`.
pub fn name_in_written(body: &[u8]) -> Result<PolicyName, Damaged> {
    let written: Written = decode(WRITTEN, body)?;
    PolicyName::parse(written.name()).map_err(|_| Damaged(WRITTEN.into()))
}

/// The policy that a [`REMOVED`] event is about. Errors: `Damaged`.
pub fn name_in_removed(body: &[u8]) -> Result<PolicyName, Damaged> {
    let Removed::V1 { name } = decode(REMOVED, body)?;
    PolicyName::parse(&name).map_err(|_| Damaged(REMOVED.into()))
}

/// Writes a policy, replacing one of the same name.
#[derive(Debug)]
pub struct PutPolicy {
    policy: Arc<ValidPolicy>,
}

impl PutPolicy {
    /// Writes this policy. Only a valid one can be written.
    pub fn new(policy: Arc<ValidPolicy>) -> PutPolicy {
        PutPolicy { policy }
    }
}

impl Command for PutPolicy {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    /// Errors: `policy.built_in` (nothing happened). Reply: empty.
    fn decide(&self, _view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        if self.policy.name().is_built_in() {
            return Err(Refusal::new(&code::POLICY_BUILT_IN, "this policy belongs to the product").into());
        }
        let (name, text) = (self.policy.name().as_str().to_owned(), self.policy.text().to_owned());
        let written = match checked_here() {
            Some(checked) => Written::V2 { name, text, checked },
            None => Written::V1 { name, text },
        };
        Ok(Outcome::new(vec![Event { kind: WRITTEN, body: encode(&written)? }], Vec::new()))
    }
}

/// Removes a policy.
#[derive(Debug)]
pub struct RemovePolicy {
    name: PolicyName,
}

impl RemovePolicy {
    /// Removes the policy of this name.
    pub fn new(name: PolicyName) -> RemovePolicy {
        RemovePolicy { name }
    }
}

impl Command for RemovePolicy {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.name)]
    }

    fn takes_away(&self) -> bool {
        true
    }

    /// Errors: `policy.not_found` (nothing happened). Reply: empty.
    fn decide(&self, view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        if view.get(&record_name(&self.name))?.is_none() {
            return Err(Refusal::new(&code::POLICY_NOT_FOUND, "there is no policy of this name").into());
        }
        let removed = Removed::V1 { name: self.name.as_str().to_owned() };
        Ok(Outcome::new(vec![Event { kind: REMOVED, body: encode(&removed)? }], Vec::new()))
    }
}
