//! How often each key sealed, kept across restarts in reserved blocks: a crash loses allowance, never grants it.

use crate::code::Refusal;
use crate::keyspace::meta_key;
use crate::ring::Keys;
use crate::state::{State, storage_refusal};
use crypto::id::KeyId;
use std::sync::Arc;
use storage::Op;

/// Seals reserved at once.
const BLOCK: u64 = 1 << 22;

/// Begins the names of counts.
pub(crate) const PREFIX: &[u8] = b"seals/";

fn name(id: KeyId) -> String {
    format!("seals/{id}")
}

/// The current keys that count, with what they have sealed.
fn counted(keys: &Keys) -> Vec<(KeyId, u64)> {
    let tenants = keys.tenants.values().flat_map(|held| {
        let logs = held.log.last().map(|h| (h.id, h.key.seals()));
        let states = held.state.last().map(|h| (h.id, h.key.seals()));
        let tenants = held.tenant.last().map(|h| (h.id, h.key.seals()));
        [logs, states, tenants].into_iter().flatten()
    });
    tenants.collect()
}

/// Sets each key's counter to the end of its last reserved block.
pub(crate) async fn resume(state: &State) -> Result<(), Refusal> {
    let keys = state.ring.keys();
    let prefix = meta_key(state.shard, "seals/");
    let mut after = None;
    loop {
        let page = state
            .storage
            .scan(prefix.clone(), after.take(), storage::LIMITS.page_max)
            .await
            .map_err(storage_refusal)?;
        let full = page.len() == storage::LIMITS.page_max;
        after = page.last().map(|(key, _)| key.clone());
        for (key, value) in page {
            let reserved = <[u8; 8]>::try_from(value.as_ref()).map(u64::from_be_bytes).unwrap_or(u64::MAX);
            set(&keys, key.rest(), reserved);
            if let Some(id) = known(&keys, key.rest()) {
                state.reserved.lock().insert(id, reserved);
            }
        }
        if !full {
            return Ok(());
        }
    }
}

fn known(keys: &Arc<Keys>, rest: &[u8]) -> Option<KeyId> {
    counted(keys).into_iter().map(|(id, _)| id).find(|id| name(*id).as_bytes() == rest)
}

fn set(keys: &Arc<Keys>, rest: &[u8], seals: u64) {
    for held in keys.tenants.values() {
        held.log.iter().filter(|h| name(h.id).as_bytes() == rest).for_each(|h| h.key.resume_seals(seals));
        held.state.iter().filter(|h| name(h.id).as_bytes() == rest).for_each(|h| h.key.resume_seals(seals));
        held.tenant.iter().filter(|h| name(h.id).as_bytes() == rest).for_each(|h| h.key.resume_seals(seals));
    }
}

/// New reservations for keys that come near the end of their block.
pub(crate) fn reserve(state: &State) -> Vec<Op> {
    let mut reserved = state.reserved.lock();
    let mut ops = Vec::new();
    for (id, seals) in counted(&state.ring.keys()) {
        let have = reserved.get(&id).copied().unwrap_or(0);
        if seals.saturating_add(BLOCK / 2) > have {
            let next = seals.saturating_add(BLOCK);
            reserved.insert(id, next);
            ops.push(Op::Put(meta_key(state.shard, &name(id)), next.to_be_bytes().to_vec().into()));
        }
    }
    ops
}
