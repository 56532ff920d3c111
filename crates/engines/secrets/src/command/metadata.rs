//! Changing labels, expiry and what is kept.

use super::notice::promised;
use super::{MetadataEdit, check_cas, drops, existing};
use crate::event::{MetadataWritten, SecretEvent};
use crate::record::secret_name;
use crate::reply::Reply;
use ledger::code::SECRET_INVALID;
use ledger::{Command, Context, Halt, Outcome, Path, RecordName, Refusal, View};

/// Changes metadata of a secret without a new version; keeping fewer versions drops the oldest with their keys.
///
/// Refusals: `secret.not_found`, `secret.limit`, `secret.invalid`, `secret.version_conflict`; nothing happened.
#[derive(Debug)]
pub struct Metadata {
    /// Which secret.
    pub path: Path,
    /// The changes; at least one.
    pub edit: MetadataEdit,
    /// Newest version the caller knows, if it insists.
    pub cas: Option<u64>,
}

impl Command for Metadata {
    fn reads(&self) -> Vec<RecordName> {
        vec![secret_name(&self.path)]
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        if self.edit.is_empty() {
            return Err(Refusal::new(&SECRET_INVALID, "no change is named").into());
        }
        self.edit.check(cx.now)?;
        let secret = existing(view, &self.path)?;
        if self.cas.is_some() {
            check_cas(self.cas, Some(&secret))?;
        }
        let pruned = secret.excess(self.edit.kept(&secret), 0);
        let drops = drops(&secret, &pruned);
        let fact = MetadataWritten {
            path: self.path.as_str().to_owned(),
            edits: self.edit.clone().into_edits(),
            pruned: pruned.clone(),
        };
        let reply = Reply { current: secret.current(), versions: Vec::new(), pruned, time: cx.now };
        let mut outcome = Outcome::new(vec![SecretEvent::MetadataWritten(fact).encode()], reply.encode());
        outcome.drops = drops;
        outcome.intents.extend(promised(&self.path, &self.edit, Some(&secret), cx.now));
        Ok(outcome)
    }
}
