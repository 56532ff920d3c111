//! The one writer: gives rows their numbers, chains and seals them, offers them to the sinks that keep, passes them on to
//! those that tell, closes segments.

use super::open::{OpenSegment, Unsealable};
use super::outlet::{Load, Means, Outlet};
use super::segment::{ClosedSegment, Header, LogId, SEGMENT_LIMITS};
use super::sink::{Numbered, SinkError};
use crypto::aead::{Key, LogKey};
use crypto::seam::Entropy;
use crypto::{Drawn, Hash, WallMs};
use futures::future::join_all;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of randomness that a row takes: its salt and the nonce it is sealed with.
const ROW_RANDOM_BYTES: usize = 28;

/// Rows that are written together; what is said of each stands at the same index of `hows`.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) rows: Vec<Numbered>,
    pub(super) hows: Vec<How>,
}

/// How a row is to be written.
#[derive(Clone, Debug)]
pub(super) struct How {
    /// Its key; none while the server is sealed.
    pub(super) key: Option<Arc<Key<LogKey>>>,
    /// Whether reserved space may be used for it.
    pub(super) urgent: bool,
    /// Whose row it is.
    pub(super) of: Whose,
}

/// Who waits for a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    /// The request with this index in the group.
    Request(usize),
    /// Nobody: it was promised before.
    Owed,
    /// Nobody: it stands for many requests.
    Shared,
    /// Nobody: it says that rows were refused.
    Outage,
}

impl Group {
    pub(super) fn push(&mut self, row: super::Row, how: How) {
        let clear = how.key.is_none();
        self.rows.push(Numbered { segment: 0, sequence: 0, clear, row });
        self.hows.push(how);
    }

    /// Moves the rows that `choose` wants into another group, in order.
    pub(super) fn split_off(&mut self, choose: impl Fn(&Numbered, &How) -> bool) -> Group {
        let (mut chosen, mut rest) = (Group::default(), Group::default());
        for (row, how) in self.rows.drain(..).zip(self.hows.drain(..)) {
            let to = if choose(&row, &how) { &mut chosen } else { &mut rest };
            to.rows.push(row);
            to.hows.push(how);
        }
        *self = rest;
        chosen
    }

    pub(super) fn append(&mut self, mut other: Group) {
        self.rows.append(&mut other.rows);
        self.hows.append(&mut other.hows);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// Why nothing of a group was written.
#[derive(Debug)]
pub(super) enum NotWritten {
    /// No sink took it.
    NoSink,
    /// No randomness.
    NoEntropy,
}

#[derive(Debug)]
pub(super) struct Writer {
    log: LogId,
    number: u64,
    next_row: u64,
    previous: Hash,
    newest: WallMs,
    open: Option<OpenSegment>,
    outlets: Vec<Outlet>,
    buffer: Vec<u8>,
    random: Vec<u8>,
}

/// Where a log goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Continuation {
    pub(super) log: LogId,
    pub(super) number: u64,
    pub(super) next_row: u64,
    pub(super) previous: Hash,
    pub(super) newest: WallMs,
}

impl Writer {
    pub(super) fn new(from: Continuation, outlets: Vec<Outlet>) -> Writer {
        let Continuation { log, number, next_row, previous, newest } = from;
        let (buffer, random) = (Vec::with_capacity(64 << 10), Vec::new());
        Writer { log, number, next_row, previous, newest, open: None, outlets, buffer, random }
    }

    pub(super) fn log(&self) -> LogId {
        self.log
    }

    pub(super) fn open(&self) -> Option<&OpenSegment> {
        self.open.as_ref().filter(|open| open.rows() > 0)
    }

    /// Number of the newest segment that has rows.
    pub(super) fn newest_number(&self) -> u64 {
        self.open().map_or(self.number.saturating_sub(1), |open| open.header.number)
    }

    /// Whether every sink failed for lack of space and one of them has a reserve.
    pub(super) fn has_reserve(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.last_error == Some(SinkError::Full) && outlet.sink.reserve_left() > 0)
    }

    /// Whether the open segment must take no group of this size any more.
    pub(super) fn is_due(&self, incoming: usize, now: Duration) -> bool {
        let incoming = u64::try_from(incoming).unwrap_or(u64::MAX);
        self.open().is_some_and(|open| {
            open.rows().saturating_add(incoming) > SEGMENT_LIMITS.rows_max
                || open.kept_frames().len() >= SEGMENT_LIMITS.bytes_max
                || now.saturating_sub(open.opened_at) >= SEGMENT_LIMITS.age_max
        })
    }

