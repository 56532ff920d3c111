//! The thread that writes `ledger.db`: one transaction per commit, with waiting applies riding along.

use super::Health;
use super::fault::Fault;
use super::file::{self, CHECKPOINT_ERASE, CHECKPOINT_LOOK, CHECKPOINT_MOVE, Log};
use super::layout::DbFile;
use super::reads;
use super::row;
use crate::contract::{Batch, BatchNumber, Cause, Commit, Op};
use crate::key::{Key, Kind};
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Commit(Batch, oneshot::Sender<Commit>),
    Apply(Ride),
}

/// A piece of a run. It always ends on stable storage; if it need not at once it waits a moment for a commit to ride with.
#[derive(Debug)]
pub(super) struct Ride {
    pub(super) ops: Vec<Op>,
    pub(super) at_once: bool,
    pub(super) answer: oneshot::Sender<Commit>,
}

impl Ride {
    fn erases(&self) -> bool {
        self.ops.iter().any(|op| matches!(op, Op::Delete(key) if secret(key)))
    }
}

/// Whether what is deleted under this key must leave the files.
fn secret(key: &Key) -> bool {
    matches!(key.kind(), Kind::Key | Kind::Blob | Kind::Ring)
}

/// The writing side of `ledger.db`.
#[derive(Debug)]
pub(super) struct LedgerFile {
    pub(super) conn: Connection,
    pub(super) health: Arc<Health>,
    pub(super) checkpoint_pages: i64,
    pub(super) unlooked: Unlooked,
    pub(super) riding: Vec<Ride>,
    /// Secrets were deleted and may still stand in the log.
    pub(super) to_erase: bool,
    /// Idle moments since the last write.
    pub(super) idle_for: u32,
}

impl LedgerFile {
    /// Serves until every sender is gone, then leaves an emptied log behind.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let wait = if self.riding.is_empty() { IDLE } else { RIDE };
            let job = jobs.recv_timeout(wait);
            self.idle_for = if job.is_ok() { 0 } else { self.idle_for.saturating_add(1) };
            match job {
                Ok(Job::Commit(batch, answer)) => self.commit(&batch, answer),
                Ok(Job::Apply(ride)) => {
                    let at_once = ride.at_once;
                    self.riding.push(ride);
                    if at_once || self.riding.iter().map(|ride| ride.ops.len()).sum::<usize>() > RIDING_OPS_MAX {
                        self.flush();
                    }
                }
                Err(RecvTimeoutError::Timeout) if self.riding.is_empty() => self.idle(),
                Err(RecvTimeoutError::Timeout) => self.flush(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.tidy();
        }
        self.flush();
    }

    fn commit(&mut self, batch: &Batch, answer: oneshot::Sender<Commit>) {
        let riding = std::mem::take(&mut self.riding);
        let mut end = self.write(Some(batch), &riding);
        match &end {
            Commit::Done => self.answer(riding),
            _ => self.riding = riding,
        }
        if matches!(end, Commit::Refused(Cause::Full)) {
            end = self.commit_in_what_is_left(batch);
        }
        let _caller_may_be_gone = answer.send(end);
        if !self.riding.is_empty() {
            self.flush();
        }
    }

    /// Without the riders, and over the log's old pages once they are moved: a full disk may still hold this one.
    fn commit_in_what_is_left(&mut self, batch: &Batch) -> Commit {
        match self.write(Some(batch), &[]) {
            Commit::Refused(Cause::Full) if self.checkpoint(CHECKPOINT_MOVE).is_ok() => self.write(Some(batch), &[]),
            end => end,
        }
    }

    /// Writes what rides, on its own.
    fn flush(&mut self) {
        let riding = std::mem::take(&mut self.riding);
        if riding.is_empty() {
            return;
        }
        match self.write(None, &riding) {
            Commit::Done => self.answer(riding),
            _ if riding.len() > 1 => {
                riding.into_iter().for_each(|ride| match self.write(None, std::slice::from_ref(&ride)) {
                    Commit::Done => self.answer(vec![ride]),
                    end => drop(ride.answer.send(end)),
                })
            }
            end => riding.into_iter().for_each(|ride| drop(ride.answer.send(end.clone()))),
        }
    }

