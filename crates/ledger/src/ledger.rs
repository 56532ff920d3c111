//! The handle that everyone holds.

use crate::code::{self, Refusal};
use crate::committer::Waiting;
use crate::draft::KnownKey;
use crate::entry::{BatchRow, Fact};
use crate::keyspace::RecordKey;
use crate::nodes::Shared;
use crate::replay::Replay;
use crate::state::{Head, State, storage_refusal};
use crate::tree::Tree;
use crate::unit::{Idempotency, Receipt, RecordKind, RecordName, Unit};
use bytes::Bytes;
use crypto::Hash;
use crypto::id::TenantId;
use crypto::note::{Origin, VerifierKey};
use crypto::seam::{Clock, Entropy, Seal};
use parking_lot::RwLock;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use storage::BatchNumber;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// The seal that root keys rest under; another one after a rekey.
pub(crate) type SealInForce = Arc<RwLock<Arc<dyn Seal>>>;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) state: Arc<State>,
    pub(crate) tree: Arc<RwLock<Tree>>,
    pub(crate) seal: SealInForce,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) queue: RwLock<Option<mpsc::Sender<Waiting>>>,
    pub(crate) fold_wanted: Arc<Notify>,
    pub(crate) folded: watch::Receiver<BatchNumber>,
}

/// A ledger on this node; clones share it.
///
/// Nothing that belongs to a tenant is reached without naming the tenant (NS-10). None of these compile:
///
/// ```compile_fail,E0061
/// async fn anybody(ledger: &ledger::Ledger, name: &ledger::RecordName) {
///     ledger.record(name).await.ok();
/// }
/// ```
/// ```compile_fail,E0061
/// fn anybody(ledger: &ledger::Ledger, name: &ledger::RecordName) {
///     ledger.locate(name).ok();
/// }
/// ```
/// ```compile_fail,E0061
/// async fn anybody(ledger: &ledger::Ledger) {
///     ledger.volatile([0; 16]).await.ok();
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) inner: Arc<Inner>,
}

/// Where a record stands in the store.
#[derive(Clone, Copy, Debug)]
pub struct Located {
    tenant: TenantId,
    key: RecordKey,
}

/// A record found in a folder.
#[derive(Clone, Debug)]
pub struct Child {
    /// Its id, which orders a folder; the next page starts after it.
    pub id: [u8; 16],
    /// Its name.
    pub name: Box<str>,
    /// Its content in the engine's codec.
    pub body: Arc<[u8]>,
}

/// A sealed entry and where it stands.
#[derive(Clone, Debug)]
pub struct SealedEntry {
    /// Leaf index.
    pub index: u64,
    /// Bytes whose RFC 6962 leaf hash stands in the tree: tenant id, then the sealed blob.
    pub bytes: Bytes,
}

/// Tells whether anything of a ledger is still in memory, without holding it there.
#[derive(Clone, Debug)]
pub struct Trace(Weak<State>);

impl Trace {
    /// Whether records, caches and keys of the ledger are gone.
    pub fn is_gone(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl Ledger {
    /// What is left to ask after it once it is closed.
    pub fn trace(&self) -> Trace {
        Trace(Arc::downgrade(&self.inner.state))
    }

    pub(crate) fn new(inner: Inner) -> Ledger {
        Ledger { inner: Arc::new(inner) }
    }

    /// The kept answer to an earlier, equal request, for use cases that look at something before they submit: what they would
    /// look at may be gone by their own doing. Errors: `idempotency.reused`.
    pub async fn answered(&self, tenant: TenantId, idempotency: &Idempotency) -> Result<Option<Receipt>, Refusal> {
        let Some(body) = self.volatile(tenant, idempotency.key).await? else { return Ok(None) };
        Replay::decode(&body)?.receipt(Some(idempotency)).map(Some)
    }

    /// Submits a unit and waits until it is durable, and folded if it destroys something.
    ///
    /// Errors: the engine's refusal (nothing happened); `ledger.busy` when too many wait (nothing happened);
    /// `storage.unknown` with the operation id (may have happened). Dropping the future undoes nothing.
    pub async fn submit(&self, unit: Unit) -> Result<Receipt, Refusal> {
        let known = self.warm(&unit).await?;
        let (answer, answered) = oneshot::channel();
        let operation = unit.operation;
        {
            let queue = self.inner.queue.read();
            let queue = queue.as_ref().ok_or_else(|| Refusal::new(&code::SERVER_STOPPING, "the ledger is closed"))?;
            queue.try_send(Waiting { unit, known, answer }).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Refusal::new(&code::LEDGER_BUSY, "too many changes wait"),
                mpsc::error::TrySendError::Closed(_) => Refusal::new(&code::SERVER_STOPPING, "the ledger is closed"),
            })?;
        }
        let answer = answered.await.map_err(|_| {
            Refusal::new(&code::STORAGE_UNKNOWN, "the committer ended before it answered").about(operation)
        })??;
        if let Some(number) = answer.fold {
            self.folded_to(number).await;
        }
        Ok(answer.receipt)
    }

