//! A store that fails as told: the decorator that every simulation puts around an engine.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{
    Batch, BatchNumber, BoxFuture, Cause, Commit, Key, Page, Run, Shard, Storage, StorageError, StoredBatch,
};

/// How one call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It did not happen, and the caller is told so: no space.
    Refused,
    /// It did not happen, and the answer is lost.
    NotApplied,
    /// It happened, and the answer is lost.
    AppliedButLost,
    /// Of a run only the first half happens, then the process is gone. A commit does not happen.
    HalfThenGone,
    /// It happens, and right after it the process is gone.
    DoneThenGone,
    /// A read comes back with its second half missing.
    Torn,
}

impl Fault {
    /// Every fault a write may meet.
    pub const WRITES: [Fault; 5] =
        [Fault::Refused, Fault::NotApplied, Fault::AppliedButLost, Fault::HalfThenGone, Fault::DoneThenGone];
}

#[derive(Debug, Default)]
struct Plan {
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    gone: bool,
    hit: Vec<(u64, Fault)>,
}

/// An engine with a plan of faults by call number. Writes and reads share the numbering, from 0.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    plan: Mutex<Plan>,
}

impl Faulty {
    /// Puts faults around a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>, faults: impl IntoIterator<Item = (u64, Fault)>) -> Faulty {
        Faulty { inner, plan: Mutex::new(Plan { faults: faults.into_iter().collect(), ..Plan::default() }) }
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.plan.lock().calls
    }

    /// Whether the process counts as gone: nothing more happens.
    pub fn is_gone(&self) -> bool {
        self.plan.lock().gone
    }

    /// The faults that were met, with their call numbers.
    pub fn hit(&self) -> Vec<(u64, Fault)> {
        self.plan.lock().hit.clone()
    }

    /// From now on nothing happens any more.
    pub fn kill(&self) {
        self.plan.lock().gone = true;
    }

    fn next(&self) -> Result<Option<Fault>, ()> {
        let mut plan = self.plan.lock();
        if plan.gone {
            return Err(());
        }
        let call = plan.calls;
        plan.calls = call.saturating_add(1);
        let fault = plan.faults.get(&call).copied();
        if let Some(fault) = fault {
            plan.hit.push((call, fault));
            plan.gone |= matches!(fault, Fault::HalfThenGone | Fault::DoneThenGone);
        }
        Ok(fault)
    }

    fn read(&self) -> Result<Option<Fault>, StorageError> {
        match self.next() {
            Ok(None | Some(Fault::AppliedButLost)) => Ok(None),
            Ok(Some(Fault::Torn)) => Ok(Some(Fault::Torn)),
            Ok(Some(_)) | Err(()) => Err(StorageError::Unreachable("a fault of the plan".into())),
        }
    }
}

fn lost() -> Commit {
    Commit::Unknown(Cause::Unreachable("a fault of the plan".into()))
}

fn torn(value: Bytes) -> Bytes {
    value.slice(..value.len() / 2)
}

impl Storage for Faulty {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        Box::pin(async move {
            let fault = self.read()?;
            let found = self.inner.get(keys).await?;
            Ok(match fault {
                Some(_) => found.into_iter().map(|value| value.map(torn)).collect(),
                None => found,
            })
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        Box::pin(async move {
            let fault = self.read()?;
            let page = self.inner.scan(prefix, after, limit).await?;
            Ok(match fault {
                Some(_) => page.into_iter().map(|(key, value)| (key, torn(value))).collect(),
                None => page,
            })
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            match self.next() {
                Err(()) | Ok(Some(Fault::NotApplied | Fault::HalfThenGone | Fault::Torn)) => lost(),
                Ok(Some(Fault::Refused)) => Commit::Refused(Cause::Full),
                Ok(Some(Fault::AppliedButLost | Fault::DoneThenGone)) => {
                    drop(self.inner.commit(batch).await);
                    lost()
                }
                Ok(None) => self.inner.commit(batch).await,
            }
        })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            match self.next() {
                Err(()) | Ok(Some(Fault::NotApplied | Fault::Torn)) => lost(),
                Ok(Some(Fault::Refused)) => Commit::Refused(Cause::Full),
                Ok(Some(Fault::HalfThenGone)) => {
                    let half = run.ops.len() / 2;
                    let ops = run.ops.into_iter().take(half).collect();
                    drop(self.inner.apply(Run { ops, durable: run.durable }).await);
                    lost()
                }
                Ok(Some(Fault::AppliedButLost | Fault::DoneThenGone)) => {
                    drop(self.inner.apply(run).await);
                    lost()
                }
                Ok(None) => self.inner.apply(run).await,
            }
        })
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        Box::pin(async move {
            self.read()?;
            self.inner.tail(shard, from, limit).await
        })
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        Box::pin(async move {
            self.read()?;
            self.inner.head(shard).await
        })
    }
}
