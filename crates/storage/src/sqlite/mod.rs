//! A store in a data folder, on SQLite: the embedded default.
//!
//! `ledger.db` holds what cannot be made again and flushes each commit; `records.db` holds what folds from it and may be
//! deleted. Each file has one connection that writes, on a thread of its own, so that folding never holds up a commit.
//! Reads run on the calling thread over connections that cannot write. A folder belongs to one process.

mod checksum;
mod fault;
mod file;
mod folder;
mod layout;
mod ledger_file;
mod reads;
mod records_file;
mod reserve;
mod rest;
mod row;

pub use fault::OpenError;

use crate::contract::{Batch, BatchNumber, BoxFuture, Cause, Commit, Page, Run, Storage, StorageError, StoredBatch};
use crate::key::{Key, Shard};
use crate::limits::{check_batch, check_page, check_run};
use bytes::Bytes;
use fault::Fault;
use folder::{Folder, Found};
use layout::{DbFile, NUMBER_MAX, SHARDS};
use ledger_file::{Job, LedgerFile, Unlooked};
use reads::Readers;
use records_file::{Errand, RecordsFile, stopped};
use reserve::Reserve;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// Where the store is and how it is laid out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SqliteOptions {
    /// The data folder; private to this user.
    pub folder: PathBuf,
    /// Whether an absent or empty folder becomes a new store. A folder that lost its ledger never does.
    pub create: bool,
    /// Bytes kept back for [`Storage::release_reserve`]; 0 for none.
    pub reserve_bytes: u64,
    /// Whether a commit waits for stable storage, as [`Storage`] promises. Without that a store is good only as long as
    /// the machine is up: for one that is made out of something else, and tried or flushed as a whole afterwards.
    pub flush: bool,
    /// How `ledger.db` is laid out.
    pub ledger: FileOptions,
    /// How `records.db` is laid out.
    pub records: FileOptions,
}

/// How one file is laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileOptions {
    /// Page size, fixed when the file is made: a power of two from 512 to 65,536.
    pub page_bytes: u32,
    /// Pages of the log that start a checkpoint.
    pub checkpoint_pages: u32,
}

impl SqliteOptions {
    /// The usual values for this folder, creating it if it is absent.
    pub fn new(folder: impl Into<PathBuf>) -> SqliteOptions {
        SqliteOptions {
            folder: folder.into(),
            create: true,
            reserve_bytes: 64 << 20,
            flush: true,
            // Rows in append order: few to a page of 4 KiB, and short checkpoints keep the slowest commits short.
            ledger: FileOptions { page_bytes: 8192, checkpoint_pages: 1000 },
            // Rows in random order: each dirties a page of its own, so pages are small and moved seldom.
            records: FileOptions { page_bytes: 4096, checkpoint_pages: 4000 },
        }
    }
}

impl FileOptions {
    fn log_pages(self) -> i64 {
        i64::from(self.checkpoint_pages.max(1))
    }
}

/// An open store in a data folder. Dropping it waits for its threads and frees the folder.
#[derive(Debug)]
pub struct Sqlite {
    health: Arc<Health>,
    ledger: Readers,
    records: Readers,
    commits: Option<SyncSender<Job>>,
    folds: Option<SyncSender<Errand>>,
    threads: Vec<JoinHandle<()>>,
    reserve: Arc<Reserve>,
    lacks_records: bool,
    _folder: Folder,
}

