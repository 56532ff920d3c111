//! Writing a new version.

use super::{Edit, Fresh, MetadataEdit, Writing, check_cas, find};
use crate::limits;
use crate::record::{Encoding, Record, secret_name};
use crate::reply::Reply;
use ledger::{Command, Context, Halt, Outcome, Path, RecordName, View};

/// Creates a secret or adds a version to it.
///
/// A write that does not name an expiry keeps the one there is; one that has passed is taken off, so that
/// what was just written can be read. Versions beyond the number kept are dropped with their keys.
/// Refusals: `secret.limit`, `secret.invalid`, `secret.version_conflict`; nothing happened.
#[derive(Debug)]
pub struct Put {
    /// Where.
    pub path: Path,
    /// The sealed value.
    pub fresh: Fresh,
    /// How the value was given.
    pub encoding: Encoding,
    /// 0: must not exist; N: N is the newest version; `None`: either way.
    pub cas: Option<u64>,
    /// Metadata to change with it.
    pub edit: MetadataEdit,
}

/// As [`Put`], but where a secret is there already nothing happens; the answer then names no version that was written.
#[derive(Debug)]
pub struct PutNew(pub Put);

impl Command for PutNew {
    fn reads(&self) -> Vec<RecordName> {
        self.0.reads()
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        match find(view, &self.0.path)? {
            Some(Record::Kept(secret)) => {
                let current = secret.current();
                let reply = Reply { current, versions: Vec::new(), pruned: Vec::new(), time: cx.now };
                Ok(Outcome::new(Vec::new(), reply.encode()))
            }
            _ => self.0.decide(view, cx),
        }
    }
}

impl Command for Put {
    fn reads(&self) -> Vec<RecordName> {
        vec![secret_name(&self.path)]
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        limits::check_value(self.fresh.size)?;
        self.edit.check(cx.now)?;
        let before = find(view, &self.path)?;
        let secret = match &before {
            Some(Record::Kept(secret)) => Some(secret),
            _ => None,
        };
        check_cas(self.cas, secret)?;
        let mut edit = self.edit.clone();
        if edit.expires == Edit::Keep && secret.is_some_and(|secret| secret.is_expired(cx.now)) {
            edit.expires = Edit::Clear;
        }
        let writing =
            Writing { path: &self.path, fresh: &self.fresh, encoding: self.encoding, copied_from: None, edit };
        writing.outcome(before, view, cx)
    }
}
