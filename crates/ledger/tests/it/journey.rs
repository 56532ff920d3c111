//! From the first batch to a resumed ledger.

use crate::house::{TestSeal, name, open, open_with};
use std::sync::Arc;
use storage::{Memory, Storage, Transactions};

fn stores() -> [Arc<dyn Storage>; 2] {
    [Arc::new(Memory::new(Transactions::Yes)), Arc::new(Memory::new(Transactions::No))]
}

#[tokio::test]
async fn what_is_written_is_read_after_a_clean_end_and_after_a_kill() {
    for store in stores() {
        let house = open(store.clone(), 1).await.unwrap();
        let tenant = house.ledger.create_tenant("first").await.unwrap();
        for n in 0..50u8 {
            house.write(tenant, &format!("a/b{}/c", n % 7), &[n; 100], None).await.unwrap();
        }
        assert_eq!(house.read(tenant, "a/b0/c").await.unwrap(), Some((8, vec![49; 100])));
        house.close().await;

        let house = open(store.clone(), 2).await.unwrap();
        assert_eq!(house.ledger.tenant_named("first").await.unwrap().map(|tenant| tenant.id), Some(tenant));
        assert_eq!(house.read(tenant, "a/b0/c").await.unwrap(), Some((8, vec![49; 100])));
        house.write(tenant, "a/b0/c", b"after", Some(8)).await.unwrap();
        house.kill();

        let house = open(store.clone(), 3).await.unwrap();
        assert_eq!(house.read(tenant, "a/b0/c").await.unwrap(), Some((9, b"after".to_vec())));
        assert_eq!(
            house
                .ledger
                .children(tenant, ledger::RecordKind::SECRET, &["a".into(), "b0".into()], None, 10)
                .await
                .unwrap()
                .len(),
            1
        );
        house.close().await;
    }
}

#[tokio::test]
async fn compare_and_set_lets_one_of_many_writers_through() {
    let house = Arc::new(open(stores()[0].clone(), 1).await.unwrap());
    let tenant = house.ledger.create_tenant("first").await.unwrap();
    let tries = (0..64u8).map(|n| {
        let house = house.clone();
        tokio::spawn(async move { house.write(tenant, "x", &[n], Some(0)).await.is_ok() })
    });
    let mut won = 0;
    for task in tries.collect::<Vec<_>>() {
        won += usize::from(task.await.unwrap());
    }
    assert_eq!(won, 1);
}

#[tokio::test]
async fn a_purged_value_is_gone_from_the_store_when_the_answer_arrives() {
    for store in stores() {
        let house = open(store.clone(), 1).await.unwrap();
        let tenant = house.ledger.create_tenant("first").await.unwrap();
        house.write(tenant, "gone", b"secret", None).await.unwrap();
        let count = |kind| {
            let store = store.clone();
            async move { store.scan(storage::Key::new(kind, storage::Shard(0), vec![]), None, 100).await.unwrap().len() }
        };
        assert_eq!((count(storage::Kind::Key).await, count(storage::Kind::Blob).await), (1, 1));
        house.purge(tenant, "gone").await.unwrap();
        assert_eq!((count(storage::Kind::Key).await, count(storage::Kind::Blob).await), (0, 0));
        assert_eq!(house.read(tenant, "gone").await.unwrap(), None);
        assert!(house.ledger.record(tenant, &name("gone")).await.unwrap().is_none());
        house.close().await;
    }
}

#[tokio::test]
async fn another_seal_opens_nothing() {
    let store = stores()[0].clone();
    open(store.clone(), 1).await.unwrap().close().await;
    let refused = open_with(store, 2, TestSeal::new(8)).await.err().unwrap();
    assert_eq!(refused.code.name, "seal.invalid");
}

#[tokio::test]
async fn tenants_of_one_store_do_not_see_each_other() {
    let house = open(stores()[0].clone(), 1).await.unwrap();
    let one = house.ledger.create_tenant("one").await.unwrap();
    let two = house.ledger.create_tenant("two").await.unwrap();
    assert_eq!(house.ledger.create_tenant("two").await.unwrap_err().code.name, "key.busy");
    house.write(one, "same/path", b"one", None).await.unwrap();
    assert_eq!(house.read(two, "same/path").await.unwrap(), None);
    house.write(two, "same/path", b"two", Some(0)).await.unwrap();
    assert_eq!(house.read(one, "same/path").await.unwrap(), Some((1, b"one".to_vec())));
    house.close().await;
}

