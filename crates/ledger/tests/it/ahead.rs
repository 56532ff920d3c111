//! Groups that are decided while the one before them is on its way to the store.

use crate::house::{House, Write, open};
use crate::sim::verified;
use crypto::id::TenantId;
use ledger::{Idempotency, Receipt, Refusal};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use storage::{
    Batch, BatchNumber, BoxFuture, Commit, Key, Memory, Page, Run, Shard, Storage, StorageError, StoredBatch,
    Transactions,
};
use testkit::faulty::{Fault, Faulty};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// A store whose commits wait to be let through; the first one meets a fault then.
#[derive(Debug)]
struct Gated {
    inner: Faulty,
    fault: Mutex<Option<Fault>>,
    gate: Semaphore,
    waiting: AtomicU32,
}

impl Storage for Gated {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<bytes::Bytes>>, StorageError>> {
        self.inner.get(keys)
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            self.gate.acquire().await.unwrap().forget();
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            if let Some(fault) = self.fault.lock().take() {
                self.inner.fail(self.inner.calls(), fault);
            }
            self.inner.commit(batch).await
        })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        self.inner.apply(run)
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        self.inner.tail(shard, from, limit)
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        self.inner.head(shard)
    }
}

type Answer = Result<Receipt, Refusal>;

struct Scene {
    store: Arc<dyn Storage>,
    gated: Arc<Gated>,
    house: Arc<House>,
    tenant: TenantId,
}

impl Scene {
    async fn new(fault: Option<Fault>) -> Scene {
        let store: Arc<dyn Storage> = Arc::new(Memory::new(Transactions::Yes));
        let first = open(store.clone(), 1).await.unwrap();
        let tenant = first.ledger.create_tenant("first").await.unwrap();
        first.ledger.settle().await.unwrap();
        first.close().await;
        let (inner, fault) = (Faulty::new(store.clone(), Vec::new()), Mutex::new(fault));
        let gated = Arc::new(Gated { inner, fault, gate: Semaphore::new(0), waiting: AtomicU32::new(0) });
        let house = Arc::new(open(gated.clone(), 2).await.unwrap());
        Scene { store, gated, house, tenant }
    }

    /// Submits a write; it is on its way when this returns.
    async fn write(&self, path: &str, cas: u64, key: u8) -> JoinHandle<Answer> {
        let value = self.house.ledger.prepare_value(self.tenant, path.as_bytes()).unwrap();
        let command = Write { path: path.to_owned(), value, cas: Some(cas) };
        let mut unit = self.house.unit(self.tenant, vec![Box::new(command)]);
        unit.idempotency = Some(Idempotency { key: [key; 16], body: [key; 32] });
        let house = Arc::clone(&self.house);
        let task = tokio::spawn(async move { house.ledger.submit(unit).await });
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        task
    }

    fn let_through(&self) {
        self.gated.gate.add_permits(100);
    }
}

async fn version(task: JoinHandle<Answer>) -> Result<(u64, bool), &'static str> {
    let receipt = task.await.unwrap().map_err(|refusal| refusal.code.name)?;
    let reply: [u8; 8] = receipt.replies[0].expose().try_into().unwrap();
    Ok((u64::from_be_bytes(reply), receipt.replayed))
}

const CONFLICT: &str = "secret.version_conflict";

#[tokio::test]
async fn a_group_decided_ahead_sees_the_one_before_it_whether_its_answer_is_lost_or_not() {
    for fault in [None, Some(Fault::AppliedButLost), Some(Fault::NotApplied), Some(Fault::Slow(20))] {
        let scene = Scene::new(fault).await;
        let first = scene.write("x", 0, 1).await;
        assert_eq!(scene.gated.waiting.load(Ordering::SeqCst), 1, "on its way");
        let (second, late, again) =
            (scene.write("x", 1, 2).await, scene.write("x", 0, 3).await, scene.write("x", 0, 1).await);
        let other = scene.write("y", 0, 4).await;
        assert!(!first.is_finished() && !second.is_finished() && !late.is_finished() && !again.is_finished());
        scene.let_through();
        assert_eq!(version(first).await, Ok((1, false)), "{fault:?}");
        assert_eq!(version(second).await, Ok((2, false)), "{fault:?}");
        assert_eq!(version(late).await, Err(CONFLICT), "{fault:?}");
        assert_eq!(version(again).await, Ok((1, true)), "{fault:?}: an equal request is answered alike");
        assert_eq!(version(other).await, Ok((1, false)), "{fault:?}");
        scene.house.ledger.settle().await.unwrap();
        assert_eq!(scene.house.read(scene.tenant, "x").await.unwrap().unwrap().0, 2);
        verified(&scene.store, &format!("{fault:?}")).await;
    }
}

#[tokio::test]
async fn a_group_decided_ahead_is_decided_again_when_the_store_refuses_the_one_before_it() {
    let scene = Scene::new(Some(Fault::Refused)).await;
    let first = scene.write("x", 0, 1).await;
    let (second, other) = (scene.write("x", 1, 2).await, scene.write("y", 0, 3).await);
    let again = scene.write("x", 0, 1).await;
    scene.let_through();
    assert_eq!(version(first).await, Err("storage.full"));
    assert_eq!(version(second).await, Err(CONFLICT), "what it was decided over never was");
    assert_eq!(version(other).await, Ok((1, false)));
    assert_eq!(version(again).await, Ok((1, false)), "the refused one left no answer behind");
    assert_eq!(scene.house.read(scene.tenant, "x").await.unwrap().unwrap().0, 1);
}

#[tokio::test]
async fn a_group_decided_ahead_is_decided_again_when_another_node_was_faster() {
    let scene = Scene::new(None).await;
    let first = scene.write("x", 0, 1).await;
    let (second, other) = (scene.write("x", 1, 2).await, scene.write("y", 0, 3).await);
    let rival = open(scene.store.clone(), 3).await.unwrap();
    rival.write(scene.tenant, "x", b"rival", Some(0)).await.unwrap();
    scene.let_through();
    assert_eq!(version(first).await, Err(CONFLICT));
    assert_eq!(version(second).await, Ok((2, false)));
    assert_eq!(version(other).await, Ok((1, false)));
}
