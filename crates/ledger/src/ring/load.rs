//! Reading the ring at start: seal opens roots, roots open tenant keys, those open the rest.

use super::{AnyKey, Keys, Purpose, RingRow, damaged};
use crate::code::{self, Refusal};
use crate::state::{State, storage_refusal};
use bytes::Bytes;
use crypto::aead::{Aad, Header, Key};
use crypto::id::TenantId;
use crypto::seam::Seal;
use std::collections::HashMap;
use std::sync::Arc;
use storage::{BatchId, BatchNumber, Key as StoreKey, Kind, LIMITS, Place, Shard, Storage};

/// A row with where it stands.
type Placed = (TenantId, Place, RingRow);

/// Loads every key. Errors: `seal.invalid` when the seal opens no root, `storage.damaged` naming the bad row.
pub(crate) async fn load(storage: &dyn Storage, shard: Shard, seal: &dyn Seal) -> Result<Keys, Refusal> {
    let mut keys = Keys::default();
    open_roots(&house_rows(storage, shard).await?, seal, &mut keys)?;
    open_all(storage, shard, &mut keys).await?;
    Ok(keys)
}

/// Opens the keys of all tenants under roots that are held.
async fn open_all(storage: &dyn Storage, shard: Shard, keys: &mut Keys) -> Result<(), Refusal> {
    let mut rows = Rows::new(storage, StoreKey::new(Kind::Ring, shard, Vec::new()));
    // Rows of a tenant lie together. One tenant's are opened and gone before the next one's are read: there may be many.
    let mut group: Vec<Placed> = Vec::new();
    while let Some(row) = rows.next().await? {
        if group.last().is_some_and(|last| last.0 != row.0) {
            open_group(&group, keys)?;
            group.clear();
        }
        group.push(row);
    }
    open_group(&group, keys)
}

/// Reads all keys again over those that are held, or those of one tenant.
pub(super) async fn reload(state: &State, only: Option<TenantId>) -> Result<Keys, Refusal> {
    let (storage, shard) = (state.storage.as_ref(), state.shard);
    let mut keys = (*state.ring.keys()).clone();
    let Some(tenant) = only else {
        let Some(shared) = &state.shared else { return Ok(keys) };
        let seal = Arc::clone(&shared.seal.read());
        open_roots(&house_rows(storage, shard).await?, seal.as_ref(), &mut keys)?;
        open_all(storage, shard, &mut keys).await?;
        return Ok(keys);
    };
    let prefix = StoreKey::new(Kind::Ring, shard, tenant.as_bytes().to_vec());
    let (mut rows, mut group) = (Rows::new(storage, prefix), Vec::new());
    while let Some(row) = rows.next().await? {
        group.push(row);
    }
    open_group(&group, &mut keys)?;
    Ok(keys)
}

/// Opens the keys of one tenant.
fn open_group(rows: &[Placed], keys: &mut Keys) -> Result<(), Refusal> {
    for (tenant, place, row) in rows.iter().filter(|(_, _, row)| row.purpose == Purpose::Tenant) {
        let wrapped_by = header(row)?;
        let Some(root) = keys.roots.iter().find(|held| held.id == wrapped_by) else { continue };
        let aad = Aad::ring(*tenant, Purpose::Tenant as u8, row.id);
        let key = root.key.unwrap_key(aad, &row.wrapped).map_err(|error| damaged(&name(*tenant, row), &error))?;
        keys.hold(*tenant, row.id, row.created, *place, AnyKey::Tenant(Arc::new(key)));
    }
    for (tenant, place, row) in
        rows.iter().filter(|(_, _, row)| !matches!(row.purpose, Purpose::Root | Purpose::Tenant))
    {
        let wrapped_by = header(row)?;
        let under = keys.tenants.get(tenant).and_then(|held| held.tenant_by_id(wrapped_by).ok().cloned());
        let Some(under) = under else { continue };
        let key = AnyKey::unwrap_under(row.purpose, *tenant, row.id, &under, &row.wrapped)
            .map_err(|error| damaged(&name(*tenant, row), &error))?;
        keys.hold(*tenant, row.id, row.created, *place, key);
    }
    every_key_opened(rows, keys)
}

/// The wrapped root keys as the seal made them, the newest last; none where nothing is stored yet. Opens nothing.
///
/// Errors: `storage.damaged`, `storage.unavailable`.
pub async fn wrapped_roots(storage: &dyn Storage, shard: Shard) -> Result<Vec<Vec<u8>>, Refusal> {
    let rows = house_rows(storage, shard).await?;
    Ok(rows.into_iter().filter(|(_, _, row)| row.purpose == Purpose::Root).map(|(_, _, row)| row.wrapped).collect())
}

/// The rows of the reserved tenant, roots among them.
async fn house_rows(storage: &dyn Storage, shard: Shard) -> Result<Vec<Placed>, Refusal> {
    let prefix = StoreKey::new(Kind::Ring, shard, TenantId::SYSTEM.as_bytes().to_vec());
    let (mut rows, mut all) = (Rows::new(storage, prefix), Vec::new());
    while let Some(row) = rows.next().await? {
        all.push(row);
    }
    Ok(all)
}

