//! Files with flipped bits and torn ends.

use super::{folded, open, options, record, watermark};
use bytes::Bytes;
use std::fs;
use std::path::Path;
use storage::{Commit, Key, Kind, LIMITS, Op, OpenError, Page, Shard, Sqlite, StorageError};
use testkit::conformance::{Driver, Plain};

const BATCHES: u64 = 40;

/// A closed store with rows under every kind.
fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(Driver(&store), BATCHES);
    folder
}

fn fill(driver: Driver<'_>, batches: u64) {
    for number in 1..=batches {
        assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done);
        let mut ops: Vec<Op> = [Kind::Intent, Kind::Volatile, Kind::Access, Kind::Meta, Kind::Record]
            .map(|kind| Op::Put(Key::new(kind, Shard(0), number.to_be_bytes()), Bytes::from(vec![number as u8; 90])))
            .into();
        ops.push(watermark(number));
        assert_eq!(driver.apply(ops, false), Commit::Done);
    }
}

/// All rows of every kind, or that they are damaged.
fn read(driver: Driver<'_>) -> Vec<Result<Page, StorageError>> {
    Kind::ALL.iter().map(|kind| driver.scan(&Key::new(*kind, Shard(0), []), None, LIMITS.page_max)).collect()
}

fn copy(from: &Path, to: &Path) {
    let data = to.join("data");
    let _absent = fs::remove_dir_all(&data);
    assert!(std::process::Command::new("cp").arg("-rp").arg(from.join("data")).arg(&data).status().unwrap().success());
}

#[test]
fn ft_06_each_flipped_bit_is_refused_by_name_or_changes_nothing() {
    let (whole, spoilt) = (store(), tempfile::tempdir().unwrap());
    let wanted = read(Driver(&open(whole.path())));
    let (mut refused, mut named, mut harmless) = (0, 0, 0);
    for file in ["ledger.db", "records.db"] {
        let bytes = fs::read(whole.path().join("data").join(file)).unwrap();
        // Headers bit by bit, then places all over the file.
        let spread = (0..bytes.len() * 8).step_by((bytes.len() * 8 / 150) | 1);
        for bit in (0..100 * 8).step_by(11).chain(spread) {
            copy(whole.path(), spoilt.path());
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            fs::write(spoilt.path().join("data").join(file), flipped).unwrap();
            let store = match Sqlite::open(options(spoilt.path())) {
                Ok(store) => store,
                Err(error) => {
                    let by_name = matches!(&error, OpenError::Damaged(_) | OpenError::Foreign(_) | OpenError::Newer(_));
                    assert!(by_name, "bit {bit} of {file}: {error:?}");
                    assert!(error.to_string().contains(file), "bit {bit} of {file}: {error} names another file");
                    refused += 1;
                    continue;
                }
            };
            let found = read(Driver(&store));
            let damaged = found.iter().flatten().count() < found.len();
            for error in found.iter().filter_map(|read| read.as_ref().err()) {
                assert!(
                    matches!(error, StorageError::Damaged(what) if what.contains(file)),
                    "bit {bit} of {file}: {error:?}"
                );
            }
            if damaged {
                named += 1;
                assert_ne!(store.verify(), Ok(Vec::new()), "bit {bit} of {file}: read as damaged, verified as whole");
            } else if found == wanted {
                harmless += 1;
            } else {
                assert_ne!(
                    store.verify(),
                    Ok(Vec::new()),
                    "bit {bit} of {file} changed what is read, and nobody says so"
                );
            }
        }
    }
    assert!(refused > 20 && named > 20 && harmless > 20, "{refused} refused, {named} named, {harmless} harmless");
}

#[test]
fn ft_06_one_damaged_row_does_not_hide_the_others() {
    let folder = store();
    let path = folder.path().join("data/ledger.db");
    let mut bytes = fs::read(&path).unwrap();
    let value = Plain::new(17, 1).value("blob");
    let at = bytes.windows(value.len()).position(|window| window == value.as_ref()).unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let store = open(folder.path());
    let driver = Driver(&store);
    let hits: Vec<_> = (0..3).map(|index| driver.get(&[Plain::new(17, 1).key(Kind::Blob, index)])).collect();
    let (whole, hit): (Vec<_>, Vec<_>) = hits.into_iter().partition(Result::is_ok);
    assert_eq!(whole, vec![Ok(vec![Some(value.clone())]); 2], "rows beside the damaged one");
    assert!(
        matches!(&hit[..], [Err(StorageError::Damaged(what))] if what.contains("Blob/0/0000000000000011")),
        "{hit:?}"
    );
    assert_eq!(driver.one(&Plain::new(18, 1).key(Kind::Blob, 0)), Some(Plain::new(18, 1).value("blob")));
    assert_eq!(store.verify().unwrap().len(), 1);
    assert_eq!(driver.commit(Plain::new(BATCHES + 1, 1).batch()), Commit::Done);
}

#[test]
fn ft_06_a_torn_or_flipped_log_ends_in_a_whole_prefix() {
    let (live, torn) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(live.path());
    fill(Driver(&store), BATCHES);
    // As after power loss: files as they are, the shared memory gone.
    let log = fs::read(live.path().join("data/ledger.db-wal")).unwrap();
    assert!(log.len() > 100_000, "the log is to be torn, so it must be there");
    let mut heads = std::collections::BTreeSet::new();
    for (step, flip) in (0..60).map(|step| (step, step % 2 == 0)) {
        copy(live.path(), torn.path());
        let data = torn.path().join("data");
        for name in ["ledger.db-shm", "records.db-shm"] {
            fs::remove_file(data.join(name)).unwrap();
        }
        let (at, mut end) = (log.len() * step / 60, log.clone());
        match flip {
            true => end[at] ^= 0x10,
            false => end.truncate(at),
        }
        fs::write(data.join("ledger.db-wal"), end).unwrap();
        let store = open(torn.path());
        let driver = Driver(&store);
        let head = driver.head(Shard(0));
        heads.insert(head);
        let tail = driver.tail(Shard(0), 1, 4096);
        assert_eq!(tail.len() as u64, head);
        for number in 1..=BATCHES {
            let whole = Plain::new(number, 1).keys().iter().filter(|key| driver.one(key).is_some()).count();
            assert_eq!(whole, if number <= head { 9 } else { 0 }, "batch {number} with head {head}, log cut at {at}");
        }
        assert_eq!(store.verify(), Ok(Vec::new()));
        assert_eq!(driver.commit(Plain::new(head + 1, 1).batch()), Commit::Done);
    }
    assert!(heads.len() > 10, "the cuts met only {heads:?}");
    assert_eq!(folded(Driver(&store)), BATCHES);
    assert!(Driver(&store).one(&record(b"watermark")).is_some());
}
