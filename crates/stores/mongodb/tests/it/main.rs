//! The engine against what stands in for MongoDB: one that was made for programs, and a strict one of the testkit.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod faults;
mod mishaps;

use mongostore::Mongo;
use std::time::Duration;
use storage::RemoteOptions;
use testkit::conformance::{Subject, every_promise};
use testkit::peers::{MongoPeer, MongoWire};
use tokio::runtime::Runtime;

/// What carries the engine out, while tests poll from threads of their own.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn options() -> RemoteOptions {
    RemoteOptions { deadline: Duration::from_secs(10), ..RemoteOptions::default() }
}

fn open(runtime: &Runtime, url: &str) -> Mongo {
    runtime.block_on(Mongo::open(url, &options())).unwrap()
}

#[test]
fn every_promise_of_the_contract_holds() {
    let (peer, runtime) = (MongoPeer::start(), runtime());
    let made = std::sync::atomic::AtomicUsize::new(0);
    every_promise(|_| {
        let number = made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Subject::new(open(&runtime, &peer.url(peer.port, &format!("promise{number}"))), false)
    });
}

#[test]
fn every_promise_holds_before_a_strict_server_and_nothing_strange_is_asked() {
    let runtime = runtime();
    every_promise(|_| {
        let server = MongoWire::start();
        let store = open(&runtime, &server.url());
        Subject::new(store, false).keeping(Strict(server))
    });
}

/// Fails when the server found something strange.
#[derive(Debug)]
struct Strict(MongoWire);

impl Drop for Strict {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.0.strange(), Vec::<String>::new());
        }
    }
}
