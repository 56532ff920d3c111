//! Ring rows and the keys in them.

use crate::unit::Damaged;
use crypto::aead::{Aad, CheckpointKey, Key, LogKey, NameKey, OpenError, RootKey, SealFail, StateKey, TenantKey};
use crypto::id::{KeyId, TenantId};
use crypto::seam::{Entropy, WallMs};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a ring key is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Purpose {
    /// Wraps tenant keys; itself wrapped by the seal.
    Root = 1,
    /// Wraps all other keys of a tenant.
    Tenant = 2,
    /// Seals entries and access rows.
    Log = 3,
    /// Seals records, intents and volatile things.
    State = 4,
    /// Makes record ids.
    Name = 5,
    /// Signs checkpoints.
    Checkpoint = 6,
}

/// A key of any purpose.
#[derive(Clone, Debug)]
pub(crate) enum AnyKey {
    Root(Arc<Key<RootKey>>),
    Tenant(Arc<Key<TenantKey>>),
    Log(Arc<Key<LogKey>>),
    State(Arc<Key<StateKey>>),
    Name(Arc<Key<NameKey>>),
    Checkpoint(Arc<Key<CheckpointKey>>),
}

/// A ring row as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RingRow {
    pub(crate) purpose: Purpose,
    pub(crate) id: KeyId,
    pub(crate) created: WallMs,
    pub(crate) wrapped: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
enum StoredRow {
    V1 { purpose: Purpose, id: KeyId, created_ms: u64, wrapped: Vec<u8> },
}

/// A ring row to be written with a batch.
#[derive(Clone, Debug)]
pub(crate) struct RingPut {
    pub(crate) tenant: TenantId,
    pub(crate) id: KeyId,
    pub(crate) created: WallMs,
    pub(crate) key: AnyKey,
    pub(crate) row: RingRow,
}

impl RingRow {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Damaged> {
        let stored = StoredRow::V1 {
            purpose: self.purpose,
            id: self.id,
            created_ms: self.created.0,
            wrapped: self.wrapped.clone(),
        };
        postcard::to_allocvec(&stored).map_err(|_| Damaged("a ring row that cannot be encoded".into()))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<RingRow, Damaged> {
        let StoredRow::V1 { purpose, id, created_ms, wrapped } =
            postcard::from_bytes(bytes).map_err(|_| Damaged("a ring row that does not decode".into()))?;
        Ok(RingRow { purpose, id, created: WallMs(created_ms), wrapped })
    }
}

impl AnyKey {
    pub(crate) fn purpose(&self) -> Purpose {
        match self {
            AnyKey::Root(_) => Purpose::Root,
            AnyKey::Tenant(_) => Purpose::Tenant,
            AnyKey::Log(_) => Purpose::Log,
            AnyKey::State(_) => Purpose::State,
            AnyKey::Name(_) => Purpose::Name,
            AnyKey::Checkpoint(_) => Purpose::Checkpoint,
        }
    }

    pub(crate) fn id(&self) -> KeyId {
        match self {
            AnyKey::Root(key) => key.id(),
            AnyKey::Tenant(key) => key.id(),
            AnyKey::Log(key) => key.id(),
            AnyKey::State(key) => key.id(),
            AnyKey::Name(key) => key.id(),
            AnyKey::Checkpoint(key) => key.id(),
        }
    }

    /// Wraps it under a tenant key.
    pub(crate) fn wrap_under(
        &self,
        entropy: &dyn Entropy,
        tenant: TenantId,
        under: &Key<TenantKey>,
    ) -> Result<Vec<u8>, SealFail> {
        let aad = Aad::ring(tenant, self.purpose() as u8, self.id());
        match self {
            AnyKey::Root(key) => under.wrap_key(entropy, aad, key.as_ref()),
            AnyKey::Tenant(key) => under.wrap_key(entropy, aad, key.as_ref()),
            AnyKey::Log(key) => under.wrap_key(entropy, aad, key.as_ref()),
            AnyKey::State(key) => under.wrap_key(entropy, aad, key.as_ref()),
            AnyKey::Name(key) => under.wrap_key(entropy, aad, key.as_ref()),
            AnyKey::Checkpoint(key) => under.wrap_key(entropy, aad, key.as_ref()),
        }
    }

    /// Unwraps a key that rests under a tenant key.
    pub(crate) fn unwrap_under(
        purpose: Purpose,
        tenant: TenantId,
        id: KeyId,
        under: &Key<TenantKey>,
        wrapped: &[u8],
    ) -> Result<AnyKey, OpenError> {
        let aad = Aad::ring(tenant, purpose as u8, id);
        Ok(match purpose {
            Purpose::Log => AnyKey::Log(Arc::new(under.unwrap_key(aad, wrapped)?)),
            Purpose::State => AnyKey::State(Arc::new(under.unwrap_key(aad, wrapped)?)),
            Purpose::Name => AnyKey::Name(Arc::new(under.unwrap_key(aad, wrapped)?)),
            Purpose::Checkpoint => AnyKey::Checkpoint(Arc::new(under.unwrap_key(aad, wrapped)?)),
            Purpose::Root | Purpose::Tenant => return Err(OpenError::Integrity),
        })
    }
}
