//! What is stored of an application: the members of each set, so that what is no longer among them can be pruned.

use ledger::code::BUG;
use ledger::{Command, Context, Damaged, Event, EventRef, Halt, Outcome, RecordKind, RecordName, Refusal, Rules, View};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Event: documents were applied.
pub const APPLIED: &str = "documents.applied";

/// What a document is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A policy.
    Policy,
    /// A principal.
    Principal,
    /// A secret: never its value.
    Secret,
    /// A tenant of the house.
    Tenant,
    /// A password policy.
    PasswordPolicy,
}

impl Kind {
    /// The word for it in documents.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Policy => "policy",
            Kind::Principal => "principal",
            Kind::Secret => "secret",
            Kind::Tenant => "tenant",
            Kind::PasswordPolicy => "password_policy",
        }
    }
}

/// A thing that a set holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Member {
    /// What it is.
    pub kind: Kind,
    /// Its name or path.
    pub name: String,
}

/// The record of a set, and the event that writes it.
#[derive(Serialize, Deserialize)]
enum Stored {
    V1 { set: String, members: Vec<Member> },
}

fn record_name(set: &str) -> RecordName {
    RecordName::new(RecordKind::APPLIED, [set])
}

/// The members of a set as applied last. Errors: `storage.damaged`.
pub(super) async fn members(
    ledger: &ledger::Ledger,
    tenant: crypto::id::TenantId,
    set: &str,
) -> Result<Option<Vec<Member>>, Refusal> {
    let record = ledger.record(tenant, &record_name(set)).await?;
    record.map(|record| decode(&record)).transpose().map_err(crate::authenticate::damaged)
}

/// What the other sets of a tenant hold. Errors: `storage.damaged`.
pub(super) async fn named_elsewhere(
    ledger: &ledger::Ledger,
    tenant: crypto::id::TenantId,
    set: &str,
) -> Result<BTreeSet<Member>, Refusal> {
    let (mut after, mut named) = (None, BTreeSet::new());
    loop {
        let page = ledger.children(tenant, RecordKind::APPLIED, &[], after, FETCH).await?;
        for child in page.iter().filter(|child| *child.name != *set) {
            named.extend(decode(&child.body).map_err(crate::authenticate::damaged)?);
        }
        after = page.last().map(|child| child.id);
        if page.len() < FETCH {
            return Ok(named);
        }
    }
}

/// Sets fetched at once.
const FETCH: usize = 64;

fn decode(bytes: &[u8]) -> Result<Vec<Member>, Damaged> {
    match postcard::take_from_bytes(bytes) {
        Ok((Stored::V1 { members, .. }, [])) => Ok(members),
        _ => Err(Damaged("record of applied documents".into())),
    }
}

/// Says what a set holds from now on.
#[derive(Debug)]
pub(super) struct Remember {
    pub(super) set: String,
    pub(super) members: Vec<Member>,
}

impl Command for Remember {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let stored = Stored::V1 { set: self.set.clone(), members: self.members.clone() };
        let body = postcard::to_allocvec(&stored).map_err(|_| Refusal::new(&BUG, "a stored form does not encode"))?;
        Ok(Outcome::new(vec![Event { kind: APPLIED, body }], Vec::new()))
    }
}

/// The rules of applied sets.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyRules;

impl Rules for ApplyRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[APPLIED]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        match postcard::take_from_bytes(event.body) {
            Ok((Stored::V1 { set, .. }, [])) => Ok(vec![record_name(&set)]),
            _ => Err(Damaged(APPLIED.into())),
        }
    }

    fn evolve(&self, _: &RecordName, _: Option<&[u8]>, event: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        Ok(Some(event.body.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms_of_version_1_keep_their_bytes() {
        let members = [
            (Kind::Policy, "p"),
            (Kind::Principal, "x"),
            (Kind::Secret, "a/b"),
            (Kind::Tenant, "t"),
            (Kind::PasswordPolicy, "w"),
        ]
        .map(|(kind, name)| Member { kind, name: name.into() })
        .to_vec();
        let body = postcard::to_allocvec(&Stored::V1 { set: "main".into(), members: members.clone() }).unwrap();
        assert_eq!(body, b"\x00\x04main\x05\x00\x01p\x01\x01x\x02\x03a/b\x03\x01t\x04\x01w");
        assert_eq!(decode(&body).unwrap(), members);
        assert!(decode(&body[..body.len() - 1]).is_err() && decode(b"").is_err());
    }
}
