//! A backup is whole or refused by name, whatever happened to it and whatever was written while it was made.

use crate::house::{BoxRules, House, PURGED, TestSeal, open};
use crypto::id::{BackupId, TenantId};
use crypto::seam::Clock;
use ledger::backup::{Backup, Foot, Known, Pace, contents};
use ledger::{Refusal, Rules, Verification};
use std::io::Cursor;
use std::sync::Arc;
use storage::{BoxFuture, Kind, Memory, Shard, Sqlite, SqliteOptions, Storage, Transactions};

struct Yields;

impl Pace for Yields {
    fn step(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async {
            tokio::task::yield_now().await;
            Ok(())
        })
    }
}

fn memory() -> Arc<dyn Storage> {
    Arc::new(Memory::new(Transactions::Yes))
}

fn rules() -> Vec<Arc<dyn Rules>> {
    vec![Arc::new(BoxRules)]
}

async fn made(house: &House) -> (Vec<u8>, Foot) {
    let mut bytes = Vec::new();
    let id = BackupId::generate(house.clock.wall(), house.entropy.as_ref()).unwrap();
    let (_, foot) = house.ledger.back_up(id, &mut bytes, &Yields).await.unwrap();
    (bytes, foot)
}

async fn restored(bytes: &[u8]) -> Arc<dyn Storage> {
    let storage = memory();
    let mut whole = Backup::open(Cursor::new(bytes), TestSeal::new(9).as_ref()).unwrap().check().unwrap();
    whole.restore(storage.as_ref(), &Yields).await.unwrap();
    storage
}

/// Opens it once, as every restore does, and checks everything there is to check.
async fn sound(storage: &Arc<dyn Storage>, foot: &Foot) {
    let house = open(Arc::clone(storage), 77).await.unwrap();
    house.ledger.settle().await.unwrap();
    house.ledger.try_values(foot, &rules(), &Yields).await.unwrap();
    house.close().await;
    let seal: Arc<dyn crypto::seam::Seal> = TestSeal::new(9);
    let (key, seal) = (Some(foot.verifier.parse().unwrap()), Some(seal));
    let verification = Verification { storage: Arc::clone(storage), shard: Shard(0), key, seal, rules: rules() };
    let report = ledger::verify(verification).await.unwrap();
    assert_eq!(report.bad, None);
    assert_eq!(report.checked.entries, foot.entries);
}

async fn small() -> (House, TenantId, Vec<u8>, Foot) {
    let house = open(memory(), 5).await.unwrap();
    let tenant = house.ledger.create_tenant("main").await.unwrap();
    house.write(tenant, "a/b", b"canary-one", None).await.unwrap();
    house.write(tenant, "c", b"canary-two", None).await.unwrap();
    let (bytes, foot) = made(&house).await;
    (house, tenant, bytes, foot)
}

#[tokio::test]
async fn a_restored_ledger_goes_on_where_its_backup_ended() {
    let (house, tenant, bytes, foot) = small().await;
    house.write(tenant, "later", b"not in it", None).await.unwrap();
    let storage = restored(&bytes).await;
    sound(&storage, &foot).await;
    let again = open(storage, 6).await.unwrap();
    assert_eq!(again.read(tenant, "a/b").await.unwrap().unwrap().1, b"canary-one");
    assert_eq!(again.read(tenant, "later").await.unwrap(), None);
    assert_eq!(again.ledger.head().size, foot.entries);
    assert_eq!(again.ledger.open_intents(10).await.unwrap().len(), 2, "promises are in it");
    again.write(tenant, "a/b", b"next", Some(1)).await.unwrap();
    let proof = again.ledger.settle().await.unwrap();
    assert!(proof.is_some());
    assert_eq!(again.ledger.origin().unwrap(), house.ledger.origin().unwrap());
}

#[tokio::test]
async fn leak_11_a_backup_holds_no_value_and_no_name() {
    let (_house, _, bytes, _) = small().await;
    let found = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(found(b"test/0"), "the origin stands in clear, so that this test can fail");
    for canary in [b"canary".as_slice(), b"a/b", b"main"] {
        assert!(!found(canary));
    }
}

