//! Group commit: drains what waits, decides it in order over one draft, commits it as one batch.

use crate::build::{Build, Built};
use crate::code::{self, Refusal};
use crate::draft::{Draft, RuleBook};
use crate::state::{Pending, State, cause_refusal, storage_refusal};
use crate::unit::{Receipt, Unit};
use crate::{Delay, absorb};
use crypto::Drawn;
use crypto::seam::{Clock, Entropy, WallMs};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use storage::{Batch, BatchId, BatchNumber, Cause, Commit};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Units taken into one group.
const GROUP_UNITS_MAX: usize = 512;
/// Bytes of entries, keys, blobs and side in one group; leaves room to the batch limit of the store.
pub(crate) const GROUP_BYTES_MAX: usize = 6 << 20;
/// Records changed by one group.
pub(crate) const GROUP_RECORDS_MAX: usize = 1_000;
/// Unfolded bytes at which commits wait for the fold.
const TAIL_BYTES_MAX: usize = 64 << 20;
/// Unfolded records at which commits wait for the fold.
const TAIL_RECORDS_MAX: usize = 50_000;
/// Randomness of a unit with one entry and one data key: a nonce for each. Others draw what they need beyond it.
const UNIT_RANDOM_BYTES: usize = 24;
/// Tries to learn the outcome of a commit before its callers are told that it is unknown.
const RESOLVE_TRIES: u32 = 5;

/// A unit in the queue, with the way back.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) unit: Unit,
    pub(crate) answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// A receipt, and the batch whose fold it waits for if it destroys something.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) receipt: Receipt,
    pub(crate) fold: Option<BatchNumber>,
}

/// The one writer of a shard on this node.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) state: Arc<State>,
    pub(crate) rules: Arc<RuleBook>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) delay: Arc<dyn Delay>,
    pub(crate) queue: mpsc::Receiver<Waiting>,
    pub(crate) fold_wanted: Arc<Notify>,
    pub(crate) folded: watch::Receiver<BatchNumber>,
}

impl Committer {
    /// Works until every sender of the queue is gone.
    pub(crate) async fn run(mut self) {
        let mut carried = VecDeque::new();
        loop {
            let mut group = VecDeque::new();
            std::mem::swap(&mut group, &mut carried);
            if group.is_empty() {
                match self.queue.recv().await {
                    Some(first) => group.push_back(first),
                    None => return,
                }
            }
            while group.len() < GROUP_UNITS_MAX {
                match self.queue.try_recv() {
                    Ok(next) => group.push_back(next),
                    Err(_) => break,
                }
            }
            self.wait_for_room().await;
            carried = self.commit(group).await;
        }
    }

    /// The tail is bounded: past the bound, commits go at the pace of the fold.
    async fn wait_for_room(&mut self) {
        loop {
            let (bytes, records) = {
                let overlay = self.state.overlay.read();
                (overlay.bytes, overlay.records.len())
            };
            if bytes < TAIL_BYTES_MAX && records < TAIL_RECORDS_MAX {
                return;
            }
            self.fold_wanted.notify_one();
            if self.folded.changed().await.is_err() {
                return;
            }
        }
    }

    /// Decides and commits a group; gives back what did not fit.
    async fn commit(&mut self, mut group: VecDeque<Waiting>) -> VecDeque<Waiting> {
        let mut rest = VecDeque::new();
        let entropy = Arc::clone(&self.entropy);
        loop {
            let head = self.state.head();
            let number = head.batch.next();
            let mut random = vec![0; group.len().saturating_mul(UNIT_RANDOM_BYTES).saturating_add(16)];
            let mut id = [0; 16];
            let drawn = Drawn::new(&mut random, entropy.as_ref());
            let drawn = match drawn.and_then(|drawn| drawn.fill_secret(&mut id).map(|()| drawn)) {
                Ok(drawn) => drawn,
                Err(none) => {
                    answer_all(group, &crate::ring::no_entropy(none));
                    return rest;
                }
            };
            let now = WallMs(self.clock.wall().0.max(head.time.0));
            let state = Arc::clone(&self.state);
            let mut build = Build::new(
                Draft::new(&state, &self.rules, number),
                &state,
                &drawn,
                number,
                BatchId(id),
                head.size,
                now,
            );
            let mut results = Vec::with_capacity(group.len());
            let mut taken = 0usize;
            for waiting in &group {
                if build.is_full() {
                    break;
                }
                results.push(build.unit(&waiting.unit).await);
                taken = taken.saturating_add(1);
            }
            rest = group.split_off(taken).into_iter().chain(rest).collect();
            let built = match build.finish() {
                Ok(built) => built,
                Err(refusal) => {
                    answer_all(group, &refusal);
                    return rest;
                }
            };
            let Some((batch, built)) = built else {
                answer_each(group, results, number);
                return rest;
            };
            match self.settle(batch).await {
                Settled::Done => {
                    self.publish(number, built);
                    answer_each(group, results, number);
                    return rest;
                }
                Settled::Lost => {
                    if let Err(refusal) = absorb::tail(&self.state, &self.rules).await {
                        answer_all(group, &refusal);
                        return rest;
                    }
                }
                Settled::Refused(cause) => {
                    answer_all(group, &cause_refusal(&cause));
                    return rest;
                }
                Settled::Unknown(batch) => {
                    answer_unknown(group);
                    self.learn(number, batch, built).await;
                    return rest;
                }
            }
        }
    }

