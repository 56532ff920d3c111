//! Destroying keys and values for good.

use super::delete::{chosen, numbers};
use super::{drops, existing};
use crate::event::{self, SecretEvent};
use crate::folder;
use crate::record::{Secret, State, secret_name};
use crate::reply::Reply;
use ledger::code::{SECRET_INVALID, SECRET_PURGED};
use ledger::{Command, Context, Halt, Outcome, Path, RecordName, Refusal, View};

/// What of a secret is purged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// These versions, hidden or readable.
    Versions(Vec<u64>),
    /// All of it: versions, metadata, place in its folder. The path may be written again, with higher numbers.
    All,
}

/// Destroys data keys and sealed values; final, answered when the live store no longer has them.
///
/// When the last version that had a value goes, the whole secret goes. Refusals: `secret.not_found`,
/// `secret.purged` (a version named is already), `secret.invalid` (no version named); nothing happened.
#[derive(Debug)]
pub struct Purge {
    /// Which secret.
    pub path: Path,
    /// What of it.
    pub scope: Scope,
}

impl Command for Purge {
    fn reads(&self) -> Vec<RecordName> {
        vec![secret_name(&self.path)]
    }

    fn takes_away(&self) -> bool {
        true
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let secret = existing(view, &self.path)?;
        let holding = numbers(&secret, |state| state.stored().is_some());
        let (versions, all) = match &self.scope {
            Scope::All => (holding, true),
            Scope::Versions(named) => {
                let versions = named_versions(&secret, named)?;
                let all = versions == holding;
                (versions, all)
            }
        };
        let folders = if all { self.losing(view)? } else { 0 };
        let drops = drops(&secret, &versions);
        let reply = Reply { current: secret.current(), versions: versions.clone(), pruned: Vec::new(), time: cx.now };
        let fact = event::Purged { path: self.path.as_str().to_owned(), versions, all, folders };
        let mut outcome = Outcome::new(vec![SecretEvent::Purged(fact).encode()], reply.encode());
        outcome.drops = drops;
        outcome.await_fold = true;
        Ok(outcome)
    }
}

impl Purge {
    fn losing(&self, view: &View) -> Result<u8, Halt> {
        let folders = view.get_all(&folder::above(&self.path))?;
        Ok(u8::try_from(folder::losing(&folders)?).unwrap_or(u8::MAX))
    }
}

fn named_versions(secret: &Secret, named: &[u64]) -> Result<Vec<u64>, Refusal> {
    if named.is_empty() {
        return Err(Refusal::new(&SECRET_INVALID, "no version is named"));
    }
    chosen(secret, named, |state| match state {
        State::Purged { .. } => Err(Refusal::new(&SECRET_PURGED, "a version named is purged already")),
        _ => Ok(()),
    })
}
