//! The engine against a real Redis server.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod faults;
mod opening;

use redisstore::Redis;
use std::time::Duration;
use storage::RemoteOptions;
use testkit::conformance::{Subject, every_promise};
use testkit::peers::RedisPeer;
use tokio::runtime::Runtime;

/// What carries the engine out, while tests poll from threads of their own.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn options() -> RemoteOptions {
    RemoteOptions { deadline: Duration::from_secs(5), ..RemoteOptions::default() }
}

fn open(runtime: &Runtime, url: &str) -> Redis {
    runtime.block_on(Redis::open(url, &options())).unwrap()
}

#[test]
fn every_promise_of_the_contract_holds() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    every_promise(|name| Subject::new(open(&runtime, &peer.url(name)), true));
}

#[test]
fn every_promise_holds_over_one_connection_with_tls() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    every_promise(|name| {
        let options =
            RemoteOptions { authorities: Some(peer.authority.authority.clone()), connections_max: 1, ..options() };
        let url = format!("rediss://localhost:{}/1?prefix={name}", peer.tls_port);
        Subject::new(runtime.block_on(Redis::open(&url, &options)).unwrap(), true)
    });
}
