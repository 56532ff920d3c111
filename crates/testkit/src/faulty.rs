//! A store that fails as told: the decorator that every simulation puts around an engine.

use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use storage::{
    Batch, BatchNumber, BoxFuture, Cause, Commit, Key, Kind, LIMITS, Op, Page, Run, Shard, Storage, StorageError,
    StoredBatch,
};
use tokio::sync::watch;

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
    /// A read answers as of before the newest write that came through here. A write is not touched.
    Stale,
    /// It happens, and the answer comes only after the future was polled this many times more.
    Slow(u32),
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
    from_then_on: Option<(u64, Fault)>,
    gone: bool,
    hit: Vec<(u64, Fault)>,
    before: Before,
    /// What the first held commit meets when it goes on.
    after_hold: Option<Fault>,
}

/// What the newest write changed, as it was.
#[derive(Debug, Default)]
struct Before {
    rows: BTreeMap<Key, Option<Bytes>>,
    head: Option<(Shard, BatchNumber)>,
}

impl Plan {
    fn stale(&self) -> bool {
        self.faults.values().chain(self.from_then_on.iter().map(|(_, fault)| fault)).any(|fault| *fault == Fault::Stale)
    }
}

/// An engine with a plan of faults by call number. Writes and reads share the numbering, from 0.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Storage>,
    plan: Mutex<Plan>,
    hold: watch::Sender<bool>,
    held: AtomicUsize,
}

