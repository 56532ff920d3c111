//! Every engine against the contract, and SQLite against what disks and processes do.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod damage;
mod disk;
mod erase;
mod faults;
mod faulty;
mod folder;
mod inspect;
mod kill;

use bytes::Bytes;
use std::path::Path;
use storage::{Key, Kind, Memory, Op, Shard, Sqlite, SqliteOptions, Transactions};
use testkit::conformance::{Driver, Subject};

fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions { reserve_bytes: 0, ..SqliteOptions::new(folder.join("data")) }
}

fn open(folder: &Path) -> Sqlite {
    Sqlite::open(options(folder)).unwrap()
}

fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    Subject::new(open(folder.path()), true).keeping(folder)
}

fn record(rest: &[u8]) -> Key {
    Key::new(Kind::Record, Shard(0), rest)
}

/// Says how far records are folded, as the last operation of a run does.
fn watermark(number: u64) -> Op {
    Op::Put(record(b"watermark"), Bytes::copy_from_slice(&number.to_be_bytes()))
}

fn folded(store: Driver<'_>) -> u64 {
    store.one(&record(b"watermark")).map_or(0, |value| u64::from_be_bytes(value.as_ref().try_into().unwrap()))
}

testkit::storage_conformance!(memory_with_transactions, Subject::new(Memory::new(Transactions::Yes), true));
testkit::storage_conformance!(memory_without_transactions, Subject::new(Memory::new(Transactions::No), false));
testkit::storage_conformance!(sqlite_store, sqlite());