#[tokio::test]
async fn proofs_of_every_entry_verify_against_the_signed_checkpoint() {
    let house = open(stores()[0].clone(), 1).await.unwrap();
    let tenant = house.ledger.create_tenant("one").await.unwrap();
    let mut sizes = Vec::new();
    for n in 0..300u32 {
        house.write(tenant, &format!("k{n}"), b"v", None).await.unwrap();
        if n % 50 == 0 {
            house.ledger.settle().await.unwrap();
            sizes.push(house.ledger.folded_tree());
        }
    }
    let note = house.ledger.settle().await.unwrap().unwrap();
    let seen = crypto::note::Checkpoint::open(&note, &house.ledger.verifier_key().unwrap()).unwrap();
    let entries = house.ledger.entries(0, 10_000).await.unwrap();
    assert_eq!(entries.len() as u64, seen.size);
    for entry in &entries {
        let proof = house.ledger.inclusion(entry.index, seen.size).await.unwrap();
        let leaf = crypto::merkle::leaf_hash(&entry.bytes);
        crypto::merkle::verify_inclusion(&leaf, entry.index, seen.size, &proof, &seen.root).unwrap();
    }
    for (size, root) in sizes {
        let proof = house.ledger.consistency(size, seen.size).await.unwrap();
        crypto::merkle::verify_consistency(size, &root, seen.size, &seen.root, &proof).unwrap();
    }
    assert_eq!(house.ledger.inclusion(seen.size, seen.size).await.unwrap_err().code.name, "ledger.range");
    house.close().await;
}

#[tokio::test]
async fn rotation_of_tenant_root_and_seal_keeps_everything_readable() {
    let store = stores()[0].clone();
    let house = open(store.clone(), 1).await.unwrap();
    let tenant = house.ledger.create_tenant("one").await.unwrap();
    house.write(tenant, "old", b"old", None).await.unwrap();
    let before = house.ledger.tenant_key(tenant).unwrap();
    house.ledger.rotate_tenant(tenant).await.unwrap();
    assert_ne!(house.ledger.tenant_key(tenant).unwrap(), before);
    assert_eq!(house.ledger.retire_tenant_keys(tenant).await.unwrap(), 1, "a data key still rests under it");
    house.write(tenant, "new", b"new", None).await.unwrap();
    house.ledger.rotate_root().await.unwrap();
    house.ledger.rekey_seal(TestSeal::new(7)).await.unwrap();
    assert_eq!(house.read(tenant, "old").await.unwrap(), Some((1, b"old".to_vec())));
    house.write(tenant, "old", b"newer", None).await.unwrap();
    house.ledger.settle().await.unwrap();
    assert_eq!(house.ledger.retire_tenant_keys(tenant).await.unwrap(), 0, "nothing rests under it any more");
    house.close().await;
    assert_eq!(open_with(store.clone(), 2, TestSeal::new(9)).await.err().unwrap().code.name, "seal.invalid");
    let house = open_with(store, 3, TestSeal::new(7)).await.unwrap();
    assert_eq!(house.read(tenant, "old").await.unwrap(), Some((2, b"newer".to_vec())));
    assert_eq!(house.ledger.due(crypto::seam::WallMs(u64::MAX), 100).await.unwrap().len(), 3);
    house.close().await;
}

#[tokio::test]
async fn bar_08_keys_rotated_under_a_hundred_writers_leave_every_record_readable() {
    let store = stores()[0].clone();
    let house = Arc::new(open(store.clone(), 1).await.unwrap());
    let tenant = house.ledger.create_tenant("one").await.unwrap();
    let writers: Vec<_> = (0..100u8)
        .map(|w| {
            let house = house.clone();
            tokio::spawn(async move {
                for n in 0..10u8 {
                    house.write(tenant, &format!("w{w}"), &[w, n], Some(u64::from(n))).await.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..5 {
        house.ledger.rotate_tenant(tenant).await.unwrap();
        house.ledger.rotate_root().await.unwrap();
        house.ledger.settle().await.unwrap();
        house.ledger.retire_tenant_keys(tenant).await.unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    Arc::into_inner(house).unwrap().kill();
    let house = open(store.clone(), 2).await.unwrap();
    for w in 0..100u8 {
        assert_eq!(house.read(tenant, &format!("w{w}")).await.unwrap(), Some((10, vec![w, 9])));
    }
    house.close().await;
    let rules = vec![Arc::new(crate::house::BoxRules) as _];
    let (seal, shard, key) = (Some(TestSeal::new(9) as _), storage::Shard(0), None);
    let report = ledger::verify(ledger::Verification { storage: store, shard, key, seal, rules }).await.unwrap();
    assert_eq!((report.bad, report.checked.values), (None, 100));
}
