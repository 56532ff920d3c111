//! Groups that are decided while the one before them is on its way to the store.

use crate::house::{House, Write, open};
use crate::sim::verified;
use crypto::id::TenantId;
use ledger::{Idempotency, Receipt, Refusal};
use std::sync::Arc;
use storage::{Memory, Storage, Transactions};
use testkit::faulty::{Fault, Faulty};
use tokio::task::JoinHandle;

type Answer = Result<Receipt, Refusal>;

struct Scene {
    store: Arc<dyn Storage>,
    faulty: Arc<Faulty>,
    house: Arc<House>,
    tenant: TenantId,
}

impl Scene {
    /// A ledger whose commits are held back; the first one meets the fault when they are let through.
    async fn new(fault: Option<Fault>) -> Scene {
        let store: Arc<dyn Storage> = Arc::new(Memory::new(Transactions::Yes));
        let first = open(store.clone(), 1).await.unwrap();
        let tenant = first.ledger.create_tenant("first").await.unwrap();
        first.ledger.settle().await.unwrap();
        first.close().await;
        let faulty = Arc::new(Faulty::new(store.clone(), []));
        let house = Arc::new(open(faulty.clone(), 2).await.unwrap());
        faulty.hold_commits(fault);
        Scene { store, faulty, house, tenant }
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
        assert_eq!(scene.faulty.held(), 1, "on its way");
        let (second, late, again) =
            (scene.write("x", 1, 2).await, scene.write("x", 0, 3).await, scene.write("x", 0, 1).await);
        let other = scene.write("y", 0, 4).await;
        assert!(!first.is_finished() && !second.is_finished() && !late.is_finished() && !again.is_finished());
        scene.faulty.let_through();
        assert_eq!(version(first).await, Ok((1, false)), "{fault:?}");
        assert_eq!(version(second).await, Ok((2, false)), "{fault:?}");
        assert_eq!(version(late).await, Err(CONFLICT), "{fault:?}");
        assert_eq!(version(again).await, Ok((1, true)), "{fault:?}: an equal request is answered alike");
        assert_eq!(version(other).await, Ok((1, false)), "{fault:?}");
        assert_eq!(scene.faulty.hit().len(), usize::from(fault.is_some()), "{fault:?}: met, and once");
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
    scene.faulty.let_through();
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
    scene.faulty.let_through();
    assert_eq!(version(first).await, Err(CONFLICT));
    assert_eq!(version(second).await, Ok((2, false)));
    assert_eq!(version(other).await, Ok((1, false)));
}
