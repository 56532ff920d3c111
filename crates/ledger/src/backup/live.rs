//! What is done with a store that came out of a backup: every value tried, what nothing points to removed, and what another copy
//! of the ledger knows of the time after it.

use super::foot::Foot;
use super::make::Pace;
use super::read::not_the_same;
use crate::access_log::{Anchor, RemovedSegments};
use crate::code::{self, Refusal};
use crate::entry::{BatchRow, Fact, split_entry, statement};
use crate::keyspace::{LEDGER_RECORDS, RecordKey};
use crate::ledger::Ledger;
use crate::ring::{Ring, load};
use crate::state::{State, storage_refusal};
use crate::unit::{PointedValue, Position, Rules};
use crate::value::ValueRef;
use crate::{absorb, verify};
use crypto::aead::Header;
use crypto::id::{KeyId, TenantId};
use crypto::seam::Seal;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use storage::{BatchId, BatchNumber, Key, Kind, Op, Place, Run, Shard, Storage};

/// Records looked at between two steps of the pace.
const STEP: usize = 64;
/// Keys or values looked at at once.
const ROWS_AT_ONCE: usize = 64;

/// What another copy of the ledger knows of the time after a backup.
#[derive(Debug)]
pub struct Known {
    /// Entries that it has; those from the backup's size on are lost by going back to it.
    pub entries: u64,
    /// The facts of them that were asked for, in order.
    pub facts: Vec<(TenantId, Fact)>,
}

impl Ledger {
    /// Whether this ledger, just restored and settled, is the one the foot speaks of, and every value in it opens. Gives how many
    /// there are. Bounded memory.
    ///
    /// Errors: `backup.failed` where it is another, `storage.damaged` naming a value that does not open.
    pub async fn try_values(&self, foot: &Foot, rules: &[Arc<dyn Rules>], pace: &dyn Pace) -> Result<u64, Refusal> {
        if self.folded_tree() != (foot.entries, foot.root) {
            return Err(not_the_same("its tree"));
        }
        let mut tried = 0u64;
        let mut walk = RecordWalk::new(self);
        while let Some(values) = walk.next(rules).await? {
            for (tenant, value) in values {
                let PointedValue { key, blob, kind, path, version, blob_id } = value;
                let at = ValueRef { key, blob, kind, path: &path, version, blob_id };
                self.inner.state.open_value(tenant, &at).await?;
                tried = tried.saturating_add(1);
            }
            pace.step().await?;
        }
        Ok(tried)
    }

    /// Removes keys and values that no record points to, so that what was purged while the backup was made stays purged. Gives how
    /// many there were. Only for a ledger that nobody writes.
    pub async fn remove_orphans(&self, rules: &[Arc<dyn Rules>]) -> Result<u64, Refusal> {
        self.dropped().await;
        let mut wanted: Vec<(bool, Place)> = Vec::new();
        let mut walk = RecordWalk::new(self);
        while let Some(values) = walk.next(rules).await? {
            wanted.extend(values.iter().flat_map(|(_, value)| [(false, value.key), (true, value.blob)]));
        }
        wanted.sort_unstable();
        let mut removed = 0u64;
        for (blob, kind) in [(false, Kind::Key), (true, Kind::Blob)] {
            let mut after = None;
            loop {
                let prefix = Key::new(kind, self.inner.state.shard, Vec::new());
                let page = self.inner.state.storage.scan(prefix, after.take(), ROWS_AT_ONCE).await;
                let page = page.map_err(storage_refusal)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                let kept = |key: &Key| {
                    super::item::place_of(key).is_some_and(|place| wanted.binary_search(&(blob, place)).is_ok())
                };
                let ops: Vec<Op> =
                    page.into_iter().filter(|(key, _)| !kept(key)).map(|(key, _)| Op::Delete(key)).collect();
                removed = removed.saturating_add(u64::try_from(ops.len()).unwrap_or(u64::MAX));
                crate::fold::apply(&self.inner.state, Run::new(ops, false)).await?;
            }
        }
        Ok(removed)
    }
}

impl Ledger {
    /// Says of every closed segment of the access log that it is gone: backups hold no rows. Gives how many logs there were.
    pub async fn let_segments_go(&self) -> Result<u64, Refusal> {
        let state = &self.inner.state;
        let mut anchors = verify::Anchors::default();
        let mut next = BatchNumber(1);
        loop {
            let batches = state.storage.tail(state.shard, next, STEP).await.map_err(storage_refusal)?;
            let Some(newest) = batches.last() else { break };
            next = newest.number.next();
            for batch in &batches {
                let row = BatchRow::decode(&batch.row)?;
                for (entry, index) in row.entries.iter().zip(row.first..) {
                    let position = Position { shard: state.shard.0, index };
                    statement(entry)?.map_or(Ok(()), |stated| anchors.take(stated, position))?;
                }
            }
        }
        let mut logs: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for found in anchors.kept() {
            let number = found.segment.number;
            let span = logs.entry(found.segment.log).or_insert((number, number));
            *span = (span.0.min(number), span.1.max(number));
        }
        for (log, (first, last)) in &logs {
            Anchor::removed(self, RemovedSegments { log: *log, first: *first, last: *last }).await?;
        }
        Ok(u64::try_from(logs.len()).unwrap_or(u64::MAX))
    }
}

