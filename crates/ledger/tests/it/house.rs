//! What the tests share: a seal, a delay, an engine of counters with values, and a ledger on a runtime of one thread.

use crypto::aead::{Aad, Key, SealKey};
use crypto::id::{OperationId, TenantId};
use crypto::seam::{Clock, Entropy, Seal, SealError};
use crypto::secret::SecretBytes;
use ledger::{
    Actor, BlobPut, Command, Context, Damaged, Delay, Dropped, Event, EventRef, Halt, KeyPut, Ledger, NewIntent,
    Opened, Outcome, Parts, Receipt, RecordKind, RecordName, Refusal, Rules, StoredPlace, Unit, View,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use storage::{BoxFuture, Shard, Storage};
use testkit::clock::ManualClock;
use testkit::entropy::Seeded;

#[derive(Debug)]
pub(crate) struct TestSeal(pub(crate) Key<SealKey>);

impl TestSeal {
    pub(crate) fn new(byte: u8) -> Arc<TestSeal> {
        let id = crypto::id::KeyId::from_bytes([byte; 8]);
        Arc::new(TestSeal(Key::from_secret(id, SecretBytes::new(vec![byte; 32])).unwrap()))
    }
}

impl Seal for TestSeal {
    fn name(&self) -> String {
        "test seal".into()
    }

    fn wrap(&self, entropy: &dyn Entropy, secret: &SecretBytes, aad: Aad<'_>) -> Result<Vec<u8>, SealError> {
        self.0.seal(entropy, aad, secret.expose()).map_err(|_| SealError::Unavailable)
    }

    fn unwrap(&self, wrapped: &[u8], aad: Aad<'_>) -> Result<SecretBytes, SealError> {
        self.0.open(aad, wrapped).map_err(|_| SealError::Mismatch)
    }
}

#[derive(Debug)]
pub(crate) struct Soon;

impl Delay for Soon {
    fn wait(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::task::yield_now())
    }
}

/// Time passes between any two looks, as it really does.
#[derive(Debug)]
struct Ticking(Arc<ManualClock>);

impl Clock for Ticking {
    fn wall(&self) -> crypto::seam::WallMs {
        self.0.advance(Duration::from_millis(1));
        self.0.wall()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

pub(crate) const WRITTEN: &str = "box.written";
pub(crate) const PURGED: &str = "box.purged";

/// A box holds one value and counts its writes; its folder counts boxes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Box_ {
    pub(crate) path: String,
    pub(crate) version: u64,
    pub(crate) key: StoredPlace,
    pub(crate) blob: StoredPlace,
    pub(crate) blob_id: crypto::id::BlobId,
}

pub(crate) fn name(path: &str) -> RecordName {
    RecordName::new(RecordKind::SECRET, path.split('/'))
}

#[derive(Debug)]
pub(crate) struct BoxRules;

impl Rules for BoxRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[WRITTEN, PURGED]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        let state: Box_ = postcard::from_bytes(event.body).map_err(|_| Damaged("box".into()))?;
        Ok(vec![name(&state.path)])
    }

    fn evolve(&self, _: &RecordName, before: Option<&[u8]>, event: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        let before: Option<Box_> = before.map(|b| postcard::from_bytes(b).unwrap());
        let mut state: Box_ = postcard::from_bytes(event.body).map_err(|_| Damaged("box".into()))?;
        if event.kind == PURGED {
            return before.map(|_| None).ok_or_else(|| Damaged("purge of nothing".into()));
        }
        state.version = before.map_or(0, |b| b.version) + 1;
        Ok(Some(postcard::to_allocvec(&state).unwrap()))
    }

    fn values(&self, kind: RecordKind, record: &[u8]) -> Result<Vec<ledger::PointedValue>, Damaged> {
        if kind != RecordKind::SECRET {
            return Ok(Vec::new());
        }
        let state: Box_ = postcard::from_bytes(record).map_err(|_| Damaged("box".into()))?;
        let (key, blob) = (state.key.into(), state.blob.into());
        let (path, blob_id) = (state.path, state.blob_id);
        Ok(vec![ledger::PointedValue { key, blob, kind: "secret", path, version: 1, blob_id }])
    }
}

#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) path: String,
    pub(crate) value: ledger::FreshValue,
    pub(crate) cas: Option<u64>,
}

