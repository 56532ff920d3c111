//! The key ring: root, tenant, log, state, name and checkpoint keys, unwrapped in memory, wrapped in the store.
//!
//! A ring row is written with a batch and never overwritten: re-wrapping writes another row for the same key id and the
//! fold deletes the old one. Rows say in clear what they are and under which key they are wrapped; the blob inside opens
//! only as exactly that (purpose, tenant and key id are associated data).

mod follow;
mod load;
mod make;
mod row;

pub(crate) use follow::{follow, know};
pub(crate) use load::load;
pub use load::wrapped_roots;
pub(crate) use make::{Maker, no_entropy, seal_fail};
pub use row::Purpose;
pub(crate) use row::{AnyKey, RingPut, RingRow};

use crate::code::{self, Refusal};
use crypto::aead::{CheckpointKey, Key, LogKey, NameKey, OpenError, RootKey, StateKey, TenantKey};
use crypto::id::{KeyId, TenantId};
use crypto::seam::WallMs;
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use storage::Place;

/// Longest life of a log key.
pub(crate) const LOG_KEY_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Seals after which a log or state key gets a successor; far below the limit of the cipher.
pub(crate) const SEALS_BEFORE_SUCCESSOR: u64 = 1 << 31;

/// A key in memory and where its row stands.
#[derive(Debug)]
pub(crate) struct Held<K> {
    pub(crate) id: KeyId,
    pub(crate) created: WallMs,
    pub(crate) place: Place,
    pub(crate) key: Arc<K>,
}

impl<K> Clone for Held<K> {
    fn clone(&self) -> Held<K> {
        Held { id: self.id, created: self.created, place: self.place, key: Arc::clone(&self.key) }
    }
}

/// The keys of one tenant, oldest first; the last of each kind is the current one.
#[derive(Clone, Debug, Default)]
pub(crate) struct TenantKeys {
    pub(crate) tenant: Vec<Held<Key<TenantKey>>>,
    pub(crate) log: Vec<Held<Key<LogKey>>>,
    pub(crate) state: Vec<Held<Key<StateKey>>>,
    pub(crate) name: Option<Held<Key<NameKey>>>,
    pub(crate) checkpoint: Option<Held<Key<CheckpointKey>>>,
}

/// All keys, as one immutable state that is replaced as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) roots: Vec<Held<Key<RootKey>>>,
    pub(crate) tenants: BTreeMap<TenantId, Arc<TenantKeys>>,
    pub(crate) destroyed: Vec<KeyId>,
}

/// Shared handle on the newest [`Keys`].
#[derive(Debug, Default)]
pub(crate) struct Ring {
    keys: RwLock<Arc<Keys>>,
}

impl Ring {
    pub(crate) fn new(keys: Keys) -> Ring {
        Ring { keys: RwLock::new(Arc::new(keys)) }
    }

    pub(crate) fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read())
    }

    pub(crate) fn tenant(&self, tenant: TenantId) -> Result<Arc<TenantKeys>, Refusal> {
        self.keys
            .read()
            .tenants
            .get(&tenant)
            .cloned()
            .ok_or_else(|| Refusal::new(&code::TENANT_NOT_FOUND, "no such tenant"))
    }

    /// Puts keys that were read again in place of those held.
    fn replace(&self, keys: Keys) {
        *self.keys.write() = Arc::new(keys);
    }

    /// Takes over committed ring rows and forgets dropped ones.
    pub(crate) fn adopt(&self, puts: &[(RingPut, Place)], dropped: &[(TenantId, Place)]) {
        if puts.is_empty() && dropped.is_empty() {
            return;
        }
        let mut guard = self.keys.write();
        // Copied only while somebody holds the older ones: there may be many tenants.
        let keys = Arc::make_mut(&mut guard);
        for (put, place) in puts {
            keys.hold(put.tenant, put.id, put.created, *place, put.key.clone());
        }
        for (tenant, place) in dropped {
            keys.forget(*tenant, *place);
        }
    }
}

impl Keys {
    /// Adds a key, or the newer place of one that is held already.
    pub(crate) fn hold(&mut self, tenant: TenantId, id: KeyId, created: WallMs, place: Place, key: AnyKey) {
        let slot = Arc::make_mut(self.tenants.entry(tenant).or_default());
        match key {
            AnyKey::Root(key) => insert(&mut self.roots, Held { id, created, place, key }),
            AnyKey::Tenant(key) => insert(&mut slot.tenant, Held { id, created, place, key }),
            AnyKey::Log(key) => insert(&mut slot.log, Held { id, created, place, key }),
            AnyKey::State(key) => insert(&mut slot.state, Held { id, created, place, key }),
            AnyKey::Name(key) => replace(&mut slot.name, Held { id, created, place, key }),
            AnyKey::Checkpoint(key) => replace(&mut slot.checkpoint, Held { id, created, place, key }),
        }
    }

