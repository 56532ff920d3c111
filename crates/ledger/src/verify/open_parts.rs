//! The part of a verification that needs the seal: everything sealed is opened, every record is made again.

use super::scratch::WithoutRecords;
use super::{Checked, Stop, bad, walk};
use crate::absorb;
use crate::draft::RuleBook;
use crate::entry::BatchRow;
use crate::house::{self, HouseEvent};
use crate::keyspace::{LEDGER_RECORDS, RecordKey};
use crate::ring::{Ring, load};
use crate::state::State;
use crate::tree::{Mark, Tree};
use crate::unit::{PointedValue, Rules};
use crate::value::ValueRef;
use crypto::id::{KeyId, TenantId};
use crypto::seam::{Seal, WallMs};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use storage::{BatchNumber, Kind, Shard, Storage, StoredBatch};

/// Batches replayed at once.
const PAGE: usize = 64;

pub(crate) async fn open_everything(
    storage: Arc<dyn Storage>,
    shard: Shard,
    seal: &dyn Seal,
    book: &RuleBook,
    rules: &[Arc<dyn Rules>],
    checked: &mut Checked,
) -> Result<(), Stop> {
    let keys = load(storage.as_ref(), shard, seal).await?;
    let per_tenant = keys.tenants.values().map(|held| {
        let single = usize::from(held.name.is_some()).saturating_add(usize::from(held.checkpoint.is_some()));
        [held.tenant.len(), held.log.len(), held.state.len(), single].into_iter().sum::<usize>()
    });
    checked.ring_keys = count(per_tenant.sum::<usize>().saturating_add(keys.roots.len()));
    let real = State::new(Arc::clone(&storage), shard, Ring::new(keys.clone()), 1 << 20);
    let (_, mark) = Tree::load(&real).await?;
    let replayed = State::new(Arc::new(WithoutRecords(storage)), shard, Ring::new(keys), 1 << 10);
    if mark.batch.0 > 0 {
        replay(&replayed, book, Some(mark.batch)).await?;
        compare_records(&real, &replayed, mark, checked).await?;
    }
    replay(&replayed, book, None).await?;
    let referenced = values(&real, &replayed, rules, checked).await?;
    orphans(&real, &referenced, checked).await?;
    small_things(&real, checked).await
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Evolves records from entries up to a batch, or to the head.
async fn replay(state: &State, book: &RuleBook, upto: Option<BatchNumber>) -> Result<(), Stop> {
    let ages = state.ring.keys().ages();
    loop {
        let from = state.head().batch.next();
        if upto.is_some_and(|upto| from > upto) {
            return Ok(());
        }
        let batches = state.storage.tail(state.shard, from, PAGE).await?;
        if batches.is_empty() {
            return Ok(());
        }
        for stored in batches {
            if upto.is_some_and(|upto| stored.number > upto) {
                return Ok(());
            }
            check_times(state, &ages, &stored)?;
            let (built, _) = absorb::read(state, book, &stored, state.head().size).await?;
            let mut overlay = state.overlay.write();
            overlay.take(built);
            overlay.pending.clear();
        }
    }
}

/// The clear times of a batch and of the keys it made against the sealed ones.
fn check_times(state: &State, ages: &HashMap<KeyId, WallMs>, stored: &StoredBatch) -> Result<(), Stop> {
    let row = BatchRow::decode(&stored.row).map_err(|why| bad(format!("batch {}", stored.number.0), why.0))?;
    for (entry, index) in row.entries.iter().zip(row.first..) {
        let (_, fact) = absorb::open_entry(state, index, entry)?;
        if fact.time != row.time {
            return Err(bad(format!("batch {}", stored.number.0), "its time is not that of its entries"));
        }
        if fact.kind != house::KEY_CREATED {
            continue;
        }
        let event = HouseEvent::decode(&fact.body).map_err(|why| bad(format!("entry {index}"), why.0))?;
        if let HouseEvent::Key { id, purpose, created_ms } = event
            && ages.get(&id).is_some_and(|created| created.0 != created_ms)
        {
            return Err(bad(format!("ring key {id} ({purpose:?})"), "its time is not that of its entry"));
        }
    }
    Ok(())
}

/// Stored records against replayed ones, both as of the fold's watermark.
async fn compare_records(real: &State, replayed: &State, mark: Mark, checked: &mut Checked) -> Result<(), Stop> {
    let expected = replayed.overlay.read().records.clone();
    let mut seen = BTreeSet::new();
    walk(real.storage.as_ref(), real.shard, Kind::Record, |key, sealed| {
        if key.rest().first() == Some(&LEDGER_RECORDS) {
            return Ok(());
        }
        let unreadable = || bad(format!("record {key:?}"), "its key cannot be read");
        let record = RecordKey::from_bytes(key.rest()).ok_or_else(unreadable)?;
        let Some((tenant, expected)) = expected.get(&record) else {
            return Err(bad(format!("record {key:?}"), "no entry made it"));
        };
        let stored = real.open_record(*tenant, record, &sealed)?;
        checked.records = checked.records.saturating_add(1);
        seen.insert(record);
        if stored.as_of <= mark.batch.0 && stored != *expected {
            let name = expected.record().map_or("removed", |record| &record.name);
            return Err(bad(format!("record {key:?} (`{name}`)"), "it is not what its entries make"));
        }
        Ok(())
    })
    .await?;
    for (key, (_, slot)) in &expected {
        if let Some(record) = slot.record()
            && !seen.contains(key)
        {
            return Err(bad(format!("record `{}` of kind {}", record.name, key.kind.0), "missing"));
        }
    }
    Ok(())
}

/// Opens every value that a record points to; gives the places it stands at.
async fn values(
    real: &State,
    replayed: &State,
    rules: &[Arc<dyn Rules>],
    checked: &mut Checked,
) -> Result<BTreeSet<storage::Key>, Stop> {
    let mut referenced = BTreeSet::new();
    let records: Vec<_> = {
        let overlay = replayed.overlay.read();
        let present =
            overlay.records.iter().filter_map(|(key, (tenant, slot))| Some((key.kind, *tenant, slot.body()?)));
        present.collect()
    };
    for (kind, tenant, body) in records {
        for rules in rules {
            let pointed =
                rules.values(kind, &body).map_err(|why| bad(format!("a record of kind {}", kind.0), why.0))?;
            for value in pointed {
                open_one(real, tenant, &value).await?;
                referenced.insert(value.key.key(Kind::Key, real.shard));
                referenced.insert(value.blob.key(Kind::Blob, real.shard));
                checked.values = checked.values.saturating_add(1);
            }
        }
    }
    Ok(referenced)
}

async fn open_one(real: &State, tenant: TenantId, value: &PointedValue) -> Result<(), Stop> {
    let PointedValue { key, blob, kind, path, version, blob_id } = value;
    let at = ValueRef { key: *key, blob: *blob, kind, path, version: *version, blob_id: *blob_id };
    real.open_value(tenant, &at).await.map(drop).map_err(Stop::from)
}

async fn orphans(real: &State, referenced: &BTreeSet<storage::Key>, checked: &mut Checked) -> Result<(), Stop> {
    for kind in [Kind::Key, Kind::Blob] {
        walk(real.storage.as_ref(), real.shard, kind, |key, _| {
            checked.orphans = checked.orphans.saturating_add(u64::from(!referenced.contains(&key)));
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Intents, volatile things and side rows.
async fn small_things(real: &State, checked: &mut Checked) -> Result<(), Stop> {
    walk(real.storage.as_ref(), real.shard, Kind::Intent, |key, sealed| {
        crate::due::open_intent(real, &key, &sealed)?;
        checked.intents = checked.intents.saturating_add(1);
        Ok(())
    })
    .await?;
    walk(real.storage.as_ref(), real.shard, Kind::Volatile, |key, stored| {
        let unreadable = || bad(format!("volatile {key:?}"), "its key cannot be read");
        let (tenant, name) = key.rest().split_first_chunk::<16>().ok_or_else(unreadable)?;
        let name = <[u8; 16]>::try_from(name).map_err(|_| unreadable())?;
        real.open_volatile((TenantId::from_bytes(*tenant), name), &stored)?;
        checked.intents = checked.intents.saturating_add(1);
        Ok(())
    })
    .await?;
    let mut sides = Vec::new();
    walk(real.storage.as_ref(), real.shard, Kind::Side, |key, sealed| {
        sides.push((key, sealed));
        Ok(())
    })
    .await?;
    for (key, sealed) in sides {
        let number = <[u8; 8]>::try_from(key.rest()).map(u64::from_be_bytes).unwrap_or_default();
        let batches = real.storage.tail(real.shard, BatchNumber(number), 1).await?;
        let batch = batches.first().filter(|batch| batch.number.0 == number);
        let batch = batch.ok_or_else(|| bad(format!("side row {key:?}"), "it belongs to no batch"))?;
        absorb::open_side(real, batch, &sealed)?;
    }
    Ok(())
}
