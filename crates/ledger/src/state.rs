//! The newest state: records folded in the store, overlaid by what is committed but not folded yet.

use crate::code::{self, Refusal};
use crate::keyspace::{RecordKey, folder_id};
use crate::nodes::Shared;
use crate::record::{Record, Slot};
use crate::ring::{Ring, damaged};
use crate::side::{Side, StoredIntent};
use crate::unit::{Dropped, IntentKey, RecordKind, RecordName};
use bytes::Bytes;
use crypto::aead::{Aad, Header};
use crypto::id::{KeyId, TenantId};
use crypto::note::Origin;
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use storage::{BatchNumber, Cause, Fence, Key, Kind, Place, Shard, Storage, StorageError};
use tokio::sync::Notify;

/// What a commit left behind for the fold.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) number: BatchNumber,
    pub(crate) entries: Vec<Bytes>,
    pub(crate) side: Side,
    pub(crate) has_side_row: bool,
    pub(crate) awaited: bool,
    pub(crate) bytes: usize,
}

/// Newest batch and size of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// Number of the newest batch.
    pub batch: BatchNumber,
    /// Leaves in the tree.
    pub size: u64,
    /// Time of the newest batch.
    pub time: crypto::seam::WallMs,
}

/// Name of a volatile thing: tenant and key.
pub(crate) type VolatileName = (TenantId, [u8; 16]);

#[derive(Debug, Default)]
pub(crate) struct Overlay {
    pub(crate) records: BTreeMap<RecordKey, (TenantId, Slot)>,
    pub(crate) intents: BTreeMap<(IntentKey, TenantId), (BatchNumber, Option<StoredIntent>)>,
    pub(crate) volatile: BTreeMap<VolatileName, (BatchNumber, u64, Arc<[u8]>)>,
    pub(crate) pending: VecDeque<Pending>,
    pub(crate) bytes: usize,
    pub(crate) head: Head,
}

/// A folder of a tenant by its segments.
#[derive(PartialEq, Eq, Hash, Debug)]
struct FolderName {
    tenant: TenantId,
    path: Box<[Box<str>]>,
}

/// The same, borrowed. Fields in the same order: both hash alike.
#[derive(Hash, Debug)]
struct FolderRef<'a> {
    tenant: TenantId,
    path: &'a [Box<str>],
}

impl Equivalent<FolderName> for FolderRef<'_> {
    fn equivalent(&self, name: &FolderName) -> bool {
        self.tenant == name.tenant && *self.path == *name.path
    }
}

/// Folders whose ids are kept at hand.
const FOLDERS_MAX: usize = 16_384;

#[derive(Clone, Debug)]
struct SlotWeight;

impl Weighter<RecordKey, Slot> for SlotWeight {
    fn weight(&self, _: &RecordKey, slot: &Slot) -> u64 {
        let body = slot.record().map_or(0, |record| record.body.len().saturating_add(record.name.len()));
        u64::try_from(body).unwrap_or(u64::MAX).saturating_add(160)
    }
}

/// A wrapped data key and the sealed value it opens, as stored.
pub(crate) type SealedValue = (Bytes, Bytes);

#[derive(Clone, Debug)]
struct ValueWeight;

impl Weighter<[u8; 28], SealedValue> for ValueWeight {
    fn weight(&self, _: &[u8; 28], (key, blob): &SealedValue) -> u64 {
        u64::try_from(key.len().saturating_add(blob.len())).unwrap_or(u64::MAX).saturating_add(120)
    }
}