fn open_roots(rows: &[Placed], seal: &dyn Seal, keys: &mut Keys) -> Result<(), Refusal> {
    for (_, place, row) in rows.iter().filter(|(_, _, row)| row.purpose == Purpose::Root) {
        // Held already, it may rest under another seal by now.
        let held = keys.roots.iter().find(|held| held.id == row.id).map(|held| Arc::clone(&held.key));
        if let Some(key) = held {
            keys.hold(TenantId::SYSTEM, row.id, row.created, *place, AnyKey::Root(key));
        } else if let Ok(key) = Key::unseal(seal, row.id, &row.wrapped) {
            keys.hold(TenantId::SYSTEM, row.id, row.created, *place, AnyKey::Root(Arc::new(key)));
        }
    }
    if keys.roots.is_empty() {
        return Err(Refusal::new(
            &code::SEAL_INVALID,
            format!("{} does not open the root key of this store, or the root key's row is damaged", seal.name()),
        ));
    }
    Ok(())
}

/// A key none of whose rows opened is missing, and what rests under it would read as damaged later: say so now.
fn every_key_opened(rows: &[Placed], keys: &Keys) -> Result<(), Refusal> {
    for (tenant, _, row) in rows {
        let held = keys.tenants.get(tenant);
        let open = match row.purpose {
            Purpose::Root => keys.roots.iter().any(|h| h.id == row.id),
            Purpose::Tenant => held.is_some_and(|h| h.tenant.iter().any(|k| k.id == row.id)),
            Purpose::Log => held.is_some_and(|h| h.log.iter().any(|k| k.id == row.id)),
            Purpose::State => held.is_some_and(|h| h.state.iter().any(|k| k.id == row.id)),
            Purpose::Name => held.is_some_and(|h| h.name.iter().any(|k| k.id == row.id)),
            Purpose::Checkpoint => held.is_some_and(|h| h.checkpoint.iter().any(|k| k.id == row.id)),
        };
        if !open {
            return Err(Refusal::new(
                &code::STORAGE_DAMAGED,
                format!("{} opens under no key that is held", name(*tenant, row)),
            ));
        }
    }
    Ok(())
}

/// Ring rows whose batch was committed, in the order of the store; rows of lost attempts are no part of the ring.
struct Rows<'a> {
    storage: &'a dyn Storage,
    prefix: StoreKey,
    page: std::vec::IntoIter<(StoreKey, Bytes)>,
    /// Where the next page begins; none when there is none.
    after: Option<Option<StoreKey>>,
    /// Batches that were looked for: a rotation makes rows of many tenants.
    batches: HashMap<BatchNumber, Option<BatchId>>,
}

impl<'a> Rows<'a> {
    fn new(storage: &'a dyn Storage, prefix: StoreKey) -> Rows<'a> {
        Rows { storage, prefix, page: Vec::new().into_iter(), after: Some(None), batches: HashMap::new() }
    }

    async fn next(&mut self) -> Result<Option<Placed>, Refusal> {
        loop {
            for (key, value) in self.page.by_ref() {
                let (tenant, place) = parse_key(key.rest())?;
                let committed = match self.batches.get(&place.number) {
                    Some(id) => *id,
                    None => {
                        let found =
                            self.storage.tail(self.prefix.shard(), place.number, 1).await.map_err(storage_refusal)?;
                        let id = found.first().filter(|batch| batch.number == place.number).map(|batch| batch.id);
                        self.batches.insert(place.number, id);
                        id
                    }
                };
                if committed == Some(place.id) {
                    let row = RingRow::decode(&value).map_err(|why| {
                        Refusal::new(&code::STORAGE_DAMAGED, format!("ring row of tenant {tenant}: {why}"))
                    })?;
                    return Ok(Some((tenant, place, row)));
                }
            }
            let Some(after) = self.after.take() else { return Ok(None) };
            let page = self.storage.scan(self.prefix.clone(), after, LIMITS.page_max).await.map_err(storage_refusal)?;
            self.after =
                if page.len() == LIMITS.page_max { page.last().map(|(key, _)| Some(key.clone())) } else { None };
            self.page = page.into_iter();
        }
    }
}

fn parse_key(rest: &[u8]) -> Result<(TenantId, Place), Refusal> {
    let bad = || Refusal::new(&code::STORAGE_DAMAGED, "a ring row under a key that cannot be read");
    let (tenant, place) = rest.split_first_chunk::<16>().ok_or_else(bad)?;
    let place = <&[u8; 28]>::try_from(place).map_err(|_| bad())?;
    Ok((TenantId::from_bytes(*tenant), Place::from_bytes(place)))
}

fn header(row: &RingRow) -> Result<crypto::id::KeyId, Refusal> {
    Header::parse(&row.wrapped)
        .map(|header| header.key_id)
        .map_err(|error| damaged(&format!("ring key {}", row.id), &error))
}

fn name(tenant: TenantId, row: &RingRow) -> String {
    format!("ring key {} ({:?}) of tenant {tenant}", row.id, row.purpose)
}
