//! One sink as the log sees it: how far it is, whether it works, when it is tried again.

use super::segment::{HEADER_BYTES, Header};
use super::sink::{Chunk, Numbered, Role, Sink, SinkError};
use crate::Delay;
use crypto::seam::Clock;
use futures::FutureExt;
use futures::future::{Either, select};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A sink that gives no answer for this long has failed.
pub const SINK_DEADLINE: Duration = Duration::from_secs(2);
const RETRY_AFTER_ERROR: Duration = Duration::from_millis(100);
const RETRY_AFTER_HANG: Duration = Duration::from_secs(1);

/// Counts of one sink, for metrics and the status page.
#[derive(Debug, Default)]
pub struct SinkCounters {
    failures: AtomicU64,
    missed_rows: AtomicU64,
    failing: AtomicBool,
}

impl SinkCounters {
    /// Calls that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Rows that other sinks have and this one was never given or did not take.
    pub fn missed_rows(&self) -> u64 {
        self.missed_rows.load(Ordering::Relaxed)
    }

    /// Whether the last call failed; of a sink that tells, whether it does not reach its peer.
    pub fn failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, failed: bool) {
        self.failing.store(failed, Ordering::Relaxed);
        if failed {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What all outlets are called with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) delay: &'a dyn Delay,
}

#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) sink: Arc<dyn Sink>,
    pub(super) counters: Arc<SinkCounters>,
    /// Segment it is writing, and how many bytes and rows of it it has.
    segment: u64,
    bytes: usize,
    rows: u64,
    retry_at: Option<Duration>,
    pub(super) last_error: Option<SinkError>,
    /// Whether a failed write may have left bytes behind those it has.
    is_dirty: bool,
    /// Closed segments with such bytes, and the size to cut them to.
    untrimmed: Vec<(u64, u64)>,
}

/// Closed segments remembered for a later cut; what is forgotten, the next start or `verify` finds.
const UNTRIMMED_MAX: usize = 64;

impl Outlet {
    pub(super) fn new(sink: Arc<dyn Sink>) -> Outlet {
        let counters = Arc::new(SinkCounters::default());
        Outlet {
            sink,
            counters,
            segment: 0,
            bytes: 0,
            rows: 0,
            retry_at: None,
            last_error: None,
            is_dirty: false,
            untrimmed: Vec::new(),
        }
    }

    pub(super) fn keeps(&self) -> bool {
        self.sink.role() == Role::Keeps
    }

    /// Passes the newest rows on to a sink that tells. What it does not take it never gets.
    pub(super) async fn tell(&mut self, means: Means<'_>, load: Load<'_>) {
        if self.segment != load.header.number {
            (self.segment, self.bytes, self.rows) = (load.header.number, 0, 0);
        }
        let now = means.clock.monotonic();
        let told = match &self.last_error {
            Some(error) if self.retry_at.is_some_and(|at| now < at) => Err(error.clone()),
            _ => self.append(means, load).await,
        };
        (self.bytes, self.rows) = (load.frames.len(), load.rows);
        match told {
            Ok(()) => (self.retry_at, self.last_error) = (None, None),
            Err(error) => {
                self.counters.note(true);
                let missed = u64::try_from(load.notes.len()).unwrap_or(u64::MAX);
                self.counters.missed_rows.fetch_add(missed, Ordering::Relaxed);
                self.pause(means, error);
            }
        }
    }

    /// Remembers an error and when to try again.
    fn pause(&mut self, means: Means<'_>, error: SinkError) {
        let pause = if error == SinkError::Hung { RETRY_AFTER_HANG } else { RETRY_AFTER_ERROR };
        self.retry_at = Some(means.clock.monotonic().saturating_add(pause));
        self.last_error = Some(error);
    }

