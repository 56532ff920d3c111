//! A server that is killed, paused or cut off.

use super::{open, options, runtime};
use mongostore::Mongo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::{BatchId, Cause, Commit, RemoteOptions, Shard};
use testkit::conformance::{Driver, Plain};
use testkit::peers::{Answers, MongoPeer, Proxy, pause};

/// Commits until told to stop; gives the numbers that were acknowledged.
fn write_until(store: Driver<'_>, seed: u8, over: &AtomicBool) -> Vec<(u64, u8)> {
    let mut done = Vec::new();
    let mut number = 1;
    while !over.load(Ordering::Acquire) {
        match store.commit(Plain::new(number, seed).batch()) {
            Commit::Done => {
                done.push((number, seed));
                number += 1;
            }
            Commit::Conflict(head) => number = head.0 + 1,
            end => {
                let may_happen = matches!(end, Commit::Refused(Cause::Unreachable(_)) | Commit::Unknown(_));
                assert!(may_happen, "{end:?}");
                pause(20);
            }
        }
    }
    done
}

#[test]
fn ft_20_a_server_killed_under_writers_loses_nothing_acknowledged_and_the_store_goes_on() {
    let (mut peer, runtime) = (MongoPeer::start(), runtime());
    let stores: Vec<Mongo> = (0..2).map(|_| open(&runtime, &peer.url(peer.port, "vault"))).collect();
    let over = AtomicBool::new(false);
    let mut done: Vec<(u64, u8)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (1..)
            .zip(&stores)
            .map(|(seed, store)| {
                scope.spawn({
                    let over = &over;
                    move || write_until(Driver(store), seed, over)
                })
            })
            .collect();
        for _ in 0..2 {
            pause(700);
            peer.kill();
            pause(100);
            peer.start_again();
        }
        pause(4000);
        over.store(true, Ordering::Release);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    done.sort_unstable();
    assert!(done.len() > 20, "only {} were acknowledged", done.len());
    assert!(done.windows(2).all(|pair| pair[0].0 < pair[1].0), "a number was acknowledged twice");
    let store = Driver(&stores[0]);
    for (number, seed) in done {
        let stored = store.tail(Shard(0), number, 1);
        assert_eq!(stored.first().map(|batch| (batch.number.0, batch.id)), Some((number, BatchId([seed; 16]))));
        assert!(Plain::new(number, seed).keys().iter().all(|key| store.one(key).is_some()), "rows of {number}");
    }
    let head = store.head(Shard(0));
    assert_eq!(store.commit(Plain::new(head + 1, 9).batch()), Commit::Done);
}

#[test]
fn ft_22_a_paused_server_or_a_silent_line_costs_the_deadline_not_more() {
    let (peer, runtime) = (MongoPeer::start(), runtime());
    let proxy = Proxy::start(peer.port);
    let short = RemoteOptions { deadline: Duration::from_millis(900), waiting_max: 8, ..options() };
    let store = runtime.block_on(Mongo::open(&peer.url(proxy.port, "vault"), &short)).unwrap();
    let driver = Driver(&store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    peer.pause(true);
    let began = tokio::time::Instant::now();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..30).map(|_| scope.spawn(|| driver.get(&Plain::new(1, 1).keys()))).collect();
        let late: Vec<_> = calls.into_iter().map(|call| call.join().unwrap().unwrap_err().to_string()).collect();
        assert!(late.iter().any(|error| error.contains("too many calls wait")), "{late:?}");
    });
    let end = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(end, Commit::Unknown(_) | Commit::Refused(Cause::Unreachable(_))), "{end:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    peer.pause(false);
    proxy.set(Answers::Hold);
    let end = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(end, Commit::Unknown(_) | Commit::Refused(Cause::Unreachable(_))), "{end:?}");
    proxy.set(Answers::Refuse);
    let end = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(end, Commit::Unknown(_) | Commit::Refused(Cause::Unreachable(_))), "{end:?}");
    proxy.set(Answers::Pass);
    // What was sent before may have been carried out since.
    for _ in 0..100 {
        match driver.commit(Plain::new(2, 5).batch()) {
            Commit::Done | Commit::Conflict(_) => return assert_eq!(driver.head(Shard(0)), 2),
            _ => pause(100),
        }
    }
    assert_eq!(driver.commit(Plain::new(2, 5).batch()), Commit::Done, "it does not come back by itself");
}
