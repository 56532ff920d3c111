//! How often each key sealed, kept across restarts in reserved blocks: a crash loses allowance, never grants it.

use crate::code::Refusal;
use crate::keyspace::meta_key;
use crate::ring::{Held, Keys};
use crate::state::{State, storage_refusal};
use crypto::aead::{Cipher, Key};
use crypto::id::KeyId;
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
trait Counter: Sync {
    fn resume(&self, seals: u64);
}

impl<P: Cipher> Counter for Key<P> {
    fn resume(&self, seals: u64) {
        self.resume_seals(seals);
    }
}

/// Every key that is held, sorted by id, with its counter and whether it is a current one.
fn counters(keys: &Keys) -> Vec<(KeyId, &dyn Counter, bool)> {
    fn of<P: Cipher>(list: &[Held<Key<P>>]) -> impl Iterator<Item = (KeyId, &dyn Counter, bool)> {
        let last = list.last().map(|held| held.id);
        list.iter().map(move |held| (held.id, &*held.key as &dyn Counter, Some(held.id) == last))
    }
    let held = keys.tenants.values();
    let mut all: Vec<_> = held.flat_map(|held| of(&held.log).chain(of(&held.state)).chain(of(&held.tenant))).collect();
    all.sort_unstable_by_key(|(id, ..)| *id);
    all
}

/// Sets each key's counter to the end of its last reserved block.
pub(crate) async fn resume(state: &State) -> Result<(), Refusal> {
    let keys = state.ring.keys();
    let counters = counters(&keys);
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
        let mut known = state.reserved.lock();
        for (key, value) in page {
            let name = key.rest().strip_prefix(PREFIX).and_then(|name| std::str::from_utf8(name).ok());
            let Some(id) = name.and_then(|name| name.parse::<KeyId>().ok()) else { continue };
            let Ok(at) = counters.binary_search_by_key(&id, |(id, ..)| *id) else { continue };
            let Some((_, counter, current)) = counters.get(at) else { continue };
            let reserved = <[u8; 8]>::try_from(value.as_ref()).map(u64::from_be_bytes).unwrap_or(u64::MAX);
            counter.resume(reserved);
            if *current {
                known.insert(id, reserved);
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// New reservations: for keys that were made since the last call and, where `all` are looked at, for those that come near the
/// end of their block. Half a block lasts far longer than the time between two looks at all of them.
pub(crate) fn reserve(state: &State, all: bool) -> Vec<Op> {
    let mut reserved = state.reserved.lock();
    let mut ops = Vec::new();
    let mut take = |id: KeyId, seals: u64| {
        let have = reserved.get(&id).copied().unwrap_or(0);
        if seals.saturating_add(BLOCK / 2) > have {
            let next = seals.saturating_add(BLOCK);
            reserved.insert(id, next);
            ops.push(Op::Put(meta_key(state.shard, &name(id)), next.to_be_bytes().to_vec().into()));
        }
    };
    let made = std::mem::take(&mut *state.made.lock());
    made.into_iter().for_each(|id| take(id, 0));
    if all {
        counted(&state.ring.keys()).into_iter().for_each(|(id, seals)| take(id, seals));
    }
    ops
}
