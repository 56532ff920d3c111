//! Backups as the ledger tells of them: who asked for one, who removed one. Making and keeping them is the server's.

use crate::authenticate::damaged;
use crate::grant::{Authorized, bug};
use crypto::SecretBytes;
use crypto::id::BackupId;
use ledger::code::BUG;
use ledger::{Command, Context, Damaged, Event, EventRef, Halt, Outcome, RecordName, Refusal, Rules, View};
use serde::{Deserialize, Serialize};

/// Event: somebody asked for a backup.
pub const REQUESTED: &str = "backup.requested";
/// Event: somebody removed a backup.
pub const REMOVED: &str = "backup.removed";

#[derive(Serialize, Deserialize)]
enum Body {
    V1 { id: BackupId },
}

/// Rules of these events: they make no record.
#[derive(Clone, Copy, Debug, Default)]
pub struct BackupRules;

impl Rules for BackupRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[REQUESTED, REMOVED]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        match postcard::take_from_bytes::<Body>(event.body) {
            Ok((Body::V1 { .. }, [])) => Ok(Vec::new()),
            _ => Err(Damaged(event.kind.to_owned())),
        }
    }

    fn evolve(&self, _: &RecordName, before: Option<&[u8]>, _: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        Ok(before.map(<[u8]>::to_vec))
    }
}

#[derive(Debug)]
struct Note {
    kind: &'static str,
    id: BackupId,
}

impl Command for Note {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let body = postcard::to_allocvec(&Body::V1 { id: self.id })
            .map_err(|_| Halt::Refuse(Refusal::new(&BUG, "an event could not be encoded")))?;
        let mut outcome = Outcome::new(vec![Event { kind: self.kind, body }], Vec::new());
        outcome.reply = SecretBytes::from_slice(self.id.as_bytes());
        Ok(outcome)
    }
}

/// Says in the ledger that the caller asks for a backup. Gives its id, which is an earlier one when this request was made before,
/// and whether it was.
pub async fn request(grant: Authorized, id: BackupId) -> Result<(BackupId, bool), Refusal> {
    let done = grant.change(Note { kind: REQUESTED, id }).await?;
    let id = <[u8; 16]>::try_from(done.reply.expose()).map_err(|_| damaged(Damaged(REQUESTED.into())))?;
    Ok((BackupId::from_bytes(id), done.replayed))
}

/// Says in the ledger that the caller removes a backup.
pub async fn removing(grant: Authorized, id: BackupId) -> Result<(), Refusal> {
    let done = grant.change(Note { kind: REMOVED, id }).await?;
    if done.reply.expose() == id.as_bytes() { Ok(()) } else { Err(bug("an answer about another backup")) }
}