    /// Finds and loads what the committer will look at, on the caller's thread.
    async fn warm(&self, unit: &Unit) -> Result<Arc<[KnownKey]>, Refusal> {
        let mut known = Vec::new();
        for name in unit.commands.iter().flat_map(|command| command.reads()) {
            let key = self.inner.state.key(unit.tenant, &name)?;
            self.inner.state.record(unit.tenant, key).await?;
            known.push((name, key));
        }
        known.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(known.into())
    }

    async fn folded_to(&self, number: BatchNumber) {
        let mut folded = self.inner.folded.clone();
        self.inner.fold_wanted.notify_one();
        // An error means that the fold has ended with the ledger; what is left is folded at the next start.
        drop(folded.wait_for(|done| *done >= number).await);
    }

    /// Where a record stands: worked out once, good for as long as the tenant is.
    pub fn locate(&self, tenant: TenantId, name: &RecordName) -> Result<Located, Refusal> {
        Ok(Located { tenant, key: self.inner.state.key(tenant, name)? })
    }

    /// As [`Ledger::record`], for a record that was located before.
    pub async fn located(&self, at: Located) -> Result<Option<Arc<[u8]>>, Refusal> {
        Ok(self.inner.state.record(at.tenant, at.key).await?.body())
    }

    /// Waits until every drop of what was committed is carried out.
    pub(crate) async fn dropped(&self) {
        let mut folded = self.inner.folded.clone();
        let state = &self.inner.state;
        let asking = state.drops_asked.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        loop {
            folded.mark_unchanged();
            if state.drops_done.load(Ordering::Acquire) >= asking {
                return;
            }
            self.inner.fold_wanted.notify_one();
            // An error means that the fold has ended: with the ledger, everything carried out, or because the store broke.
            if folded.changed().await.is_err() {
                return;
            }
        }
    }

    /// A record as of now, `None` if there is none. Errors: `storage.damaged` naming it.
    pub async fn record(&self, tenant: TenantId, name: &RecordName) -> Result<Option<Arc<[u8]>>, Refusal> {
        let key = self.inner.state.key(tenant, name)?;
        Ok(self.inner.state.record(tenant, key).await?.body())
    }

    /// Up to `limit` records directly below a folder, in store order after `after`.
    pub async fn children(
        &self,
        tenant: TenantId,
        kind: RecordKind,
        parent: &[Box<str>],
        after: Option<[u8; 16]>,
        limit: usize,
    ) -> Result<Vec<Child>, Refusal> {
        let found = self.inner.state.children(tenant, kind, parent, after, limit).await?;
        Ok(found
            .into_iter()
            .map(|(id, record)| Child { id, name: record.name.clone(), body: Arc::clone(&record.body) })
            .collect())
    }

    /// A volatile thing that has not expired.
    pub async fn volatile(&self, tenant: TenantId, key: [u8; 16]) -> Result<Option<Arc<[u8]>>, Refusal> {
        self.inner.state.volatile((tenant, key), self.inner.clock.wall().0).await
    }

    /// Newest batch and size of the tree, committed, folded or not.
    pub fn head(&self) -> Head {
        self.inner.state.head()
    }

    /// Batches that are committed and not folded.
    pub fn unfolded(&self) -> usize {
        self.inner.state.overlay.read().pending.len()
    }

    /// Whether the store broke: it takes no more writes in this process.
    pub fn is_broken(&self) -> bool {
        self.inner.state.is_broken()
    }

    /// Whether the store has no room: changes are refused, but those that take rights away find space kept back.
    pub fn is_full(&self) -> bool {
        self.inner.state.is_full()
    }

    /// Resolves when the store breaks.
    pub async fn broken(&self) {
        loop {
            let notified = self.inner.state.on_broken.notified();
            if self.is_broken() {
                return;
            }
            notified.await;
        }
    }

    /// Origin of this shard's checkpoints, `<cluster>/<shard>`.
    pub fn origin(&self) -> Result<&Origin, Refusal> {
        self.inner.state.origin()
    }

    /// The public key that checkpoints verify under, with the ledger's origin.
    pub fn verifier_key(&self) -> Result<VerifierKey, Refusal> {
        let keys = self.inner.state.ring.tenant(TenantId::SYSTEM)?;
        let signer = keys
            .checkpoint
            .as_ref()
            .ok_or_else(|| Refusal::new(&code::SEAL_SEALED, "the checkpoint key is not loaded"))?;
        Ok(VerifierKey::new(self.origin()?.clone(), signer.key.public()))
    }

    /// The newest signed checkpoint (C2SP signed note), at most about a second old.
    pub fn checkpoint(&self) -> Option<String> {
        self.inner.tree.read().note()
    }

