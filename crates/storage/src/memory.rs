//! A store in memory, for tests and simulation, with and without transactions over several keys.

use crate::contract::{
    Batch, BatchId, BatchNumber, BoxFuture, Cause, Commit, Fence, Op, Page, Run, Storage, StorageError, StoredBatch,
};
use crate::key::{Key, Kind, Shard};
use crate::limits::{check_batch, check_page, check_run};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Whether an engine can write several keys at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transactions {
    /// A batch row, its side and its puts appear together.
    Yes,
    /// Puts appear one by one before the batch row; a commit that loses its race leaves them behind as orphans, and an
    /// applied run is seen half done.
    No,
}

/// A store in memory. Clones are handles of the same store; it is gone with the last of them.
#[derive(Clone, Debug)]
pub struct Memory {
    transactions: Transactions,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, Bytes>,
    ids: BTreeMap<(Shard, BatchNumber), BatchId>,
    turns: BTreeMap<Shard, u64>,
}

impl Memory {
    /// An empty store.
    pub fn new(transactions: Transactions) -> Memory {
        Memory { transactions, state: Arc::default() }
    }

    /// How many rows it holds.
    pub fn rows(&self) -> usize {
        self.state.lock().rows.len()
    }

    fn commit_now(&self, batch: Batch) -> Commit {
        if let Err(what) = check_batch(&batch) {
            return Commit::Refused(Cause::Invalid(what));
        }
        match self.transactions {
            Transactions::Yes => {
                let mut state = self.state.lock();
                let head = state.head(batch.shard);
                if batch.number != head.next() {
                    return Commit::Conflict(head);
                }
                for put in &batch.puts {
                    state.rows.insert(put.key.clone(), put.value.clone());
                }
                state.append(batch)
            }
            Transactions::No => {
                for put in &batch.puts {
                    self.state.lock().rows.insert(put.key.clone(), put.value.clone());
                }
                self.state.lock().append(batch)
            }
        }
    }

    fn apply_now(&self, run: Run) -> Commit {
        if let Err(what) = check_run(&run) {
            return Commit::Refused(Cause::Invalid(what));
        }
        match self.transactions {
            Transactions::Yes => {
                let mut state = self.state.lock();
                if !state.begin(run.fence) {
                    return Commit::Refused(Cause::Fenced);
                }
                run.ops.into_iter().for_each(|op| state.apply(op));
            }
            Transactions::No => {
                if !self.state.lock().begin(run.fence) {
                    return Commit::Refused(Cause::Fenced);
                }
                for op in run.ops {
                    let mut state = self.state.lock();
                    if !state.begin(run.fence) {
                        return Commit::Refused(Cause::Fenced);
                    }
                    state.apply(op);
                }
            }
        }
        Commit::Done
    }
}

impl State {
    fn head(&self, shard: Shard) -> BatchNumber {
        let all = (shard, BatchNumber(0))..=(shard, BatchNumber(u64::MAX));
        self.ids.range(all).next_back().map_or(BatchNumber(0), |((_, number), _)| *number)
    }

    /// The compare-and-set: batch row, side and id, if the number is the next one.
    fn append(&mut self, batch: Batch) -> Commit {
        let Batch { shard, number, id, row, side, .. } = batch;
        let head = self.head(shard);
        if number != head.next() {
            return Commit::Conflict(head);
        }
        self.rows.insert(Key::numbered(Kind::Batch, shard, number), row);
        if let Some(side) = side {
            self.rows.insert(Key::numbered(Kind::Side, shard, number), side);
        }
        self.ids.insert((shard, number), id);
        Commit::Done
    }

    /// Whether it is still the turn of a run.
    fn begin(&mut self, fence: Option<Fence>) -> bool {
        let Some(Fence { shard, turn }) = fence else { return true };
        let last = self.turns.entry(shard).or_default();
        *last = turn.max(*last);
        *last == turn
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Put(key, value) => self.rows.insert(key, value),
            Op::Delete(key) => self.rows.remove(&key),
        };
    }

    fn scan(&self, prefix: &Key, after: Option<Key>, limit: usize) -> Page {
        let start = match after {
            Some(after) if after >= *prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix.clone()),
        };
        self.rows
            .range((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn tail(&self, shard: Shard, from: BatchNumber, limit: usize) -> Result<Vec<StoredBatch>, StorageError> {
        self.ids
            .range((shard, from)..=(shard, BatchNumber(u64::MAX)))
            .take(limit)
            .map(|((_, number), id)| {
                let row = self.rows.get(&Key::numbered(Kind::Batch, shard, *number)).cloned();
                let side = self.rows.get(&Key::numbered(Kind::Side, shard, *number)).cloned();
                let row = row.ok_or_else(|| StorageError::Damaged(format!("batch {} has no row", number.0)))?;
                Ok(StoredBatch { number: *number, id: *id, row, side })
            })
            .collect()
    }
}

impl Storage for Memory {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        Box::pin(async move {
            check_page(keys.len()).map_err(StorageError::Invalid)?;
            let state = self.state.lock();
            Ok(keys.iter().map(|key| state.rows.get(key).cloned()).collect())
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        Box::pin(async move {
            check_page(limit).map_err(StorageError::Invalid)?;
            Ok(self.state.lock().scan(&prefix, after, limit))
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async move { self.commit_now(batch) })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        Box::pin(async move { self.apply_now(run) })
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        Box::pin(async move {
            check_page(limit).map_err(StorageError::Invalid)?;
            self.state.lock().tail(shard, from, limit)
        })
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        Box::pin(async move { Ok(self.state.lock().head(shard)) })
    }
}
