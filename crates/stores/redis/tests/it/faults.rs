//! A server that is killed, paused, emptied, full, or cut off.

use super::{open, options, runtime};
use bytes::Bytes;
use redisstore::Redis;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::{BatchId, BatchNumber, Cause, Commit, Key, Kind, Op, Put, RemoteOptions, Shard, Storage, StorageError};
use testkit::conformance::{Driver, Plain};
use testkit::peers::{Answers, Proxy, RedisPeer, pause};

/// Commits until told to stop, resolving lost answers as the ledger does; gives (number, seed) of what was acknowledged.
fn write_until(store: Driver<'_>, seed: u8, over: &AtomicBool) -> Vec<(u64, u8)> {
    let mut done = Vec::new();
    let mut number = 1;
    while !over.load(Ordering::Acquire) {
        match store.commit(Plain::new(number, seed).batch()) {
            Commit::Done => done.push((number, seed)),
            Commit::Conflict(head) => {
                // A lost answer to our own batch comes back as a conflict with it.
                number = head.0 + 1;
                continue;
            }
            end => {
                let may_happen = matches!(end, Commit::Refused(Cause::Unreachable(_)) | Commit::Unknown(_));
                assert!(may_happen, "{end:?}");
                pause(20);
                continue;
            }
        }
        number += 1;
    }
    done
}

#[test]
fn ft_20_a_server_killed_under_writers_loses_nothing_acknowledged_and_the_store_goes_on() {
    let (mut peer, runtime) = (RedisPeer::start(&[]), runtime());
    let stores: Vec<Redis> = (0..3).map(|_| open(&runtime, &peer.url("aumbry"))).collect();
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
        for _ in 0..4 {
            pause(300);
            peer.kill();
            pause(100);
            peer.start_again();
        }
        pause(300);
        over.store(true, Ordering::Release);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    done.sort_unstable();
    assert!(done.len() > 50, "only {} were acknowledged", done.len());
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
fn ft_20_an_answer_cut_off_is_unknown_and_found_by_its_id() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    let proxy = Proxy::start(peer.port);
    let store = open(&runtime, &format!("redis://127.0.0.1:{}", proxy.port));
    let driver = Driver(&store);
    for number in 1..=5 {
        proxy.set(Answers::Cut);
        let end = driver.commit(Plain::new(number, 7).batch());
        assert!(matches!(end, Commit::Unknown(Cause::Unreachable(_))), "{end:?}");
        proxy.set(Answers::Pass);
        assert_eq!(driver.tail(Shard(0), number, 1).first().map(|batch| batch.id), Some(BatchId([7; 16])));
        assert_eq!(driver.commit(Plain::new(number, 7).batch()), Commit::Conflict(BatchNumber(number)), "not twice");
    }
    proxy.set(Answers::Refuse);
    let end = driver.commit(Plain::new(6, 7).batch());
    assert!(matches!(end, Commit::Refused(Cause::Unreachable(_)) | Commit::Unknown(_)), "{end:?}");
    let end = driver.commit(Plain::new(6, 7).batch());
    assert!(matches!(end, Commit::Refused(Cause::Unreachable(_))), "nothing was sent: {end:?}");
    proxy.set(Answers::Pass);
    pause(150);
    assert_eq!(driver.commit(Plain::new(6, 7).batch()), Commit::Done);
}

#[test]
fn ft_22_a_paused_server_costs_the_deadline_not_more_and_waiting_calls_are_bounded() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    let short = RemoteOptions { deadline: Duration::from_millis(700), waiting_max: 8, ..options() };
    let store = runtime.block_on(Redis::open(&peer.url("aumbry"), &short)).unwrap();
    let driver = Driver(&store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    peer.pause(true);
    let began = tokio::time::Instant::now();
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..40).map(|_| scope.spawn(|| driver.get(&Plain::new(1, 1).keys()))).collect();
        let late: Vec<_> = calls.into_iter().map(|call| call.join().unwrap().unwrap_err().to_string()).collect();
        assert!(late.iter().any(|error| error.contains("in time")), "{late:?}");
        assert!(late.iter().any(|error| error.contains("too many calls wait")), "{late:?}");
    });
    let end = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(end, Commit::Unknown(_) | Commit::Refused(Cause::Unreachable(_))), "{end:?}");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    peer.pause(false);
    pause(200);
    // What was sent before the pause may have been carried out since.
    let head = driver.head(Shard(0));
    assert!((1..=2).contains(&head), "{head}");
    assert_eq!(driver.commit(Plain::new(head + 1, 3).batch()), Commit::Done);
}

