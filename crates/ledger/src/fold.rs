//! The fold: moves what commits left behind to its own place, in sorted runs, and signs a checkpoint of it.
//!
//! Two runs, in this order: first intents, volatile things and drops (authoritative, together with the removal of the
//! side rows they come from), then records, tiles and the watermark (derived). Cut off anywhere, both can be repeated.

use crate::Delay;
use crate::code::Refusal;
use crate::keyspace::{RecordKey, intent_key, side_key, volatile_key};
use crate::record::Slot;
use crate::ring::seal_fail;
use crate::side::{Side, StoredIntent};
use crate::state::{Pending, State, VolatileName, cause_refusal};
use crate::tree::{Mark, Tree};
use crate::unit::{Dropped, IntentKey};
use bytes::Bytes;
use crypto::aead::Aad;
use crypto::id::TenantId;
use crypto::seam::{Clock, Entropy};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::{BatchNumber, Commit, Kind, Op, Run};
use tokio::sync::{Notify, watch};

/// How long a commit may wait for its fold: larger runs are cheaper.
const FOLD_EVERY: Duration = Duration::from_millis(1_000);
/// Wait after a fold that the store refused.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long a drop that nobody waits for may be put off while changes come in.
const BACKLOG_EVERY: Duration = Duration::from_secs(10);
/// Drops that may be put off.
const BACKLOG_DROPS_MAX: usize = 100_000;
/// Time between two looks at how often every key sealed: there are three of them for each tenant.
const COUNT_EVERY: Duration = Duration::from_secs(10);
/// Smallest time between two checkpoints nobody asked for.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(950);

/// Tells the fold that there is work, without hurry, or that there will be no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Later {
    work: Arc<Notify>,
    closed: Arc<AtomicBool>,
}

impl Later {
    pub(crate) fn work(&self) {
        self.work.notify_one();
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.work.notify_one();
    }
}

/// The one folder of a shard on this node.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) state: Arc<State>,
    pub(crate) tree: Arc<RwLock<Tree>>,
    clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) delay: Arc<dyn Delay>,
    pub(crate) wanted: Arc<Notify>,
    pub(crate) folded: watch::Sender<BatchNumber>,
    later: Later,
    pub(crate) removed: Vec<RecordKey>,
    signed_at: Option<Duration>,
    counted_at: Option<Duration>,
    pub(crate) backlog: Backlog,
    /// On a node that does not fold: up to where drops are waited for.
    pub(crate) drops_upto: Option<BatchNumber>,
}

/// Drops that nobody waits for. They hit old pages at random, so they are carried out many at once; until then their side
/// rows stay.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    sides: Vec<BatchNumber>,
    drops: Vec<Dropped>,
    since: Duration,
}

impl Backlog {
    pub(crate) fn add(&mut self, now: Duration, number: BatchNumber, drops: &[Dropped]) {
        if self.sides.is_empty() {
            self.since = now;
        }
        self.sides.push(number);
        self.drops.extend_from_slice(drops);
    }

    fn is_due(&self, now: Duration) -> bool {
        self.drops.len() >= BACKLOG_DROPS_MAX || now.saturating_sub(self.since) >= BACKLOG_EVERY
    }
}

/// Everything up to a batch, copied out of the overlay.
#[derive(Debug)]
struct Snapshot {
    upto: BatchNumber,
    time_ms: u64,
    records: Vec<(RecordKey, TenantId, Slot)>,
    intents: Vec<((IntentKey, TenantId), Option<StoredIntent>)>,
    volatile: Vec<(VolatileName, u64, Arc<[u8]>)>,
    entries: Vec<Bytes>,
    sides: Vec<BatchNumber>,
    drops: Vec<Dropped>,
    rings: Vec<(TenantId, storage::Place)>,
    awaited: bool,
    /// Side rows with drops that can wait.
    put_off: Vec<(BatchNumber, Vec<Dropped>)>,
}

