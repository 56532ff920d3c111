//! The contract over any SQL database: deadlines, attempts, and what a lost answer means.

use crate::failure::Failure;
use crate::pool::Pool;
use crate::rows::{self, Changes, Range, Row};
use crate::session::{Session, SessionId};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Duration;
use storage::{
    Batch, BatchId, BatchNumber, BoxFuture, Cause, Commit, ConnectError, Key, Page, RemoteOptions, Run, Shard, Storage,
    StorageError, StoredBatch, check_batch, check_page, check_run,
};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

/// Attempts at what the server undoes for the sake of others.
const TRIES_MAX: u32 = 16;

/// What one kind of database is told. Each function is one statement or one transaction.
pub(crate) trait Dialect: Send + Sync + Sized + 'static {
    type Link: Send + 'static;

    /// Connects, and makes sure that the server keeps what it acknowledges.
    fn connect(&self) -> impl Future<Output = Result<Self::Link, ConnectError>> + Send;

    fn get(link: &mut Self::Link, keys: &[Key]) -> impl Future<Output = Asked<Vec<Option<Bytes>>>> + Send;

    fn scan(link: &mut Self::Link, range: &Range) -> impl Future<Output = Asked<Vec<(Vec<u8>, Bytes)>>> + Send;

    fn tail(
        link: &mut Self::Link,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> impl Future<Output = Asked<Vec<StoredBatch>>> + Send;

    fn head(link: &mut Self::Link, shard: Shard) -> impl Future<Output = Asked<BatchNumber>> + Send;

    /// Inserts the rows of a batch if the batch before it is there and its number is free; whether it did.
    fn append(link: &mut Self::Link, rows: &[Row], before: Option<[u8; 8]>)
    -> impl Future<Output = Asked<bool>> + Send;

    /// Carries out changes at once, unless the session is gone or the turn is over: then nothing happened.
    fn apply(
        link: &mut Self::Link,
        session: SessionId,
        changes: &Changes,
    ) -> impl Future<Output = Asked<Applied>> + Send;

    /// Removes a session, waiting for what is under way in it, and makes another.
    fn renew(link: &mut Self::Link, old: Option<SessionId>, new: SessionId) -> impl Future<Output = Asked<()>> + Send;
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Applied {
    /// Carried out.
    Done,
    /// Its session was replaced.
    Gone,
    /// Another's turn has begun.
    Fenced,
}

/// What became of one attempt.
pub(crate) type Asked<T> = Result<T, Failure>;

/// A store in a SQL database. Calls run on the runtime it was opened on, whoever polls them.
pub(crate) struct Engine<D: Dialect> {
    inner: Arc<Inner<D>>,
    runtime: Handle,
}

struct Inner<D: Dialect> {
    dialect: D,
    pool: Pool<D::Link>,
    session: Session,
    deadline: Duration,
    /// The end of the newest commit of each shard: the next one waits for it.
    newest: Mutex<BTreeMap<u32, oneshot::Receiver<()>>>,
}

impl<D: Dialect> fmt::Debug for Engine<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl<D: Dialect> Engine<D> {
    pub(crate) fn new(dialect: D, options: &RemoteOptions) -> Engine<D> {
        let (pool, session) = (Pool::new(options), Session::default());
        let newest = Mutex::default();
        let inner = Inner { dialect, pool, session, deadline: options.deadline, newest };
        Engine { inner: Arc::new(inner), runtime: Handle::current() }
    }

    /// Runs a call to its end on the engine's runtime; `None` if it panicked or the runtime is gone.
    fn spawn<T: Send + 'static, F>(&self, call: impl FnOnce(Arc<Inner<D>>) -> F) -> BoxFuture<'_, Option<T>>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let task = self.runtime.spawn(call(Arc::clone(&self.inner)));
        Box::pin(async move { task.await.ok() })
    }

    fn read<T: Send + 'static, F>(
        &self,
        call: impl FnOnce(Arc<Inner<D>>) -> F,
    ) -> BoxFuture<'_, Result<T, StorageError>>
    where
        F: Future<Output = Asked<T>> + Send + 'static,
    {
        let task = self.spawn(call);
        Box::pin(async move {
            let asked = task.await.ok_or_else(|| StorageError::Unreachable(GONE.to_owned()))?;
            asked.map_err(Failure::read)
        })
    }

    fn write<F>(&self, call: impl FnOnce(Arc<Inner<D>>) -> F) -> BoxFuture<'_, Commit>
    where
        F: Future<Output = Commit> + Send + 'static,
    {
        let task = self.spawn(call);
        Box::pin(async move { task.await.unwrap_or_else(|| Commit::Unknown(Cause::Unreachable(GONE.to_owned()))) })
    }
}

