//! Reading a folder that nobody serves, without leaving a trace in it.

use super::open;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use storage::{Cause, Commit, OpenError, Shard, Sqlite};
use testkit::conformance::{Driver, Plain};

/// Every file with its contents and the time of its last change.
fn traces(data: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let entries = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.clone(), (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap())))
        .collect()
}

fn write(store: &Sqlite, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(Driver(store).commit(Plain::new(number, 1).batch()), Commit::Done);
        assert_eq!(Driver(store).apply(vec![super::watermark(number)], true), Commit::Done);
    }
}

/// Inspects a folder, checks what it holds, and that it is as it was.
fn sees(data: &Path, batches: u64) {
    let before = traces(data);
    let store = Sqlite::inspect(data).unwrap();
    let driver = Driver(&store);
    assert_eq!(driver.head(Shard(0)), batches);
    assert_eq!(driver.tail(Shard(0), 1, 10).len() as u64, batches);
    assert_eq!(super::folded(driver), batches);
    assert_eq!(store.verify().unwrap(), Vec::<String>::new());
    let refused = Driver(&store).commit(Plain::new(batches + 1, 1).batch());
    assert!(matches!(refused, Commit::Refused(Cause::Broken(_))), "{refused:?}");
    drop(store);
    assert_eq!(traces(data), before, "something was changed");
}

#[test]
fn a_folder_at_rest_is_read_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    write(&open(folder.path()), 1..=3);
    sees(&folder.path().join("data"), 3);
    write(&open(folder.path()), 4..=4);
    sees(&folder.path().join("data"), 4);
}

#[test]
fn what_a_crash_left_in_the_log_is_read_and_left_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    write(&store, 1..=3);
    // A copy of an open store's files is what a kill leaves.
    let copy = folder.path().join("a copy?of%it");
    fs::create_dir(&copy).unwrap();
    fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for (path, (bytes, _)) in traces(&folder.path().join("data")) {
        let place = copy.join(path.file_name().unwrap());
        fs::write(&place, bytes).unwrap();
        fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    assert!(fs::metadata(copy.join("ledger.db-wal")).unwrap().len() > 0, "control: the log is what holds the batches");
    sees(&copy, 3);
    fs::remove_file(copy.join("ledger.db-shm")).unwrap();
    fs::remove_file(copy.join("lock")).unwrap();
    sees(&copy, 3);
}

#[test]
fn a_folder_in_use_is_not_inspected_and_one_inspected_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = open(folder.path());
    write(&store, 1..=1);
    assert!(matches!(Sqlite::inspect(&data), Err(OpenError::Locked(_))));
    drop(store);
    let (first, second) = (Sqlite::inspect(&data).unwrap(), Sqlite::inspect(&data).unwrap());
    assert!(matches!(Sqlite::open(super::options(folder.path())), Err(OpenError::Locked(_))));
    drop((first, second));
    drop(open(folder.path()));
}

#[test]
fn a_folder_without_records_is_read_and_none_are_made() {
    let folder = tempfile::tempdir().unwrap();
    write(&open(folder.path()), 1..=2);
    let data = folder.path().join("data");
    fs::remove_file(data.join("records.db")).unwrap();
    let store = Sqlite::inspect(&data).unwrap();
    assert_eq!((Driver(&store).head(Shard(0)), super::folded(Driver(&store))), (2, 0));
    assert!(!data.join("records.db").exists());
    assert!(matches!(Sqlite::inspect(&folder.path().join("none")), Err(OpenError::Absent(_))));
}