/// Reads it all, as a restore does before it changes anything.
fn read(bytes: &[u8]) -> Result<(), Refusal> {
    Backup::open(Cursor::new(bytes), TestSeal::new(9).as_ref())?.check().map(drop)
}

#[tokio::test]
async fn cfg_12_each_flipped_bit_is_refused_by_name() {
    let (_house, _, good, _) = small().await;
    read(&good).unwrap();
    let mut bytes = good.clone();
    for at in 0..bytes.len() {
        for bit in [0, 3, 7] {
            bytes[at] ^= 1 << bit;
            let refusal = read(&bytes).expect_err("a flipped bit");
            let named = ["backup.damaged", "backup.unreadable", "backup.newer"].contains(&refusal.code.name);
            assert!(named, "byte {at}: {refusal}");
            bytes[at] ^= 1 << bit;
        }
    }
}

#[tokio::test]
async fn cfg_12_each_cut_and_anything_added_is_refused() {
    let (_house, _, good, _) = small().await;
    for end in 0..good.len() {
        let refusal = read(&good[..end]).expect_err("a cut file");
        assert!(["backup.damaged", "backup.unreadable"].contains(&refusal.code.name), "{end}: {refusal}");
    }
    assert_eq!(read(&[good.as_slice(), b"\0"].concat()).unwrap_err().code.name, "backup.damaged");
    assert_eq!(read(&[good.as_slice(), &good].concat()).unwrap_err().code.name, "backup.damaged");
}

#[tokio::test]
async fn cfg_12_a_backup_of_another_store_or_a_newer_version_is_refused_by_name() {
    let (_house, _, good, foot) = small().await;
    let refused = Backup::open(Cursor::new(&good), TestSeal::new(8).as_ref()).unwrap_err();
    assert_eq!(refused.code.name, "backup.foreign");
    let mut newer = good.clone();
    newer[15] = 2;
    assert_eq!(read(&newer).unwrap_err().code.name, "backup.newer");
    assert_eq!(read(b"something else entirely, of some length").unwrap_err().code.name, "backup.unreadable");
    // Two backups of one ledger: the chunks of one do not pass for those of the other.
    let (head, told) = contents(&mut Cursor::new(&good)).unwrap();
    assert_eq!((head.origin.as_str(), &told), ("test/0", &foot));
    let (again, _) = made(&_house).await;
    let head_bytes = |bytes: &[u8]| {
        let mut cursor = Cursor::new(bytes);
        ledger::backup::read_head(&mut cursor).unwrap();
        usize::try_from(cursor.position()).unwrap()
    };
    let mixed = [&good[..head_bytes(&good)], &again[head_bytes(&again)..]].concat();
    assert_eq!(read(&mixed).unwrap_err().code.name, "backup.damaged");
}

/// Writes, writes over, purges and rotates keys until told to stop.
async fn churn(house: &House, tenant: TenantId, rounds: usize) {
    for round in 0..rounds {
        let path = format!("box/{}", round % 7);
        house.write(tenant, &path, format!("value {round}").as_bytes(), None).await.unwrap();
        if round % 5 == 4 {
            house.purge(tenant, &path).await.unwrap();
        }
        if round % 11 == 10 {
            house.ledger.rotate_tenant(tenant).await.unwrap();
        }
        if round % 17 == 16 {
            house.ledger.rotate_root().await.unwrap();
        }
    }
}

#[tokio::test]
async fn ft_35_a_backup_made_while_everything_changes_is_consistent() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let storage: Arc<dyn Storage> = match seed % 3 {
            0 => Arc::new(Sqlite::open(SqliteOptions::new(folder.path().join("data"))).unwrap()),
            1 => Arc::new(Memory::new(Transactions::No)),
            _ => memory(),
        };
        let house = open(storage, seed).await.unwrap();
        let tenant = house.ledger.create_tenant("main").await.unwrap();
        churn(&house, tenant, 120).await;
        let before = house.ledger.head().size;
        let (made, ()) = tokio::join!(made(&house), churn(&house, tenant, 150));
        let (bytes, foot) = made;
        assert!(foot.entries >= before, "what was answered before is in it");
        let storage = restored(&bytes).await;
        sound(&storage, &foot).await;
        house.close().await;
    }
}