/// Shared by committer, fold and readers.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) shard: Shard,
    pub(crate) ring: Ring,
    pub(crate) overlay: RwLock<Overlay>,
    cache: Cache<RecordKey, Slot, SlotWeight>,
    /// Ids of folders, which cost a keyed hash for each level.
    folders: Cache<FolderName, [u8; 16]>,
    /// Values as stored, by the place of their key; a drop takes them out.
    values: Cache<[u8; 28], SealedValue, ValueWeight>,
    /// Rises before each removal from the overlay, so that a slow reader keeps what it read out of the cache.
    folds: AtomicU64,
    gate: RwLock<()>,
    /// Tells the fold that something was committed.
    pub(crate) later: crate::fold::Later,
    /// Set by whoever waits for a checkpoint of everything committed.
    pub(crate) checkpoint_wanted: AtomicBool,
    /// How often somebody asked that drops be carried out, and up to which asking they were.
    pub(crate) drops_asked: AtomicU64,
    pub(crate) drops_done: AtomicU64,
    /// Seals reserved in the store, by key.
    pub(crate) reserved: Mutex<BTreeMap<KeyId, u64>>,
    /// Keys that count their seals and were made since some were reserved.
    pub(crate) made: Mutex<Vec<KeyId>>,
    /// Name of this ledger in checkpoints, read from its first entry.
    pub(crate) origin: OnceLock<Origin>,
    /// The store refused something for want of space and has not been seen with room since.
    full: AtomicBool,
    /// Its reserve was given up: only what takes rights away is committed until it is whole again.
    sparing: AtomicBool,
    broken: AtomicBool,
    /// Woken when the store broke for good.
    pub(crate) on_broken: Notify,
    /// What there is only where other nodes share the store.
    pub(crate) shared: Option<Shared>,
    /// The turn at folding that this node has begun, where turns are taken.
    pub(crate) turn: AtomicU64,
    /// Held while a fold moves things, and by whoever needs them to hold still. Whether what is stored in places of its own
    /// is exactly as of the fold's watermark: not after a fold that was cut off.
    pub(crate) folding: tokio::sync::Mutex<bool>,
}

impl State {
    pub(crate) fn new(storage: Arc<dyn Storage>, shard: Shard, ring: Ring, cache_bytes: u64) -> State {
        let items = usize::try_from(cache_bytes / 512).unwrap_or(1024).max(64);
        State {
            storage,
            shard,
            ring,
            overlay: RwLock::default(),
            cache: Cache::with_weighter(items, cache_bytes, SlotWeight),
            folders: Cache::new(FOLDERS_MAX),
            values: Cache::with_weighter(items / 2, cache_bytes, ValueWeight),
            folds: AtomicU64::new(0),
            gate: RwLock::new(()),
            later: crate::fold::Later::default(),
            checkpoint_wanted: AtomicBool::new(false),
            drops_asked: AtomicU64::new(0),
            drops_done: AtomicU64::new(0),
            reserved: Mutex::default(),
            made: Mutex::default(),
            origin: OnceLock::new(),
            full: AtomicBool::new(false),
            sparing: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            on_broken: Notify::new(),
            shared: None,
            turn: AtomicU64::new(0),
            folding: tokio::sync::Mutex::new(false),
        }
    }

    /// Remembers that the store must not be written any more, or has no room; the fold looks for room then.
    pub(crate) fn note_cause(&self, cause: &Cause) {
        match cause {
            Cause::Broken(_) => {
                self.broken.store(true, Ordering::Release);
                self.on_broken.notify_waiters();
            }
            Cause::Full => {
                self.full.store(true, Ordering::Release);
                self.later.work();
            }
            Cause::Fenced => {
                let turn = self.turn.swap(0, Ordering::AcqRel);
                self.shared.iter().for_each(|shared| shared.lose(turn));
            }
            Cause::Invalid(_) | Cause::Unreachable(_) => {}
        }
    }

