//! The open store: which connection a call takes, how long it may take, and what shuts the store.

use crate::address::Address;
use crate::connect::{Dialer, Link, Slot};
use crate::fault::Fault;
use crate::layout::Layout;
use bytes::Bytes;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, Script, ServerErrorKind, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use storage::{
    Batch, BatchNumber, BoxFuture, Cause, Commit, ConnectError, ConnectReason, Key, Page, RemoteOptions, Run, Shard,
    Storage, StorageError, StoredBatch, check_batch, check_page, check_run,
};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinError;
use tokio::time::Instant;

/// What the store key begins with; a newer format has another number.
const FORMAT: &str = "1 ";
/// More connections would not make a server faster that carries out one command at a time.
const SLOTS_MAX: usize = 8;

/// A store in a Redis or Valkey server. Clones are handles of the same connections.
#[derive(Clone)]
pub struct Redis(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) dialer: Dialer,
    pub(crate) layout: Layout,
    /// What the store key holds: format and a random id.
    pub(crate) store: String,
    slots: Vec<Slot>,
    next: AtomicUsize,
    waiting: Semaphore,
    deadline: Duration,
    runtime: Handle,
    /// The greatest head of each shard that was ever seen: one that goes back is not the store that was opened.
    seen: Mutex<BTreeMap<Shard, u64>>,
    /// Commits of one shard go one after another, so that none overtakes one whose caller went away.
    turns: Mutex<BTreeMap<Shard, Arc<tokio::sync::Mutex<()>>>>,
    /// Whether scripts may go past `maxmemory`.
    pub(crate) sparing: AtomicBool,
    broken: OnceLock<String>,
}

/// Which connection a call takes, so that large writes do not stand before reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Commit,
    Apply,
    Read,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.0.dialer.address).finish()
    }
}

impl Redis {
    /// Connects to the server of a `redis://` or `rediss://` connection string and makes the store there if there is none.
    ///
    /// Refuses a server that would lose what it acknowledges (unless the options accept loss), a cluster, a version
    /// before 7, and a store of a newer format. Several processes may open one store, also at once. Must be called
    /// on a tokio runtime, which carries out all calls.
    pub async fn open(connection: &str, options: &RemoteOptions) -> Result<Redis, ConnectError> {
        let dialer = Dialer::new(Address::parse(connection)?, options)?;
        let layout = Layout::new(&dialer.address.prefix);
        let late = || ConnectError {
            reason: ConnectReason::Unreachable,
            what: format!("the Redis server at {} does not answer in time", dialer.address.place()),
            hint: "see that it runs and is not overloaded".to_owned(),
        };
        let opening = async {
            let mut link = dialer.dial().await?;
            let store = recognise(&mut link, &layout, &dialer.address.place(), options.create).await?;
            Ok((link, store))
        };
        let (link, store) = tokio::time::timeout(options.deadline, opening).await.map_err(|_| late())??;
        let count = usize::try_from(options.connections_max).unwrap_or(SLOTS_MAX).clamp(1, SLOTS_MAX);
        let slots = std::iter::once(Slot::holding(link)).chain((1..count).map(|_| Slot::default())).collect();
        Ok(Redis(Arc::new(Inner {
            dialer,
            layout,
            store,
            slots,
            next: AtomicUsize::new(0),
            waiting: Semaphore::new(options.waiting_max.max(1)),
            deadline: options.deadline,
            runtime: Handle::current(),
            seen: Mutex::default(),
            turns: Mutex::default(),
            sparing: AtomicBool::new(false),
            broken: OnceLock::new(),
        })))
    }

    /// Why everything is refused since the store was seen to have gone back, if it was. The process should end.
    pub fn broken(&self) -> Option<String> {
        self.0.broken.get().cloned()
    }
}