impl Folder {
    pub(crate) fn new(
        state: Arc<State>,
        tree: Arc<RwLock<Tree>>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        delay: Arc<dyn Delay>,
        wanted: Arc<Notify>,
        folded: watch::Sender<BatchNumber>,
    ) -> Folder {
        let (later, removed, backlog) = (state.later.clone(), Vec::new(), Backlog::default());
        Folder {
            state,
            tree,
            clock,
            entropy,
            delay,
            wanted,
            folded,
            later,
            removed,
            signed_at: None,
            counted_at: None,
            backlog,
            drops_upto: None,
        }
    }

    /// With drops that an earlier run put off.
    pub(crate) fn going_on(self, backlog: Backlog) -> Folder {
        Folder { backlog, ..self }
    }

    pub(crate) fn later(&self) -> Later {
        self.later.clone()
    }

    /// Folds until the committer has ended and nothing is left.
    pub(crate) async fn run(mut self) {
        let state = Arc::clone(&self.state);
        loop {
            let closed = self.later.closed.load(Ordering::Acquire);
            if let Some(shared) = &state.shared {
                match self.may_fold(shared).await {
                    Ok(true) => {}
                    // Another node, or the next start, folds the rest.
                    _ if closed => return,
                    Ok(false) => continue,
                    Err(_) => {
                        self.delay.wait(RETRY_AFTER).await;
                        continue;
                    }
                }
            }
            if self.is_idle() && self.backlog.sides.is_empty() {
                if closed {
                    return;
                }
                let work =
                    futures::future::select(Box::pin(self.later.work.notified()), Box::pin(self.wanted.notified()));
                match self.state.is_full() {
                    true => drop(futures::future::select(work, self.delay.wait(FOLD_EVERY)).await),
                    false => drop(work.await),
                }
            } else if !closed {
                let wait = self.delay.wait(FOLD_EVERY);
                futures::future::select(wait, Box::pin(self.wanted.notified())).await;
            }
            let failed = self.fold().await.is_err();
            if failed && (self.state.is_broken() || closed) {
                return;
            }
            if self.state.is_full() {
                // Somebody waits for what is destroyed: that takes precedence over finding room again.
                if failed && self.is_awaited() && self.state.spend_reserve() {
                    continue;
                }
                self.state.look_for_room().await;
            }
            if failed {
                self.delay.wait(RETRY_AFTER).await;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.state.overlay.read().pending.is_empty()
    }

    fn is_awaited(&self) -> bool {
        self.state.overlay.read().pending.iter().any(|batch| batch.awaited)
    }

    /// One fold of everything committed so far.
    pub(crate) async fn fold(&mut self) -> Result<(), Refusal> {
        let state = Arc::clone(&self.state);
        let mut whole = state.folding.lock().await;
        let asked = self.state.drops_asked.load(Ordering::Acquire);
        let Some(mut snapshot) = self.snapshot() else {
            self.sweep(asked).await?;
            *whole = true;
            self.folded.send_modify(|_| ());
            return Ok(());
        };
        *whole = false;
        let first = self.first_run(&snapshot)?;
        apply(&self.state, first).await?;
        let now = self.clock.monotonic();
        for (number, drops) in std::mem::take(&mut snapshot.put_off) {
            self.backlog.add(now, number, &drops);
        }
        if self.backlog.is_due(now) || asked > self.state.drops_done.load(Ordering::Acquire) {
            self.sweep(asked).await?;
        }
        let mut tree = self.tree.read().clone();
        let tiles = tree.append(&self.state, &snapshot.entries);
        let mark = Mark { batch: snapshot.upto, size: tree.size(), time_ms: snapshot.time_ms };
        let second = self.second_run(&snapshot, &tree, tiles, mark)?;
        apply(&self.state, second).await?;
        self.checkpoint(&mut tree).await?;
        *self.tree.write() = tree;
        self.removed =
            snapshot.records.iter().filter(|(_, _, slot)| slot.record.is_none()).map(|(key, _, _)| *key).collect();
        self.state.folded(snapshot.upto);
        self.folded.send_replace(snapshot.upto);
        *whole = true;
        Ok(())
    }

    /// Carries out the drops that were put off; all that were committed before this asking are among them.
    async fn sweep(&mut self, asked: u64) -> Result<(), Refusal> {
        // Neighbours on a page are dropped together.
        self.backlog.drops.sort_unstable_by_key(|dropped| match dropped {
            Dropped::Key(place) => (false, *place),
            Dropped::Blob(place) => (true, *place),
        });
        let mut ops = drop_ops(&self.state, &self.backlog.drops, &[]);
        ops.extend(self.backlog.sides.iter().map(|number| Op::Delete(side_key(self.state.shard, *number))));
        apply(&self.state, Run::new(ops, false)).await?;
        self.backlog = Backlog::default();
        self.state.drops_done.store(asked, Ordering::Release);
        Ok(())
    }

    fn snapshot(&self) -> Option<Snapshot> {
        let overlay = self.state.overlay.read();
        if overlay.pending.is_empty() {
            return None;
        }
        let pending = overlay.pending.iter();
        let waits = |batch: &&Pending| !batch.awaited && batch.side.only_drops();
        let now = || pending.clone().filter(|batch| !waits(batch));
        Some(Snapshot {
            upto: overlay.head.batch,
            time_ms: overlay.head.time.0,
            records: overlay.records.iter().map(|(key, (tenant, slot))| (*key, *tenant, slot.clone())).collect(),
            intents: overlay.intents.iter().map(|(key, (_, intent))| (*key, intent.clone())).collect(),
            volatile: overlay
                .volatile
                .iter()
                .map(|(name, (_, expires, body))| (*name, *expires, Arc::clone(body)))
                .collect(),
            entries: pending.clone().flat_map(|batch| batch.entries.iter().cloned()).collect(),
            sides: now().filter(|batch| batch.has_side_row).map(|batch| batch.number).collect(),
            drops: now().flat_map(|batch| batch.side.drops.iter().copied()).collect(),
            rings: now().flat_map(|batch| batch.side.rings.iter().copied()).collect(),
            awaited: pending.clone().any(|batch| batch.awaited),
            put_off: pending
                .filter(|batch| waits(batch) && batch.has_side_row)
                .map(|batch| (batch.number, batch.side.drops.clone()))
                .collect(),
        })
    }

    /// Authoritative things to their own places.
    fn first_run(&mut self, snapshot: &Snapshot) -> Result<Run, Refusal> {
        let mut ops = Vec::new();
        for ((key, tenant), intent) in &snapshot.intents {
            let store_key = intent_key(self.state.shard, *tenant, key);
            ops.push(match intent {
                Some(intent) => Op::Put(store_key, seal_intent(&self.state, self.entropy.as_ref(), intent)?),
                None => Op::Delete(store_key),
            });
        }
        for (name, expires, body) in &snapshot.volatile {
            let key = volatile_key(self.state.shard, name.0, &name.1);
            ops.push(Op::Put(key, seal_volatile(&self.state, self.entropy.as_ref(), *name, *expires, body)?));
        }
        ops.extend(drop_ops(&self.state, &snapshot.drops, &snapshot.rings));
        let durable = snapshot.awaited || !snapshot.rings.is_empty();
        ops.extend(snapshot.sides.iter().map(|number| Op::Delete(side_key(self.state.shard, *number))));
        let now = self.clock.monotonic();
        let all = self.counted_at.is_none_or(|at| now.saturating_sub(at) >= COUNT_EVERY);
        if all {
            self.counted_at = Some(now);
        }
        ops.extend(crate::seals::reserve(&self.state, all));
        Ok(Run::new(ops, durable))
    }

    /// Derived things, the watermark last.
    fn second_run(&self, snapshot: &Snapshot, tree: &Tree, tiles: Vec<Op>, mark: Mark) -> Result<Run, Refusal> {
        let mut ops: Vec<Op> = self.removed.iter().map(|key| Op::Delete(key.store_key(self.state.shard))).collect();
        for (key, tenant, slot) in &snapshot.records {
            let sealed = self.state.seal_record(self.entropy.as_ref(), *tenant, *key, slot)?;
            ops.push(Op::Put(key.store_key(self.state.shard), sealed));
        }
        ops.extend(tiles);
        ops.push(tree.seal_mark(&self.state, self.entropy.as_ref(), mark)?);
        Ok(Run::new(ops, false))
    }

    async fn checkpoint(&mut self, tree: &mut Tree) -> Result<(), Refusal> {
        let now = self.clock.monotonic();
        let due = self.signed_at.is_none_or(|at| now.saturating_sub(at) >= CHECKPOINT_EVERY);
        if !due && !self.state.checkpoint_wanted.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        self.signed_at = Some(now);
        let ops = tree.sign(&self.state)?;
        apply(&self.state, Run::new(ops, false)).await
    }
}

/// Carries out what a side row says, for rows a cut-off fold left behind.
pub(crate) async fn settle_side(
    state: &State,
    entropy: &dyn Entropy,
    number: BatchNumber,
    side: Side,
) -> Result<(), Refusal> {
    let mut ops = Vec::new();
    for intent in &side.intents {
        let key = intent_key(state.shard, intent.tenant, &intent.key);
        ops.push(Op::Put(key, seal_intent(state, entropy, intent)?));
    }
    ops.extend(side.closed.iter().map(|(tenant, key)| Op::Delete(intent_key(state.shard, *tenant, key))));
    for put in &side.volatile {
        let name = (put.tenant, put.key);
        let key = volatile_key(state.shard, put.tenant, &put.key);
        ops.push(Op::Put(key, seal_volatile(state, entropy, name, put.expires_ms, &put.body)?));
    }
    ops.extend(drop_ops(state, &side.drops, &side.rings));
    state.ring.adopt(&[], &side.rings);
    ops.push(Op::Delete(side_key(state.shard, number)));
    apply(state, Run::new(ops, !side.rings.is_empty())).await
}

fn drop_ops(state: &State, drops: &[Dropped], rings: &[(TenantId, storage::Place)]) -> Vec<Op> {
    let data = drops.iter().map(|dropped| match dropped {
        Dropped::Key(place) => Op::Delete(place.key(Kind::Key, state.shard)),
        Dropped::Blob(place) => Op::Delete(place.key(Kind::Blob, state.shard)),
    });
    let rings = rings.iter().map(|(tenant, place)| Op::Delete(place.ring_key(state.shard, *tenant.as_bytes())));
    data.chain(rings).collect()
}

fn seal_intent(state: &State, entropy: &dyn Entropy, intent: &StoredIntent) -> Result<Bytes, Refusal> {
    let keys = state.ring.tenant(intent.tenant)?;
    let store_key = intent_key(state.shard, intent.tenant, &intent.key);
    let plain = crypto::secret::SecretBytes::new(intent.encode());
    let sealed = keys.current_state()?.key.seal(entropy, Aad::intent(intent.tenant, store_key.rest()), plain.expose());
    Ok(sealed.map_err(|error| seal_fail(&error))?.into())
}

fn seal_volatile(
    state: &State,
    entropy: &dyn Entropy,
    name: VolatileName,
    expires: u64,
    body: &[u8],
) -> Result<Bytes, Refusal> {
    let keys = state.ring.tenant(name.0)?;
    let bound = [name.1.as_slice(), &expires.to_be_bytes()].concat();
    let sealed = keys.current_state()?.key.seal(entropy, Aad::volatile(name.0, &bound), body);
    Ok([expires.to_be_bytes().as_slice(), &sealed.map_err(|error| seal_fail(&error))?].concat().into())
}

/// Carries out a run, in the turn of this node where turns are taken.
pub(crate) async fn apply(state: &State, run: Run) -> Result<(), Refusal> {
    let fence = state.fence();
    if run.ops.is_empty() && fence.is_none() {
        return Ok(());
    }
    match state.storage.apply(Run { fence, ..run }).await {
        Commit::Done => Ok(()),
        Commit::Refused(cause) | Commit::Unknown(cause) => {
            state.note_cause(&cause);
            Err(cause_refusal(&cause))
        }
        Commit::Conflict(_) => Err(cause_refusal(&storage::Cause::Invalid("a run that conflicts"))),
    }
}
