//! Beginning and resuming a ledger.

use crate::code::{self, Refusal};
use crate::committer::{Committer, Waiting};
use crate::draft::RuleBook;
use crate::entry::{BatchRow, encode_entry, encode_fact};
use crate::fold::Folder;
use crate::house::{self, HouseEvent, HouseRules};
use crate::ledger::{Inner, Ledger, SealInForce};
use crate::nodes::{NodeId, PenRules, Shared, Sharing, Watch, hold_level};
use crate::ring::{Keys, Maker, Ring, RingPut, load, seal_fail};
use crate::state::{Head, State, cause_refusal, storage_refusal};
use crate::tree::Tree;
use crate::unit::{Actor, Event, Rules};
use crate::{Delay, absorb};
use bytes::Bytes;
use crypto::aead::{Aad, Key, LogKey};
use crypto::id::{OperationId, TenantId};
use crypto::note::VerifierKey;
use crypto::seam::{Clock, Entropy, Seal, WallMs};
use std::sync::Arc;
use storage::{Batch, BatchId, BatchNumber, BoxFuture, Commit, Kind, Place, Put, Shard, Storage};
use tokio::sync::{Notify, mpsc, watch};

/// Units that may wait for the committer; one more is refused with `ledger.busy`.
const QUEUE_MAX: usize = 4_096;
/// Unfolded bytes above which a start folds before it absorbs more.
const REPLAY_BYTES_MAX: usize = 32 << 20;

/// What a ledger is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where sealed bytes rest.
    pub storage: Arc<dyn Storage>,
    /// Which shard.
    pub shard: Shard,
    /// Opens the root key.
    pub seal: Arc<dyn Seal>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Waiting.
    pub delay: Arc<dyn Delay>,
    /// The engines' rules.
    pub rules: Vec<Arc<dyn Rules>>,
    /// Name of the cluster in checkpoint origins, used when the ledger is begun. Left empty it gets one of its own, so that
    /// ledgers of several clusters can be told apart.
    pub cluster: String,
    /// Bytes for records kept in memory.
    pub cache_bytes: u64,
    /// How this node shares the store; none where no other node may write it.
    pub sharing: Option<Sharing>,
}

/// A ledger and the work that keeps it going: poll each driver until it ends.
pub struct Opened {
    /// The handle.
    pub ledger: Ledger,
    /// Committer and fold; they end after [`Ledger::close`].
    pub drivers: Vec<BoxFuture<'static, ()>>,
    /// Whether this was the first start.
    pub begun: bool,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("begun", &self.begun).finish_non_exhaustive()
    }
}

/// Opens a ledger, beginning it in an empty store, and absorbs what was not folded.
///
/// Errors: `seal.invalid` when the seal does not open the root key, `storage.damaged` naming what is damaged,
/// `storage.unavailable`. Nothing is written unless the store is empty.
pub async fn open(mut parts: Parts) -> Result<Opened, Refusal> {
    parts.rules.push(Arc::new(HouseRules));
    parts.rules.push(Arc::new(crate::anchor::SegmentRules));
    parts.rules.push(Arc::new(PenRules));
    let rules = Arc::new(RuleBook::new(std::mem::take(&mut parts.rules)));
    hold_level(parts.storage.as_ref(), parts.shard).await?;
    let head = parts.storage.head(parts.shard).await.map_err(storage_refusal)?;
    let begun = head.0 == 0;
    if begun {
        begin(&parts).await?;
    }
    let keys = load(parts.storage.as_ref(), parts.shard, parts.seal.as_ref()).await?;
    let seal = Arc::new(parking_lot::RwLock::new(Arc::clone(&parts.seal)));
    let mut state = State::new(Arc::clone(&parts.storage), parts.shard, Ring::new(keys), parts.cache_bytes);
    state.shared = shared(&parts, &seal)?;
    let state = Arc::new(state);
    crate::seals::resume(&state).await?;
    read_origin(&state).await?;
    // Before anything is folded, which would sign a new end over the old one.
    let key = state.ring.tenant(TenantId::SYSTEM)?.checkpoint.as_ref().map(|signer| signer.key.public());
    let key = key.map(|key| Ok::<_, Refusal>(VerifierKey::new(state.origin()?.clone(), key))).transpose()?;
    crate::verify::uncut(parts.storage.as_ref(), parts.shard, key).await?;
    let (tree, mark) = Tree::load(&state).await?;
    state.overlay.write().head = Head { batch: mark.batch, size: mark.size, time: WallMs(mark.time_ms) };
    let (mut folder, kept) = folder(&parts, &state, tree, mark.batch);
    if let Some(shared) = &state.shared {
        // Another node may fold now; whoever does carries out what is left.
        shared.take_in(&state, &rules).await?;
        return Ok(assemble((parts, seal), state, rules, folder, kept, begun));
    }
    let backlog = absorb::sides(&state, parts.entropy.as_ref(), mark.batch).await?;
    folder = folder.going_on(backlog);
    while absorb::page(&state, &rules).await? {
        // Bounded memory however long the tail is, as after the loss of all records.
        if state.overlay.read().bytes > REPLAY_BYTES_MAX {
            folder.fold().await?;
        }
    }
    Ok(assemble((parts, seal), state, rules, folder, kept, begun))
}