/// Reads what the store key holds, writing it first where there is none.
async fn recognise(link: &mut Link, layout: &Layout, place: &str, create: bool) -> Result<String, ConnectError> {
    let made = redis::cmd("TIME");
    let (seconds, micros): (u64, u64) = made.query_async(&mut link.connection).await.map_err(|e| failed(place, &e))?;
    // Two stores made by one server at one microsecond under one name are not two.
    let fresh = format!("{FORMAT}{seconds}.{micros:06}");
    let mut get = redis::cmd("GET");
    get.arg(layout.store());
    let found: Option<String> = get.query_async(&mut link.connection).await.map_err(|e| failed(place, &e))?;
    let found = match found {
        Some(found) => found,
        None if !create => {
            return Err(ConnectError {
                reason: ConnectReason::Invalid,
                what: format!("there is no store under this prefix on the Redis server at {place}"),
                hint: "look at database and prefix in storage.connection".to_owned(),
            });
        }
        None => {
            let mut set = redis::cmd("SET");
            set.arg(layout.store()).arg(&fresh).arg("NX");
            let _answer: Value = set.query_async(&mut link.connection).await.map_err(|e| failed(place, &e))?;
            let found: Option<String> = get.query_async(&mut link.connection).await.map_err(|e| failed(place, &e))?;
            found.unwrap_or_default()
        }
    };
    if found.starts_with(FORMAT) {
        return Ok(found);
    }
    Err(ConnectError {
        reason: ConnectReason::Newer,
        what: format!("the store on the Redis server at {place} has a format that this build does not know"),
        hint: "use the build that wrote it, or a newer one".to_owned(),
    })
}

fn failed(place: &str, error: &redis::RedisError) -> ConnectError {
    ConnectError {
        reason: ConnectReason::Unreachable,
        what: format!("the Redis server at {place} does not show or make the store: {}", Fault::of(error).read()),
        hint:
            "see that the user may use all commands on keys of the prefix, that the server is no replica, and that it \
               has memory left"
                .to_owned(),
    }
}

/// One call: a connection, a place among those that wait, and the time it has.
pub(crate) struct Call<'a> {
    inner: &'a Inner,
    slot: &'a Slot,
    link: Link,
    until: Instant,
    _waiting: SemaphorePermit<'a>,
}

impl Call<'_> {
    /// The connection to send on.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.link.connection.clone()
    }

    /// Sends a script by its digest, and whole where the server has forgotten it.
    pub(crate) async fn script(&self, script: &Script, fill: impl Fn(&mut Cmd)) -> Result<Value, Fault> {
        let mut connection = self.connection();
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash());
        fill(&mut command);
        match command.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                script.load_async(&mut connection).await?;
                Ok(command.query_async(&mut connection).await?)
            }
            answer => Ok(answer?),
        }
    }

    /// Waits for what was sent, until the deadline; a connection that is of no more use is let go.
    pub(crate) async fn end<T>(&self, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let late = || Err(Fault::Lost("the Redis server does not answer in time".to_owned()));
        let done = tokio::time::timeout_at(self.until, work).await.unwrap_or_else(|_| late());
        if let Err(fault) = &done {
            if matches!(fault, Fault::Lost(_) | Fault::Replica) {
                self.slot.drop_link(&self.link).await;
            }
            if let Fault::Broken(what) = fault {
                let _first = self.inner.broken.set(what.clone());
            }
        }
        done
    }
}

