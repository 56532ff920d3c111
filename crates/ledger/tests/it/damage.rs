//! Any stored byte that is another than it was written is refused by name; lost records come back from entries.

use crate::house::{BoxRules, TestSeal, open};
use bytes::Bytes;
use crypto::note::VerifierKey;
use ledger::{Report, Verification};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use storage::{
    Batch, BatchNumber, BoxFuture, Commit, Key, Kind, Memory, Op, Page, Run, Shard, Storage, StorageError, StoredBatch,
    Transactions,
};
use testkit::entropy::Seeded;

/// What is read in place of a stored value.
#[derive(Debug)]
enum Instead {
    /// The same with one bit flipped.
    Bit(usize),
    /// Another one.
    Other(Bytes),
}

/// Reads one stored value as another than it is.
#[derive(Debug)]
struct Flip {
    inner: Arc<dyn Storage>,
    target: Mutex<Option<(Key, Instead)>>,
}

impl Flip {
    fn pass(&self, key: &Key, value: Bytes) -> Bytes {
        match &*self.target.lock() {
            Some((target, Instead::Other(other))) if target == key => other.clone(),
            Some((target, Instead::Bit(bit))) if target == key => {
                let mut bytes = value.to_vec();
                let at = (bit / 8) % bytes.len();
                bytes[at] ^= 1 << (bit % 8);
                bytes.into()
            }
            _ => value,
        }
    }
}

impl Storage for Flip {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        Box::pin(async move {
            let found = self.inner.get(keys.clone()).await?;
            Ok(found.into_iter().zip(&keys).map(|(v, k)| v.map(|v| self.pass(k, v))).collect())
        })
    }
    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        Box::pin(async move {
            let page = self.inner.scan(prefix, after, limit).await?;
            Ok(page.into_iter().map(|(k, v)| (k.clone(), self.pass(&k, v))).collect())
        })
    }
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        self.inner.commit(batch)
    }
    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        self.inner.apply(run)
    }
    fn tail(&self, s: Shard, from: BatchNumber, limit: usize) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        Box::pin(async move {
            let mut batches = self.inner.tail(s, from, limit).await?;
            for batch in &mut batches {
                let key = Key::new(Kind::Batch, s, batch.number.0.to_be_bytes().to_vec());
                batch.row = self.pass(&key, batch.row.clone());
                let key = Key::new(Kind::Side, s, batch.number.0.to_be_bytes().to_vec());
                batch.side = batch.side.take().map(|side| self.pass(&key, side));
            }
            Ok(batches)
        })
    }
    fn head(&self, s: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        self.inner.head(s)
    }
}

async fn verify(storage: Arc<dyn Storage>, seal: bool) -> Report {
    let verification = Verification {
        storage,
        shard: Shard(0),
        key: None,
        seal: seal.then(|| TestSeal::new(9) as _),
        rules: vec![Arc::new(BoxRules)],
    };
    match ledger::verify(verification).await {
        Ok(report) => report,
        // The root key's own row: no key, no report, and a start refuses in the same words.
        Err(refusal) => Report {
            bad: Some(ledger::Bad { what: refusal.detail, why: refusal.code.name.into() }),
            ..Report::default()
        },
    }
}

/// A store with every kind of thing in it: folded and unfolded, purged and rotated.
async fn lived_in() -> Arc<dyn Storage> {
    let store: Arc<dyn Storage> = Arc::new(Memory::new(Transactions::Yes));
    let house = open(store.clone(), 1).await.unwrap();
    let tenant = house.ledger.create_tenant("first").await.unwrap();
    for n in 0..20u8 {
        house.write(tenant, &format!("a/{}", n % 9), &[n; 40], None).await.unwrap();
    }
    house.purge(tenant, "a/3").await.unwrap();
    house.ledger.rotate_tenant(tenant).await.unwrap();
    house.ledger.settle().await.unwrap();
    house.write(tenant, "late", b"unfolded", None).await.unwrap();
    house.kill();
    store
}