impl Command for Write {
    fn reads(&self) -> Vec<RecordName> {
        vec![name(&self.path)]
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let before: Option<Box_> = view.get(&name(&self.path))?.map(|b| postcard::from_bytes(b).unwrap());
        let version = before.as_ref().map_or(0, |b| b.version);
        if self.cas.is_some_and(|cas| cas != version) {
            return Err(Refusal::new(&ledger::code::SECRET_VERSION_CONFLICT, "version").into());
        }
        let state = Box_ {
            path: self.path.clone(),
            version: 0,
            key: cx.key_place(0).into(),
            blob: cx.blob_place(0).into(),
            blob_id: self.value.blob_id,
        };
        let mut outcome = Outcome::new(
            vec![Event { kind: WRITTEN, body: postcard::to_allocvec(&state).unwrap() }],
            (version + 1).to_be_bytes().to_vec(),
        );
        outcome.keys.push(KeyPut {
            key: Arc::clone(&self.value.key),
            kind: "secret",
            path: self.path.clone(),
            version: 1,
            blob: self.value.blob_id,
        });
        outcome.blobs.push(BlobPut { id: self.value.blob_id, sealed: self.value.sealed.clone() });
        outcome.drops.extend(before.iter().map(|old| Dropped::Key(old.key.into())));
        outcome.drops.extend(before.iter().map(|old| Dropped::Blob(old.blob.into())));
        outcome.intents.push(NewIntent { due: cx.now, kind: "test.later", body: vec![1, 2, 3] });
        Ok(outcome)
    }
}

#[derive(Debug)]
pub(crate) struct Purge {
    pub(crate) path: String,
}

impl Command for Purge {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, view: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let Some(before) = view.get(&name(&self.path))? else {
            return Err(Refusal::new(&ledger::code::SECRET_NOT_FOUND, "nothing").into());
        };
        let before: Box_ = postcard::from_bytes(before).unwrap();
        let mut outcome =
            Outcome::new(vec![Event { kind: PURGED, body: postcard::to_allocvec(&before).unwrap() }], Vec::new());
        outcome.drops = vec![Dropped::Key(before.key.into()), Dropped::Blob(before.blob.into())];
        outcome.await_fold = true;
        Ok(outcome)
    }
}

pub(crate) struct House {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) entropy: Arc<Seeded>,
    pub(crate) drivers: Vec<tokio::task::JoinHandle<()>>,
}

pub(crate) async fn open(storage: Arc<dyn Storage>, seed: u64) -> Result<House, Refusal> {
    open_with(storage, seed, TestSeal::new(9)).await
}

pub(crate) async fn open_with(storage: Arc<dyn Storage>, seed: u64, seal: Arc<dyn Seal>) -> Result<House, Refusal> {
    let clock = Arc::new(ManualClock::at(crypto::seam::WallMs(1_700_000_000_000)));
    let entropy = Arc::new(Seeded::new(seed));
    let parts = Parts {
        storage,
        shard: Shard(0),
        seal,
        clock: Arc::new(Ticking(clock.clone())),
        entropy: entropy.clone(),
        delay: Arc::new(Soon),
        rules: vec![Arc::new(BoxRules)],
        cluster: "test".into(),
        cache_bytes: 1 << 20,
        sharing: None,
    };
    let Opened { ledger, drivers, .. } = ledger::open(parts).await?;
    let drivers = drivers.into_iter().map(tokio::spawn).collect();
    Ok(House { ledger, clock, entropy, drivers })
}

impl House {
    pub(crate) fn unit(&self, tenant: TenantId, commands: Vec<Box<dyn Command>>) -> Unit {
        let operation = OperationId::generate(self.clock.wall(), self.entropy.as_ref()).unwrap();
        self.unit_named(tenant, commands, operation)
    }

    pub(crate) fn unit_named(&self, tenant: TenantId, commands: Vec<Box<dyn Command>>, operation: OperationId) -> Unit {
        Unit { tenant, actor: Actor::SYSTEM, commands, idempotency: None, operation }
    }

    pub(crate) async fn write(
        &self,
        tenant: TenantId,
        path: &str,
        value: &[u8],
        cas: Option<u64>,
    ) -> Result<Receipt, Refusal> {
        let value = self.ledger.prepare_value(tenant, value)?;
        let command = Write { path: path.into(), value, cas };
        self.ledger.submit(self.unit(tenant, vec![Box::new(command)])).await
    }

    pub(crate) async fn read(&self, tenant: TenantId, path: &str) -> Result<Option<(u64, Vec<u8>)>, Refusal> {
        let Some(body) = self.ledger.record(tenant, &name(path)).await? else { return Ok(None) };
        let found: Box_ = postcard::from_bytes(&body).unwrap();
        let at = ledger::ValueRef {
            key: found.key.into(),
            blob: found.blob.into(),
            kind: "secret",
            path,
            version: 1,
            blob_id: found.blob_id,
        };
        let value = self.ledger.open_value(tenant, &at).await?;
        Ok(Some((found.version, value.expose().to_vec())))
    }

    pub(crate) async fn purge(&self, tenant: TenantId, path: &str) -> Result<Receipt, Refusal> {
        self.ledger.submit(self.unit(tenant, vec![Box::new(Purge { path: path.into() })])).await
    }

    pub(crate) async fn close(self) {
        self.ledger.close();
        for driver in self.drivers {
            driver.await.unwrap();
        }
    }

    /// As a kill would leave it: whatever is not committed is lost, nothing more is folded.
    pub(crate) fn kill(self) {
        for driver in self.drivers {
            driver.abort();
        }
    }
}