impl Inner {
    /// Takes a connection, within the deadline and the bound of waiting calls.
    pub(crate) async fn begin(&self, lane: Lane) -> Result<Call<'_>, Fault> {
        if let Some(why) = self.broken.get() {
            return Err(Fault::Broken(why.clone()));
        }
        let Ok(waiting) = self.waiting.try_acquire() else {
            return Err(Fault::Unsent("too many calls wait for the Redis server".to_owned()));
        };
        let until = Instant::now() + self.deadline;
        let slot = self.slot(lane);
        match tokio::time::timeout_at(until, slot.link(&self.dialer)).await {
            Ok(link) => Ok(Call { inner: self, slot, link: link?, until, _waiting: waiting }),
            Err(_late) => Err(Fault::Unsent("the Redis server does not answer in time".to_owned())),
        }
    }

    fn slot(&self, lane: Lane) -> &Slot {
        let readers = self.slots.len().saturating_sub(2);
        let at = match lane {
            Lane::Commit => 0,
            Lane::Apply => 1,
            Lane::Read if readers == 0 => self.next.fetch_add(1, Ordering::Relaxed),
            Lane::Read => 2 + self.next.fetch_add(1, Ordering::Relaxed) % readers,
        };
        &self.slots[at % self.slots.len()]
    }

    /// The greatest head seen of a shard, at this moment.
    pub(crate) fn seen(&self, shard: Shard) -> u64 {
        self.seen.lock().get(&shard).copied().unwrap_or_default()
    }

    /// Takes note of a head that was asked for when `before` was the greatest seen.
    pub(crate) fn note_head(&self, shard: Shard, before: u64, head: u64) -> Result<(), Fault> {
        if head < before {
            let what = format!("the Redis server shows {head} batches of shard {} where it had {before}", shard.0);
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

/// A task's end; one that did not come to it says nothing about what it did.
fn ended<T>(task: Result<T, JoinError>) -> Result<T, String> {
    task.map_err(|_| "the call was stopped half way".to_owned())
}

impl Redis {
    /// Runs on the engine's own runtime, whoever polls, and goes on when nobody does.
    fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StorageError>> {
        let runtime = self.0.runtime.clone();
        Box::pin(async move {
            let done = ended(runtime.spawn(work).await).map_err(StorageError::Unreachable)?;
            done.map_err(Fault::read)
        })
    }

    fn write(&self, work: impl Future<Output = Result<Commit, Fault>> + Send + 'static) -> BoxFuture<'_, Commit> {
        let runtime = self.0.runtime.clone();
        Box::pin(async move {
            match ended(runtime.spawn(work).await) {
                Ok(done) => done.unwrap_or_else(Fault::write),
                Err(stopped) => Commit::Unknown(Cause::Unreachable(stopped)),
            }
        })
    }
}

impl Storage for Redis {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        if let Err(what) = check_page(keys.len()) {
            return Box::pin(std::future::ready(Err(StorageError::Invalid(what))));
        }
        let inner = Arc::clone(&self.0);
        self.read(async move { inner.get(&keys).await })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        if let Err(what) = check_page(limit) {
            return Box::pin(std::future::ready(Err(StorageError::Invalid(what))));
        }
        let inner = Arc::clone(&self.0);
        self.read(async move { inner.scan(&prefix, after.as_ref(), limit).await })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        if let Err(what) = check_batch(&batch) {
            return Box::pin(std::future::ready(Commit::Refused(Cause::Invalid(what))));
        }
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            let turn = inner.turn(batch.shard).lock_owned().await;
            let own = Arc::clone(&inner);
            self.write(async move {
                let _turn = turn;
                own.commit(batch).await
            })
            .await
        })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        if let Err(what) = check_run(&run) {
            return Box::pin(std::future::ready(Commit::Refused(Cause::Invalid(what))));
        }
        let inner = Arc::clone(&self.0);
        self.write(async move { inner.apply(run).await })
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
        let inner = Arc::clone(&self.0);
        self.read(async move { inner.tail(shard, from, limit).await })
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        let inner = Arc::clone(&self.0);
        self.read(async move { inner.head(shard).await })
    }

    /// Lets writes go past `maxmemory` until there is room again: the server refuses by a count, not for want of memory.
    fn release_reserve(&self) -> bool {
        !self.0.sparing.swap(true, Ordering::AcqRel)
    }

    fn has_room(&self) -> BoxFuture<'_, bool> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move { self.read(async move { inner.has_room().await }).await.unwrap_or(false) })
    }
}