const GONE: &str = "the store is shutting down";

type Answer<'a, T> = std::pin::Pin<Box<dyn Future<Output = Asked<T>> + Send + 'a>>;

/// What is known of a write while it is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// It is no write: nothing hangs on its outcome.
    Irrelevant,
    /// No attempt may have happened.
    None,
    /// An attempt may have happened: only a later one says it.
    Some,
}

impl<D: Dialect> Inner<D> {
    fn deadline(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.deadline).unwrap_or(now)
    }

    /// One attempt on one connection.
    async fn once<T>(
        &self,
        deadline: Instant,
        ask: &(impl for<'a> Fn(&'a mut D::Link) -> Answer<'a, T> + Sync),
    ) -> Asked<T> {
        let mut lease = self.pool.lease(deadline).await?;
        let mut link = match lease.link.take() {
            Some(link) => link,
            None => match timeout_at(deadline, self.dialect.connect()).await {
                Ok(connected) => connected.map_err(|error| Failure::Unreached(error.what))?,
                Err(_late) => return Err(Failure::Unreached("the database did not answer within the deadline".into())),
            },
        };
        let asked = timeout_at(deadline, ask(&mut link)).await;
        let asked = asked.unwrap_or_else(|_late| Err(Failure::Lost("no answer within the deadline".to_owned())));
        if asked.as_ref().err().is_none_or(Failure::spares_connection) {
            lease.link = Some(link);
            self.pool.give(lease);
        } else {
            self.pool.clear();
        }
        asked
    }

    /// Attempts until one says what became of it, or the deadline is over.
    async fn ask<T>(
        &self,
        deadline: Instant,
        doubt: &mut Doubt,
        ask: impl for<'a> Fn(&'a mut D::Link) -> Answer<'a, T> + Sync,
    ) -> Asked<T> {
        let mut tries = 0;
        loop {
            let failure = match self.once(deadline, &ask).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let may_go_on = match &failure {
                Failure::Again(_) => tries < TRIES_MAX,
                Failure::Lost(_) => {
                    if *doubt == Doubt::None {
                        *doubt = Doubt::Some;
                    }
                    *doubt == Doubt::Some || tries < TRIES_MAX
                }
                Failure::Unreached(_) => *doubt == Doubt::Some,
                Failure::ReadOnly | Failure::Refused(_) | Failure::Damaged(_) => false,
            };
            let wait = pause(tries);
            if !may_go_on || Instant::now().checked_add(wait).is_none_or(|then| then >= deadline) {
                return Err(failure);
            }
            sleep(wait).await;
            tries = tries.saturating_add(1);
        }
    }

    async fn read<T>(&self, ask: impl for<'a> Fn(&'a mut D::Link) -> Answer<'a, T> + Sync) -> Asked<T> {
        self.ask(self.deadline(), &mut Doubt::Irrelevant, ask).await
    }

    /// A place behind the commits of this handle that were begun before, until the sender is dropped.
    fn queue(&self, shard: Shard) -> (Option<oneshot::Receiver<()>>, oneshot::Sender<()>) {
        let (end, ended) = oneshot::channel();
        (self.newest.lock().insert(shard.0, ended), end)
    }

    async fn commit(&self, batch: Batch, before: Option<oneshot::Receiver<()>>) -> Commit {
        let deadline = self.deadline();
        if let Some(before) = before
            && timeout_at(deadline, before).await.is_err()
        {
            return Commit::Refused(Cause::Unreachable("the commit before it is not over yet".to_owned()));
        }
        let (shard, number, id) = (batch.shard, batch.number, batch.id);
        let before = (number.0 > 1).then(|| number.0.saturating_sub(1).to_be_bytes());
        let rows = Arc::new(rows::batch(batch));
        let mut doubt = Doubt::None;
        for _ in 0..TRIES_MAX {
            let appended = self.ask(deadline, &mut doubt, |link| {
                let rows = Arc::clone(&rows);
                Box::pin(async move { D::append(link, &rows, before).await })
            });
            match appended.await {
                Ok(true) => return Commit::Done,
                Ok(false) => {}
                Err(failure) => return ended(doubt, failure),
            }
            let mut irrelevant = Doubt::Irrelevant;
            let looked = self.ask(deadline, &mut irrelevant, |link| {
                Box::pin(async move {
                    let found = D::tail(link, shard, number, 1).await?;
                    Ok((found, D::head(link, shard).await?))
                })
            });
            match looked.await {
                Ok((found, _))
                    if doubt == Doubt::Some && found.first().is_some_and(|stored| is(stored, number, id)) =>
                {
                    return Commit::Done;
                }
                // The one before it came in the meantime.
                Ok((found, head)) if found.is_empty() && head.next() == number => {}
                Ok((_, head)) => return Commit::Conflict(head),
                Err(failure) => return ended(doubt, failure),
            }
        }
        ended(doubt, Failure::Again("too many others write at once".to_owned()))
    }

    async fn apply(self: Arc<Self>, run: Run) -> Commit {
        if let Err(what) = check_run(&run) {
            return Commit::Refused(Cause::Invalid(what));
        }
        let changes = Arc::new(Changes::of(run));
        if changes.is_empty() {
            return Commit::Done;
        }
        let mut doubt = Doubt::None;
        let deadline = self.deadline();
        let applied = self.ask(deadline, &mut doubt, |link| {
            let (this, changes) = (Arc::clone(&self), Arc::clone(&changes));
            Box::pin(async move {
                let session = this.session.ready::<D>(link).await?;
                let flight = this.session.depart(session);
                match D::apply(link, session, &changes).await {
                    Ok(applied) => {
                        flight.landed();
                        match applied {
                            Applied::Done => Ok(()),
                            Applied::Fenced => Err(Failure::Refused(Cause::Fenced)),
                            Applied::Gone => {
                                this.session.forget(session);
                                Err(Failure::Again("its session was replaced".to_owned()))
                            }
                        }
                    }
                    Err(failure) => {
                        if !matches!(failure, Failure::Lost(_)) {
                            flight.landed();
                        }
                        Err(failure)
                    }
                }
            })
        });
        match applied.await {
            Ok(()) => Commit::Done,
            Err(failure) => ended(doubt, failure),
        }
    }
}

