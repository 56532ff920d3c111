//! The open store: how long a call may take, how many wait, and what shuts the store.

use crate::fault::Fault;
use crate::open;
use bytes::Bytes;
use mongodb::bson::{Document, RawDocumentBuf};
use mongodb::{Collection, Database};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::{
    Batch, BatchNumber, BoxFuture, Cause, Commit, ConnectError, ConnectReason, Key, Page, RemoteOptions, Run, Shard,
    Storage, StorageError, StoredBatch, check_batch, check_page, check_run,
};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// A store in a MongoDB database. Clones are handles of the same connections.
#[derive(Clone)]
pub struct Mongo(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) database: Database,
    /// The write concern of every write.
    pub(crate) majority: Document,
    waiting: Semaphore,
    deadline: Duration,
    runtime: Handle,
    /// The greatest head of each shard that was ever seen: one that goes back is not the store that was opened.
    seen: Mutex<BTreeMap<Shard, u64>>,
    /// Commits of one shard go one after another, so that none overtakes one whose caller went away.
    turns: Mutex<BTreeMap<Shard, Arc<tokio::sync::Mutex<()>>>>,
    broken: OnceLock<String>,
}

impl fmt::Debug for Mongo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mongo").field(&self.0.database.name()).finish()
    }
}

impl Mongo {
    /// Connects to the server of a `mongodb://` connection string and makes the store in its database (`aumbry` where the
    /// string names none) if there is none.
    ///
    /// Write concern, read concern and read preference are set here whatever the string says, and the driver never
    /// repeats a write by itself. Refuses a server that keeps its data in memory (unless the options accept loss), one
    /// older than 4.2, one that is not the primary, and a store of a newer format. Several processes may open one
    /// store, also at once. Must be called on a tokio runtime, which carries out all calls.
    pub async fn open(connection: &str, options: &RemoteOptions) -> Result<Mongo, ConnectError> {
        let late = |_| ConnectError {
            reason: ConnectReason::Unreachable,
            what: "the MongoDB server does not answer in time".to_owned(),
            hint: "see that it runs and is not overloaded, and that a majority of its members is up".to_owned(),
        };
        let opening = open::database(connection, options);
        let database = tokio::time::timeout(options.deadline, opening).await.map_err(late)??;
        Ok(Mongo(Arc::new(Inner {
            database,
            majority: open::majority(options),
            waiting: Semaphore::new(options.waiting_max.max(1)),
            deadline: options.deadline,
            runtime: Handle::current(),
            seen: Mutex::default(),
            turns: Mutex::default(),
            broken: OnceLock::new(),
        })))
    }

    /// Why everything is refused since the store was seen to have gone back, if it was. The process should end.
    pub fn broken(&self) -> Option<String> {
        self.0.broken.get().cloned()
    }
}

impl Inner {
    pub(crate) fn collection(&self, name: &str) -> Collection<RawDocumentBuf> {
        self.database.collection(name)
    }

    /// Carries out a call within the deadline and the bound of waiting calls.
    pub(crate) async fn call<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        if let Some(why) = self.broken.get() {
            return Err(Fault::Broken(why.clone()));
        }
        let Ok(_waiting) = self.waiting.try_acquire() else {
            return Err(Fault::Unsent("too many calls wait for the MongoDB server".to_owned()));
        };
        let late = |_| Err(Fault::Lost("the MongoDB server does not answer in time".to_owned()));
        let done = tokio::time::timeout(self.deadline, work).await.unwrap_or_else(late);
        if let Err(Fault::Broken(what)) = &done {
            let _first = self.broken.set(what.clone());
        }
        done
    }

    /// The greatest head seen of a shard, at this moment.
    pub(crate) fn seen(&self, shard: Shard) -> u64 {
        self.seen.lock().get(&shard).copied().unwrap_or_default()
    }

    /// Takes note of a head that was asked for when `before` was the greatest seen.
    pub(crate) fn note_head(&self, shard: Shard, before: u64, head: u64) -> Result<(), Fault> {
        if head < before {
            let what = format!("the MongoDB server shows {head} batches of shard {} where it had {before}", shard.0);
            return Err(Fault::Broken(what));
        }
        let mut seen = self.seen.lock();
        let known = seen.entry(shard).or_default();
        *known = head.max(*known);
        Ok(())
    }

    fn turn(&self, shard: Shard) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(self.turns.lock().entry(shard).or_default())
    }
}

const STOPPED: &str = "the call was stopped half way";

impl Mongo {
    /// Runs on the engine's own runtime, whoever polls, and goes on when nobody does.
    fn read<T: Send + 'static>(
        &self,
        allowed: Result<(), &'static str>,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StorageError>> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            allowed.map_err(StorageError::Invalid)?;
            let runtime = inner.runtime.clone();
            let task = runtime.spawn(async move { inner.call(work).await });
            task.await.map_err(|_| StorageError::Unreachable(STOPPED.to_owned()))?.map_err(Fault::read)
        })
    }

    /// The same for writes, which keep their own deadlines; those that have a shard wait for each other.
    fn write(
        &self,
        allowed: Result<(), &'static str>,
        shard: Option<Shard>,
        work: impl Future<Output = Result<Commit, Fault>> + Send + 'static,
    ) -> BoxFuture<'_, Commit> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            if let Err(what) = allowed {
                return Commit::Refused(Cause::Invalid(what));
            }
            let turn = match shard {
                Some(shard) => Some(inner.turn(shard).lock_owned().await),
                None => None,
            };
            let runtime = inner.runtime.clone();
            let task = runtime.spawn(async move {
                let _turn = turn;
                work.await
            });
            match task.await {
                Ok(done) => done.unwrap_or_else(Fault::write),
                Err(_stopped) => Commit::Unknown(Cause::Unreachable(STOPPED.to_owned())),
            }
        })
    }
}

impl Storage for Mongo {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        let inner = Arc::clone(&self.0);
        self.read(check_page(keys.len()), async move { inner.get(&keys).await })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        let inner = Arc::clone(&self.0);
        self.read(check_page(limit), async move { inner.scan(&prefix, after.as_ref(), limit).await })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        let inner = Arc::clone(&self.0);
        self.write(check_batch(&batch), Some(batch.shard), async move { inner.call(inner.commit(batch)).await })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        let inner = Arc::clone(&self.0);
        self.write(check_run(&run), None, async move { inner.apply(run).await })
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        let inner = Arc::clone(&self.0);
        self.read(check_page(limit), async move { inner.tail(shard, from, limit).await })
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        let inner = Arc::clone(&self.0);
        self.read(Ok(()), async move { inner.head(shard).await })
    }
}