/// Walks the records of a ledger that is folded, and gives what they point to.
struct RecordWalk<'a> {
    ledger: &'a Ledger,
    /// Whose a state key is: a record's own key does not say.
    tenants: HashMap<KeyId, TenantId>,
    after: Option<Key>,
    ended: bool,
}

impl<'a> RecordWalk<'a> {
    fn new(ledger: &'a Ledger) -> RecordWalk<'a> {
        let keys = ledger.inner.state.ring.keys();
        let of = |(tenant, held): (&TenantId, &Arc<crate::ring::TenantKeys>)| {
            held.state.iter().map(|key| (key.id, *tenant)).collect::<Vec<_>>()
        };
        let tenants = keys.tenants.iter().flat_map(of).collect();
        RecordWalk { ledger, tenants, after: None, ended: false }
    }

    async fn next(&mut self, rules: &[Arc<dyn Rules>]) -> Result<Option<Vec<(TenantId, PointedValue)>>, Refusal> {
        if self.ended {
            return Ok(None);
        }
        let state = &self.ledger.inner.state;
        let prefix = Key::new(Kind::Record, state.shard, Vec::new());
        let page = state.storage.scan(prefix, self.after.take(), STEP).await.map_err(storage_refusal)?;
        self.ended = page.len() < STEP;
        self.after = page.last().map(|(key, _)| key.clone());
        let mut values = Vec::new();
        for (key, sealed) in page.into_iter().filter(|(key, _)| key.rest().first() != Some(&LEDGER_RECORDS)) {
            let unreadable = || Refusal::new(&code::STORAGE_DAMAGED, format!("record {key:?} cannot be read"));
            let record = RecordKey::from_bytes(key.rest()).ok_or_else(unreadable)?;
            let header = Header::parse(&sealed).map_err(|_| unreadable())?;
            let tenant = *self.tenants.get(&header.key_id).ok_or_else(unreadable)?;
            let Some(body) = state.open_record(tenant, record, &sealed)?.body() else { continue };
            for rules in rules {
                values.extend(rules.values(record.kind, &body)?.into_iter().map(|value| (tenant, value)));
            }
        }
        Ok(Some(values))
    }
}

impl Known {
    /// Reads what a store knows of the time after a backup, facts of these kinds only. Changes nothing.
    ///
    /// Errors: `backup.foreign` when the store holds another ledger, or one that went another way before the backup was made;
    /// `seal.invalid`, `storage.damaged`, `storage.unavailable`.
    pub async fn read(
        storage: Arc<dyn Storage>,
        shard: Shard,
        seal: &dyn Seal,
        (first, foot): (BatchId, &Foot),
        kinds: &[&str],
    ) -> Result<Known, Refusal> {
        let head = storage.head(shard).await.map_err(storage_refusal)?;
        let mut same = true;
        for (number, id) in [(BatchNumber(1), first), (foot.batch, foot.batch_id)] {
            let found = storage.tail(shard, number, 1).await.map_err(storage_refusal)?;
            same &= number > head || found.first().is_some_and(|batch| batch.id == id);
        }
        if !same {
            let why = "the data folder holds another ledger than the backup, or one that went another way";
            return Err(Refusal::new(&code::BACKUP_FOREIGN, why));
        }
        let keys = load(storage.as_ref(), shard, seal).await?;
        let state = State::new(Arc::clone(&storage), shard, Ring::new(keys), 1 << 10);
        let mut known = Known { entries: foot.entries, facts: Vec::new() };
        let mut next = foot.batch.next();
        while next <= head {
            let batches = storage.tail(shard, next, 8).await.map_err(storage_refusal)?;
            let Some(newest) = batches.last() else { break };
            next = BatchNumber(newest.number.0.saturating_add(1));
            for batch in &batches {
                let row = BatchRow::decode(&batch.row)?;
                known.entries = row.end();
                for (entry, index) in row.entries.iter().zip(row.first..) {
                    // Of a tenant that is gone with its keys nothing more can be known.
                    let whose = split_entry(entry)?.tenant;
                    if state.ring.tenant(whose).is_err() {
                        continue;
                    }
                    let (tenant, fact) = absorb::open_entry(&state, index, entry)?;
                    if kinds.contains(&fact.kind.as_str()) {
                        known.facts.push((tenant, fact));
                    }
                }
            }
        }
        Ok(known)
    }
}