/// What a node that shares its store has besides.
fn shared(parts: &Parts, seal: &SealInForce) -> Result<Option<Shared>, Refusal> {
    let Some(sharing) = parts.sharing.clone() else { return Ok(None) };
    let id = NodeId::generate(parts.entropy.as_ref()).map_err(crate::ring::no_entropy)?;
    Ok(Some(Shared::new(id, sharing, Arc::clone(seal), Arc::clone(&parts.clock), Arc::clone(&parts.delay))))
}

/// The first entry names the ledger.
async fn read_origin(state: &State) -> Result<(), Refusal> {
    let damaged = |what: &str| Refusal::new(&code::STORAGE_DAMAGED, format!("batch 1: {what}"));
    let found = state.storage.tail(state.shard, BatchNumber(1), 1).await.map_err(storage_refusal)?;
    let first = found.first().filter(|batch| batch.number.0 == 1).ok_or_else(|| damaged("missing"))?;
    let row = BatchRow::decode(&first.row)?;
    let entry = row.entries.first().ok_or_else(|| damaged("holds no entry"))?;
    let (_, fact) = absorb::open_entry(state, 0, entry)?;
    let HouseEvent::LedgerCreated { origin } = HouseEvent::decode(&fact.body)? else {
        return Err(damaged("does not begin a ledger"));
    };
    let origin = origin.parse().map_err(|_| damaged("names no origin"))?;
    state.origin.get_or_init(|| origin);
    Ok(())
}

/// What folder, committer and handle share.
struct Kept {
    tree: Arc<parking_lot::RwLock<Tree>>,
    wanted: Arc<Notify>,
    folded: watch::Receiver<BatchNumber>,
}

fn folder(parts: &Parts, state: &Arc<State>, tree: Tree, mark: BatchNumber) -> (Folder, Kept) {
    let (folded_to, folded) = watch::channel(mark);
    let wanted = Arc::new(Notify::new());
    let tree = Arc::new(parking_lot::RwLock::new(tree));
    let folder = Folder::new(
        Arc::clone(state),
        Arc::clone(&tree),
        Arc::clone(&parts.clock),
        Arc::clone(&parts.entropy),
        Arc::clone(&parts.delay),
        Arc::clone(&wanted),
        folded_to,
    );
    (folder, Kept { tree, wanted, folded })
}

fn assemble(
    (parts, seal): (Parts, SealInForce),
    state: Arc<State>,
    rules: Arc<RuleBook>,
    folder: Folder,
    kept: Kept,
    begun: bool,
) -> Opened {
    let (send, queue) = mpsc::channel::<Waiting>(QUEUE_MAX);
    let committer = Committer {
        state: Arc::clone(&state),
        rules,
        clock: Arc::clone(&parts.clock),
        entropy: Arc::clone(&parts.entropy),
        delay: Arc::clone(&parts.delay),
        fold_wanted: Arc::clone(&kept.wanted),
        folded: kept.folded.clone(),
    };
    let later = folder.later();
    let committing = async move {
        committer.run(queue).await;
        // Wakes the fold for the last time.
        later.close();
    };
    let inner = Inner {
        state,
        tree: kept.tree,
        seal,
        clock: parts.clock,
        entropy: parts.entropy,
        queue: parking_lot::RwLock::new(Some(send)),
        fold_wanted: kept.wanted,
        folded: kept.folded,
    };
    let ledger = Ledger::new(inner);
    let mut drivers: Vec<BoxFuture<'static, ()>> = vec![Box::pin(committing), Box::pin(folder.run())];
    let watch = ledger.inner.state.shared.as_ref().map(|shared| Watch::new(ledger.clone(), shared));
    if let Some(watch) = watch {
        drivers.push(Box::pin(watch.run()));
    }
    Opened { ledger, drivers, begun }
}