    /// Forgets the key whose newest row stood at this place; an older row of a key that lives on changes nothing.
    pub(crate) fn forget(&mut self, tenant: TenantId, place: Place) {
        fn take<K>(list: &mut Vec<Held<K>>, place: Place, gone: &mut Vec<KeyId>) {
            gone.extend(list.iter().filter(|held| held.place == place).map(|held| held.id));
            list.retain(|held| held.place != place);
        }
        take(&mut self.roots, place, &mut self.destroyed);
        if let Some(slot) = self.tenants.get_mut(&tenant) {
            let slot = Arc::make_mut(slot);
            take(&mut slot.tenant, place, &mut self.destroyed);
            take(&mut slot.log, place, &mut self.destroyed);
            take(&mut slot.state, place, &mut self.destroyed);
        }
    }

    /// When each key was made.
    pub(crate) fn ages(&self) -> HashMap<KeyId, WallMs> {
        fn of<K>(list: &[Held<K>]) -> impl Iterator<Item = (KeyId, WallMs)> {
            list.iter().map(|held| (held.id, held.created))
        }
        let below = self.tenants.values().flat_map(|held| {
            let names = held.name.iter().map(|held| (held.id, held.created));
            let signers = held.checkpoint.iter().map(|held| (held.id, held.created));
            of(&held.tenant).chain(of(&held.log)).chain(of(&held.state)).chain(names).chain(signers)
        });
        of(&self.roots).chain(below).collect()
    }

    pub(crate) fn root(&self) -> Result<&Held<Key<RootKey>>, Refusal> {
        self.roots.last().ok_or_else(|| Refusal::new(&code::SEAL_SEALED, "the server has no root key"))
    }
}

impl TenantKeys {
    pub(crate) fn current_tenant(&self) -> Result<&Held<Key<TenantKey>>, Refusal> {
        self.tenant.last().ok_or_else(no_keys)
    }

    pub(crate) fn current_log(&self) -> Result<&Held<Key<LogKey>>, Refusal> {
        self.log.last().ok_or_else(no_keys)
    }

    pub(crate) fn current_state(&self) -> Result<&Held<Key<StateKey>>, Refusal> {
        self.state.last().ok_or_else(no_keys)
    }

    /// Whether any of the keys has this id.
    fn holds(&self, id: KeyId) -> bool {
        fn among<K>(list: &[Held<K>], id: KeyId) -> bool {
            list.iter().any(|held| held.id == id)
        }
        let single = [self.name.as_ref().map(|held| held.id), self.checkpoint.as_ref().map(|held| held.id)];
        among(&self.tenant, id) || among(&self.log, id) || among(&self.state, id) || single.contains(&Some(id))
    }

    pub(crate) fn names(&self) -> Result<&Key<NameKey>, Refusal> {
        self.name.as_ref().map(|held| held.key.as_ref()).ok_or_else(no_keys)
    }

    pub(crate) fn log_by_id(&self, id: KeyId) -> Result<&Arc<Key<LogKey>>, OpenError> {
        by_id(&self.log, id)
    }

    pub(crate) fn state_by_id(&self, id: KeyId) -> Result<&Arc<Key<StateKey>>, OpenError> {
        by_id(&self.state, id)
    }

    pub(crate) fn tenant_by_id(&self, id: KeyId) -> Result<&Arc<Key<TenantKey>>, OpenError> {
        by_id(&self.tenant, id)
    }
}

/// What an open failure of stored bytes means to a caller; `what` names the thing.
pub(crate) fn damaged(what: &str, error: &OpenError) -> Refusal {
    Refusal::new(&code::STORAGE_DAMAGED, format!("{what}: {error}"))
}

fn by_id<K>(list: &[Held<K>], id: KeyId) -> Result<&Arc<K>, OpenError> {
    list.iter().rev().find(|held| held.id == id).map(|held| &held.key).ok_or(OpenError::UnknownKey(id))
}

fn insert<K>(list: &mut Vec<Held<K>>, held: Held<K>) {
    match list.iter_mut().find(|other| other.id == held.id) {
        // The same key at another place: the one that is held has counted its seals.
        Some(other) => other.place = other.place.max(held.place),
        None => {
            // Mostly there is one, and many tenants.
            list.reserve_exact(1);
            list.push(held);
            list.sort_by_key(|held| (held.created, held.place));
        }
    }
}

fn replace<K>(slot: &mut Option<Held<K>>, held: Held<K>) {
    if slot.as_ref().is_none_or(|other| other.place < held.place) {
        *slot = Some(held);
    }
}

fn no_keys() -> Refusal {
    Refusal::new(&code::SEAL_SEALED, "the keys of this tenant are not loaded")
}