    /// Writes a group to every sink. `Ok` when at least one that keeps rows has it; rows that could not be sealed are moved to the
    /// answer and are in no sink. After an error nothing happened and the group is as before.
    pub(super) async fn write(
        &mut self,
        means: Means<'_>,
        entropy: &dyn Entropy,
        group: &mut Group,
        urgent: bool,
    ) -> Result<Group, NotWritten> {
        if group.is_empty() {
            return Ok(Group::default());
        }
        let unsealable = self.draft(means, entropy, group)?;
        let Some(open) = self.open.as_mut() else { return Ok(unsealable) };
        if group.is_empty() {
            open.take_back();
            return Ok(unsealable);
        }
        let load =
            Load { header: &open.header, frames: open.frames(), rows: open.drafted_rows(), notes: &group.rows, urgent };
        let taken = match self.outlets.as_mut_slice() {
            [only] if only.keeps() => only.offer(means, load).await.is_ok(),
            outlets => {
                let offers = outlets.iter_mut().filter(|outlet| outlet.keeps()).map(|outlet| outlet.offer(means, load));
                join_all(offers).await.iter().any(Result::is_ok)
            }
        };
        if taken {
            for outlet in self.outlets.iter_mut().filter(|outlet| !outlet.keeps()) {
                outlet.tell(means, load).await;
            }
            open.keep();
            Ok(unsealable)
        } else {
            open.take_back();
            group.append(unsealable);
            Err(NotWritten::NoSink)
        }
    }

    /// Puts the group's frames behind those of the open segment.
    fn draft(&mut self, means: Means<'_>, entropy: &dyn Entropy, group: &mut Group) -> Result<Group, NotWritten> {
        self.random.resize(group.rows.len().saturating_mul(ROW_RANDOM_BYTES), 0);
        let drawn = Drawn::new(self.random.as_mut_slice(), entropy).map_err(|_| NotWritten::NoEntropy)?;
        if let Some(empty) = self.open.take_if(|open| open.rows() == 0) {
            self.buffer = empty.into_buffer();
        }
        let open = match &mut self.open {
            Some(open) => open,
            none => {
                let header = Header {
                    log: self.log,
                    number: self.number,
                    first_row: self.next_row,
                    opened: means.clock.wall(),
                    newest_before: self.newest,
                    previous: self.previous,
                };
                none.insert(OpenSegment::new(header, means.clock.monotonic(), std::mem::take(&mut self.buffer)))
            }
        };
        open.take_back();
        let mut failed = Vec::new();
        for (index, (row, how)) in group.rows.iter_mut().zip(&group.hows).enumerate() {
            if open.draft(row, how.key.as_deref(), &drawn) == Err(Unsealable) {
                failed.push(index);
            }
        }
        if failed.is_empty() {
            return Ok(Group::default());
        }
        let unsealable = std::mem::take(group);
        let mut out = Group::default();
        for (index, (row, how)) in unsealable.rows.into_iter().zip(unsealable.hows).enumerate() {
            let to = if failed.binary_search(&index).is_ok() { &mut out } else { &mut *group };
            to.rows.push(row);
            to.hows.push(how);
        }
        Ok(out)
    }

    /// Gives the open segment again to a sink that lost it; says whether it took it.
    pub(super) async fn restore(&mut self, means: Means<'_>, sink: usize) -> bool {
        let Some(outlet) = self.outlets.get_mut(sink) else { return false };
        outlet.forget();
        let Some(open) = self.open.as_ref().filter(|open| open.rows() > 0) else { return true };
        let (rows, frames) = (open.rows(), open.kept_frames());
        let load = Load { header: &open.header, frames, rows, notes: &[], urgent: true };
        outlet.offer(means, load).await.is_ok()
    }

    /// Cuts off what failed writes left in closed segments, where that could not be done at once.
    pub(super) async fn trim(&mut self, means: Means<'_>) {
        for outlet in &mut self.outlets {
            outlet.trim(means).await;
        }
    }

    /// Closes the open segment if it has rows. Sinks that are behind get a last chance.
    pub(super) async fn close(&mut self, means: Means<'_>) -> Option<ClosedSegment> {
        let mut open = self.open.take_if(|open| open.rows() > 0)?;
        open.take_back();
        let (number, rows) = (open.header.number, open.rows());
        let load = Load { header: &open.header, frames: open.frames(), rows, notes: &[], urgent: false };
        for outlet in self.outlets.iter_mut().filter(|outlet| outlet.keeps()) {
            if outlet.is_behind(number, rows) {
                let _last_chance = outlet.offer(means, load).await;
            }
            outlet.leave(means, number, rows).await;
        }
        let closed = open.summary();
        self.number = number.saturating_add(1);
        self.next_row = closed.next_row();
        self.previous = closed.head_hash;
        self.newest = self.newest.max(open.last_time());
        self.buffer = open.into_buffer();
        Some(closed)
    }
}

/// Closed segments that have no entry yet, oldest first.
pub(super) type Unanchored = VecDeque<ClosedSegment>;