fn is(stored: &StoredBatch, number: BatchNumber, id: BatchId) -> bool {
    stored.number == number && stored.id == id
}

/// A write that did not come to its end.
fn ended(doubt: Doubt, failure: Failure) -> Commit {
    match doubt {
        Doubt::Some => Commit::Unknown(failure.cause()),
        Doubt::None | Doubt::Irrelevant => Commit::Refused(failure.cause()),
    }
}

/// Pauses grow to half a second and differ between those who met.
fn pause(tries: u32) -> Duration {
    let most = 2u64.saturating_mul(1 << tries.min(8));
    let spread = RandomState::new().build_hasher().finish().checked_rem(most).unwrap_or(0);
    Duration::from_millis(most.saturating_sub(spread / 2))
}

impl<D: Dialect> Storage for Engine<D> {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        if let Err(what) = check_page(keys.len()) {
            return Box::pin(std::future::ready(Err(StorageError::Invalid(what))));
        }
        if keys.is_empty() {
            return Box::pin(std::future::ready(Ok(Vec::new())));
        }
        let keys: Arc<[Key]> = keys.into();
        self.read(|inner| async move {
            let values = inner.read(|link| {
                let keys = Arc::clone(&keys);
                Box::pin(async move { D::get(link, &keys).await })
            });
            let values = values.await?;
            let whole =
                |(key, value): (&Key, Option<Bytes>)| value.map(|value| rows::value(key.kind(), value)).transpose();
            keys.iter().zip(values).map(whole).collect()
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        if let Err(what) = check_page(limit) {
            return Box::pin(std::future::ready(Err(StorageError::Invalid(what))));
        }
        let Some(range) = Range::of(&prefix, after.as_ref(), limit) else {
            return Box::pin(std::future::ready(Ok(Page::new())));
        };
        let range = Arc::new(range);
        self.read(|inner| async move {
            let found = inner.read(|link| {
                let range = Arc::clone(&range);
                Box::pin(async move { D::scan(link, &range).await })
            });
            let found = found.await?;
            let (kind, shard) = (range.kind, range.shard);
            found
                .into_iter()
                .map(|(rest, value)| Ok((Key::new(kind, shard, rest), rows::value(kind, value)?)))
                .collect()
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        if let Err(what) = check_batch(&batch) {
            return Box::pin(std::future::ready(Commit::Refused(Cause::Invalid(what))));
        }
        // Now, not when the task runs: commits happen in the order they are asked for.
        let (before, end) = self.inner.queue(batch.shard);
        self.write(|inner| async move {
            let commit = inner.commit(batch, before).await;
            drop(end);
            commit
        })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        self.write(|inner| inner.apply(run))
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        if let Err(what) = check_page(limit) {
            return Box::pin(std::future::ready(Err(StorageError::Invalid(what))));
        }
        self.read(move |inner| async move { inner.read(|link| Box::pin(D::tail(link, shard, from, limit))).await })
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        self.read(move |inner| async move { inner.read(|link| Box::pin(D::head(link, shard))).await })
    }
}