#[tokio::test]
async fn a_sound_store_verifies_with_and_without_the_seal() {
    let store = lived_in().await;
    let report = verify(store.clone(), false).await;
    assert_eq!(report.bad, None);
    assert!(report.checked.entries > 20 && report.checked.records == 0);
    let report = verify(store, true).await;
    assert_eq!(report.bad, None);
    assert_eq!((report.checked.values, report.checked.orphans), (9, 0));
    assert!(report.checked.records >= 8 && report.checked.ring_keys > 8 && report.checked.intents > 5);
}

#[tokio::test]
async fn ft_06_a_flipped_bit_in_anything_stored_is_named() {
    let store = lived_in().await;
    let flip = Arc::new(Flip { inner: store.clone(), target: Mutex::new(None) });
    let mut tried = 0;
    for kind in Kind::ALL {
        let mut keys: Vec<(Key, usize)> = match kind {
            Kind::Batch => {
                let batches = store.tail(Shard(0), BatchNumber(1), 100).await.unwrap();
                let key = |n: BatchNumber| Key::new(Kind::Batch, Shard(0), n.0.to_be_bytes().to_vec());
                batches.iter().map(|b| (key(b.number), b.row.len())).collect()
            }
            _ => {
                let page = store.scan(Key::new(kind, Shard(0), vec![]), None, 1000).await.unwrap();
                page.iter().map(|(k, v)| (k.clone(), v.len())).collect()
            }
        };
        if kind == Kind::Meta {
            keys.retain(|(key, _)| !key.rest().starts_with(b"seals/"));
        }
        for (n, (key, length)) in keys.into_iter().enumerate() {
            // One bit in each byte of a few rows of each kind, a scattered bit in the others.
            let bits: Vec<usize> =
                if n < 2 { (0..length).map(|b| b * 8 + (b % 8)).collect() } else { vec![(n * 7919) % (length * 8)] };
            for bit in bits {
                *flip.target.lock() = Some((key.clone(), Instead::Bit(bit)));
                let report = verify(flip.clone(), true).await;
                assert!(report.bad.is_some(), "bit {bit} of {key:?} ({length} bytes) went unnoticed");
                tried += 1;
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

async fn all(store: &dyn Storage, kind: Kind) -> Page {
    store.scan(Key::new(kind, Shard(0), vec![]), None, 1000).await.unwrap()
}

#[tokio::test]
async fn bar_05_an_older_blob_or_record_put_back_in_its_place_is_noticed() {
    let store: Arc<dyn Storage> = Arc::new(Memory::new(Transactions::Yes));
    let house = open(store.clone(), 1).await.unwrap();
    let tenant = house.ledger.create_tenant("first").await.unwrap();
    let mut stages = Vec::new();
    for value in [b"old", b"new"] {
        house.write(tenant, "a", value, None).await.unwrap();
        house.ledger.settle().await.unwrap();
        stages.push((all(&*store, Kind::Blob).await, all(&*store, Kind::Record).await));
    }
    house.close().await;
    assert_eq!(verify(store.clone(), true).await.bad, None);
    let [(old_blobs, old_records), (new_blobs, new_records)] = stages.try_into().unwrap();

    let flip = Arc::new(Flip { inner: store.clone(), target: Mutex::new(None) });

    // The old value, sealed as it was, where the new one belongs.
    let old = old_blobs.last().unwrap();
    let (new, _) = new_blobs.iter().find(|(key, _)| old_blobs.iter().all(|(old, _)| old != key)).unwrap();
    *flip.target.lock() = Some((new.clone(), Instead::Other(old.1.clone())));
    let house = open(flip.clone(), 2).await.unwrap();
    let refused = house.read(tenant, "a").await.unwrap_err();
    assert_eq!(refused.class(), ledger::Class::Corrupt, "{refused}");
    house.kill();
    assert!(verify(flip.clone(), true).await.bad.is_some(), "an older value went unnoticed");

    // Each record that changed, as it was before. An older watermark hides nothing, entries after it are read
    // again; an older tile stops the start.
    let (mut tried, mut own) = (0, Vec::new());
    for (key, now) in &new_records {
        let Some((_, before)) = old_records.iter().find(|(old, before)| old == key && before != now) else { continue };
        if key.rest().first() == Some(&9) {
            own.push((key.clone(), before.clone()));
            continue;
        }
        *flip.target.lock() = Some((key.clone(), Instead::Other(before.clone())));
        assert!(verify(flip.clone(), true).await.bad.is_some(), "an older {key:?} went unnoticed");
        tried += 1;
    }
    assert!(tried > 0 && !own.is_empty(), "control: the second write changed records");
    for (key, before) in own {
        *flip.target.lock() = Some((key.clone(), Instead::Other(before)));
        match open(flip.clone(), 3).await {
            Ok(house) => {
                assert_eq!(house.read(tenant, "a").await.unwrap(), Some((2, b"new".to_vec())), "{key:?}");
                house.kill();
            }
            Err(refusal) => assert_eq!(refusal.class(), ledger::Class::Corrupt, "{key:?}: {refusal}"),
        }
    }
    *flip.target.lock() = None;
    assert_eq!(verify(flip, true).await.bad, None);
}

#[tokio::test]
async fn records_that_are_lost_are_made_again_and_are_equal() {
    let store = lived_in().await;
    open(store.clone(), 5).await.unwrap().close().await;
    let dump = |house: &crate::house::House| {
        let ledger = house.ledger.clone();
        async move {
            let tenant = ledger.tenant_named("first").await.unwrap().unwrap().id;
            let mut all = Vec::new();
            for folder in [vec![], vec!["a".into()]] {
                for child in ledger.children(tenant, ledger::RecordKind::SECRET, &folder, None, 1000).await.unwrap() {
                    all.push((child.name, child.body));
                }
            }
            all
        }
    };
    let house = open(store.clone(), 6).await.unwrap();
    let before = dump(&house).await;
    house.close().await;
    let removed = ledger::forget_records(store.as_ref(), Shard(0)).await.unwrap();
    assert!(removed > 9);
    let house = open(store.clone(), 7).await.unwrap();
    assert_eq!(dump(&house).await, before);
    assert_eq!(before.len(), 9);
    house.close().await;
    assert_eq!(verify(store, true).await.bad, None);
}

/// A store whose ledger went on for this long, without the checkpoint that says where it ends.
async fn unsigned(age: Duration) -> Arc<dyn Storage> {
    let store: Arc<dyn Storage> = Arc::new(Memory::new(Transactions::Yes));
    let house = open(store.clone(), 1).await.unwrap();
    let tenant = house.ledger.create_tenant("first").await.unwrap();
    house.clock.advance(age);
    house.write(tenant, "a", b"1", None).await.unwrap();
    house.ledger.settle().await.unwrap();
    house.kill();
    assert_eq!(verify(store.clone(), false).await.bad, None);
    let gone =
        ["checkpoint", "verifier"].map(|name| Op::Delete(Key::new(Kind::Meta, Shard(0), name.as_bytes().to_vec())));
    assert_eq!(store.apply(Run::new(gone.into(), true)).await, Commit::Done);
    store
}

#[tokio::test]
async fn a_ledger_whose_checkpoint_is_gone_is_named_and_not_gone_on_with() {
    let cut = unsigned(Duration::from_secs(60)).await;
    for seal in [false, true] {
        let bad = verify(cut.clone(), seal).await.bad.unwrap();
        assert!(bad.what == "the checkpoint" && bad.why.contains("may have been cut"), "{bad:?}");
    }
    let refused = open(cut, 2).await.map(|_| ()).unwrap_err();
    assert!(refused.code.name == "storage.damaged" && refused.detail.contains("the checkpoint"), "{refused:?}");

    // One that crashed as it began has none yet; with a key to hold against it, that is too little.
    let fresh = unsigned(Duration::from_secs(50)).await;
    assert_eq!(verify(fresh.clone(), true).await.bad, None);
    let signer = crypto::aead::Key::<crypto::aead::CheckpointKey>::generate(&Seeded::new(3)).unwrap();
    let key = VerifierKey::new("test/0".parse().unwrap(), signer.public());
    let verification =
        Verification { storage: fresh.clone(), shard: Shard(0), key: Some(key), seal: None, rules: Vec::new() };
    assert_eq!(ledger::verify(verification).await.unwrap().bad.unwrap().what, "the checkpoint");
    open(fresh, 2).await.unwrap().close().await;
}