    /// What a run of this node carries, where nodes fold in turns.
    pub(crate) fn fence(&self) -> Option<Fence> {
        self.shared.as_ref().map(|_| Fence { shard: self.shard, turn: self.turn.load(Ordering::Acquire) })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Whether only what takes rights away may be committed.
    pub(crate) fn is_sparing(&self) -> bool {
        self.sparing.load(Ordering::Acquire)
    }

    /// Gives up the space the store keeps back and lets only what takes rights away use what there is now; whether that
    /// is new.
    pub(crate) fn spend_reserve(&self) -> bool {
        let had = self.storage.release_reserve();
        !self.sparing.swap(true, Ordering::AcqRel) || had
    }

    pub(crate) async fn look_for_room(&self) {
        if self.storage.has_room().await {
            self.sparing.store(false, Ordering::Release);
            self.full.store(false, Ordering::Release);
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Origin of this shard's checkpoints.
    pub(crate) fn origin(&self) -> Result<&Origin, Refusal> {
        self.origin.get().ok_or_else(|| Refusal::new(&code::SEAL_SEALED, "the ledger is not open yet"))
    }

    pub(crate) fn head(&self) -> Head {
        self.overlay.read().head
    }

    /// Physical key of a record.
    pub(crate) fn key(&self, tenant: TenantId, name: &RecordName) -> Result<RecordKey, Refusal> {
        let keys = self.ring.tenant(tenant)?;
        let ids = keys.names()?;
        let Some((own, above)) = name.path.split_last() else {
            return Ok(RecordKey { kind: name.kind, parent: *tenant.as_bytes(), child: *tenant.as_bytes() });
        };
        let folder = FolderRef { tenant, path: above };
        let parent = match self.folders.get(&folder) {
            Some(known) => known,
            None => {
                let made = folder_id(ids, tenant, above);
                self.folders.insert(FolderName { tenant, path: above.into() }, made);
                made
            }
        };
        Ok(RecordKey { kind: name.kind, parent, child: ids.id_of(parent, own) })
    }

    /// A record as of now.
    pub(crate) async fn record(&self, tenant: TenantId, key: RecordKey) -> Result<Slot, Refusal> {
        if let Some((_, slot)) = self.overlay.read().records.get(&key) {
            return Ok(slot.clone());
        }
        if let Some(slot) = self.cache.get(&key) {
            return Ok(slot);
        }
        let folds = self.folds.load(Ordering::Acquire);
        let found = self.storage.get(vec![key.store_key(self.shard)]).await.map_err(storage_refusal)?;
        let slot = match found.into_iter().next().flatten() {
            Some(sealed) => self.open_record(tenant, key, &sealed)?,
            None => Slot::ABSENT,
        };
        // A fold in between may have replaced what was read; then it must not enter the cache.
        let _gate = self.gate.read();
        if self.folds.load(Ordering::Acquire) == folds {
            match self.overlay.read().records.get(&key) {
                Some((_, newer)) => return Ok(newer.clone()),
                None => self.cache.insert(key, slot.clone()),
            }
        }
        Ok(slot)
    }

    /// A wrapped data key and its sealed value; `None` for what is not there.
    pub(crate) async fn sealed_value(
        &self,
        key: &Place,
        blob: &Place,
    ) -> Result<(Option<Bytes>, Option<Bytes>), Refusal> {
        let at = key.bytes();
        if let Some((wrapped, sealed)) = self.values.get(&at) {
            return Ok((Some(wrapped), Some(sealed)));
        }
        let folds = self.folds.load(Ordering::Acquire);
        let wanted = vec![key.key(Kind::Key, self.shard), blob.key(Kind::Blob, self.shard)];
        let mut found = self.storage.get(wanted).await.map_err(storage_refusal)?.into_iter();
        let (wrapped, sealed) = (found.next().flatten(), found.next().flatten());
        if let (Some(wrapped), Some(sealed)) = (&wrapped, &sealed) {
            // As for records: what a fold destroyed meanwhile must not come back.
            let _gate = self.gate.read();
            if self.folds.load(Ordering::Acquire) == folds {
                self.values.insert(at, (wrapped.clone(), sealed.clone()));
            }
        }
        Ok((wrapped, sealed))
    }

    /// Opens a folded record.
    pub(crate) fn open_record(&self, tenant: TenantId, key: RecordKey, sealed: &[u8]) -> Result<Slot, Refusal> {
        let name = || format!("record {:02x?} of kind {}", key.child, key.kind.0);
        let header = Header::parse(sealed).map_err(|error| damaged(&name(), &error))?;
        let keys = self.ring.tenant(tenant)?;
        let state = keys.state_by_id(header.key_id).map_err(|error| damaged(&name(), &error))?;
        let aad = Aad::record(tenant, self.shard.0, key.kind.0, key.parent, key.child);
        let plain = state.open(aad, sealed).map_err(|error| damaged(&name(), &error))?;
        Slot::decode(plain.expose()).map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("{}: {why}", name())))
    }

    /// Seals a record for the fold.
    pub(crate) fn seal_record(
        &self,
        entropy: &dyn crypto::seam::Entropy,
        tenant: TenantId,
        key: RecordKey,
        slot: &Slot,
    ) -> Result<Bytes, Refusal> {
        let keys = self.ring.tenant(tenant)?;
        let aad = Aad::record(tenant, self.shard.0, key.kind.0, key.parent, key.child);
        let sealed = keys.current_state()?.key.seal(entropy, aad, &slot.encode());
        Ok(sealed.map_err(|error| crate::ring::seal_fail(&error))?.into())
    }

    /// Up to `limit` records directly below a folder, in store order after `after`.
    pub(crate) async fn children(
        &self,
        tenant: TenantId,
        kind: RecordKind,
        parent: &[Box<str>],
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Result<Vec<([u8; 16], Arc<Record>)>, Refusal> {
        let parent = folder_id(self.ring.tenant(tenant)?.names()?, tenant, parent);
        let prefix = Key::new(Kind::Record, self.shard, [&[kind.0], parent.as_slice()].concat());
        let mut found = Vec::new();
        let mut after = after;
        while found.len() < limit {
            let start = after.map(|child| RecordKey { kind, parent, child }.store_key(self.shard));
            let want = limit.saturating_sub(found.len()).saturating_add(16).min(storage::LIMITS.page_max);
            // Snapshot of the overlay before the scan: what a fold moves meanwhile is seen on one side at least.
            let mut overlaid = self.overlaid(kind, parent, after);
            let page = self.storage.scan(prefix.clone(), start, want).await.map_err(storage_refusal)?;
            let full = page.len() == want;
            let mut slots = BTreeMap::new();
            for (store_key, sealed) in page {
                let key = RecordKey::from_bytes(store_key.rest())
                    .ok_or_else(|| Refusal::new(&code::STORAGE_DAMAGED, "a record under a key that cannot be read"))?;
                slots.insert(key.child, self.open_record(tenant, key, &sealed)?);
            }
            let last = slots.last_key_value().map(|(child, _)| *child).filter(|_| full);
            overlaid.retain(|(child, _)| last.is_none_or(|last| *child <= last));
            for (child, slot) in overlaid {
                if slots.get(&child).is_none_or(|folded| folded.as_of <= slot.as_of) {
                    slots.insert(child, slot);
                }
            }
            after = slots.last_key_value().map(|(child, _)| *child).or(after);
            found.extend(slots.into_iter().filter_map(|(child, slot)| slot.record.map(|record| (child, record))));
            if !full {
                break;
            }
        }
        found.truncate(limit);
        Ok(found)
    }

    fn overlaid(&self, kind: RecordKind, parent: [u8; 16], after: Option<[u8; 16]>) -> Vec<([u8; 16], Slot)> {
        let at = |child| RecordKey { kind, parent, child };
        let low = after.map_or(Bound::Included(at([0; 16])), |child| Bound::Excluded(at(child)));
        let overlay = self.overlay.read();
        let range = overlay.records.range((low, Bound::Included(at([0xff; 16]))));
        range.map(|(key, (_, slot))| (key.child, slot.clone())).collect()
    }

    /// A volatile thing that has not expired.
    pub(crate) async fn volatile(&self, name: VolatileName, now_ms: u64) -> Result<Option<Arc<[u8]>>, Refusal> {
        if let Some((_, expires, body)) = self.overlay.read().volatile.get(&name) {
            return Ok((*expires > now_ms).then(|| Arc::clone(body)));
        }
        let key = crate::keyspace::volatile_key(self.shard, name.0, &name.1);
        let found = self.storage.get(vec![key]).await.map_err(storage_refusal)?;
        let Some(stored) = found.into_iter().next().flatten() else { return Ok(None) };
        let (expires, body) = self.open_volatile(name, &stored)?;
        Ok((expires > now_ms).then_some(body))
    }

    pub(crate) fn open_volatile(&self, name: VolatileName, stored: &[u8]) -> Result<(u64, Arc<[u8]>), Refusal> {
        let bad = || Refusal::new(&code::STORAGE_DAMAGED, "a volatile row cut short");
        let (expires, sealed) = stored.split_first_chunk::<8>().ok_or_else(bad)?;
        let header = Header::parse(sealed).map_err(|error| damaged("a volatile row", &error))?;
        let keys = self.ring.tenant(name.0)?;
        let state = keys.state_by_id(header.key_id).map_err(|error| damaged("a volatile row", &error))?;
        let bound = [name.1.as_slice(), expires].concat();
        let plain =
            state.open(Aad::volatile(name.0, &bound), sealed).map_err(|error| damaged("a volatile row", &error))?;
        Ok((u64::from_be_bytes(*expires), plain.expose().into()))
    }

    /// After a fold up to `upto`: cached slots of folded keys are the folded ones, the overlay forgets them.
    pub(crate) fn folded(&self, upto: BatchNumber) {
        let _gate = self.gate.write();
        self.folds.fetch_add(1, Ordering::AcqRel);
        let mut overlay = self.overlay.write();
        let cache = &self.cache;
        overlay.records.retain(|key, (_, slot)| {
            let done = slot.as_of <= upto.0;
            if done {
                cache.insert(*key, slot.clone());
            }
            !done
        });
        overlay.intents.retain(|_, (batch, _)| *batch > upto);
        overlay.volatile.retain(|_, (batch, _, _)| *batch > upto);
        while overlay.pending.front().is_some_and(|pending| pending.number <= upto) {
            if let Some(pending) = overlay.pending.pop_front() {
                for dropped in &pending.side.drops {
                    if let Dropped::Key(place) = dropped {
                        self.values.remove(&place.bytes());
                    }
                }
                overlay.bytes = overlay.bytes.saturating_sub(pending.bytes);
            }
        }
    }
}

/// What a failed read means to a caller.
pub(crate) fn storage_refusal(error: StorageError) -> Refusal {
    let code = match &error {
        StorageError::Unreachable(_) | StorageError::Broken(_) => &code::STORAGE_UNAVAILABLE,
        StorageError::Invalid(_) => &code::BUG,
        StorageError::Damaged(_) => &code::STORAGE_DAMAGED,
    };
    Refusal::new(code, error.to_string())
}

/// What a refused commit means to a caller; nothing happened.
pub(crate) fn cause_refusal(cause: &Cause) -> Refusal {
    match cause {
        Cause::Full => Refusal::new(&code::STORAGE_FULL, "the store has no space left; nothing was changed"),
        Cause::Invalid(why) => Refusal::new(&code::LEDGER_TOO_LARGE, format!("the store refuses the change: {why}")),
        Cause::Unreachable(_) => {
            Refusal::new(&code::STORAGE_UNAVAILABLE, "the store cannot be reached; nothing was changed")
        }
        Cause::Fenced => Refusal::new(&code::STORAGE_UNAVAILABLE, "another node has taken over; nothing was changed"),
        Cause::Broken(_) => {
            Refusal::new(&code::STORAGE_UNAVAILABLE, "the store is shut after a failed write; nothing was changed")
        }
    }
}
