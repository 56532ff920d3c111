//! The log itself: rows are taken from many requests at once and written together before any of them is answered.

use super::outlet::{Means, SinkCounters};
use super::row::Row;
use super::segment::LogId;
use super::sink::{Role, RowKeys, Sink};
use super::sources::Sources;
use super::writer::{Group, How, NotWritten, Unanchored, Whose, Writer};
use crate::Delay;
use crate::code::{ACCESS_LOG_UNAVAILABLE, BUG, Class, Code, ENTROPY_FAILED, Refusal, SERVER_BUSY};
use crate::unit::Position;
use crypto::id::TenantId;
use crypto::seam::{Clock, Entropy};
use futures::FutureExt;
use futures::future::Shared;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use storage::BoxFuture;

/// Rows that may wait for one write; past it requests are refused.
pub const GROUP_ROWS_MAX: usize = 4096;
/// Rows of committed changes that may wait for a sink to come back.
pub const OWED_ROWS_MAX: usize = 4096;

/// Act of the row that says how many requests were refused because no sink took rows.
pub const OUTAGE: &str = "access_log.outage";

/// The access log. Cheap to clone; all clones are one log.
#[derive(Clone, Debug)]
pub struct AccessLog {
    pub(super) inner: Arc<Inner>,
}

/// Proof that a request stands in the log, without which it is not answered.
///
/// Only [`AccessLog`] makes one. It is not a value to be kept or copied.
#[derive(Debug)]
#[must_use = "an answer is built from the proof that its request is in the log"]
pub struct Recorded {
    row: Option<u64>,
}

impl Recorded {
    /// Sequence number of the row; none when it shares a row or follows from the entry of its change.
    pub fn row(&self) -> Option<u64> {
        self.row
    }
}

/// What a log is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where rows go, at least one that keeps them; and where earlier rows are.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// Keys of the rows.
    pub keys: Arc<dyn RowKeys>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Deadlines of sinks.
    pub delay: Arc<dyn Delay>,
}

/// What happened so far, for metrics.
#[derive(Debug, Default)]
pub struct LogCounters {
    pub(super) rows: AtomicU64,
    pub(super) groups: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) shared: AtomicU64,
}

impl LogCounters {
    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Groups written; rows by groups is how well requests combine.
    pub fn groups(&self) -> u64 {
        self.groups.load(Ordering::Relaxed)
    }

    /// Requests refused because no sink took their row.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Unauthenticated refusals that share a row.
    pub fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }
}

/// What one request of a group is told.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Written(u64),
    Owed,
    Refused(&'static Code, &'static str),
}

type Answers = Arc<[Answer]>;
type Work = Shared<BoxFuture<'static, Answers>>;

#[derive(Debug, Default)]
struct Queue {
    group: Group,
    spare: Group,
    /// Writes `group`, once polled.
    current: Option<Work>,
    /// The newest work; each one carries the one before it to its end first.
    last: Option<Work>,
}

#[derive(Debug)]
pub(super) struct Inner {
    queue: Mutex<Queue>,
    pub(super) writer: tokio::sync::Mutex<Writer>,
    pub(super) parts: Parts,
    /// Held by retention while it takes a segment away, so that nobody reads half of one.
    pub(super) removing: tokio::sync::RwLock<()>,
    /// Sinks that are only read.
    pub(super) past: Vec<Arc<dyn Sink>>,
    sources: Mutex<Sources>,
    owed: Mutex<Group>,
    outage: AtomicU64,
    failing: AtomicBool,
    reserve: AtomicBool,
    pub(super) unanchored: Mutex<Unanchored>,
    /// Newest segment of an earlier run, until it is known which of those lack an entry.
    pub(super) anchoring: tokio::sync::Mutex<Option<u64>>,
    /// Entries that recent rows name, while rows are made again.
    pub(super) remaking: tokio::sync::Mutex<BTreeSet<Position>>,
    pub(super) counters: LogCounters,
    pub(super) sink_counters: Vec<(String, Arc<SinkCounters>)>,
    log: LogId,
}

const NO_SINK: &str = "no sink of the access log took the row";

