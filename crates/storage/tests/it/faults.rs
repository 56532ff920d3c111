//! Disks that fill up, fail to flush, or are cut off.

use super::disk::Disk;
use super::{folded, open, options, record, watermark};
use bytes::Bytes;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;
use storage::{Batch, BatchNumber, Cause, Commit, Kind, Op, Put, Shard, Sqlite, SqliteOptions, Storage, StorageError};
use testkit::conformance::{Driver, Plain, block_on};

#[test]
fn ft_03_each_answered_commit_was_flushed_first() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::under(folder.path());
    let store = open(folder.path());
    let driver = Driver(&store);
    for number in 1..=50 {
        let before = disk.ledger_log_flushes.load(Ordering::SeqCst);
        assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done);
        assert!(
            disk.ledger_log_flushes.load(Ordering::SeqCst) > before,
            "batch {number} was answered before its flush"
        );
    }
}

#[test]
fn ft_03_a_durable_run_is_flushed_and_records_alone_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::under(folder.path());
    let store = open(folder.path());
    let driver = Driver(&store);
    let records = || disk.records_log_flushes.load(Ordering::SeqCst);
    let put = || Op::Put(record(b"a"), Bytes::from_static(b"x"));
    assert_eq!(driver.apply(vec![put()], false), Commit::Done);
    let before = records();
    for _ in 0..20 {
        assert_eq!(driver.apply(vec![put(), watermark(1)], false), Commit::Done);
    }
    assert_eq!(records(), before, "folding waited for the disk");
    assert_eq!(driver.apply(vec![put(), watermark(2)], true), Commit::Done);
    assert!(records() > before, "a durable run did not");
    let same = || vec![put(), watermark(3)];
    assert_eq!(driver.apply(same(), false), Commit::Done);
    let before = records();
    assert_eq!(driver.apply(same(), true), Commit::Done);
    assert!(records() > before, "what changes nothing was not flushed, nor what it repeats");
    let before = records();
    let meta = Op::Put(storage::Key::new(Kind::Meta, Shard(0), b"m".as_slice()), Bytes::new());
    assert_eq!(driver.apply(vec![put(), meta], false), Commit::Done);
    assert!(records() > before, "power loss could keep the second operation without the first");
}

#[test]
fn ft_04_after_a_failed_flush_nothing_more_is_written_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::under(folder.path());
    let store = open(folder.path());
    let driver = Driver(&store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    disk.flush_fails.store(true, Ordering::SeqCst);
    let end = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(end, Commit::Unknown(Cause::Broken(_))), "{end:?}");
    disk.flush_fails.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        let end = driver.commit(Plain::new(2, 2).batch());
        assert!(matches!(end, Commit::Refused(Cause::Broken(_))), "written after a failed flush: {end:?}");
        let end = driver.apply(vec![watermark(1)], false);
        assert!(matches!(end, Commit::Refused(Cause::Broken(_))), "{end:?}");
    }
    let tail = block_on(store.tail(Shard(0), BatchNumber(1), 9));
    assert!(matches!(tail, Err(StorageError::Broken(_))), "the tail said what a restart may say otherwise: {tail:?}");
    assert!(store.broken().is_some());
    drop(store);
    let store = open(folder.path());
    let driver = Driver(&store);
    let head = driver.head(Shard(0));
    assert!(head == 1 || head == 2, "{head}");
    let whole = Plain::new(head, 1).keys().iter().all(|key| driver.one(key).is_some());
    assert!(whole, "half of batch {head} came back");
    assert_eq!(driver.commit(Plain::new(head + 1, 3).batch()), Commit::Done);
}

#[test]
fn ft_04_a_failed_flush_while_erasing_shuts_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::under(folder.path());
    let store = open(folder.path());
    let driver = Driver(&store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    disk.flush_fails.store(true, Ordering::SeqCst);
    let end = driver.apply(vec![Op::Delete(Plain::new(1, 1).key(Kind::Key, 0))], true);
    assert!(matches!(end, Commit::Refused(Cause::Broken(_)) | Commit::Unknown(Cause::Broken(_))), "{end:?}");
    disk.flush_fails.store(false, Ordering::SeqCst);
    let end = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(end, Commit::Refused(Cause::Broken(_))), "{end:?}");
}

