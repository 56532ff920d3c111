//! Wrapping data keys again after the tenant key has a newer version.

use super::find;
use crate::event::{Rewrapped, SecretEvent};
use crate::limits;
use crate::record::{Record, secret_name};
use crate::reply::Reply;
use crypto::aead::{DataKey, Key};
use crypto::id::BlobId;
use ledger::code::SECRET_LIMIT;
use ledger::{Command, Context, Dropped, Event, Halt, KeyPut, Outcome, Path, RecordName, Refusal, View};
use std::collections::BTreeSet;
use std::sync::Arc;
use storage::Place;

/// A data key that prepare unwrapped, with where it stood.
#[derive(Clone, Debug)]
pub struct OpenedKey {
    /// Secret it belongs to.
    pub path: Path,
    /// Version it belongs to.
    pub version: u64,
    /// Where it stood when it was opened.
    pub place: Place,
    /// The value it opens.
    pub blob_id: BlobId,
    /// The key.
    pub key: Arc<Key<DataKey>>,
}

/// Writes data keys anew, wrapped under the newest tenant key, and destroys the old rows; values stay.
///
/// Keys that moved or went since they were opened are passed over; with none left nothing is written.
/// Refusals: `secret.limit` for more than [`limits::REWRAPS_MAX`]; nothing happened.
#[derive(Debug)]
pub struct Rewrap {
    /// Keys to wrap again.
    pub keys: Vec<OpenedKey>,
}

impl Command for Rewrap {
    fn reads(&self) -> Vec<RecordName> {
        let mut names: Vec<RecordName> = self.keys.iter().map(|opened| secret_name(&opened.path)).collect();
        names.sort();
        names.dedup();
        names
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        if self.keys.len() > limits::REWRAPS_MAX {
            return Err(Refusal::new(&SECRET_LIMIT, format!("more than {} keys at once", limits::REWRAPS_MAX)).into());
        }
        let mut facts = Vec::new();
        let mut outcome = Outcome::new(Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for opened in &self.keys {
            if !seen.insert((opened.path.as_str(), opened.version)) || !stands(view, opened)? {
                continue;
            }
            let place = cx.key_place(u32::try_from(outcome.keys.len()).unwrap_or(u32::MAX));
            facts.push(Rewrapped { path: opened.path.as_str().to_owned(), version: opened.version, key: place });
            outcome.drops.push(Dropped::Key(opened.place));
            outcome.keys.push(KeyPut {
                key: Arc::clone(&opened.key),
                kind: crate::KEY_KIND,
                path: opened.path.as_str().to_owned(),
                version: opened.version,
                blob: opened.blob_id,
            });
        }
        let count = u64::try_from(facts.len()).unwrap_or(u64::MAX);
        outcome.events = events(facts);
        let reply = Reply { current: count, versions: Vec::new(), pruned: Vec::new(), time: cx.now };
        outcome.reply = crypto::secret::SecretBytes::new(reply.encode());
        Ok(outcome)
    }
}

/// Whether the key still stands where it was opened.
fn stands(view: &View, opened: &OpenedKey) -> Result<bool, Halt> {
    let Some(Record::Kept(secret)) = find(view, &opened.path)? else { return Ok(false) };
    let stored = secret.version(opened.version).and_then(|version| version.state.stored());
    Ok(stored.is_some_and(|stored| stored.key == opened.place && stored.blob_id == opened.blob_id))
}

/// As few events as fit into entries.
fn events(facts: Vec<Rewrapped>) -> Vec<Event> {
    let mut events = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0usize);
    for fact in facts {
        let more = fact.path.len().saturating_add(64);
        if bytes.saturating_add(more) > limits::REWRAP_EVENT_BYTES_MAX {
            events.push(SecretEvent::KeysRewrapped(std::mem::take(&mut part)).encode());
            bytes = 0;
        }
        bytes = bytes.saturating_add(more);
        part.push(fact);
    }
    if !part.is_empty() {
        events.push(SecretEvent::KeysRewrapped(part).encode());
    }
    events
}