impl AccessLog {
    pub(super) fn start(
        parts: Parts,
        past: Vec<Arc<dyn Sink>>,
        writer: Writer,
        sink_counters: Vec<(String, Arc<SinkCounters>)>,
    ) -> AccessLog {
        let log = writer.log();
        let inner = Inner {
            queue: Mutex::default(),
            parts,
            removing: tokio::sync::RwLock::default(),
            past,
            sources: Mutex::default(),
            owed: Mutex::default(),
            outage: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            reserve: AtomicBool::new(false),
            unanchored: Mutex::default(),
            anchoring: tokio::sync::Mutex::new(Some(writer.newest_number()).filter(|newest| *newest > 0)),
            remaking: tokio::sync::Mutex::default(),
            counters: LogCounters::default(),
            sink_counters,
            log,
            writer: tokio::sync::Mutex::new(writer),
        };
        AccessLog { inner: Arc::new(inner) }
    }

    /// Writes the row to every sink, together with those of other requests, and answers when at least one that keeps rows
    /// has it.
    ///
    /// A row that names the entry of a change is always taken: the change is in the ledger, and its row follows when
    /// a sink works again, or is made again from the entry at the next start.
    ///
    /// Errors: `Unavailable` when no sink took the row or no randomness was to be had, or whatever keeps its key away;
    /// then the row is not in the log and the request must not be answered with what it asked for. Dropping the future
    /// leaves the row to the next write.
    pub async fn record(&self, row: Row) -> Result<Recorded, Refusal> {
        self.take(row, false).await
    }

    /// As [`AccessLog::record`], for what must go on when the disk is full: revocations, sealing, deletes. Uses the
    /// reserve.
    pub async fn record_urgent(&self, row: Row) -> Result<Recorded, Refusal> {
        self.take(row, true).await
    }

    async fn take(&self, mut row: Row, urgent: bool) -> Result<Recorded, Refusal> {
        row.bound();
        if row.entity.is_none() && !row.is_ok() {
            let now = self.inner.parts.clock.monotonic();
            match self.inner.sources.lock().admit(row, now) {
                Some(own) => row = own,
                None => {
                    self.inner.counters.shared.fetch_add(1, Ordering::Relaxed);
                    return Ok(Recorded { row: None });
                }
            }
        }
        let (row, key) = self.inner.with_key(row)?;
        let (work, index) = Inner::enqueue(&self.inner, row, key, urgent)?;
        YieldOnce::default().await;
        match work.await.get(index) {
            Some(Answer::Written(sequence)) => Ok(Recorded { row: Some(*sequence) }),
            Some(Answer::Owed) => Ok(Recorded { row: None }),
            Some(Answer::Refused(code, detail)) => Err(Refusal::new(code, *detail)),
            None => Err(Refusal::new(&BUG, "a row without an answer")),
        }
    }

    /// Asked before a change is committed. Errors: `Unavailable` when no sink takes rows; nothing happened, and the request
    /// that asked counts as refused.
    pub async fn writable(&self) -> Result<(), Refusal> {
        self.writable_for(false).await
    }

    /// As [`AccessLog::writable`] for what [`AccessLog::record_urgent`] is for.
    pub async fn writable_urgent(&self) -> Result<(), Refusal> {
        self.writable_for(true).await
    }

    async fn writable_for(&self, urgent: bool) -> Result<(), Refusal> {
        if !self.inner.failing.load(Ordering::Acquire) {
            return Ok(());
        }
        self.flush().await;
        let reserve = urgent && self.inner.reserve.load(Ordering::Acquire);
        if reserve || !self.inner.failing.load(Ordering::Acquire) {
            return Ok(());
        }
        self.inner.outage.fetch_add(1, Ordering::AcqRel);
        self.inner.counters.refused.fetch_add(1, Ordering::Relaxed);
        Err(Refusal::new(&ACCESS_LOG_UNAVAILABLE, NO_SINK))
    }

    /// Writes whatever waits: rows whose requests went away, rows owed, shared ones whose second is over.
    pub async fn flush(&self) {
        let work = Inner::work(&self.inner, &mut self.inner.queue.lock());
        work.await;
    }

    /// Which log this is.
    pub fn id(&self) -> LogId {
        self.inner.log
    }

    /// Counts for metrics.
    pub fn counters(&self) -> &LogCounters {
        &self.inner.counters
    }

    /// Counts of each sink that is written to, by its name.
    pub fn sinks(&self) -> impl Iterator<Item = (&str, &SinkCounters)> {
        self.inner.sink_counters.iter().map(|(name, counters)| (&**name, &**counters))
    }

    /// Whether every sink that keeps rows lives on what it kept back, for want of space. That is for reads and for what takes
    /// rights away: other changes would eat it up.
    pub fn is_tapped(&self) -> bool {
        let mut keeping = self.inner.parts.sinks.iter().filter(|sink| sink.role() == Role::Keeps).peekable();
        keeping.peek().is_some() && keeping.all(|sink| sink.is_tapped())
    }

