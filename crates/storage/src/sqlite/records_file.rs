//! The thread that carries out runs: records itself in `records.db`, the rest through the ledger's thread, in order.

use super::Health;
use super::fault::Fault;
use super::file::{self, CHECKPOINT_LOOK, CHECKPOINT_MOVE};
use super::layout::{DbFile, FLUSHED};
use super::ledger_file::{Job, Ride, Unlooked, apply, checkpoint, execute, roll_back};
use super::reserve::Reserve;
use super::rest::rest;
use crate::contract::{Cause, Commit, Fence, Op, Run};
use crate::key::Shard;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;
use tokio::sync::oneshot;

/// What the thread is asked to do, and who waits for it.
#[derive(Debug)]
pub(super) enum Errand {
    Fold(Run, oneshot::Sender<Commit>),
    /// Whether the disk has room again.
    Room(oneshot::Sender<bool>),
}

/// The writing side of `records.db`.
#[derive(Debug)]
pub(super) struct RecordsFile {
    pub(super) conn: Connection,
    pub(super) health: Arc<Health>,
    pub(super) checkpoint_pages: i64,
    pub(super) unlooked: Unlooked,
    pub(super) ledger: SyncSender<Job>,
    /// Whether commits of `conn` wait for stable storage now.
    pub(super) flushes: bool,
    /// Whether they ever do.
    pub(super) flush: bool,
    pub(super) reserve: Arc<Reserve>,
    /// The latest turn of each shard. One process holds the folder, so it need not be stored.
    pub(super) turns: BTreeMap<Shard, u64>,
}

impl RecordsFile {
    /// Serves until the sender is gone.
    pub(super) fn run(mut self, errands: &Receiver<Errand>) {
        let _told_by_reserve_held = self.reserve.hold();
        let mut rested = true;
        loop {
            let errand = match errands.recv_timeout(REST_AFTER) {
                Ok(errand) => errand,
                Err(RecvTimeoutError::Timeout) => {
                    if !std::mem::replace(&mut rested, true) {
                        rest(&self.conn);
                    }
                    continue;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            match errand {
                Errand::Fold(run, answer) => {
                    rested = false;
                    let end = self.apply(run);
                    let _caller_may_be_gone = answer.send(end);
                    self.tidy();
                }
                Errand::Room(answer) => drop(answer.send(self.reserve.has_room())),
            }
        }
    }

    /// Carries out a run piece by piece: a piece is a stretch of operations on one file.
    ///
    /// A piece rests on stable storage before one on the other file follows, so that power loss leaves a prefix.
    fn apply(&mut self, run: Run) -> Commit {
        let durable = run.durable;
        if let Some(Fence { shard, turn }) = run.fence {
            let last = self.turns.entry(shard).or_default();
            if turn < *last {
                return Commit::Refused(Cause::Fenced);
            }
            *last = turn;
        }
        let mut ops = run.ops.into_iter().peekable();
        while let Some(first) = ops.next() {
            let file = file_of(&first);
            let mut bytes = op_bytes(&first);
            let mut piece = vec![first];
            while let Some(op) =
                ops.next_if(|op| file_of(op) == file && !(file == DbFile::Ledger && full(&piece, bytes)))
            {
                bytes = bytes.saturating_add(op_bytes(&op));
                piece.push(op);
            }
            let end = match file {
                DbFile::Ledger => self.hand_over(piece, durable),
                DbFile::Records => self.write(&piece, durable || ops.peek().is_some()),
            };
            if end != Commit::Done {
                return end;
            }
        }
        Commit::Done
    }

    fn hand_over(&self, ops: Vec<Op>, at_once: bool) -> Commit {
        let (answer, done) = oneshot::channel();
        match self.ledger.send(Job::Apply(Ride { ops, at_once, answer })) {
            Ok(()) => done.blocking_recv().unwrap_or_else(|_| Commit::Unknown(stopped())),
            Err(_) => Commit::Refused(stopped()),
        }
    }

    fn write(&mut self, ops: &[Op], flush: bool) -> Commit {
        let flush = flush && self.flush;
        if let Some(why) = self.health.broken() {
            return Commit::Refused(Cause::Broken(why));
        }
        let conn = &self.conn;
        let ready = if flush == self.flushes { Ok(()) } else { file::set_flush(conn, flush) };
        let written = ready.and_then(|()| {
            execute(conn, "BEGIN IMMEDIATE")?;
            ops.iter().try_for_each(|op| apply(conn, op))?;
            if flush {
                // Rows put as they are already write no page, and without a page nothing is flushed, not even what
                // was left to the operating system before.
                execute(conn, FLUSHED)?;
            }
            execute(conn, "COMMIT")
        });
        self.flushes = flush;
        self.unlooked.add(0, ops.len());
        match written {
            Ok(()) => Commit::Done,
            Err(error) => {
                roll_back(conn, DbFile::Records, &self.health);
                Commit::Refused(self.health.note(Fault::of(DbFile::Records, &error)))
            }
        }
    }

    fn tidy(&mut self) {
        if !self.unlooked.is_due(self.checkpoint_pages) {
            return;
        }
        let run = |sql| checkpoint(&self.conn, DbFile::Records, &self.health, sql);
        if run(CHECKPOINT_LOOK).is_ok_and(|log| log.pages - log.moved >= self.checkpoint_pages) {
            let _fails_again_at_the_next_write = run(CHECKPOINT_MOVE);
        }
    }
}

/// What a caller is told when a thread of the store is gone.
pub(super) fn stopped() -> Cause {
    Cause::Broken("the store has stopped".into())
}

fn file_of(op: &Op) -> DbFile {
    DbFile::of(op.key().kind())
}

fn op_bytes(op: &Op) -> usize {
    match op {
        Op::Put(_, value) => value.len(),
        Op::Delete(_) => 0,
    }
}

/// Whether a piece for the ledger's thread is as long as it may be, so that commits wait for it only briefly.
fn full(piece: &[Op], bytes: usize) -> bool {
    piece.len() >= PIECE_OPS_MAX || bytes >= PIECE_BYTES_MAX
}

/// Without runs for so long, memory is given back.
const REST_AFTER: Duration = Duration::from_secs(2);
const PIECE_OPS_MAX: usize = 256;
const PIECE_BYTES_MAX: usize = 1 << 20;
