//! What happens beside requests: the tick, closing and anchoring segments, retention.

use super::log::AccessLog;
use super::outlet::answered;
use super::read::named;
use super::segment::{ClosedSegment, RemovedSegments};
use super::sink::{Anchor, Anchored, Role, SinkError};
use super::walk::Walk;
use crate::code::{Refusal, STORAGE_DAMAGED};
use crypto::WallMs;
use futures::future::join_all;
use std::collections::VecDeque;

/// Closed segments kept in memory while they cannot be anchored; older ones are found on the shelf again.
const UNANCHORED_MAX: usize = 1024;
/// Segments that one call of retention removes.
const REMOVED_MAX: u64 = 1000;

impl AccessLog {
    /// Called every second: writes what waits, closes a segment that is old enough, flushes the sinks to stable storage,
    /// and anchors closed segments if an anchor is at hand.
    ///
    /// Errors: what kept a segment from being anchored; it is tried again at the next tick. The log works on.
    pub async fn tick(&self, anchor: Option<&dyn Anchor>) -> Result<(), Refusal> {
        if self.inner.has_debts() || self.inner.has_shared_due() {
            self.flush().await;
        }
        self.sync_sinks().await;
        self.close_if(|due| due).await;
        match anchor {
            Some(anchor) => self.anchor_closed(anchor).await,
            None => Ok(()),
        }
    }

    /// Brings every sink to stable storage, all at once: one that hangs holds up no other.
    async fn sync_sinks(&self) {
        let sinks = &self.inner.parts.sinks;
        let delay = &*self.inner.parts.delay;
        let synced = join_all(sinks.iter().map(|sink| answered(delay, async { sink.sync().await }))).await;
        let mut works = false;
        for (index, (outcome, (sink, (_, counters)))) in
            synced.into_iter().zip(sinks.iter().zip(&self.inner.sink_counters)).enumerate()
        {
            let keeps = sink.role() == Role::Keeps;
            if outcome.is_err() || !keeps {
                counters.note(outcome.is_err());
            }
            works |= keeps
                && match outcome {
                    Err(SinkError::Broken(_)) => false,
                    Err(SinkError::Lost) => self.inner.writer.lock().await.restore(self.inner.means(), index).await,
                    _ => true,
                };
        }
        if !works {
            self.inner.note_failing();
        }
    }

    /// Closes the open segment and anchors it, so that every row taken so far can be proven.
    ///
    /// Errors: what kept the entry from being committed; the segment stays closed and is anchored later.
    pub async fn close(&self, anchor: &dyn Anchor) -> Result<(), Refusal> {
        self.flush().await;
        self.close_if(|_| true).await;
        self.anchor_closed(anchor).await
    }

    async fn close_if(&self, wanted: impl Fn(bool) -> bool + Send) {
        let mut writer = self.inner.writer.lock().await;
        writer.trim(self.inner.means()).await;
        let due = writer.is_due(0, self.inner.parts.clock.monotonic());
        if wanted(due) {
            let closed = writer.close(self.inner.means()).await;
            self.inner.closed(closed);
        }
    }

    /// Anchors closed segments, oldest first. At first use it looks for those that an earlier run left.
    pub(super) async fn anchor_closed(&self, anchor: &dyn Anchor) -> Result<(), Refusal> {
        let mut left = self.inner.anchoring.lock().await;
        if let Some(newest) = *left {
            self.find_left(anchor, newest).await?;
            *left = None;
        }
        loop {
            let Some(segment) = self.inner.unanchored.lock().front().cloned() else { return Ok(()) };
            anchor.anchor(segment).await?;
            self.inner.unanchored.lock().pop_front();
        }
    }

    /// Puts segments up to `newest` that have no entry before those that wait already.
    async fn find_left(&self, anchor: &dyn Anchor, newest: u64) -> Result<(), Refusal> {
        let oldest = self.range().await?.map_or(1, |(oldest, _)| oldest);
        let mut missing = VecDeque::new();
        for number in (oldest..=newest).rev() {
            if missing.len() >= UNANCHORED_MAX || anchor.find(self.id(), number).await?.is_some() {
                break;
            }
            match self.summarise(number).await? {
                Some(segment) => missing.push_front(segment),
                None => break,
            }
        }
        let mut unanchored = self.inner.unanchored.lock();
        missing.extend(unanchored.drain(..));
        *unanchored = missing;
        Ok(())
    }

    /// What a closed segment on the shelf amounts to; a damaged one up to its first bad row.
    async fn summarise(&self, number: u64) -> Result<Option<ClosedSegment>, Refusal> {
        let Some(bytes) = self.segment(number).await? else { return Ok(None) };
        let Ok(mut walk) = Walk::new(&bytes) else { return Ok(None) };
        let following = self.head(number.saturating_add(1)).await.ok().flatten();
        let end = following.map_or(u64::MAX, |following| following.first_row);
        let mut frames = Vec::new();
        while walk.next_row() < end
            && let Ok(Some(frame)) = walk.step()
        {
            frames.push(frame);
        }
        if frames.is_empty() {
            return Ok(None);
        }
        let keys = &*self.inner.parts.keys;
        let times = frames.iter().filter_map(|frame| super::unseal::open(number, frame, keys).ok());
        let (mut first, mut last) = (walk.header.opened, walk.header.opened);
        for opened in times {
            (first, last) = (first.min(opened.numbered.row.time), last.max(opened.numbered.row.time));
        }
        Ok(Some(walk.summary(first, last)))
    }

    /// Removes closed segments all of whose rows are older than `before`, once an entry says so. Answers how many.
    ///
    /// At most 1,000 a call. Errors: nothing was removed, or the sink that refused still has some; call again.
    pub async fn retain(&self, before: WallMs, anchor: &dyn Anchor) -> Result<u64, Refusal> {
        let Some((oldest, newest)) = self.range().await? else { return Ok(0) };
        let mut last = None;
        for number in oldest..newest.min(oldest.saturating_add(REMOVED_MAX)) {
            let Some(following) = self.head(number.saturating_add(1)).await? else { break };
            if following.newest_before >= before || anchor.find(self.id(), number).await?.is_none() {
                break;
            }
            last = Some(number);
        }
        let Some(last) = last else { return Ok(0) };
        anchor.removed(RemovedSegments { log: self.id(), first: oldest, last }).await?;
        for number in oldest..=last {
            let _alone = self.inner.removing.write().await;
            for shelf in self.shelves() {
                let removed = answered(&*self.inner.parts.delay, async { shelf.remove(number).await }).await;
                removed.map_err(|error| named(number, &error))?;
            }
        }
        Ok(last.saturating_sub(oldest).saturating_add(1))
    }

    /// Closed segments that have no entry yet.
    pub fn unanchored(&self) -> usize {
        self.inner.unanchored.lock().len()
    }

    /// The entry of a closed segment. Errors: `Corrupt` when there is none though it is closed.
    pub(super) async fn entry_of(&self, number: u64, anchor: &dyn Anchor) -> Result<Anchored, Refusal> {
        let entry = anchor.find(self.id(), number).await?;
        entry.ok_or_else(|| Refusal::new(&STORAGE_DAMAGED, format!("access segment {number} has no ledger entry")))
    }
}
