//! Group commit: drains what waits, decides it in order over one draft, commits it as one batch. While a batch is on its
//! way to the store the next is decided over it; should the store refuse the first, the second is decided again.

use crate::Delay;
use crate::absorb;
use crate::build::{Build, Built, Decided};
use crate::code::{self, Refusal};
use crate::draft::{KnownKey, RuleBook};
use crate::nodes::POLL;
use crate::ring::{Purpose, RingPut};
use crate::settle::Settled;
use crate::state::{Pending, State, cause_refusal};
use crate::unit::{Receipt, Unit};
use crypto::seam::{Clock, Entropy};
use futures::future::{Either, select};
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use storage::{Batch, BatchNumber, Cause};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Units taken into one group.
const GROUP_UNITS_MAX: usize = 512;
/// Bytes of entries, keys, blobs and side in one group; leaves room to the batch limit of the store.
pub(crate) const GROUP_BYTES_MAX: usize = 6 << 20;
/// Records changed by one group.
pub(crate) const GROUP_RECORDS_MAX: usize = 1_000;
/// Unfolded bytes at which commits wait for the fold.
const TAIL_BYTES_MAX: usize = 64 << 20;
/// Unfolded records at which commits wait for the fold.
const TAIL_RECORDS_MAX: usize = 50_000;

/// A unit in the queue, with the way back.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) unit: Unit,
    pub(crate) known: Arc<[KnownKey]>,
    pub(crate) answer: oneshot::Sender<Result<Answer, Refusal>>,
}

/// A receipt, and the batch whose fold it waits for if it destroys something.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) receipt: Receipt,
    pub(crate) fold: Option<BatchNumber>,
}

/// The one writer of a shard on this node.
#[derive(Debug)]
pub(crate) struct Committer {
    pub(crate) state: Arc<State>,
    pub(crate) rules: Arc<RuleBook>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) delay: Arc<dyn Delay>,
    pub(crate) fold_wanted: Arc<Notify>,
    pub(crate) folded: watch::Receiver<BatchNumber>,
}

/// Units on their way to be decided: those decided in vain come before those that wait. While the store spares its space,
/// only what takes rights away comes through; the others are told that the disk is full.
#[derive(Debug)]
struct Intake {
    state: Arc<State>,
    again: VecDeque<Waiting>,
    queue: mpsc::Receiver<Waiting>,
}

impl Intake {
    fn len(&self) -> usize {
        self.again.len().saturating_add(self.queue.len())
    }

    /// What is there now.
    fn ready(&mut self) -> Option<Waiting> {
        loop {
            let waiting = self.again.pop_front().or_else(|| self.queue.try_recv().ok())?;
            if let Some(waiting) = self.admit(waiting) {
                return Some(waiting);
            }
        }
    }

    /// The next one; none when every sender is gone. Given up while it waits, it has taken nothing.
    async fn next(&mut self) -> Option<Waiting> {
        loop {
            let waiting = match self.again.pop_front() {
                Some(waiting) => waiting,
                None => self.queue.recv().await?,
            };
            if let Some(waiting) = self.admit(waiting) {
                return Some(waiting);
            }
        }
    }

    fn admit(&self, waiting: Waiting) -> Option<Waiting> {
        if !self.state.is_sparing() || waiting.unit.takes_away() {
            return Some(waiting);
        }
        answer_all([waiting].into(), &cause_refusal(&Cause::Full));
        None
    }

    /// Gives units back, to be decided before all others.
    fn put_back(&mut self, mut units: VecDeque<Waiting>) {
        units.append(&mut self.again);
        self.again = units;
    }
}

/// Units decided over one draft.
#[derive(Debug)]
struct Group<'a> {
    build: Build<'a>,
    units: VecDeque<Waiting>,
    results: Vec<Result<Decided, Refusal>>,
    /// Whether a unit did not fit any more.
    closed: bool,
}

impl Group<'_> {
    fn is_full(&self) -> bool {
        self.closed || self.units.len() >= GROUP_UNITS_MAX || self.build.is_full()
    }

    /// Decides one unit; about so many more will come. Puts it back, for the next group, when it does not fit into this one.
    async fn take(&mut self, waiting: Waiting, intake: &mut Intake) {
        match self.build.unit(&waiting, intake.len()).await {
            Some(result) => {
                self.results.push(result);
                self.units.push_back(waiting);
            }
            None => {
                self.closed = true;
                intake.put_back([waiting].into());
            }
        }
    }
}

