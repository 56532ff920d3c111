//! What the data folder must look like before anything in it is touched.

use super::{open, options, watermark};
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use storage::{Commit, OpenError, Shard, Sqlite, SqliteOptions};
use testkit::conformance::{Driver, Plain};

/// A closed store of three batches.
fn store() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 1..=3 {
        assert_eq!(Driver(&store).commit(Plain::new(number, 1).batch()), Commit::Done);
    }
    assert_eq!(Driver(&store).apply(vec![watermark(3)], false), Commit::Done);
    folder
}

/// Names, modes and contents of everything but the lock.
fn contents(data: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(data)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "lock")
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, fs::symlink_metadata(entry.path()).unwrap().mode(), fs::read(entry.path()).unwrap_or_default())
        })
        .collect();
    found.sort();
    found
}

fn patch(path: &Path, at: u64, bytes: &[u8]) {
    OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

type Spoil = fn(&Path);
type Wanted = fn(&OpenError) -> bool;

/// How a folder is spoilt, and what must be said about it.
const UNFIT: [(&str, Spoil, Wanted); 17] = [
    ("ledger.db removed", |d| fs::remove_file(d.join("ledger.db")).unwrap(), |e| matches!(e, OpenError::Missing(_))),
    ("ledger.db emptied", |d| fs::write(d.join("ledger.db"), "").unwrap(), |e| matches!(e, OpenError::Missing(_))),
    (
        "all but records.db removed",
        |d| ["ledger.db", "store"].iter().for_each(|name| fs::remove_file(d.join(name)).unwrap()),
        |e| matches!(e, OpenError::Missing(_)),
    ),
    (
        "all but the marker removed",
        |d| ["ledger.db", "records.db"].iter().for_each(|name| fs::remove_file(d.join(name)).unwrap()),
        |e| matches!(e, OpenError::Missing(_)),
    ),
    (
        "ledger.db cut short",
        |d| fs::write(d.join("ledger.db"), "SQLite").unwrap(),
        |e| matches!(e, OpenError::Damaged(_)),
    ),
    (
        "ledger.db is text",
        |d| fs::write(d.join("ledger.db"), [b'x'; 4096]).unwrap(),
        |e| matches!(e, OpenError::Damaged(_)),
    ),
    ("another program's", |d| patch(&d.join("ledger.db"), 68, &[1, 2, 3, 4]), |e| matches!(e, OpenError::Foreign(_))),
    (
        "a newer ledger.db",
        |d| patch(&d.join("ledger.db"), 60, &2_u32.to_be_bytes()),
        |e| matches!(e, OpenError::Newer(_)),
    ),
    (
        "a newer records.db",
        |d| patch(&d.join("records.db"), 60, &9_u32.to_be_bytes()),
        |e| matches!(e, OpenError::Newer(_)),
    ),
    (
        "files exchanged",
        |d| assert!(fs::copy(d.join("records.db"), d.join("ledger.db")).is_ok()),
        |e| matches!(e, OpenError::Foreign(_)),
    ),
    ("a broken marker", |d| fs::write(d.join("store"), "aumbry").unwrap(), |e| matches!(e, OpenError::Damaged(_))),
    (
        "an open file",
        |d| fs::set_permissions(d.join("ledger.db"), Permissions::from_mode(0o640)).unwrap(),
        |e| matches!(e, OpenError::Exposed(_)),
    ),
    (
        "an open folder",
        |d| fs::set_permissions(d, Permissions::from_mode(0o750)).unwrap(),
        |e| matches!(e, OpenError::Exposed(_)),
    ),
    (
        "a linked file",
        |d| {
            fs::rename(d.join("ledger.db"), d.join("elsewhere")).unwrap();
            symlink(d.join("elsewhere"), d.join("ledger.db")).unwrap();
        },
        |e| matches!(e, OpenError::Exposed(_)),
    ),
    (
        "a linked folder",
        |d| {
            fs::rename(d, d.with_file_name("real")).unwrap();
            symlink(d.with_file_name("real"), d).unwrap();
        },
        |e| matches!(e, OpenError::Exposed(_)),
    ),
    (
        "a folder for a file",
        |d| {
            fs::remove_file(d.join("records.db")).unwrap();
            fs::create_dir(d.join("records.db")).unwrap();
        },
        |e| matches!(e, OpenError::Exposed(_)),
    ),
    (
        "another store's records",
        |d| {
            let other = store();
            fs::copy(other.path().join("data/records.db"), d.join("records.db")).unwrap();
        },
        |e| matches!(e, OpenError::Foreign(_)),
    ),
];

#[test]
fn ft_07_each_unfit_folder_is_refused_with_its_cause_and_left_alone() {
    for (what, spoil, wanted) in UNFIT {
        let folder = store();
        let data = folder.path().join("data");
        spoil(&data);
        let before = contents(&data);
        let looked = Sqlite::inspect(&data).unwrap_err();
        assert!(wanted(&looked), "{what}, inspected: {looked:?}");
        assert_eq!(contents(&data), before, "{what}: looking changed the folder");
        let error = Sqlite::open(options(folder.path())).unwrap_err();
        assert!(wanted(&error), "{what}: {error:?}");
        let strip = |found: Vec<(String, u32, Vec<u8>)>| {
            found
                .into_iter()
                .filter(|(name, ..)| !name.ends_with("-shm") && !name.ends_with("-wal"))
                .collect::<Vec<_>>()
        };
        assert_eq!(strip(contents(&data)), strip(before), "{what}: the folder was changed");
    }
}

#[test]
fn ft_07_another_stores_ledger_is_refused() {
    let (one, other) = (store(), store());
    fs::copy(other.path().join("data/ledger.db"), one.path().join("data/ledger.db")).unwrap();
    assert!(matches!(Sqlite::open(options(one.path())), Err(OpenError::Foreign(_))));
}

#[test]
fn ft_07_another_users_folder_is_refused() {
    let folder = store();
    if std::os::unix::fs::chown(folder.path().join("data"), Some(12_345), None).is_err() {
        eprintln!("only root can give a folder away");
        return;
    }
    let error = Sqlite::open(options(folder.path())).unwrap_err();
    assert!(matches!(&error, OpenError::Exposed(why) if why.contains("12345")), "{error:?}");
}

#[test]
fn a_folder_becomes_a_store_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let asked = SqliteOptions { create: false, ..options(folder.path()) };
    assert!(matches!(Sqlite::open(asked.clone()), Err(OpenError::Absent(_))), "no folder");
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::set_permissions(folder.path().join("data"), Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(Sqlite::open(asked.clone()), Err(OpenError::Absent(_))), "an empty one");
    drop(open(folder.path()));
    assert_eq!(Driver(&Sqlite::open(asked).unwrap()).head(Shard(0)), 0);
}