    /// Keeps a checkpoint of this ledger with signatures of witnesses below it; shown from now on in the place of the same one
    /// without them. Not stored: witnesses are asked again after a start.
    pub fn keep_cosigned(&self, checkpoint: String) {
        self.inner.tree.read().keep_cosigned(checkpoint);
    }

    /// Folds everything committed so far and signs a checkpoint of it.
    pub async fn settle(&self) -> Result<Option<String>, Refusal> {
        let number = self.head().batch;
        if *self.inner.folded.borrow() < number {
            self.inner.state.checkpoint_wanted.store(true, Ordering::Release);
            self.folded_to(number).await;
        }
        if self.inner.tree.read().is_signed() { Ok(self.checkpoint()) } else { self.sign_now().await }
    }

    async fn sign_now(&self) -> Result<Option<String>, Refusal> {
        let mut tree = self.inner.tree.read().clone();
        let ops = tree.sign(&self.inner.state)?;
        // A node that does not fold shows what it signed and stores nothing.
        if self.holds_pen() {
            crate::fold::apply(&self.inner.state, storage::Run::new(ops, false)).await?;
        }
        let note = tree.note();
        *self.inner.tree.write() = tree;
        Ok(note)
    }

    /// Size and root of the folded tree.
    pub fn folded_tree(&self) -> (u64, Hash) {
        let tree = self.inner.tree.read();
        (tree.size(), tree.root())
    }

    /// Proof that entry `index` is in the tree of `size` leaves. Errors: `ledger.range`.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Vec<Hash>, Refusal> {
        let tree = self.inner.tree.read().clone();
        tree.inclusion(&self.inner.state, index, size).await
    }

    /// Proof that the tree of `old` leaves is the beginning of that of `new`. Errors: `ledger.range`.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, Refusal> {
        let tree = self.inner.tree.read().clone();
        tree.consistency(&self.inner.state, old, new).await
    }

    /// Bytes of a tree tile as in C2SP tlog-tiles. Errors: `storage.damaged` when it is missing.
    pub async fn tile(&self, tile: crypto::merkle::Tile) -> Result<Vec<u8>, Refusal> {
        let tree = self.inner.tree.read().clone();
        tree.read_tile(&self.inner.state, tile).await
    }

    /// Sealed entries from `from` on, at most `limit`.
    pub async fn entries(&self, from: u64, limit: usize) -> Result<Vec<SealedEntry>, Refusal> {
        let state = &self.inner.state;
        let mut out = Vec::new();
        let mut number = self.batch_of(from).await?;
        while out.len() < limit {
            let batches = state.storage.tail(state.shard, number, 64).await.map_err(storage_refusal)?;
            let Some(last) = batches.last() else { break };
            number = last.number.next();
            for batch in &batches {
                let row = BatchRow::decode(&batch.row)
                    .map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("batch {}: {why}", batch.number.0)))?;
                let room = limit.saturating_sub(out.len());
                let wanted = row.entries.into_iter().zip(row.first..).filter(|(_, index)| *index >= from).take(room);
                out.extend(wanted.map(|(bytes, index)| SealedEntry { index, bytes }));
            }
        }
        Ok(out)
    }

    /// Opens a sealed entry. Errors: `storage.damaged` naming it.
    pub fn open_entry(&self, entry: &SealedEntry) -> Result<(TenantId, Fact), Refusal> {
        crate::absorb::open_entry(&self.inner.state, entry.index, &entry.bytes)
    }

    /// Number of the last batch that begins at or before an entry.
    async fn batch_of(&self, index: u64) -> Result<BatchNumber, Refusal> {
        let (mut low, mut high) = (1u64, self.head().batch.0.max(1));
        while low < high {
            let middle = low.saturating_add(high).div_ceil(2);
            if self.row_at(BatchNumber(middle)).await?.is_some_and(|row| row.first <= index) {
                low = middle;
            } else {
                high = middle.saturating_sub(1);
            }
        }
        Ok(BatchNumber(low))
    }

    pub(crate) async fn row_at(&self, number: BatchNumber) -> Result<Option<BatchRow>, Refusal> {
        let state = &self.inner.state;
        let found = state.storage.tail(state.shard, number, 1).await.map_err(storage_refusal)?;
        let Some(batch) = found.first().filter(|batch| batch.number == number) else { return Ok(None) };
        let row = BatchRow::decode(&batch.row);
        row.map(Some).map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("batch {}: {why}", number.0)))
    }

    /// Takes no more units; the drivers end when what waits is committed and folded.
    pub fn close(&self) {
        self.inner.queue.write().take();
        self.inner.state.shared.iter().for_each(Shared::close);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inner.queue.read().is_none()
    }
}

/// Name of the tenant kept for the house itself.
pub const SYSTEM_TENANT: &str = "system";