impl Committer {
    /// Works until every sender of the queue is gone.
    pub(crate) async fn run(self, queue: mpsc::Receiver<Waiting>) {
        let mut intake = Intake { state: Arc::clone(&self.state), again: VecDeque::new(), queue };
        let mut begun: Option<Group<'_>> = None;
        loop {
            let mut group = match begun.take() {
                Some(group) => group,
                None => {
                    let Some(first) = self.next(&mut intake).await else { return };
                    let Some(group) = self.begin(first, &mut intake, &mut None).await else { continue };
                    group
                }
            };
            while !group.is_full()
                && let Some(waiting) = intake.ready()
            {
                group.take(waiting, &mut intake).await;
            }
            self.wait_for_room().await;
            let Group { build, units, results, .. } = group;
            let number = build.number();
            match build.finish() {
                Ok(Some((batch, built))) => {
                    begun = self.commit(batch, built, units, results, &mut intake).await;
                }
                Ok(None) => answer_each(units, results, number),
                Err(refusal) => answer_all(units, &refusal),
            }
        }
    }

    /// The next unit; what other nodes commit is taken in meanwhile.
    async fn next(&self, intake: &mut Intake) -> Option<Waiting> {
        let Some(shared) = &self.state.shared else { return intake.next().await };
        let mut asked = false;
        loop {
            if asked || shared.age() < POLL {
                let wanted = pin!(shared.wanted.notified());
                let tick = select(self.delay.wait(POLL), wanted);
                if let Either::Left((came, _)) = select(pin!(intake.next()), tick).await {
                    return came;
                }
            }
            asked = true;
            // Tried again at the next tick; until then answers from memory run out of time.
            drop(shared.take_in(&self.state, &self.rules).await);
        }
    }

    /// Begins a group with a unit; none without randomness, which the unit is told.
    async fn begin<'a>(&'a self, first: Waiting, intake: &mut Intake, ahead: &mut Option<Built>) -> Option<Group<'a>> {
        let over = (&*self.state, &*self.rules);
        let build = Build::new(over, &*self.entropy, self.clock.wall(), intake.len().saturating_add(1), ahead);
        match build {
            Ok(build) => {
                let mut group = Group { build, units: VecDeque::new(), results: Vec::new(), closed: false };
                group.take(first, intake).await;
                Some(group)
            }
            Err(refusal) => {
                drop(first.answer.send(Err(refusal)));
                None
            }
        }
    }

    /// The tail is bounded: past the bound, commits go at the pace of the fold.
    async fn wait_for_room(&self) {
        let mut folded = self.folded.clone();
        loop {
            let (bytes, records) = {
                let overlay = self.state.overlay.read();
                (overlay.bytes, overlay.records.len())
            };
            if bytes < TAIL_BYTES_MAX && records < TAIL_RECORDS_MAX {
                return;
            }
            self.fold_wanted.notify_one();
            if folded.changed().await.is_err() {
                return;
            }
        }
    }

    /// Commits a batch and answers its units; gives the group that was decided over it meanwhile.
    async fn commit(
        &self,
        batch: Batch,
        built: Built,
        units: VecDeque<Waiting>,
        results: Vec<Result<Decided, Refusal>>,
        intake: &mut Intake,
    ) -> Option<Group<'_>> {
        let number = batch.number;
        let may_be_followed = built.may_be_followed();
        let asked = self.clock.monotonic();
        let mut ahead = Some(built);
        let mut begun = None;
        let settled = {
            let mut settling = pin!(self.settle(batch));
            loop {
                let full = begun.as_ref().is_some_and(Group::is_full);
                if full || !may_be_followed {
                    break settling.await;
                }
                let came = match select(settling.as_mut(), pin!(intake.next())).await {
                    Either::Left((settled, _)) => break settled,
                    Either::Right((came, _)) => came,
                };
                match (came, &mut begun) {
                    (Some(waiting), Some(group)) => group.take(waiting, intake).await,
                    (Some(waiting), none) => *none = self.begin(waiting, intake, &mut ahead).await,
                    (None, _) => break settling.await,
                }
            }
        };
        let built = ahead.or_else(|| begun.as_mut().and_then(|group| group.build.land()));
        if matches!(settled, Settled::Done) {
            self.publish(built);
            self.state.shared.iter().for_each(|shared| shared.confirm(asked));
            answer_each(units, results, number);
            return begun;
        }
        intake.put_back(begun.map(|group| group.units).unwrap_or_default());
        match settled {
            Settled::Done => {}
            Settled::Lost => match absorb::tail(&self.state, &self.rules).await {
                Ok(()) => intake.put_back(units),
                Err(refusal) => answer_all(units, &refusal),
            },
            Settled::Refused(Cause::Full) => self.spare(units, intake),
            Settled::Refused(cause) => answer_all(units, &cause_refusal(&cause)),
            Settled::Unknown(batch) => {
                answer_unknown(units);
                if self.learn(&batch, || intake.queue.is_closed()).await {
                    self.publish(built);
                }
            }
        }
        None
    }

    /// What takes rights away is decided again, alone and in the space kept back; the rest learns that the disk is full.
    fn spare(&self, units: VecDeque<Waiting>, intake: &mut Intake) {
        let (takers, others) = units.into_iter().partition::<VecDeque<_>, _>(|waiting| waiting.unit.takes_away());
        answer_all(others, &cause_refusal(&Cause::Full));
        if !takers.is_empty() && self.state.spend_reserve() {
            intake.put_back(takers);
        } else {
            answer_all(takers, &cause_refusal(&Cause::Full));
        }
    }

    /// Makes a committed batch visible.
    fn publish(&self, built: Option<Built>) {
        let Some(built) = built else { return };
        self.state.ring.adopt(&built.rings, &built.side.rings);
        let counts = |put: &&RingPut| matches!(put.row.purpose, Purpose::Tenant | Purpose::Log | Purpose::State);
        self.state.made.lock().extend(built.rings.iter().map(|(put, _)| put).filter(counts).map(|put| put.id));
        let awaited = built.awaited;
        self.state.overlay.write().take(built);
        self.state.later.work();
        if awaited {
            self.fold_wanted.notify_one();
        }
    }
}