    /// Commits and, where the answer was lost, asks the store whether it happened.
    async fn settle(&self, batch: Batch) -> Settled {
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

    /// Nothing more is committed before the outcome of a lost answer is known.
    async fn learn(&mut self, number: BatchNumber, batch: Batch, built: Built) {
        let mut wait = Duration::from_millis(500);
        loop {
            match self.state.storage.tail(batch.shard, batch.number, 1).await {
                Ok(found) => match found.first() {
                    Some(stored) if stored.id == batch.id => return self.publish(number, built),
                    Some(_) => {
                        if absorb::tail(&self.state, &self.rules).await.is_ok() {
                            return;
                        }
                    }
                    // The head is still before it. It was answered as unknown, so it may as well never have happened:
                    // the next batch takes the number, and whoever asks by operation id learns "not applied".
                    None => return,
                },
                Err(error) => drop(storage_refusal(error)),
            }
            self.delay.wait(wait).await;
            wait = wait.saturating_mul(2).min(Duration::from_secs(5));
            if self.queue.is_closed() || self.state.is_broken() {
                return;
            }
        }
    }

    /// Makes a committed batch visible.
    fn publish(&self, number: BatchNumber, built: Built) {
        self.state.ring.adopt(&built.rings, &built.side.rings);
        let awaited = built.awaited;
        self.state.overlay.write().take(number, built);
        self.state.later.work();
        if awaited {
            self.fold_wanted.notify_one();
        }
    }
}

impl crate::state::Overlay {
    /// Lays a committed batch over the folded state.
    pub(crate) fn take(&mut self, number: BatchNumber, built: Built) {
        let mut bytes = built.entries.iter().map(|entry| entry.len().saturating_add(32)).sum::<usize>();
        for (key, (tenant, slot)) in built.records {
            bytes = bytes.saturating_add(slot.record().map_or(64, |record| record.body.len().saturating_add(128)));
            self.records.insert(key, (tenant, slot));
        }
        for intent in &built.side.intents {
            self.intents.insert((intent.key, intent.tenant), (number, Some(intent.clone())));
        }
        for (tenant, key) in &built.side.closed {
            self.intents.insert((*key, *tenant), (number, None));
        }
        for put in &built.side.volatile {
            self.volatile.insert((put.tenant, put.key), (number, put.expires_ms, put.body.as_slice().into()));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        let leaves = u64::try_from(built.entries.len()).unwrap_or(u64::MAX);
        self.head.batch = number;
        self.head.size = self.head.size.saturating_add(leaves);
        self.head.time = built.time;
        self.pending.push_back(Pending {
            number,
            entries: built.entries,
            has_side_row: built.has_side_row,
            awaited: built.awaited,
            side: built.side,
            bytes,
        });
    }
}

enum Settled {
    Done,
    Lost,
    Refused(Cause),
    Unknown(Batch),
}

fn answer_each(group: VecDeque<Waiting>, results: Vec<Result<crate::build::Decided, Refusal>>, number: BatchNumber) {
    for (waiting, result) in group.into_iter().zip(results) {
        let answer =
            result.map(|decided| Answer { receipt: decided.receipt, fold: decided.await_fold.then_some(number) });
        // The caller may have gone; the change stands all the same.
        drop(waiting.answer.send(answer));
    }
}

fn answer_all(group: VecDeque<Waiting>, refusal: &Refusal) {
    for waiting in group {
        drop(waiting.answer.send(Err(refusal.clone())));
    }
}

fn answer_unknown(group: VecDeque<Waiting>) {
    for waiting in group {
        let refusal = Refusal::new(&code::STORAGE_UNKNOWN, "the store did not say whether the change was made");
        let operation = waiting.unit.operation;
        drop(waiting.answer.send(Err(refusal.about(operation))));
    }
}