#[test]
fn ft_24_a_server_that_comes_back_empty_or_older_shuts_the_store() {
    let (mut peer, runtime) = (RedisPeer::start(&[]), runtime());
    let stores = [open(&runtime, &peer.url("aumbry")), open(&runtime, &peer.url("aumbry"))];
    for number in 1..=3 {
        assert_eq!(Driver(&stores[0]).commit(Plain::new(number, 1).batch()), Commit::Done);
    }
    peer.kill();
    peer.empty();
    peer.start_again();
    let read = Driver(&stores[0]).get(&[Plain::new(1, 1).key(Kind::Blob, 0)]);
    assert!(matches!(read, Err(StorageError::Broken(_))), "absent rows of a lost store are not absent: {read:?}");
    let end = Driver(&stores[1]).commit(Plain::new(1, 2).batch());
    assert!(matches!(end, Commit::Refused(Cause::Broken(_))), "{end:?}");
    let store = open(&runtime, &peer.url("aumbry"));
    for number in 1..=3 {
        assert_eq!(Driver(&store).commit(Plain::new(number, 1).batch()), Commit::Done);
    }
    assert!(stores[0].broken().is_some());
    // As an older copy would: the same store with fewer batches.
    assert!(peer.ask("SET {aumbry}:head:0 2").starts_with("+OK"));
    let end = Driver(&store).commit(Plain::new(4, 1).batch());
    assert!(matches!(end, Commit::Refused(Cause::Broken(_))), "{end:?}");
    assert!(matches!(Driver(&store).get(&[]), Err(StorageError::Broken(_))));
}

#[test]
fn a_server_without_memory_refuses_whole_batches_and_lets_rights_be_taken_away() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    let store = open(&runtime, &peer.url("aumbry"));
    let driver = Driver(&store);
    assert!(peer.ask("CONFIG SET maxmemory 8mb").starts_with("+OK"));
    let large = |number: u64| {
        let plain = Plain::new(number, 1);
        let mut batch = plain.batch();
        batch.puts.push(Put { key: plain.key(Kind::Blob, 9), value: Bytes::from(vec![7; 1 << 20]) });
        batch
    };
    let mut number = 1;
    while driver.commit(large(number)) == Commit::Done {
        number += 1;
        assert!(number < 100, "the memory has no end");
    }
    assert_eq!(driver.commit(large(number)), Commit::Refused(Cause::Full));
    assert!(peer.ask("CONFIG SET maxmemory 1mb").starts_with("+OK"), "below what is used, so that nothing fits");
    assert_eq!(driver.commit(Plain::new(number, 1).bare()), Commit::Refused(Cause::Full));
    assert!(Plain::new(number, 1).keys().iter().all(|key| driver.one(key).is_none()), "half of it is there");
    assert_eq!(driver.head(Shard(0)), number - 1);
    let record = Key::new(Kind::Record, Shard(0), *b"watermark");
    assert_eq!(driver.apply(vec![Op::Put(record.clone(), Bytes::from("1"))], true), Commit::Refused(Cause::Full));
    assert!(!testkit::conformance::block_on(store.has_room()));
    assert!(store.release_reserve());
    assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done, "what takes rights away still finds room");
    let mut ops: Vec<Op> = (1..number).map(|number| Op::Delete(Plain::new(number, 1).key(Kind::Blob, 9))).collect();
    ops.push(Op::Put(record, Bytes::from("2")));
    assert_eq!(driver.apply(ops, true), Commit::Done);
    assert!(!testkit::conformance::block_on(store.has_room()));
    assert_eq!(
        driver.commit(Plain::new(number + 1, 1).batch()),
        Commit::Refused(Cause::Full),
        "kept to the limit again"
    );
    assert!(peer.ask("CONFIG SET maxmemory 8mb").starts_with("+OK"));
    assert!(testkit::conformance::block_on(store.has_room()));
    assert_eq!(driver.commit(Plain::new(number + 1, 1).batch()), Commit::Done);
}

#[test]
fn a_server_that_forgot_its_scripts_is_handed_them_again() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    let store = open(&runtime, &peer.url("aumbry"));
    let driver = Driver(&store);
    for number in 1..=3 {
        assert!(driver.one(&Plain::new(number, 1).key(Kind::Blob, 0)).is_none());
        assert!(peer.ask("SCRIPT FLUSH").starts_with("+OK"));
        assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done);
        assert!(peer.ask("SCRIPT FLUSH").starts_with("+OK"));
        assert_eq!(driver.keys(&Key::new(Kind::Side, Shard(0), []), None, 9).len() as u64, number);
        assert!(peer.ask("SCRIPT FLUSH").starts_with("+OK"));
        driver.fill([(Key::new(Kind::Meta, Shard(0), [1]), Bytes::from("x"))]);
    }
}

#[test]
fn a_long_run_is_carried_out_in_order_and_whole() {
    let (peer, runtime) = (RedisPeer::start(&[]), runtime());
    let store = open(&runtime, &peer.url("aumbry"));
    let driver = Driver(&store);
    let key = |n: u32| Key::new(Kind::Record, Shard(0), n.to_be_bytes());
    let put = |n: u32, size: usize| Op::Put(key(n), Bytes::from(vec![n as u8; size]));
    let mut ops: Vec<Op> = (0..3000).map(|n| put(n, 10)).collect();
    ops.push(put(0, 3 << 20));
    ops.extend((0..1500).map(|n| Op::Delete(key(2 * n + 1))));
    ops.push(put(1, 2));
    assert_eq!(driver.apply(ops, true), Commit::Done);
    assert_eq!(driver.keys(&Key::new(Kind::Record, Shard(0), []), None, 4096).len(), 1501);
    assert_eq!(driver.one(&key(0)).map(|value| value.len()), Some(3 << 20));
    assert_eq!(driver.one(&key(1)).map(|value| value.len()), Some(2));
}
