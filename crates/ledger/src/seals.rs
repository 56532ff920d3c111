//! How often each key sealed, kept across restarts in reserved blocks: a crash loses allowance, never grants it.

use crate::code::Refusal;
use crate::keyspace::meta_key;
use crate::ring::{Held, Keys};
use crate::state::{State, storage_refusal};
use crypto::aead::{Cipher, Key};
use crypto::id::KeyId;
use std::collections::{HashMap, HashSet};
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

/// A key that counts its seals.
trait Counter {
    fn resume(&self, seals: u64);
}

impl<P: Cipher> Counter for Key<P> {
    fn resume(&self, seals: u64) {
        self.resume_seals(seals);
    }
}

/// Every key that is held, by the name of its count.
fn counters(keys: &Keys) -> HashMap<String, (KeyId, &dyn Counter)> {
    fn of<P: Cipher>(list: &[Held<Key<P>>]) -> impl Iterator<Item = (String, (KeyId, &dyn Counter))> {
        list.iter().map(|held| (name(held.id), (held.id, &*held.key as &dyn Counter)))
    }
    keys.tenants.values().flat_map(|held| of(&held.log).chain(of(&held.state)).chain(of(&held.tenant))).collect()
}

/// Sets each key's counter to the end of its last reserved block.
pub(crate) async fn resume(state: &State) -> Result<(), Refusal> {
    let keys = state.ring.keys();
    let prefix = meta_key(state.shard, "seals/");
    let mut found = Vec::new();
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
            found.push((key.rest().to_vec(), reserved));
        }
        if !full {
            break;
        }
    }
    let counters = counters(&keys);
    let current: HashSet<KeyId> = counted(&keys).into_iter().map(|(id, _)| id).collect();
    let mut known = state.reserved.lock();
    for (name, reserved) in found {
        let counter = std::str::from_utf8(&name).ok().and_then(|name| counters.get(name));
        let Some((id, counter)) = counter else { continue };
        counter.resume(reserved);
        if current.contains(id) {
            known.insert(*id, reserved);
        }
    }
    Ok(())
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