    /// Whether the last write reached no sink that keeps rows: nothing is served now.
    pub fn is_failing(&self) -> bool {
        self.inner.failing.load(Ordering::Acquire)
    }
}

impl Inner {
    pub(super) fn means(&self) -> Means<'_> {
        Means { clock: &*self.parts.clock, delay: &*self.parts.delay }
    }

    /// Finds the row's key. While there is none, the row goes without names and in clear.
    fn with_key(&self, row: Row) -> Result<(Row, Option<Key>), Refusal> {
        match self.parts.keys.current(row.tenant) {
            Ok(key) => Ok((row, Some(key))),
            Err(refusal) if refusal.class() == Class::Sealed => Ok((row.without_names(), None)),
            Err(refusal) => Err(refusal),
        }
    }

    fn enqueue(inner: &Arc<Inner>, row: Row, key: Option<Key>, urgent: bool) -> Result<(Work, usize), Refusal> {
        let mut queue = inner.queue.lock();
        let index = queue.group.rows.len();
        if index >= GROUP_ROWS_MAX {
            return Err(Refusal::new(&SERVER_BUSY, "too many rows wait for the access log"));
        }
        queue.group.push(row, How { key, urgent, of: Whose::Request(index) });
        Ok((Inner::work(inner, &mut queue), index))
    }

    /// The work that will write what is in the queue now.
    fn work(inner: &Arc<Inner>, queue: &mut Queue) -> Work {
        if let Some(work) = &queue.current {
            return work.clone();
        }
        let (before, own) = (queue.last.take(), Arc::clone(inner));
        let work = async move {
            if let Some(before) = before {
                before.await;
            }
            let written = AssertUnwindSafe(own.write_group()).catch_unwind().await;
            written.unwrap_or_else(|_| Arc::from([]))
        };
        let work = work.boxed().shared();
        queue.current = Some(work.clone());
        queue.last = Some(work.clone());
        work
    }

    async fn write_group(&self) -> Answers {
        let mut writer = self.writer.lock().await;
        let mut group = {
            let mut queue = self.queue.lock();
            queue.current = None;
            let spare = std::mem::take(&mut queue.spare);
            std::mem::replace(&mut queue.group, spare)
        };
        let mut answers = vec![Answer::Refused(&ACCESS_LOG_UNAVAILABLE, NO_SINK); group.rows.len()];
        self.add_debts(&mut group);
        if writer.is_due(group.rows.len(), self.parts.clock.monotonic()) {
            self.closed(writer.close(self.means()).await);
        }
        let outcome = writer.write(self.means(), &*self.parts.entropy, &mut group, false).await;
        let was_tried = !group.is_empty() || outcome.is_err();
        match outcome {
            Ok(unsealable) => self.settle(&mut group, unsealable, &mut answers),
            Err(reason) => self.rescue(&mut writer, &mut group, reason, &mut answers).await,
        }
        if was_tried {
            self.reserve.store(writer.has_reserve(), Ordering::Release);
        }
        if writer.is_due(0, self.parts.clock.monotonic()) {
            self.closed(writer.close(self.means()).await);
        }
        drop(writer);
        self.queue.lock().spare = group;
        answers.into()
    }

    /// Puts in front what was promised before: rows of changes, shared rows, the row that tells of an outage.
    fn add_debts(&self, group: &mut Group) {
        let outage = if self.failing.load(Ordering::Acquire) { self.outage.swap(0, Ordering::AcqRel) } else { 0 };
        let shared = self.sources.lock().due(self.parts.clock.monotonic());
        let mut debts = std::mem::take(&mut *self.owed.lock());
        let probe = self.failing.load(Ordering::Acquire) && group.is_empty() && debts.is_empty();
        if outage == 0 && shared.is_empty() && debts.is_empty() && !probe {
            return;
        }
        if outage > 0 || probe {
            let now = self.parts.clock.wall();
            let mut row = Row::new(now, [0; 16], TenantId::SYSTEM, "server", OUTAGE, ACCESS_LOG_UNAVAILABLE.name);
            row.count = u32::try_from(outage).unwrap_or(u32::MAX);
            self.add_debt(&mut debts, row, Whose::Outage);
        }
        for row in shared {
            self.add_debt(&mut debts, row, Whose::Shared);
        }
        debts.append(std::mem::take(group));
        *group = debts;
    }

    fn add_debt(&self, debts: &mut Group, row: Row, of: Whose) {
        if let Ok((row, key)) = self.with_key(row) {
            debts.push(row, How { key, urgent: false, of });
        }
    }

    /// Answers a group that was written and empties it.
    fn settle(&self, group: &mut Group, mut unsealable: Group, answers: &mut [Answer]) {
        let rows = u64::try_from(group.rows.len()).unwrap_or(u64::MAX);
        if rows > 0 {
            self.failing.store(false, Ordering::Release);
            self.counters.rows.fetch_add(rows, Ordering::Relaxed);
            self.counters.groups.fetch_add(1, Ordering::Relaxed);
        }
        for (row, how) in group.rows.drain(..).zip(group.hows.drain(..)) {
            if let Whose::Request(index) = how.of
                && let Some(answer) = answers.get_mut(index)
            {
                *answer = Answer::Written(row.sequence);
            }
        }
        self.refuse(&mut unsealable, Answer::Refused(&ENTROPY_FAILED, "the access row could not be sealed"), answers);
    }

    /// What can still be done for a group that no sink took: urgent rows go into the reserve, rows of changes are
    /// kept for later, all others are refused.
    async fn rescue(&self, writer: &mut Writer, group: &mut Group, reason: NotWritten, answers: &mut [Answer]) {
        let mut urgent = group.split_off(|_, how| how.urgent);
        if !urgent.is_empty() {
            match writer.write(self.means(), &*self.parts.entropy, &mut urgent, true).await {
                Ok(unsealable) => self.settle(&mut urgent, unsealable, answers),
                Err(_) => group.append(urgent),
            }
        }
        self.failing.store(true, Ordering::Release);
        let answer = match reason {
            NotWritten::NoSink => Answer::Refused(&ACCESS_LOG_UNAVAILABLE, NO_SINK),
            NotWritten::NoEntropy => Answer::Refused(&ENTROPY_FAILED, "the access row could not be sealed"),
        };
        self.refuse(group, answer, answers);
    }

    fn refuse(&self, group: &mut Group, refusal: Answer, answers: &mut [Answer]) {
        for (numbered, how) in group.rows.drain(..).zip(group.hows.drain(..)) {
            let keep = numbered.row.position.is_some() && matches!(how.of, Whose::Request(_) | Whose::Owed);
            match how.of {
                Whose::Request(index) => {
                    let kept = keep && self.owe(numbered.row, how.key);
                    if !kept {
                        self.outage.fetch_add(1, Ordering::AcqRel);
                        self.counters.refused.fetch_add(1, Ordering::Relaxed);
                    }
                    if let Some(answer) = answers.get_mut(index) {
                        *answer = if kept { Answer::Owed } else { refusal };
                    }
                }
                Whose::Owed => {
                    self.owe(numbered.row, how.key);
                }
                Whose::Shared => self.sources.lock().put_back(numbered.row),
                Whose::Outage => {
                    self.outage.fetch_add(u64::from(numbered.row.count), Ordering::AcqRel);
                }
            }
        }
    }

    /// Keeps the row of a committed change until a sink works. The change's entry is its record meanwhile.
    fn owe(&self, row: Row, key: Option<Key>) -> bool {
        let mut owed = self.owed.lock();
        let fits = owed.rows.len() < OWED_ROWS_MAX;
        if fits {
            owed.push(row, How { key, urgent: false, of: Whose::Owed });
        }
        fits
    }

    /// No sink that keeps rows takes any: nothing is served until a write shows that one does again.
    pub(super) fn note_failing(&self) {
        self.failing.store(true, Ordering::Release);
    }

    /// Whether [`AccessLog::tick`] has something to write.
    pub(super) fn has_debts(&self) -> bool {
        self.failing.load(Ordering::Acquire) || !self.owed.lock().is_empty() || !self.queue.lock().group.is_empty()
    }

    /// Whether a shared row's second is over.
    pub(super) fn has_shared_due(&self) -> bool {
        self.sources.lock().has_due(self.parts.clock.monotonic())
    }

    pub(super) fn closed(&self, segment: Option<super::ClosedSegment>) {
        self.unanchored.lock().extend(segment);
    }
}

type Key = Arc<crypto::aead::Key<crypto::aead::LogKey>>;

/// Ready at the second poll: lets the requests that are ready run up to their rows first.
#[derive(Debug, Default)]
struct YieldOnce(bool);

impl Future for YieldOnce {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
