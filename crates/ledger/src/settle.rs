//! What became of a commit, asked until the store says it.

use crate::absorb;
use crate::committer::Committer;
use crate::state::storage_refusal;
use std::time::Duration;
use storage::{Batch, Cause, Commit};

/// Tries to learn the outcome of a commit before its callers are told that it is unknown.
const RESOLVE_TRIES: u32 = 5;

/// The outcome of a commit.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It stands.
    Done,
    /// Another batch took its number.
    Lost,
    /// Nothing happened.
    Refused(Cause),
    /// The store does not say.
    Unknown(Batch),
}

impl Committer {
    /// Commits and, where the answer was lost, asks the store whether it happened.
    pub(crate) async fn settle(&self, batch: Batch) -> Settled {
        let mut tries = 0u32;
        let mut cause = match self.state.storage.commit(batch.clone()).await {
            Commit::Done => return Settled::Done,
            Commit::Conflict(_) => return Settled::Lost,
            Commit::Refused(cause) => {
                self.state.note_cause(&cause);
                return Settled::Refused(cause);
            }
            Commit::Unknown(cause) => cause,
        };
        loop {
            self.state.note_cause(&cause);
            match self.outcome(&batch).await {
                Some(settled) => return settled,
                None if tries >= RESOLVE_TRIES || matches!(cause, Cause::Broken(_)) => return Settled::Unknown(batch),
                None => {}
            }
            tries = tries.saturating_add(1);
            self.delay.wait(Duration::from_millis(50u64.saturating_mul(1 << tries.min(5)))).await;
            match self.state.storage.commit(batch.clone()).await {
                Commit::Done => return Settled::Done,
                Commit::Conflict(_) => continue,
                Commit::Refused(why) | Commit::Unknown(why) => cause = why,
            }
        }
    }

    /// What the store says of a batch; `None` when it does not say.
    async fn outcome(&self, batch: &Batch) -> Option<Settled> {
        let found = self.state.storage.tail(batch.shard, batch.number, 1).await.ok()?;
        let stored = found.first()?;
        if stored.number != batch.number {
            return None;
        }
        Some(if stored.id == batch.id { Settled::Done } else { Settled::Lost })
    }

    /// Waits until the outcome of a lost answer is known: nothing more is committed before. Says whether the batch stands.
    pub(crate) async fn learn(&self, batch: &Batch, given_up: impl Fn() -> bool) -> bool {
        let mut wait = Duration::from_millis(500);
        loop {
            match self.state.storage.tail(batch.shard, batch.number, 1).await {
                Ok(found) => match found.first() {
                    Some(stored) if stored.id == batch.id => return true,
                    Some(_) => {
                        if absorb::tail(&self.state, &self.rules).await.is_ok() {
                            return false;
                        }
                    }
                    // The head is still before it. It was answered as unknown, so it may as well never have happened:
                    // the next batch takes the number, and whoever asks by operation id learns "not applied".
                    None => return false,
                },
                Err(error) => drop(storage_refusal(error)),
            }
            self.delay.wait(wait).await;
            wait = wait.saturating_mul(2).min(Duration::from_secs(5));
            if given_up() || self.state.is_broken() {
                return false;
            }
        }
    }
}
