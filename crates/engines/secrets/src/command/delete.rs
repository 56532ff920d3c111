//! Hiding versions and bringing them back.

use super::{check_cas, existing};
use crate::event::{SecretEvent, Versions};
use crate::record::{self, Secret, State, secret_name};
use crate::reply::Reply;
use ledger::code::{SECRET_DELETED, SECRET_PURGED, SECRET_STATE_CONFLICT};
use ledger::{Command, Context, Halt, Outcome, Path, RecordName, Refusal, View};

/// Hides all readable versions, or some; keys and values stay and [`Undelete`] brings them back.
///
/// Refusals: `secret.not_found`, `secret.deleted` (nothing readable is left), `secret.purged`,
/// `secret.version_conflict`; nothing happened.
#[derive(Debug)]
pub struct Delete {
    /// Which secret.
    pub path: Path,
    /// Which versions; `None`: every readable one.
    pub versions: Option<Vec<u64>>,
    /// Newest version the caller knows, if it insists.
    pub cas: Option<u64>,
}

/// Brings hidden versions back, all or some.
///
/// Refusals: `secret.not_found`, `secret.purged`, `secret.state_conflict` (nothing is hidden); nothing happened.
#[derive(Debug)]
pub struct Undelete {
    /// Which secret.
    pub path: Path,
    /// Which versions; `None`: every hidden one.
    pub versions: Option<Vec<u64>>,
}

impl Command for Delete {
    fn reads(&self) -> Vec<RecordName> {
        vec![secret_name(&self.path)]
    }

    fn takes_away(&self) -> bool {
        true
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let secret = existing(view, &self.path)?;
        if self.cas.is_some() {
            check_cas(self.cas, Some(&secret))?;
        }
        let versions = match &self.versions {
            None => numbers(&secret, |state| matches!(state, State::Live(_))),
            Some(numbers) => chosen(&secret, numbers, |state| match state {
                State::Live(_) => Ok(()),
                State::Deleted { .. } => Err(Refusal::new(&SECRET_DELETED, "a version named is deleted already")),
                State::Purged { .. } => Err(Refusal::new(&SECRET_PURGED, "a version named is purged")),
            })?,
        };
        if versions.is_empty() {
            return Err(Refusal::new(&SECRET_DELETED, "no version is left to delete").into());
        }
        let fact = Versions { path: self.path.as_str().to_owned(), versions: versions.clone() };
        Ok(outcome(SecretEvent::Deleted(fact), &secret, versions, cx))
    }
}

impl Command for Undelete {
    fn reads(&self) -> Vec<RecordName> {
        vec![secret_name(&self.path)]
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let secret = existing(view, &self.path)?;
        let versions = match &self.versions {
            None => numbers(&secret, |state| matches!(state, State::Deleted { .. })),
            Some(numbers) => chosen(&secret, numbers, |state| match state {
                State::Deleted { .. } => Ok(()),
                State::Live(_) => Err(Refusal::new(&SECRET_STATE_CONFLICT, "a version named is not deleted")),
                State::Purged { .. } => Err(Refusal::new(&SECRET_PURGED, "a version named is purged")),
            })?,
        };
        if versions.is_empty() {
            return Err(Refusal::new(&SECRET_STATE_CONFLICT, "no version is deleted").into());
        }
        let fact = Versions { path: self.path.as_str().to_owned(), versions: versions.clone() };
        Ok(outcome(SecretEvent::Undeleted(fact), &secret, versions, cx))
    }
}

fn outcome(event: SecretEvent, secret: &Secret, versions: Vec<u64>, cx: &Context<'_>) -> Outcome {
    let reply = Reply { current: secret.current(), versions, pruned: Vec::new(), time: cx.now };
    Outcome::new(vec![event.encode()], reply.encode())
}

/// Numbers of the versions whose state is wanted.
pub(super) fn numbers(secret: &Secret, wanted: impl Fn(&State) -> bool) -> Vec<u64> {
    secret.versions.iter().filter(|version| wanted(&version.state)).map(|version| version.number).collect()
}

/// The versions named, in order and once each, if each is there and passes the check.
pub(super) fn chosen(
    secret: &Secret,
    numbers: &[u64],
    check: impl Fn(&State) -> Result<(), Refusal>,
) -> Result<Vec<u64>, Refusal> {
    let mut numbers = numbers.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    for number in &numbers {
        let version = secret.version(*number).ok_or_else(record::no_such_version)?;
        check(&version.state)?;
    }
    Ok(numbers)
}