#[test]
fn ft_05_a_full_disk_refuses_writes_serves_reads_and_heals() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::under(folder.path());
    let store = open(folder.path());
    let driver = Driver(&store);
    let mut number = 0;
    for _ in 0..3 {
        for _ in 0..20 {
            number += 1;
            assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done);
            assert_eq!(
                driver.apply(vec![Op::Delete(Plain::new(number, 1).numbered(Kind::Side)), watermark(number)], false),
                Commit::Done
            );
        }
        disk.full.store(true, Ordering::SeqCst);
        // What the log has room for may still go in, the rest is refused with nothing done.
        let refused = (0..2000).find_map(|_| match driver.commit(Plain::new(number + 1, 1).batch()) {
            Commit::Done => {
                number += 1;
                None
            }
            end => Some(end),
        });
        assert_eq!(refused, Some(Commit::Refused(Cause::Full)));
        assert_eq!(driver.head(Shard(0)), number);
        assert!(Plain::new(number + 1, 1).keys().iter().all(|key| driver.one(key).is_none()));
        assert_eq!(driver.one(&Plain::new(7, 1).key(Kind::Blob, 0)), Some(Plain::new(7, 1).value("blob")));
        let large = Op::Put(record(b"large"), Bytes::from(vec![1; 4 << 20]));
        assert_eq!(driver.apply(vec![large], false), Commit::Refused(Cause::Full));
        disk.full.store(false, Ordering::SeqCst);
    }
    number += 1;
    assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done, "did not heal");
    assert_eq!(store.verify(), Ok(Vec::new()));
    drop(store);
    assert_eq!(Driver(&open(folder.path())).head(Shard(0)), number);
}

#[test]
fn ft_05_the_reserve_lets_a_small_write_through_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_small) = SmallDisk::mount(folder.path()) else {
        eprintln!("no small disk can be mounted here, so the reserve is checked without one");
        let store = Sqlite::open(SqliteOptions { reserve_bytes: 1 << 20, ..options(folder.path()) }).unwrap();
        assert!(store.restore_reserve() && store.reserve_held() && store.release_reserve() && !store.release_reserve());
        return;
    };
    let store = Sqlite::open(SqliteOptions { reserve_bytes: 2 << 20, ..options(folder.path()) }).unwrap();
    let driver = Driver(&store);
    assert!(store.restore_reserve(), "the reserve is written before the disk is filled");
    let large = |number| {
        let plain = Plain::new(number, 1);
        let put = Put { key: plain.key(Kind::Blob, 0), value: Bytes::from(vec![9; 200_000]) };
        Batch { puts: vec![put], ..plain.bare() }
    };
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 4 << 20]).unwrap();
    let mut number = 1;
    while driver.commit(large(number)) == Commit::Done {
        number += 1;
    }
    assert_eq!(driver.commit(large(number)), Commit::Refused(Cause::Full));
    let mut small = 0;
    while small < 500 && driver.commit(Plain::new(number, 1).batch()) == Commit::Done {
        (number, small) = (number + 1, small + 1);
    }
    assert_eq!(
        driver.commit(Plain::new(number, 1).batch()),
        Commit::Refused(Cause::Full),
        "the disk is full to the brim"
    );
    assert!(!block_on(store.has_room()), "room was found on a full disk");
    assert!(store.reserve_held(), "looking for room gave the reserve up");
    assert!(store.release_reserve() && !store.release_reserve());
    assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done, "no room was made");
    assert!(!block_on(store.has_room()) && !store.reserve_held());
    assert_eq!(driver.one(&Plain::new(1, 1).key(Kind::Blob, 0)).map(|value| value.len()), Some(200_000));
    std::fs::remove_file(&ballast).unwrap();
    assert!(block_on(store.has_room()) && store.reserve_held(), "what was given up was not taken back");
    assert_eq!(folder.path().join("data/reserve").metadata().unwrap().len(), 2 << 20);
    number += 1;
    assert_eq!(driver.commit(large(number)), Commit::Done, "space came back and was not used");
    drop(store);
    let store = open(folder.path());
    assert_eq!(Driver(&store).head(Shard(0)), number);
    assert_eq!(store.verify(), Ok(Vec::new()));
    assert_eq!(folded(Driver(&store)), 0);
}

/// A file system of eight mebibytes, where this user may mount one.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount(folder: &Path) -> Option<SmallDisk<'_>> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, because the store may still be open when a test fails.
        assert!(Command::new("umount").arg("-l").arg(self.0).status().is_ok());
    }
}