    /// Answers what was written; first erases, where a secret went and the caller waits for it.
    fn answer(&mut self, riding: Vec<Ride>) {
        let erases = riding.iter().any(Ride::erases);
        self.to_erase |= erases;
        let erased = match erases && riding.iter().any(|ride| ride.at_once) {
            true => self.erase(),
            false => Ok(()),
        };
        for ride in riding {
            let end = match &erased {
                Err(cause) if ride.at_once && ride.erases() => Commit::Refused(cause.clone()),
                _ => Commit::Done,
            };
            let _caller_may_be_gone = ride.answer.send(end);
        }
    }

    /// One transaction: the batch, if its number is next, and the operations.
    fn write(&mut self, batch: Option<&Batch>, riding: &[Ride]) -> Commit {
        if let Some(why) = self.health.broken() {
            return Commit::Refused(Cause::Broken(why));
        }
        let conn = &self.conn;
        let written = execute(conn, "BEGIN IMMEDIATE").and_then(|()| match batch {
            Some(batch) => append(conn, batch),
            None => Ok(None),
        });
        let written = written.and_then(|conflict| match conflict {
            Some(head) => Ok(Some(head)),
            None => riding.iter().flat_map(|ride| &ride.ops).try_for_each(|op| apply(conn, op)).map(|()| None),
        });
        let bytes = |batch: &Batch| batch.row.len() + batch.puts.iter().map(|put| put.value.len()).sum::<usize>();
        self.unlooked.add(batch.map_or(0, bytes), riding.iter().map(|ride| ride.ops.len()).sum());
        match written {
            Ok(None) => match execute(conn, "COMMIT") {
                Ok(()) => Commit::Done,
                Err(error) => self.failed(&error, true),
            },
            Ok(Some(head)) => {
                self.roll_back();
                Commit::Conflict(head)
            }
            Err(error) => self.failed(&error, false),
        }
    }

    /// Undoes the transaction and says what is known. Pages of a commit whose flush failed may still be found after a
    /// restart, so that one is unknown; before the commit nothing can have happened.
    fn failed(&self, error: &rusqlite::Error, at_commit: bool) -> Commit {
        self.roll_back();
        if !at_commit {
            return Commit::Refused(self.health.note(Fault::of(DbFile::Ledger, error)));
        }
        match self.health.note(Fault::of_commit(DbFile::Ledger, error)) {
            cause @ Cause::Broken(_) => Commit::Unknown(cause),
            cause => Commit::Refused(cause),
        }
    }

    fn roll_back(&self) {
        roll_back(&self.conn, DbFile::Ledger, &self.health);
    }

    /// Empties the log, so that no deleted secret is left in it. Readers can be in the way for a moment.
    fn erase(&mut self) -> Result<(), Cause> {
        for _ in 0..ERASE_TRIES {
            if !self.checkpoint(CHECKPOINT_ERASE)?.busy {
                self.to_erase = false;
                return Ok(());
            }
        }
        Err(Cause::Unreachable("readers keep the log of deleted keys in use".into()))
    }

    fn checkpoint(&self, sql: &'static str) -> Result<Log, Cause> {
        checkpoint(&self.conn, DbFile::Ledger, &self.health, sql)
    }

    /// Keeps the log short; what fails here fails again, and is answered, at the next write. Pages with deleted secrets are
    /// written over as the log goes round; what is left of them goes when nothing else is to be done.
    fn tidy(&mut self) {
        if !self.unlooked.is_due(self.checkpoint_pages) {
            return;
        }
        let Ok(log) = self.checkpoint(CHECKPOINT_LOOK) else { return };
        if log.pages - log.moved < self.checkpoint_pages && log.pages < self.checkpoint_pages * 8 {
            return;
        }
        let sql = if log.pages >= self.checkpoint_pages * 8 { CHECKPOINT_ERASE } else { CHECKPOINT_MOVE };
        if let Ok(log) = self.checkpoint(sql) {
            self.to_erase &= log.busy || sql != CHECKPOINT_ERASE;
        }
    }

