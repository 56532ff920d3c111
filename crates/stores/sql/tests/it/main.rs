//! Stores in real SQL servers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod faults;
mod mysql;
mod postgres;

use std::sync::Arc;
use storage::{ConnectError, RemoteOptions, Storage};
use testkit::conformance::Subject;
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn open(runtime: &Runtime, connection: &str, options: &RemoteOptions) -> Result<Arc<dyn Storage>, ConnectError> {
    runtime.block_on(sqlstore::open(connection, options))
}

/// A store with the runtime its calls run on.
fn subject(connection: &str) -> Subject {
    let runtime = runtime();
    let store = open(&runtime, connection, &RemoteOptions::default()).unwrap();
    Subject { store, transactions: true, guard: Box::new(runtime) }
}