#[tokio::test]
async fn what_was_purged_while_the_backup_was_made_leaves_no_key_in_the_restored_store() {
    let house = open(memory(), 3).await.unwrap();
    let tenant = house.ledger.create_tenant("main").await.unwrap();
    churn(&house, tenant, 200).await;
    let (made, ()) = tokio::join!(made(&house), async {
        for n in 0..7 {
            house.write(tenant, &format!("gone/{n}"), b"x", None).await.unwrap();
            house.purge(tenant, &format!("gone/{n}")).await.unwrap();
        }
    });
    let storage = restored(&made.0).await;
    sound(&storage, &made.1).await;
    let again = open(Arc::clone(&storage), 4).await.unwrap();
    again.ledger.settle().await.unwrap();
    again.ledger.remove_orphans(&rules()).await.unwrap();
    assert_eq!(again.ledger.remove_orphans(&rules()).await.unwrap(), 0);
    let values = again.ledger.try_values(&made.1, &rules(), &Yields).await.unwrap();
    again.close().await;
    let keys = storage.scan(storage::Key::new(Kind::Key, Shard(0), Vec::new()), None, 4096).await.unwrap();
    assert_eq!(keys.len() as u64, values, "one key for each value there is, none besides");
}

#[tokio::test]
async fn the_store_that_is_replaced_tells_what_came_after_the_backup() {
    let storage = memory();
    let house = open(Arc::clone(&storage), 5).await.unwrap();
    let tenant = house.ledger.create_tenant("main").await.unwrap();
    house.write(tenant, "a", b"1", None).await.unwrap();
    let (bytes, foot) = made(&house).await;
    house.purge(tenant, "a").await.unwrap();
    house.close().await;
    let whole = Backup::open(Cursor::new(&bytes), TestSeal::new(9).as_ref()).unwrap().check().unwrap();
    let ours = (whole.first(), whole.foot());
    let known = Known::read(Arc::clone(&storage), Shard(0), TestSeal::new(9).as_ref(), ours, &[PURGED]).await.unwrap();
    assert_eq!((known.entries, known.facts.len()), (foot.entries + 1, 1));
    assert_eq!((known.facts[0].0, known.facts[0].1.kind.as_str()), (tenant, PURGED));
    let other = memory();
    open(Arc::clone(&other), 50).await.unwrap().close().await;
    let refused = Known::read(other, Shard(0), TestSeal::new(9).as_ref(), ours, &[]).await.unwrap_err();
    assert_eq!(refused.code.name, "backup.foreign");
}

#[tokio::test]
async fn a_store_that_holds_something_is_never_restored_into() {
    let (_house, _, bytes, _) = small().await;
    let storage = restored(&bytes).await;
    let mut whole = Backup::open(Cursor::new(&bytes), TestSeal::new(9).as_ref()).unwrap().check().unwrap();
    assert_eq!(whole.restore(storage.as_ref(), &Yields).await.unwrap_err().code.name, "key.busy");
}

/// Frozen: what any released version wrote is read by every later one.
#[tokio::test]
async fn a_backup_of_the_first_format_is_restored() {
    let bytes = include_bytes!("../vectors/backup-1.bin");
    let storage = restored(bytes).await;
    let foot = contents(&mut Cursor::new(bytes)).unwrap().1;
    sound(&storage, &foot).await;
    let house = open(storage, 8).await.unwrap();
    let tenant = house.ledger.tenant_named("main").await.unwrap().unwrap().id;
    assert_eq!(house.read(tenant, "a/b").await.unwrap().unwrap().1, b"canary-one");
    assert_eq!(house.read(tenant, "c").await.unwrap().unwrap().1, b"canary-two");
}