impl Sqlite {
    /// Opens the store, or makes it where there is none and the options allow it.
    ///
    /// Refuses, and changes nothing: a folder in use, one that others can enter, a file of another program, another
    /// store or a newer version, a damaged header, and a folder whose `ledger.db` is gone or empty. A missing
    /// `records.db` is made again, empty: the ledger finds no watermark in it and folds from the start.
    pub fn open(options: SqliteOptions) -> Result<Sqlite, OpenError> {
        let folder = Folder::hold(&options.folder, options.create)?;
        make_or_recognise(&folder, &options)?;
        let (ledger, records) = writers(&folder, options.flush)?;
        let health = Arc::new(Health::default());
        let reserve = Arc::new(Reserve::new(folder.path("reserve"), options.reserve_bytes));
        let (commits, jobs) = sync_channel(QUEUE_MAX);
        let (folds, runs) = sync_channel::<Errand>(QUEUE_MAX);
        let ledger = LedgerFile {
            conn: ledger,
            health: Arc::clone(&health),
            checkpoint_pages: options.ledger.log_pages(),
            unlooked: Unlooked::default(),
            riding: Vec::new(),
            to_erase: true,
            idle_for: 0,
        };
        let records = RecordsFile {
            conn: records,
            health: Arc::clone(&health),
            checkpoint_pages: options.records.log_pages(),
            unlooked: Unlooked::default(),
            ledger: commits.clone(),
            flushes: false,
            flush: options.flush,
            reserve: Arc::clone(&reserve),
            turns: BTreeMap::new(),
        };
        let threads = vec![
            thread("storage-ledger", move || ledger.run(&jobs))?,
            thread("storage-records", move || records.run(&runs))?,
        ];
        Ok(Sqlite {
            health,
            ledger: Readers::new(DbFile::Ledger, folder.file(DbFile::Ledger)),
            records: Readers::new(DbFile::Records, folder.file(DbFile::Records)),
            commits: Some(commits),
            folds: Some(folds),
            threads,
            reserve,
            lacks_records: false,
            _folder: folder,
        })
    }

    /// Takes the reserved space; says whether it is held. Waits for the disk: not for an async task.
    pub fn restore_reserve(&self) -> bool {
        self.reserve.hold()
    }

    /// Whether the reserved space is held.
    pub fn reserve_held(&self) -> bool {
        self.reserve.held()
    }

    /// Why writes are refused since a failed flush or damage, if they are. The process should end.
    pub fn broken(&self) -> Option<String> {
        self.health.broken()
    }

    /// Whether an inspected folder has no `records.db`; a store that is open for writing made it again.
    pub fn lacks_records(&self) -> bool {
        self.lacks_records
    }

    /// Lists what is damaged, file by file and row by row; empty when all is well. Reads everything: not for an async
    /// task. Finds accidents; proofs against attackers are the ledger's.
    pub fn verify(&self) -> Result<Vec<String>, StorageError> {
        let mut findings = Vec::new();
        for readers in [&self.ledger, &self.records] {
            match readers.verify() {
                Ok(found) => findings.extend(found),
                Err(StorageError::Damaged(what)) => findings.push(what),
                Err(other) => return Err(other),
            }
        }
        Ok(findings)
    }

    fn readable(&self) -> Result<(), StorageError> {
        self.health.broken().map_or(Ok(()), |why| Err(StorageError::Broken(why)))
    }
}

impl Storage for Sqlite {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        Box::pin(async move {
            check_page(keys.len()).map_err(StorageError::Invalid)?;
            self.readable()?;
            let mut values = vec![None; keys.len()];
            self.ledger.get(&keys, &mut values)?;
            self.records.get(&keys, &mut values)?;
            Ok(values)
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        Box::pin(async move {
            check_page(limit).map_err(StorageError::Invalid)?;
            self.readable()?;
            let readers = match DbFile::of(prefix.kind()) {
                DbFile::Ledger => &self.ledger,
                DbFile::Records => &self.records,
            };
            readers.scan(&prefix, after.as_ref(), limit)
        })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            if let Err(what) = check_batch(&batch).and_then(|()| check_room(batch.shard, batch.number)) {
                return Commit::Refused(Cause::Invalid(what));
            }
            let (answer, done) = oneshot::channel();
            send(self.commits.as_ref(), Job::Commit(batch, answer), done).await
        })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            let rooms = || run.ops.iter().try_for_each(|op| check_room(op.key().shard(), BatchNumber(0)));
            if let Err(what) = check_run(&run).and_then(|()| rooms()) {
                return Commit::Refused(Cause::Invalid(what));
            }
            let (answer, done) = oneshot::channel();
            send(self.folds.as_ref(), Errand::Fold(run, answer), done).await
        })
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        Box::pin(async move {
            check_page(limit).map_err(StorageError::Invalid)?;
            self.readable()?;
            self.ledger.tail(shard, from, limit)
        })
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        Box::pin(async move {
            self.readable()?;
            self.ledger.head(shard)
        })
    }

    fn release_reserve(&self) -> bool {
        self.reserve.release()
    }

    fn has_room(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let (answer, told) = oneshot::channel();
            let asked = self.folds.as_ref().map(|queue| queue.try_send(Errand::Room(answer)));
            matches!(asked, Some(Ok(()))) && told.await.unwrap_or(false)
        })
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.ledger.close();
        self.records.close();
        // The records thread holds a sender of the ledger thread, so it goes first.
        drop(self.folds.take());
        drop(self.commits.take());
        for thread in self.threads.drain(..) {
            let _panicked_already = thread.join();
        }
    }
}