    fn idle(&mut self) {
        if self.to_erase {
            let _next_idle_moment_tries_again = self.erase();
        }
        if self.idle_for == REST_AFTER {
            super::rest::rest(&self.conn);
        }
    }
}

/// A guess at the pages written since the log was last looked at, which costs as much as a small statement.
#[derive(Debug, Default)]
pub(super) struct Unlooked(i64);

impl Unlooked {
    /// Adds a transaction: rows in append order share pages, others may have one each.
    pub(super) fn add(&mut self, appended: usize, scattered: usize) {
        self.0 += PAGES_AT_LEAST + i64::try_from(appended / PAGE_BYTES + scattered).unwrap_or(i64::MAX / 2);
    }

    /// Whether it is time to look, with this many pages before a checkpoint; begins anew if so.
    pub(super) fn is_due(&mut self, checkpoint_pages: i64) -> bool {
        let due = self.0 >= checkpoint_pages / 4;
        if due {
            self.0 = 0;
        }
        due
    }
}

/// Inserts a batch with its side and puts, or tells the head it does not follow.
fn append(conn: &Connection, batch: &Batch) -> Result<Option<BatchNumber>, rusqlite::Error> {
    let head = reads::head(conn, batch.shard)?;
    if batch.number != head.next() {
        return Ok(Some(head));
    }
    let numbered = |kind| Key::numbered(kind, batch.shard, batch.number);
    row::put(conn, &numbered(Kind::Batch), Some(batch.id), &batch.row)?;
    if let Some(side) = &batch.side {
        row::put(conn, &numbered(Kind::Side), Some(batch.id), side)?;
    }
    for put in &batch.puts {
        row::put(conn, &put.key, None, &put.value)?;
    }
    Ok(None)
}

/// Carries out one operation.
pub(super) fn apply(conn: &Connection, op: &Op) -> Result<(), rusqlite::Error> {
    match op {
        Op::Put(key, value) => row::put(conn, key, None, value),
        Op::Delete(key) => row::delete(conn, key),
    }
}

/// Runs a statement without parameters and rows.
pub(super) fn execute(conn: &Connection, sql: &'static str) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(sql)?.execute([]).map(|_| ())
}

/// Ends a failed transaction. One that cannot be ended shuts the handle.
pub(super) fn roll_back(conn: &Connection, file: DbFile, health: &Health) {
    if conn.is_autocommit() {
        return;
    }
    let rolled = execute(conn, "ROLLBACK");
    if !conn.is_autocommit() {
        let why = rolled.err().map_or_else(|| "still in a transaction".to_owned(), |error| error.to_string());
        let _cause = health.note(Fault::Broken(format!("{}: {why}", file.name())));
    }
}

/// Runs a checkpoint. A failed flush in it shuts the handle; a full disk does not.
pub(super) fn checkpoint(conn: &Connection, file: DbFile, health: &Health, sql: &'static str) -> Result<Log, Cause> {
    file::checkpoint(conn, sql).map_err(|error| health.note(Fault::of(file, &error)))
}

/// How long an apply waits for a commit to ride with.
const RIDE: Duration = Duration::from_micros(500);
/// Operations that may wait; more are written at once.
const RIDING_OPS_MAX: usize = 512;
/// Smallest page the guess counts with, and pages that every transaction writes.
const PAGE_BYTES: usize = 4096;
const PAGES_AT_LEAST: i64 = 4;
const IDLE: Duration = Duration::from_millis(500);
/// Idle moments after which memory is given back.
const REST_AFTER: u32 = 4;
const ERASE_TRIES: u32 = 20;