impl Faulty {
    /// Puts faults around a store.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>, faults: impl IntoIterator<Item = (u64, Fault)>) -> Faulty {
        let plan = Mutex::new(Plan { faults: faults.into_iter().collect(), ..Plan::default() });
        Faulty { inner, plan, hold: watch::Sender::new(false), held: AtomicUsize::new(0) }
    }

    /// Holds commits back until [`Faulty::let_through`]; the first one meets `fault` then.
    pub fn hold_commits(&self, fault: Option<Fault>) {
        self.plan.lock().after_hold = fault;
        self.hold.send_replace(true);
    }

    /// Lets commits go on.
    pub fn let_through(&self) {
        self.hold.send_replace(false);
    }

    /// Commits that are held back now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    async fn while_held(&self) {
        let mut hold = self.hold.subscribe();
        if !*hold.borrow_and_update() {
            return;
        }
        self.held.fetch_add(1, Ordering::SeqCst);
        // The sender lives as long as this store.
        let _never_closed = hold.wait_for(|held| !held).await;
        self.held.fetch_sub(1, Ordering::SeqCst);
        let mut plan = self.plan.lock();
        let call = plan.calls;
        if let Some(fault) = plan.after_hold.take() {
            plan.faults.insert(call, fault);
        }
    }

    /// Adds a fault at a call number; stale reads remember writes from the time they are planned.
    pub fn fail(&self, call: u64, fault: Fault) {
        self.plan.lock().faults.insert(call, fault);
    }

    /// Strikes every call from this number on that has no fault of its own.
    pub fn fail_from(&self, call: u64, fault: Fault) {
        self.plan.lock().from_then_on = Some((call, fault));
    }

    /// Forgets all faults to come: the store is well again, unless the process is gone.
    pub fn heal(&self) {
        let mut plan = self.plan.lock();
        plan.faults.clear();
        plan.from_then_on = None;
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
        let lasting = plan.from_then_on.filter(|(from, _)| call >= *from).map(|(_, fault)| fault);
        let fault = plan.faults.get(&call).copied().or(lasting);
        if let Some(fault) = fault {
            plan.hit.push((call, fault));
            plan.gone |= matches!(fault, Fault::HalfThenGone | Fault::DoneThenGone);
        }
        Ok(fault)
    }

    async fn read<T>(
        &self,
        work: impl Future<Output = Result<T, StorageError>>,
        torn: impl FnOnce(T) -> T,
        stale: impl FnOnce(T, &Before) -> T,
    ) -> Result<T, StorageError> {
        match self.next() {
            Ok(None | Some(Fault::AppliedButLost)) => work.await,
            Ok(Some(Fault::Torn)) => work.await.map(torn),
            Ok(Some(Fault::Stale)) => {
                let now = work.await?;
                Ok(stale(now, &self.plan.lock().before))
            }
            Ok(Some(Fault::Slow(polls))) => {
                let answer = work.await;
                Polls(polls).await;
                answer
            }
            Ok(Some(_)) | Err(()) => Err(StorageError::Unreachable("a fault of the plan".into())),
        }
    }

    /// Notes what a write is about to change, where a stale read is planned.
    async fn remember(&self, keys: impl Iterator<Item = Key>, head: Option<(Shard, BatchNumber)>) {
        if !self.plan.lock().stale() {
            return;
        }
        let keys: Vec<Key> = keys.collect();
        let mut rows = BTreeMap::new();
        for keys in keys.chunks(LIMITS.page_max) {
            if let Ok(values) = self.inner.get(keys.to_vec()).await {
                rows.extend(keys.iter().cloned().zip(values));
            }
        }
        self.plan.lock().before = Before { rows, head };
    }

    async fn commit_now(&self, batch: Batch) -> Commit {
        let numbered = |kind| Key::numbered(kind, batch.shard, batch.number);
        let keys = batch.puts.iter().map(|put| put.key.clone()).chain([numbered(Kind::Batch), numbered(Kind::Side)]);
        let head = BatchNumber(batch.number.0.saturating_sub(1));
        self.remember(keys, Some((batch.shard, head))).await;
        self.inner.commit(batch).await
    }

    async fn apply_now(&self, run: Run) -> Commit {
        self.remember(run.ops.iter().map(Op::key).cloned(), None).await;
        self.inner.apply(run).await
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
        let asked = keys.clone();
        let tear = |found: Vec<Option<Bytes>>| found.into_iter().map(|value| value.map(torn)).collect();
        let stale = move |found: Vec<Option<Bytes>>, before: &Before| {
            let old = |(key, now)| before.rows.get(key).cloned().unwrap_or(now);
            asked.iter().zip(found).map(old).collect()
        };
        Box::pin(self.read(self.inner.get(keys), tear, stale))
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        let work = self.inner.scan(prefix.clone(), after.clone(), limit);
        let tear = |page: Page| page.into_iter().map(|(key, value)| (key, torn(value))).collect();
        let stale = move |page: Page, before: &Before| {
            let reached = page.last().map(|(key, _)| key.clone()).filter(|_| page.len() >= limit);
            let mut rows: BTreeMap<Key, Bytes> = page.into_iter().collect();
            for (key, old) in before.rows.iter().filter(|(key, _)| key.starts_with(&prefix)) {
                let begun = after.as_ref().is_none_or(|after| key > after);
                let inside = begun && reached.as_ref().is_none_or(|last| key <= last);
                match old.as_ref().filter(|_| inside) {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
            rows.into_iter().take(limit).collect()
        };
        Box::pin(self.read(work, tear, stale))
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            self.while_held().await;
            match self.next() {
                Err(()) | Ok(Some(Fault::NotApplied | Fault::HalfThenGone | Fault::Torn)) => lost(),
                Ok(Some(Fault::Refused)) => Commit::Refused(Cause::Full),
                Ok(Some(Fault::AppliedButLost | Fault::DoneThenGone)) => {
                    drop(self.commit_now(batch).await);
                    lost()
                }
                Ok(Some(Fault::Slow(polls))) => {
                    let end = self.commit_now(batch).await;
                    Polls(polls).await;
                    end
                }
                Ok(None | Some(Fault::Stale)) => self.commit_now(batch).await,
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
                    let ops = run.ops.iter().take(half).cloned().collect();
                    drop(self.apply_now(Run { ops, ..run }).await);
                    lost()
                }
                Ok(Some(Fault::AppliedButLost | Fault::DoneThenGone)) => {
                    drop(self.apply_now(run).await);
                    lost()
                }
                Ok(Some(Fault::Slow(polls))) => {
                    let end = self.apply_now(run).await;
                    Polls(polls).await;
                    end
                }
                Ok(None | Some(Fault::Stale)) => self.apply_now(run).await,
            }
        })
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        let tear = |batches: Vec<StoredBatch>| {
            let tear = |batch: StoredBatch| StoredBatch { row: torn(batch.row), side: batch.side.map(torn), ..batch };
            batches.into_iter().map(tear).collect()
        };
        let stale = move |mut batches: Vec<StoredBatch>, before: &Before| {
            batches.retain(|batch| before.head.is_none_or(|(of, head)| of != shard || batch.number <= head));
            batches
        };
        Box::pin(self.read(self.inner.tail(shard, from, limit), tear, stale))
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        let stale = move |now: BatchNumber, before: &Before| match before.head {
            Some((of, head)) if of == shard => head.min(now),
            _ => now,
        };
        Box::pin(self.read(self.inner.head(shard), |now| now, stale))
    }

    fn release_reserve(&self) -> bool {
        self.inner.release_reserve()
    }

    fn has_room(&self) -> BoxFuture<'_, bool> {
        self.inner.has_room()
    }
}

/// Pending this many times.
struct Polls(u32);

impl Future for Polls {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