#[test]
fn everything_in_the_folder_is_for_its_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(SqliteOptions { reserve_bytes: 4096, ..options(folder.path()) }).unwrap();
    assert!(store.restore_reserve());
    assert_eq!(Driver(&store).commit(Plain::new(1, 1).batch()), Commit::Done);
    assert_eq!(Driver(&store).apply(vec![watermark(1)], false), Commit::Done);
    let data = folder.path().join("data");
    assert_eq!(fs::metadata(&data).unwrap().mode() & 0o777, 0o700);
    let modes: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(modes.len(), 9, "ledger, records, two files beside each, marker, lock, reserve: {modes:?}");
    for entry in modes {
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn ft_12_a_folder_has_one_process_and_a_stale_lock_file_locks_nobody_out() {
    let folder = store();
    let first = open(folder.path());
    assert!(matches!(Sqlite::open(options(folder.path())), Err(OpenError::Locked(_))));
    drop(first);
    assert!(folder.path().join("data/lock").exists(), "the file stays, the lock goes");
    assert_eq!(Driver(&open(folder.path())).head(Shard(0)), 3);
}

#[test]
fn a_lost_records_file_is_made_again_without_a_watermark() {
    for log_left in [false, true] {
        let folder = store();
        let data = folder.path().join("data");
        fs::remove_file(data.join("records.db")).unwrap();
        if log_left {
            fs::write(data.join("records.db-wal"), [7; 9000]).unwrap();
            fs::set_permissions(data.join("records.db-wal"), Permissions::from_mode(0o600)).unwrap();
        }
        let store = open(folder.path());
        assert_eq!(super::folded(Driver(&store)), 0, "a watermark would hide the loss");
        assert_eq!(Driver(&store).head(Shard(0)), 3);
        assert_eq!(store.verify(), Ok(Vec::new()));
    }
}

#[test]
fn ft_08_a_store_half_made_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(open(folder.path()));
    for left in ["records.db", "store"] {
        fs::remove_file(data.join(left)).unwrap();
    }
    fs::write(data.join("records.db.new"), "half").unwrap();
    drop(open(folder.path()));
    for left in ["ledger.db", "records.db", "store"] {
        fs::remove_file(data.join(left)).unwrap();
    }
    fs::write(data.join("ledger.db.new"), "half").unwrap();
    fs::write(data.join("ledger.db.new-wal"), "half").unwrap();
    assert_eq!(Driver(&open(folder.path())).head(Shard(0)), 0);
}
