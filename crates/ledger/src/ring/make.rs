//! Making and re-wrapping ring keys. Slow enough to belong into prepare; commits nothing.

use super::{AnyKey, Keys, Purpose, RingPut, RingRow, TenantKeys};
use crate::code::{self, Refusal};
use crypto::aead::{Aad, CheckpointKey, Key, NameKey, RootKey, TenantKey};
use crypto::id::TenantId;
use crypto::seam::{Entropy, NoEntropy, Seal, WallMs};
use std::sync::Arc;

/// What making keys needs.
#[derive(Clone, Copy)]
pub(crate) struct Maker<'a> {
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) now: WallMs,
}

impl Maker<'_> {
    /// A root key wrapped by the seal.
    pub(crate) fn root(&self, seal: &dyn Seal, key: Arc<Key<RootKey>>) -> Result<RingPut, Refusal> {
        let wrapped = key.seal_under(seal, self.entropy).map_err(|error| {
            Refusal::new(&code::SEAL_INVALID, format!("the seal cannot wrap the root key: {error}"))
        })?;
        Ok(self.put(TenantId::SYSTEM, AnyKey::Root(key), wrapped))
    }

    /// A fresh root key.
    pub(crate) fn fresh_root(&self) -> Result<Arc<Key<RootKey>>, Refusal> {
        Ok(Arc::new(Key::generate(self.entropy).map_err(no_entropy)?))
    }

    /// A tenant key wrapped under a root key.
    pub(crate) fn tenant(
        &self,
        tenant: TenantId,
        root: &Key<RootKey>,
        key: Arc<Key<TenantKey>>,
        created: WallMs,
    ) -> Result<RingPut, Refusal> {
        let aad = Aad::ring(tenant, Purpose::Tenant as u8, key.id());
        let wrapped = root.wrap_key(self.entropy, aad, key.as_ref()).map_err(|error| seal_fail(&error))?;
        let mut put = self.put(tenant, AnyKey::Tenant(key), wrapped);
        put.created = created;
        put.row.created = created;
        Ok(put)
    }

    /// A fresh tenant key wrapped under a root key.
    pub(crate) fn fresh_tenant(
        &self,
        tenant: TenantId,
        root: &Key<RootKey>,
    ) -> Result<(RingPut, Arc<Key<TenantKey>>), Refusal> {
        let key: Arc<Key<TenantKey>> = Arc::new(Key::generate(self.entropy).map_err(no_entropy)?);
        Ok((self.tenant(tenant, root, Arc::clone(&key), self.now)?, key))
    }

    /// Any key below a tenant key, wrapped under it.
    pub(crate) fn below(
        &self,
        tenant: TenantId,
        under: &Key<TenantKey>,
        key: AnyKey,
        created: WallMs,
    ) -> Result<RingPut, Refusal> {
        let wrapped = key.wrap_under(self.entropy, tenant, under).map_err(|error| seal_fail(&error))?;
        let mut put = self.put(tenant, key, wrapped);
        put.created = created;
        put.row.created = created;
        Ok(put)
    }

    /// A fresh log key.
    pub(crate) fn fresh_log(&self, tenant: TenantId, under: &Key<TenantKey>) -> Result<RingPut, Refusal> {
        let key = AnyKey::Log(Arc::new(Key::generate(self.entropy).map_err(no_entropy)?));
        self.below(tenant, under, key, self.now)
    }

    /// A fresh state key.
    pub(crate) fn fresh_state(&self, tenant: TenantId, under: &Key<TenantKey>) -> Result<RingPut, Refusal> {
        let key = AnyKey::State(Arc::new(Key::generate(self.entropy).map_err(no_entropy)?));
        self.below(tenant, under, key, self.now)
    }

    /// All keys of a new tenant; the system tenant gets a checkpoint key too.
    pub(crate) fn whole_tenant(&self, tenant: TenantId, root: &Key<RootKey>) -> Result<Vec<RingPut>, Refusal> {
        let (put, key) = self.fresh_tenant(tenant, root)?;
        let names = AnyKey::Name(Arc::new(Key::<NameKey>::generate(self.entropy).map_err(no_entropy)?));
        let mut puts = vec![
            put,
            self.fresh_log(tenant, &key)?,
            self.fresh_state(tenant, &key)?,
            self.below(tenant, &key, names, self.now)?,
        ];
        if tenant == TenantId::SYSTEM {
            let signer =
                AnyKey::Checkpoint(Arc::new(Key::<CheckpointKey>::generate(self.entropy).map_err(no_entropy)?));
            puts.push(self.below(tenant, &key, signer, self.now)?);
        }
        Ok(puts)
    }

    /// Everything below the old tenant key once more, under the new one.
    pub(crate) fn rewrap_below(
        &self,
        tenant: TenantId,
        held: &TenantKeys,
        under: &Key<TenantKey>,
    ) -> Result<Vec<RingPut>, Refusal> {
        let logs = held.log.iter().map(|h| (AnyKey::Log(Arc::clone(&h.key)), h.created));
        let states = held.state.iter().map(|h| (AnyKey::State(Arc::clone(&h.key)), h.created));
        let names = held.name.iter().map(|h| (AnyKey::Name(Arc::clone(&h.key)), h.created));
        let signers = held.checkpoint.iter().map(|h| (AnyKey::Checkpoint(Arc::clone(&h.key)), h.created));
        logs.chain(states)
            .chain(names)
            .chain(signers)
            .map(|(key, created)| self.below(tenant, under, key, created))
            .collect()
    }

    /// Every tenant key not yet under this root, wrapped under it; at most `limit` of them.
    pub(crate) fn rewrap_tenants(
        &self,
        keys: &Keys,
        root: &Key<RootKey>,
        after: Option<TenantId>,
        limit: usize,
    ) -> Result<Vec<RingPut>, Refusal> {
        let range = (after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded), std::ops::Bound::Unbounded);
        let mut puts = Vec::new();
        for (tenant, held) in keys.tenants.range(range).take(limit) {
            for h in &held.tenant {
                puts.push(self.tenant(*tenant, root, Arc::clone(&h.key), h.created)?);
            }
        }
        Ok(puts)
    }

    fn put(&self, tenant: TenantId, key: AnyKey, wrapped: Vec<u8>) -> RingPut {
        let row = RingRow { purpose: key.purpose(), id: key.id(), created: self.now, wrapped };
        RingPut { tenant, id: row.id, created: self.now, key, row }
    }
}

pub(crate) fn no_entropy(_: NoEntropy) -> Refusal {
    Refusal::new(&code::ENTROPY_FAILED, "no randomness could be had; nothing was made")
}

pub(crate) fn seal_fail(error: &crypto::aead::SealFail) -> Refusal {
    match error {
        crypto::aead::SealFail::NoEntropy => no_entropy(NoEntropy),
        crypto::aead::SealFail::Exhausted => {
            Refusal::new(&code::KEY_EXHAUSTED, "a key reached its limit of encryptions")
        }
        other => Refusal::new(&code::BUG, format!("sealing failed: {other}")),
    }
}
