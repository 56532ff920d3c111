//! Making a backup while the ledger is written.
//!
//! Batches are copied from the first on, each with the keys and values that it still has, in short reads that hold nobody up.
//! What is deleted meanwhile may or may not be in the copy. The end is taken with the fold held still for a moment: the
//! backup ends at the fold's watermark, where nothing has been deleted yet that a record as of then points to, and where
//! intents and side rows are exactly those of that batch. Keys that are in the copy and that nothing points to any more go
//! when it is restored.

use super::chunk::ChunkWriter;
use super::foot::Foot;
use super::head::Head;
use super::item::Item;
use super::rows::Rows;
use crate::code::{self, Refusal};
use crate::ledger::Ledger;
use crate::ring::no_entropy;
use crate::state::storage_refusal;
use crypto::aead::{Aad, BackupKey, Key};
use crypto::id::{BackupId, TenantId};
use std::collections::HashMap;
use std::io::Write;
use storage::{BatchId, BatchNumber, BoxFuture, Key as StoreKey, Kind, LIMITS, Place};

/// Batches read at once; one can have 8 MiB.
const PAGE: usize = 8;
/// Side rows read at once; they can be large too.
const SIDES: usize = 64;
/// The end is taken when so many batches or fewer are left.
const LEFT_MAX: u64 = 64;
/// Looks at the fold between two requests for one.
const ASKED_EVERY: u64 = 64;
/// Rounds of catching up before the end is taken anyway.
const ROUNDS_MAX: usize = 16;

/// Slows a backup down, so that it costs others little, and can end it.
pub trait Pace: Send + Sync {
    /// Asked after each short piece of work. An error ends the backup with it.
    fn step(&self) -> BoxFuture<'_, Result<(), Refusal>>;
}

fn elsewhere(why: &str) -> Refusal {
    Refusal::new(&code::BACKUP_ELSEWHERE, why)
}

/// A backup on its way.
struct Making<'a> {
    ledger: &'a Ledger,
    out: ChunkWriter<'a>,
    next: BatchNumber,
    keys: Rows,
    blobs: Rows,
    last: BatchId,
    intents: u64,
}

impl Ledger {
    /// Writes a backup with a fresh id of everything that was committed when it was asked for, and of what was committed while it was made
    /// up to its end. Whoever writes meanwhile waits at most for a held fold.
    ///
    /// Bounded memory; reads block the calling thread, so give it one of its own. Gives head and foot when the last byte was
    /// written and flushed to `out`; that it rests is the caller's work. Errors: `backup.failed` where `out` fails,
    /// `storage.full`, `storage.damaged`, `storage.unavailable`, `backup.elsewhere` on a node that does not fold, whatever the pace says. What was written by then is no backup and
    /// never reads as one.
    pub async fn back_up(
        &self,
        id: BackupId,
        out: &mut (dyn Write + Send),
        pace: &dyn Pace,
    ) -> Result<(Head, Foot), Refusal> {
        let inner = &self.inner;
        let turn = inner.state.fence();
        if !self.holds_pen() {
            return Err(elsewhere("another node folds, and might destroy what is being copied"));
        }
        let asked = self.head().batch;
        let (head, key) = self.backup_head(id).await?;
        let (bytes, digest) = head.encode()?;
        out.write_all(&bytes).map_err(|error| super::stream(&error))?;
        let shard = inner.state.shard;
        let mut making = Making {
            ledger: self,
            out: ChunkWriter::new(out, key, digest, inner.entropy.as_ref()),
            next: BatchNumber(1),
            keys: Rows::new(Kind::Key, shard),
            blobs: Rows::new(Kind::Blob, shard),
            last: BatchId([0; 16]),
            intents: 0,
        };
        for _ in 0..ROUNDS_MAX {
            let head = self.head().batch;
            making.batches(head, Some(pace)).await?;
            if self.head().batch.0.saturating_sub(head.0) <= LEFT_MAX {
                break;
            }
        }
        let foot = making.end(asked, pace).await?;
        if inner.state.fence() != turn {
            return Err(elsewhere("another node has begun to fold while it was made"));
        }
        Ok((head, foot))
    }

    /// A head with a fresh key under the root key in force.
    async fn backup_head(&self, id: BackupId) -> Result<(Head, Key<BackupKey>), Refusal> {
        let inner = &self.inner;
        let state = &inner.state;
        let key = Key::<BackupKey>::generate(inner.entropy.as_ref()).map_err(no_entropy)?;
        // Another row takes its place when the root key is replaced or the seal is; then that one is used.
        for _ in 0..ROUNDS_MAX {
            let root = state.ring.keys().root()?.clone();
            let place = root.place.ring_key(state.shard, *TenantId::SYSTEM.as_bytes());
            let found = state.storage.get(vec![place]).await.map_err(storage_refusal)?;
            let Some(row) = found.into_iter().next().flatten() else { continue };
            let wrapped = root.key.wrap_key(inner.entropy.as_ref(), Aad::backup_key(*id.as_bytes()), &key);
            let head = Head {
                id,
                origin: self.origin()?.to_string(),
                shard: state.shard.0,
                begun: inner.clock.wall(),
                root: row.to_vec(),
                key: wrapped.map_err(|error| crate::ring::seal_fail(&error))?,
            };
            return Ok((head, key));
        }
        Err(Refusal::new(&code::KEY_BUSY, "the root key is being replaced"))
    }
}