/// Whether the handle may still be written; shut once, for good.
#[derive(Debug, Default)]
struct Health {
    broken: OnceLock<String>,
}

impl Health {
    fn broken(&self) -> Option<String> {
        self.broken.get().cloned()
    }

    /// Shuts the handle if the fault asks for it, and gives the cause.
    fn note(&self, fault: Fault) -> Cause {
        let cause = fault.cause();
        if let Cause::Broken(why) = &cause {
            let _first_cause_stays = self.broken.set(why.clone());
        }
        cause
    }
}

/// Hands a job to a thread and waits for its end.
async fn send<T>(queue: Option<&SyncSender<T>>, job: T, done: oneshot::Receiver<Commit>) -> Commit {
    match queue.map(|queue| queue.try_send(job)) {
        Some(Ok(())) => done.await.unwrap_or_else(|_| Commit::Unknown(stopped())),
        Some(Err(TrySendError::Full(_))) => Commit::Refused(Cause::Unreachable("too many writes wait".into())),
        Some(Err(TrySendError::Disconnected(_))) | None => Commit::Refused(stopped()),
    }
}

/// Shards and numbers that fit a rowid.
fn check_room(shard: Shard, number: BatchNumber) -> Result<(), &'static str> {
    if shard.0 >= SHARDS {
        return Err("an embedded store has at most 512 shards");
    }
    (number.0 <= NUMBER_MAX).then_some(()).ok_or("an embedded store has at most 2^38 - 1 batches in a shard")
}

/// Leaves the folder with a ledger file, a records file and a marker, all of one store, or refuses.
fn make_or_recognise(folder: &Folder, options: &SqliteOptions) -> Result<(), OpenError> {
    match folder.look()? {
        Found::Store => file::recognise(folder, DbFile::Ledger)?,
        Found::Nothing if options.create => {
            file::make(folder, DbFile::Ledger, options.ledger.page_bytes, None)?;
        }
        Found::Nothing => return Err(OpenError::Absent(format!("`{}` is empty", options.folder.display()))),
    }
    if folder.has(DbFile::Records) {
        file::recognise(folder, DbFile::Records)?;
    }
    let id = file::id_of(folder, DbFile::Ledger)?;
    match folder.marker()? {
        Some(marked) if marked != id => return Err(OpenError::Foreign("`ledger.db` is of another store".into())),
        Some(_) => {}
        None => folder.mark(&id)?,
    }
    if !folder.has(DbFile::Records) {
        file::make(folder, DbFile::Records, options.records.page_bytes, Some(&id))?;
    }
    if file::id_of(folder, DbFile::Records)? != id {
        return Err(OpenError::Foreign(
            "`records.db` is of another store; remove `records.db*` to have it made again".into(),
        ));
    }
    Ok(())
}

fn writers(folder: &Folder, flush: bool) -> Result<(rusqlite::Connection, rusqlite::Connection), OpenError> {
    let ledger = file::writer(folder, DbFile::Ledger, LEDGER_CACHE_KIB, flush)?;
    let records = file::writer(folder, DbFile::Records, RECORDS_CACHE_KIB, flush)?;
    Ok((ledger, records))
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, OpenError> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(work);
    spawned.map_err(|error| OpenError::Unreachable(format!("no thread: {error}")))
}

/// Writes that may wait in a queue; a committer has one at a time.
const QUEUE_MAX: usize = 1024;
/// The ledger grows at its end; what it needs is the way there.
const LEDGER_CACHE_KIB: u32 = 16 << 10;
/// Records are found by random keys.
const RECORDS_CACHE_KIB: u32 = 64 << 10;