/// Removes every derived record; the next [`open`] makes them again from the entries. Repeat it if it is cut off.
///
/// Errors: `storage.unavailable`. Entries, keys, blobs, intents and volatile things are not touched.
pub async fn forget_records(storage: &dyn Storage, shard: Shard) -> Result<u64, Refusal> {
    // The watermark first: without it nothing that is left is taken for whole.
    let watermark = storage::Op::Delete(crate::keyspace::watermark_key(shard));
    remove(storage, vec![watermark]).await?;
    let prefix = storage::Key::new(Kind::Record, shard, Vec::new());
    let mut removed = 0u64;
    loop {
        let page = storage.scan(prefix.clone(), None, storage::LIMITS.page_max).await.map_err(storage_refusal)?;
        if page.is_empty() {
            return Ok(removed);
        }
        removed = removed.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        remove(storage, page.into_iter().map(|(key, _)| storage::Op::Delete(key)).collect()).await?;
    }
}

async fn remove(storage: &dyn Storage, ops: Vec<storage::Op>) -> Result<(), Refusal> {
    match storage.apply(storage::Run::new(ops, false)).await {
        Commit::Done => Ok(()),
        Commit::Refused(cause) | Commit::Unknown(cause) => Err(cause_refusal(&cause)),
        Commit::Conflict(_) => Err(Refusal::new(&code::BUG, "a run that conflicts")),
    }
}

/// The name given, or one that no other cluster has.
fn cluster(parts: &Parts) -> Result<String, Refusal> {
    if !parts.cluster.is_empty() {
        return Ok(parts.cluster.clone());
    }
    let mut own = [0; 4];
    parts.entropy.fill_public(&mut own).map_err(crate::ring::no_entropy)?;
    Ok(format!("aumbry-{:08x}", u32::from_be_bytes(own)))
}

/// Writes batch 1: root key, the keys of the tenant `system`, and the entries that say so.
async fn begin(parts: &Parts) -> Result<(), Refusal> {
    let entropy = parts.entropy.as_ref();
    let now = parts.clock.wall();
    let maker = Maker { entropy, now };
    let root = maker.fresh_root()?;
    let mut puts = vec![maker.root(parts.seal.as_ref(), Arc::clone(&root))?];
    puts.extend(maker.whole_tenant(TenantId::SYSTEM, &root)?);
    let origin = format!("{}/{}", cluster(parts)?, parts.shard.0);
    let mut events = vec![HouseEvent::LedgerCreated { origin }.event(house::LEDGER_CREATED)?];
    for put in &puts {
        events.push(house::key_created(put)?);
    }
    let mut id = [0; 16];
    entropy.fill_secret(&mut id).map_err(crate::ring::no_entropy)?;
    let batch = first_batch(parts, BatchId(id), now, &puts, &events)?;
    match parts.storage.commit(batch).await {
        // Another node was first: its keys are the ones.
        Commit::Done | Commit::Conflict(_) => Ok(()),
        Commit::Refused(cause) | Commit::Unknown(cause) => Err(cause_refusal(&cause)),
    }
}

fn first_batch(parts: &Parts, id: BatchId, now: WallMs, puts: &[RingPut], events: &[Event]) -> Result<Batch, Refusal> {
    let mut keys = Keys::default();
    let number = BatchNumber(1);
    let mut rows = Vec::new();
    for (put, index) in puts.iter().zip(0u32..) {
        let place = Place { number, id, index };
        keys.hold(put.tenant, put.id, put.created, place, put.key.clone());
        let value = put.row.encode()?.into();
        rows.push(Put { key: place.ring_key(parts.shard, *put.tenant.as_bytes()), value });
    }
    let system =
        keys.tenants.get(&TenantId::SYSTEM).ok_or_else(|| Refusal::new(&code::BUG, "no system keys were made"))?;
    let log = &system.current_log()?.key;
    let operation = OperationId::generate(now, parts.entropy.as_ref()).map_err(crate::ring::no_entropy)?;
    let mut entries = Vec::new();
    for (event, index) in events.iter().zip(0u64..) {
        entries.push(first_entry(parts, log, index, operation, now, event)?);
    }
    let row = BatchRow { first: 0, time: now, entries }.encode()?;
    Ok(Batch { shard: parts.shard, number, id, row, side: None, puts: rows })
}

fn first_entry(
    parts: &Parts,
    log: &Key<LogKey>,
    index: u64,
    operation: OperationId,
    now: WallMs,
    event: &Event,
) -> Result<Bytes, Refusal> {
    let plain = encode_fact(operation, now, &Actor::SYSTEM, event)?;
    let aad = Aad::entry(TenantId::SYSTEM, parts.shard.0, index);
    let sealed = log.seal(parts.entropy.as_ref(), aad, &plain).map_err(|error| seal_fail(&error))?;
    Ok(encode_entry(TenantId::SYSTEM, event, &sealed)?)
}