impl crate::state::Overlay {
    /// Lays a committed batch over the folded state.
    pub(crate) fn take(&mut self, built: Built) {
        let number = built.head.batch;
        let mut bytes = built.entries.iter().map(|entry| entry.len().saturating_add(32)).sum::<usize>();
        for (key, (tenant, slot)) in built.records {
            bytes = bytes.saturating_add(slot.record().map_or(64, |record| record.body.len().saturating_add(128)));
            self.records.insert(key, (tenant, slot));
        }
        for intent in &built.side.intents {
            self.intents.insert((intent.key, intent.tenant), (number, Some(intent.clone())));
        }
        for (tenant, key) in &built.side.closed {
            self.intents.insert((*key, *tenant), (number, None));
        }
        for put in &built.side.volatile {
            self.volatile.insert((put.tenant, put.key), (number, put.expires_ms, put.body.as_slice().into()));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.head = built.head;
        self.pending.push_back(Pending {
            number,
            entries: built.entries,
            has_side_row: built.has_side_row,
            awaited: built.awaited,
            side: built.side,
            bytes,
        });
    }
}

fn answer_each(group: VecDeque<Waiting>, results: Vec<Result<Decided, Refusal>>, number: BatchNumber) {
    for (waiting, result) in group.into_iter().zip(results) {
        let answer =
            result.map(|decided| Answer { receipt: decided.receipt, fold: decided.await_fold.then_some(number) });
        // The caller may have gone; the change stands all the same.
        drop(waiting.answer.send(answer));
    }
}

fn answer_all(group: VecDeque<Waiting>, refusal: &Refusal) {
    for waiting in group {
        drop(waiting.answer.send(Err(refusal.clone())));
    }
}

fn answer_unknown(group: VecDeque<Waiting>) {
    for waiting in group {
        let refusal = Refusal::new(&code::STORAGE_UNKNOWN, "the store did not say whether the change was made");
        let operation = waiting.unit.operation;
        drop(waiting.answer.send(Err(refusal.about(operation))));
    }
}
