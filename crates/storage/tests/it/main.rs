//! Every engine against the contract, and SQLite against what disks and processes do.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use storage::{Memory, Sqlite, SqliteOptions, Transactions};
use testkit::conformance::Subject;

fn options(folder: &std::path::Path) -> SqliteOptions {
    SqliteOptions { reserve_bytes: 0, ..SqliteOptions::new(folder.join("data")) }
}

fn sqlite() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    Subject::new(Sqlite::open(options(folder.path())).unwrap(), true).keeping(folder)
}

testkit::storage_conformance!(memory_with_transactions, Subject::new(Memory::new(Transactions::Yes), true));
testkit::storage_conformance!(memory_without_transactions, Subject::new(Memory::new(Transactions::No), false));
testkit::storage_conformance!(sqlite_store, sqlite());
