//! Taking in batches that are committed but not folded: at start, and when another node was faster.

use crate::build::{Built, side_bound};
use crate::code::{self, Refusal};
use crate::draft::{Draft, RuleBook};
use crate::entry::{BatchRow, Fact, decode_fact, split_entry};
use crate::fold::Backlog;
use crate::nodes::Shared;
use crate::ring::damaged;
use crate::side::Side;
use crate::state::{Head, State, storage_refusal};
use crate::unit::{EventRef, Position, Stamp};
use bytes::Bytes;
use crypto::aead::{Aad, Header};
use crypto::id::TenantId;
use crypto::seam::Entropy;
use std::collections::{BTreeMap, BTreeSet};
use storage::{BatchNumber, Key, Kind, StoredBatch};

/// Batches read at once.
const PAGE: usize = 64;

/// Absorbs everything after the head this node knows.
pub(crate) async fn tail(state: &State, rules: &RuleBook) -> Result<(), Refusal> {
    while page(state, rules).await? {}
    Ok(())
}

/// Absorbs some batches after the head; tells whether there may be more.
pub(crate) async fn page(state: &State, rules: &RuleBook) -> Result<bool, Refusal> {
    let from = state.head().batch.next();
    let batches = state.storage.tail(state.shard, from, PAGE).await.map_err(storage_refusal)?;
    let full = batches.len() == PAGE;
    for stored in batches {
        let (mut built, policies) = read(state, rules, &stored, state.head().size).await?;
        if state.shared.is_some() {
            // Whoever committed it may wait until it is destroyed.
            built.awaited = !built.side.drops.is_empty() || !built.side.rings.is_empty();
        }
        state.ring.adopt(&[], &built.side.rings);
        state.overlay.write().take(built);
        if let Some(shared) = &state.shared {
            shared.note_policies(policies);
        }
        state.later.work();
    }
    Ok(full)
}

impl Shared {
    /// Takes in what others committed, and so confirms what this node knows.
    pub(crate) async fn take_in(&self, state: &State, rules: &RuleBook) -> Result<(), Refusal> {
        let asked = self.now();
        tail(state, rules).await?;
        self.confirm(asked);
        Ok(())
    }
}

/// Opens a batch and evolves the records it changes; `size` is that of the tree before it.
///
/// Gives the tenants, too, whose policies it touches.
pub(crate) async fn read(
    state: &State,
    rules: &RuleBook,
    stored: &StoredBatch,
    size: u64,
) -> Result<(Built, BTreeSet<TenantId>), Refusal> {
    let row = BatchRow::decode(&stored.row)
        .map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("batch {}: {why}", stored.number.0)))?;
    if row.first != size {
        let detail = format!("batch {} begins at entry {} where the tree has {size}", stored.number.0, row.first);
        return Err(Refusal::new(&code::STORAGE_DAMAGED, detail));
    }
    let mut draft = Draft::new(state, rules, stored.number, None);
    for (entry, index) in row.entries.iter().zip(row.first..) {
        if state.shared.is_some() {
            crate::ring::know(state, split_entry(entry)?.tenant, entry).await?;
        }
        let (tenant, fact) = open_entry(state, index, entry)?;
        if state.shared.is_some() {
            crate::ring::follow(state, &fact).await?;
        }
        let position = Position { shard: state.shard.0, index };
        let stamp = Stamp { position, time: fact.time, tenant, actor: fact.actor.clone() };
        draft.apply(&EventRef { kind: &fact.kind, body: &fact.body, stamp: &stamp }).await?;
        draft.keep_unit();
    }
    let side = stored.side.as_ref().map(|side| open_side(state, stored, side)).transpose()?;
    let head = Head { batch: stored.number, size: row.end(), time: row.time };
    let policies = draft.policies();
    let built = Built {
        records: draft.finish(),
        entries: row.entries,
        has_side_row: side.is_some(),
        awaited: false,
        side: side.unwrap_or_default(),
        rings: Vec::new(),
        volatile: BTreeMap::new(),
        head,
    };
    Ok((built, policies))
}

/// Opens one entry. Errors name the entry.
pub(crate) fn open_entry(state: &State, index: u64, entry: &Bytes) -> Result<(TenantId, Fact), Refusal> {
    let name = || format!("entry {index} of shard {}", state.shard.0);
    let named = |why: crate::Damaged| Refusal::new(&code::STORAGE_DAMAGED, format!("{}: {why}", name()));
    let parts = split_entry(entry).map_err(named)?;
    let (tenant, sealed) = (parts.tenant, parts.sealed);
    let header = Header::parse(sealed).map_err(|error| damaged(&name(), &error))?;
    let keys = state
        .ring
        .tenant(tenant)
        .map_err(|_| Refusal::new(&code::STORAGE_DAMAGED, format!("{} names a tenant that has no keys", name())))?;
    let log = keys.log_by_id(header.key_id).map_err(|error| damaged(&name(), &error))?;
    let plain = log.open(Aad::entry(tenant, state.shard.0, index), sealed).map_err(|error| damaged(&name(), &error))?;
    let fact = decode_fact(plain.expose()).map_err(named)?;
    parts.agree(&fact).map_err(named)?;
    Ok((tenant, fact))
}

/// Opens a side row.
pub(crate) fn open_side(state: &State, batch: &StoredBatch, sealed: &Bytes) -> Result<Side, Refusal> {
    let number = batch.number;
    let name = format!("side row of batch {}", number.0);
    let row = BatchRow::decode(&batch.row)
        .map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("batch {}: {why}", number.0)))?;
    let header = Header::parse(sealed).map_err(|error| damaged(&name, &error))?;
    let keys = state.ring.tenant(TenantId::SYSTEM)?;
    let key = keys.state_by_id(header.key_id).map_err(|error| damaged(&name, &error))?;
    let bound = side_bound(number, batch.id, row.time);
    let plain = key.open(Aad::volatile(TenantId::SYSTEM, &bound), sealed).map_err(|error| damaged(&name, &error))?;
    Side::decode(plain.expose()).map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("{name}: {why}")))
}

/// Side rows at or before the watermark are left where the store kept the second run of a fold but not the first; they
/// are carried out again, in order. Later ones are laid over the state by [`tail`].
///
/// Those that only drop are given back: they may also have been put off.
pub(crate) async fn sides(state: &State, entropy: &dyn Entropy, watermark: BatchNumber) -> Result<Backlog, Refusal> {
    let prefix = Key::new(Kind::Side, state.shard, Vec::new());
    let mut backlog = Backlog::default();
    let mut after = None;
    loop {
        let page =
            state.storage.scan(prefix.clone(), after, storage::LIMITS.page_max).await.map_err(storage_refusal)?;
        let full = page.len() == storage::LIMITS.page_max;
        after = page.last().map(|(key, _)| key.clone());
        for (key, sealed) in page {
            let number = <[u8; 8]>::try_from(key.rest()).map(u64::from_be_bytes).unwrap_or_default();
            if number > watermark.0 {
                return Ok(backlog);
            }
            let batches = state.storage.tail(state.shard, BatchNumber(number), 1).await.map_err(storage_refusal)?;
            if let Some(batch) = batches.first().filter(|batch| batch.number.0 == number) {
                let side = open_side(state, batch, &sealed)?;
                match side.only_drops() {
                    true => backlog.add(std::time::Duration::ZERO, batch.number, &side.drops),
                    false => crate::fold::settle_side(state, entropy, batch.number, side).await?,
                }
            }
        }
        if !full {
            return Ok(backlog);
        }
    }
}