impl Making<'_> {
    /// Batches up to this one.
    async fn batches(&mut self, upto: BatchNumber, pace: Option<&dyn Pace>) -> Result<(), Refusal> {
        let state = &self.ledger.inner.state;
        while self.next <= upto {
            let found = state.storage.tail(state.shard, self.next, PAGE).await.map_err(storage_refusal)?;
            if found.is_empty() {
                return Err(Refusal::new(&code::STORAGE_DAMAGED, format!("batch {} is missing", self.next.0)));
            }
            for batch in found.into_iter().take_while(|batch| batch.number <= upto) {
                let mut rows = Vec::new();
                self.keys.of(state.storage.as_ref(), batch.number, batch.id, &mut rows).await?;
                self.blobs.of(state.storage.as_ref(), batch.number, batch.id, &mut rows).await?;
                let (number, row) = (batch.number.0, batch.row.to_vec());
                self.out.item(&Item::Batch { number, id: batch.id.0, row, rows })?;
                (self.next, self.last) = (batch.number.next(), batch.id);
            }
            if let Some(pace) = pace {
                pace.step().await?;
            }
        }
        Ok(())
    }

    /// Takes the end with the fold held still.
    async fn end(mut self, asked: BatchNumber, pace: &dyn Pace) -> Result<Foot, Refusal> {
        let inner = &self.ledger.inner;
        let state = &inner.state;
        let mut rounds = 0u64;
        let (held, batch) = loop {
            let held = state.folding.lock().await;
            let folded = *inner.folded.borrow();
            if *held && folded >= asked && folded.next() >= self.next {
                break (held, folded);
            }
            drop(held);
            if self.ledger.is_broken() || self.ledger.is_full() {
                return Err(Refusal::new(
                    &code::STORAGE_FULL,
                    "the store takes no changes, so no backup of it is made",
                ));
            }
            // Seldom: many small folds cost writers more than one that comes by itself.
            if rounds.is_multiple_of(ASKED_EVERY) {
                inner.fold_wanted.notify_one();
            }
            rounds = rounds.saturating_add(1);
            pace.step().await?;
        };
        self.batches(batch, None).await?;
        self.small_things(batch).await?;
        let (entries, root, note) = {
            let tree = inner.tree.read();
            (tree.size(), tree.root(), tree.signed(state)?)
        };
        drop(held);
        let foot = Foot {
            batch,
            batch_id: self.last,
            entries,
            root,
            checkpoint: note.0,
            verifier: note.1,
            ended: inner.clock.wall(),
            keys: self.keys.count,
            blobs: self.blobs.count,
            intents: self.intents,
        };
        self.out.end(&foot.encode()?)?;
        Ok(foot)
    }

    /// Ring rows, side rows, intents and counts as of this batch.
    async fn small_things(&mut self, upto: BatchNumber) -> Result<(), Refusal> {
        let mut ids = HashMap::new();
        let mut after = None;
        while let Some(page) = self.page(Kind::Ring, b"", &mut after).await? {
            for (key, value) in page {
                let unreadable = || Refusal::new(&code::STORAGE_DAMAGED, "a ring row under a key that cannot be read");
                let (tenant, place) = key.rest().split_first_chunk::<16>().ok_or_else(unreadable)?;
                let Place { number, id, index } = Place::from_bytes(place.try_into().map_err(|_| unreadable())?);
                if number <= upto && self.is_of(number, id, &mut ids).await? {
                    let (number, id, value) = (number.0, id.0, value.to_vec());
                    self.out.item(&Item::Ring { tenant: *tenant, number, id, index, value })?;
                }
            }
        }
        while let Some(page) = self.page(Kind::Side, b"", &mut after).await? {
            for (key, value) in page {
                let number = key.rest().try_into().map(u64::from_be_bytes).unwrap_or(u64::MAX);
                if number <= upto.0 {
                    self.out.item(&Item::Side { number, value: value.to_vec() })?;
                }
            }
        }
        while let Some(page) = self.page(Kind::Intent, b"", &mut after).await? {
            for (key, value) in page {
                self.intents = self.intents.saturating_add(1);
                self.out.item(&Item::Intent { key: key.rest().to_vec(), value: value.to_vec() })?;
            }
        }
        while let Some(page) = self.page(Kind::Meta, crate::seals::PREFIX, &mut after).await? {
            for (key, value) in page {
                self.out.item(&Item::Count { key: key.rest().to_vec(), value: value.to_vec() })?;
            }
        }
        Ok(())
    }

    /// The next page of a kind; `None` behind the last, ready for another kind.
    async fn page(
        &self,
        kind: Kind,
        prefix: &[u8],
        after: &mut Option<StoreKey>,
    ) -> Result<Option<storage::Page>, Refusal> {
        let state = &self.ledger.inner.state;
        let prefix = StoreKey::new(kind, state.shard, prefix);
        let limit = if kind == Kind::Side { SIDES } else { LIMITS.page_max };
        let page = state.storage.scan(prefix, after.take(), limit).await.map_err(storage_refusal)?;
        *after = page.last().map(|(key, _)| key.clone());
        Ok(after.is_some().then_some(page))
    }

    /// Whether the batch of this number has this id: what a lost attempt left is no part of the ring.
    async fn is_of(
        &self,
        number: BatchNumber,
        id: BatchId,
        ids: &mut HashMap<BatchNumber, Option<BatchId>>,
    ) -> Result<bool, Refusal> {
        if let Some(known) = ids.get(&number) {
            return Ok(*known == Some(id));
        }
        let state = &self.ledger.inner.state;
        let found = state.storage.tail(state.shard, number, 1).await.map_err(storage_refusal)?;
        let found = found.first().filter(|batch| batch.number == number).map(|batch| batch.id);
        ids.insert(number, found);
        Ok(found == Some(id))
    }
}
