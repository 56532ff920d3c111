//! Bringing an older value back as a new version.

use super::{Fresh, MetadataEdit, Writing, check_cas, existing};
use crate::record::{Record, State, secret_name};
use crypto::id::BlobId;
use ledger::code::SECRET_STATE_CONFLICT;
use ledger::{Command, Context, Halt, Outcome, Path, RecordName, Refusal, View};

/// Copies an older version's value into a new version; never rewrites history.
///
/// Prepare opened the source, sealed its value again under a fresh key, and names what it read: if the source
/// is no longer that readable value, the copy is refused. Refusals: `secret.not_found`, `secret.expired`,
/// `secret.deleted`, `secret.purged`, `secret.version_conflict`, `secret.state_conflict`; nothing happened.
#[derive(Debug)]
pub struct Rollback {
    /// Where.
    pub path: Path,
    /// Version to copy.
    pub source: u64,
    /// The value that prepare read there.
    pub source_blob: BlobId,
    /// That value, sealed afresh.
    pub fresh: Fresh,
    /// Newest version the caller knows, if it insists.
    pub cas: Option<u64>,
}

impl Command for Rollback {
    fn reads(&self) -> Vec<RecordName> {
        vec![secret_name(&self.path)]
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let secret = existing(view, &self.path)?;
        check_cas(self.cas, Some(&secret))?;
        let (version, stored) = secret.readable(Some(self.source), cx.now)?;
        if stored.blob_id != self.source_blob || !matches!(version.state, State::Live(_)) {
            return Err(Refusal::new(&SECRET_STATE_CONFLICT, "the version changed while it was copied").into());
        }
        let writing = Writing {
            path: &self.path,
            fresh: &self.fresh,
            encoding: version.encoding,
            copied_from: Some(self.source),
            edit: MetadataEdit::default(),
        };
        writing.outcome(Some(Record::Kept(secret)), view, cx)
    }
}
