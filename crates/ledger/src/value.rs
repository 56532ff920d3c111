//! Values: sealed under a data key of their own before the commit, opened for one request after it.

use crate::code::{self, Refusal};
use crate::ledger::Ledger;
use crate::ring::{damaged, no_entropy, seal_fail};
use crate::state::{State, storage_refusal};
use bytes::Bytes;
use crypto::aead::{Aad, DataKey, Header, Key, OpenError};
use crypto::id::{BlobId, KeyId, TenantId};
use crypto::secret::SecretBytes;
use crypto::{Drawn, Entropy};
use std::sync::Arc;
use storage::{Kind, Place};

/// Where a value stands and what it is bound to.
#[derive(Clone, Copy, Debug)]
pub struct ValueRef<'a> {
    /// Its wrapped data key.
    pub key: Place,
    /// Its sealed bytes.
    pub blob: Place,
    /// What it belongs to, such as `secret`.
    pub kind: &'a str,
    /// Full path of that.
    pub path: &'a str,
    /// Version of that.
    pub version: u64,
    /// Id it was sealed with.
    pub blob_id: BlobId,
}

/// A value sealed and ready to be committed.
#[derive(Clone, Debug)]
pub struct FreshValue {
    /// Its data key, to be wrapped by the committer.
    pub key: Arc<Key<DataKey>>,
    /// Random id it is sealed with.
    pub blob_id: BlobId,
    /// Sealed bytes.
    pub sealed: Bytes,
}

/// Randomness of one value: its key and its nonce.
const VALUE_RANDOM_BYTES: usize = 32 + 12;

impl Ledger {
    /// Seals a value under a fresh data key. Changes nothing. Cost: linear in the value; run it on a worker thread.
    ///
    /// Errors: `entropy.failed`.
    pub fn prepare_value(&self, tenant: TenantId, plain: &[u8]) -> Result<FreshValue, Refusal> {
        let mut random = [0; VALUE_RANDOM_BYTES];
        let drawn = Drawn::new(&mut random, self.inner.entropy.as_ref()).map_err(no_entropy)?;
        let entropy: &dyn Entropy = &drawn;
        let key: Key<DataKey> = Key::generate(entropy).map_err(no_entropy)?;
        let blob_id = BlobId::generate(entropy).map_err(no_entropy)?;
        let sealed = key.seal(entropy, Aad::blob(tenant, blob_id), plain).map_err(|error| seal_fail(&error))?;
        Ok(FreshValue { key: Arc::new(key), blob_id, sealed: sealed.into() })
    }

    /// Opens a value. Errors: `storage.damaged` naming the path and version, never content.
    pub async fn open_value(&self, tenant: TenantId, at: &ValueRef<'_>) -> Result<SecretBytes, Refusal> {
        self.inner.state.open_value(tenant, at).await
    }

    /// The data key of a value, for wrapping it again under the current tenant key; `None` when it is under that already.
    pub async fn rewrap_value(
        &self,
        tenant: TenantId,
        at: &ValueRef<'_>,
    ) -> Result<Option<Arc<Key<DataKey>>>, Refusal> {
        let state = &self.inner.state;
        let found = state.storage.get(vec![at.key.key(Kind::Key, state.shard)]).await.map_err(storage_refusal)?;
        let name = format!("the data key of {} `{}` version {}", at.kind, at.path, at.version);
        let wrapped = found.into_iter().next().flatten();
        let wrapped = wrapped.ok_or_else(|| Refusal::new(&code::STORAGE_DAMAGED, format!("{name} is missing")))?;
        if wrapped_under(&wrapped).map_err(|error| damaged(&name, &error))? == self.tenant_key(tenant)? {
            return Ok(None);
        }
        let key = state.unwrap_data_key(tenant, at, &wrapped).map_err(|error| damaged(&name, &error))?;
        Ok(Some(Arc::new(key)))
    }

    /// Id of the tenant key that fresh data keys are wrapped under.
    pub fn tenant_key(&self, tenant: TenantId) -> Result<KeyId, Refusal> {
        Ok(self.inner.state.ring.tenant(tenant)?.current_tenant()?.id)
    }
}

impl State {
    pub(crate) async fn open_value(&self, tenant: TenantId, at: &ValueRef<'_>) -> Result<SecretBytes, Refusal> {
        let (wrapped, sealed) = self.sealed_value(&at.key, &at.blob).await?;
        let name = |what: &str| format!("{what} of {} `{}` version {}", at.kind, at.path, at.version);
        let missing = |what: &str| Refusal::new(&code::STORAGE_DAMAGED, format!("{} is missing", name(what)));
        let wrapped = wrapped.ok_or_else(|| missing("the data key"))?;
        let sealed = sealed.ok_or_else(|| missing("the value"))?;
        let key = self.unwrap_data_key(tenant, at, &wrapped).map_err(|error| damaged(&name("the data key"), &error))?;
        key.open(Aad::blob(tenant, at.blob_id), &sealed).map_err(|error| damaged(&name("the value"), &error))
    }

    fn unwrap_data_key(&self, tenant: TenantId, at: &ValueRef<'_>, wrapped: &[u8]) -> Result<Key<DataKey>, OpenError> {
        let id = wrapped_under(wrapped)?;
        let ring = self.ring.keys();
        let keys = ring.tenants.get(&tenant).ok_or(OpenError::UnknownKey(id))?;
        let under = keys.tenant_by_id(id).map_err(|error| match ring.destroyed.contains(&id) {
            true => OpenError::DestroyedKey(id),
            false => error,
        })?;
        under.unwrap_key(Aad::data_key(tenant, at.kind, at.path, at.version, at.blob_id), wrapped)
    }
}

fn wrapped_under(wrapped: &[u8]) -> Result<KeyId, OpenError> {
    Header::parse(wrapped).map(|header| header.key_id)
}