    /// Offers everything up to the end of `frames`, the open segment's. An outlet that failed a moment ago is passed
    /// over unless the rows are urgent.
    pub(super) async fn offer(&mut self, means: Means<'_>, load: Load<'_>) -> Result<(), SinkError> {
        if self.segment != load.header.number {
            (self.segment, self.bytes, self.rows, self.is_dirty) = (load.header.number, 0, 0, false);
        }
        let now = means.clock.monotonic();
        if let (Some(at), Some(error)) = (self.retry_at, &self.last_error)
            && now < at
            && !load.urgent
        {
            return Err(error.clone());
        }
        let mut outcome = self.append(means, load).await;
        if outcome == Err(SinkError::Lost) {
            self.forget();
            outcome = self.append(means, load).await;
        }
        self.counters.note(outcome.is_err());
        match outcome {
            Ok(()) => {
                (self.bytes, self.rows) = (load.frames.len(), load.rows);
                (self.retry_at, self.last_error, self.is_dirty) = (None, None, false);
                Ok(())
            }
            Err(error) => {
                self.pause(means, error.clone());
                self.is_dirty = true;
                Err(error)
            }
        }
    }

    async fn append(&self, means: Means<'_>, load: Load<'_>) -> Result<(), SinkError> {
        let chunk = Chunk {
            header: load.header,
            offset: u64::try_from(self.bytes).unwrap_or(u64::MAX),
            frames: load.frames.get(self.bytes..).unwrap_or_default(),
            rows: load.notes,
            urgent: load.urgent,
        };
        answered(means.delay, async { self.sink.append(chunk).await }).await
    }

    /// It has nothing of the open segment any more.
    pub(super) fn forget(&mut self) {
        (self.bytes, self.rows) = (0, 0);
    }

    /// Whether it lacks rows of a segment with this many.
    pub(super) fn is_behind(&self, number: u64, rows: u64) -> bool {
        self.segment != number || self.rows < rows
    }

    /// The segment is closed: counts what it will never get of it, and cuts off what failed writes left.
    pub(super) async fn leave(&mut self, means: Means<'_>, number: u64, rows: u64) {
        let has = if self.segment == number { self.rows } else { 0 };
        self.counters.missed_rows.fetch_add(rows.saturating_sub(has), Ordering::Relaxed);
        if self.is_dirty && self.segment == number && self.untrimmed.len() < UNTRIMMED_MAX {
            let size = if self.rows == 0 { 0 } else { self.bytes.saturating_add(HEADER_BYTES) };
            self.untrimmed.push((number, u64::try_from(size).unwrap_or(u64::MAX)));
            self.is_dirty = false;
        }
        self.trim(means).await;
    }

    /// Cuts closed segments to what was answered for.
    pub(super) async fn trim(&mut self, means: Means<'_>) {
        let Some(shelf) = self.sink.shelf() else { return self.untrimmed.clear() };
        while let Some((number, size)) = self.untrimmed.last().copied() {
            let cut = match size {
                0 => answered(means.delay, async { shelf.remove(number).await }).await,
                size => answered(means.delay, async { shelf.cut(number, size).await }).await,
            };
            if cut.is_err() {
                return;
            }
            self.untrimmed.pop();
        }
    }
}

/// What is offered to every outlet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) header: &'a Header,
    /// All frames of the open segment so far.
    pub(super) frames: &'a [u8],
    /// How many rows they are.
    pub(super) rows: u64,
    /// The newest of them.
    pub(super) notes: &'a [Numbered],
    pub(super) urgent: bool,
}

/// Runs a sink's call to its end, its panic, or the deadline. A call that answers at once costs no timer.
pub(super) async fn answered<T>(
    delay: &dyn Delay,
    call: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkError> {
    let mut call = pin!(AssertUnwindSafe(call).catch_unwind());
    let caught = match futures::poll!(call.as_mut()) {
        std::task::Poll::Ready(caught) => caught,
        std::task::Poll::Pending => match select(call, delay.wait(SINK_DEADLINE)).await {
            Either::Left((caught, _)) => caught,
            Either::Right(_) => return Err(SinkError::Hung),
        },
    };
    caught.unwrap_or(Err(SinkError::Panicked))
}
