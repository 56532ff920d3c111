//! What a database and the way to it do to writers, for real.

use super::{open, runtime};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use storage::{BatchId, Cause, Commit, Key, Kind, Op, RemoteOptions, Shard, Storage, StorageError};
use testkit::conformance::{Driver, Plain};
use testkit::peers::{Answers, Proxy, pause};
use tokio::time::Instant;

/// What the tests want of a server, whichever it is.
pub(crate) trait Peer {
    fn database(&self, name: &str) -> String;
    fn through(&self, proxy: u16, name: &str) -> String;
    fn port(&self) -> u16;
    fn kill(&mut self);
    fn start_again(&mut self);
    fn signal(&self, name: &str);
}

fn options(deadline: Duration) -> RemoteOptions {
    RemoteOptions { deadline, ..RemoteOptions::default() }
}

/// Two handles that write and race until told to stop; what each was told is done.
fn writers(stores: &[Arc<dyn Storage>], meanwhile: impl FnOnce()) -> BTreeMap<u64, u8> {
    let over = AtomicBool::new(false);
    let write = |store: &Arc<dyn Storage>, seed: u8| {
        let driver = Driver(&**store);
        let (mut number, mut done) = (1, Vec::new());
        while !over.load(Ordering::Acquire) {
            let batch = Plain::new(number, seed).batch();
            let mut end = driver.commit(batch.clone());
            // As the ledger does: what is unknown is asked for until the store says it.
            while let Commit::Unknown(_) = end {
                end = match driver.commit(batch.clone()) {
                    Commit::Conflict(head) => {
                        let id = driver.tail(Shard(0), number, 1).first().map(|stored| stored.id);
                        if id == Some(BatchId([seed; 16])) { Commit::Done } else { Commit::Conflict(head) }
                    }
                    Commit::Refused(_) => {
                        pause(50);
                        Commit::Unknown(Cause::Full)
                    }
                    other => other,
                };
            }
            match end {
                Commit::Done => {
                    done.push((number, seed));
                    number += 1;
                }
                Commit::Conflict(head) => number = head.0 + 1,
                Commit::Refused(Cause::Unreachable(_)) => pause(20),
                other => panic!("{other:?}"),
            }
        }
        done
    };
    std::thread::scope(|scope| {
        let running: Vec<_> =
            stores.iter().zip(1..).map(|(store, seed)| scope.spawn(move || write(store, seed))).collect();
        meanwhile();
        over.store(true, Ordering::Release);
        let mut all = BTreeMap::new();
        for (number, seed) in running.into_iter().flat_map(|writer| writer.join().unwrap()) {
            assert_eq!(all.insert(number, seed), None, "batch {number} was acknowledged twice");
        }
        all
    })
}

fn nothing_acknowledged_is_lost(store: &Arc<dyn Storage>, done: &BTreeMap<u64, u8>) {
    let driver = Driver(&**store);
    assert!(done.len() > 20, "{} batches are no load", done.len());
    let mut found = BTreeMap::new();
    while let Some(first) = found.keys().next_back().map_or(Some(1), |last| Some(last + 1)) {
        let tail = driver.tail(Shard(0), first, 4096);
        if tail.is_empty() {
            break;
        }
        found.extend(tail.into_iter().map(|batch| (batch.number.0, batch.id.0[0])));
    }
    for (number, seed) in done {
        assert_eq!(found.get(number), Some(seed), "batch {number} was acknowledged and is another's or gone");
        let rows = driver.get(&Plain::new(*number, *seed).keys()).unwrap();
        assert!(rows.iter().all(Option::is_some), "batch {number} is not whole");
    }
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), (1..=found.len() as u64).collect::<Vec<_>>(), "gaps");
}

pub(crate) fn a_server_killed_under_writers_loses_nothing_it_acknowledged(mut peer: impl Peer) {
    let (url, runtime) = (peer.database("killed"), runtime());
    let stores: Vec<_> = (0..2).map(|_| open(&runtime, &url, &options(Duration::from_secs(10))).unwrap()).collect();
    let done = writers(&stores, || {
        for _ in 0..2 {
            pause(1500);
            peer.kill();
            pause(300);
            peer.start_again();
        }
        pause(1500);
    });
    // The same handles go on.
    nothing_acknowledged_is_lost(&stores[0], &done);
    assert!(done.values().any(|seed| *seed == 1) && done.values().any(|seed| *seed == 2), "one writer never won");
}

pub(crate) fn ft_22_a_server_that_stands_still_is_given_up_by_the_deadline_and_goes_on(peer: impl Peer) {
    let (url, runtime) = (peer.database("paused"), runtime());
    let options = RemoteOptions { waiting_max: 20, ..options(Duration::from_secs(1)) };
    let store = open(&runtime, &url, &options).unwrap();
    let driver = Driver(&*store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    let record = Key::new(Kind::Record, Shard(0), b"a".as_slice());
    driver.fill([(record.clone(), "1".into())]);
    peer.signal("STOP");
    let begun = Instant::now();
    let read = |_| driver.get(std::slice::from_ref(&record));
    let all: Vec<_> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..200).map(|n| scope.spawn(move || read(n))).collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    assert!(all.iter().all(|read| matches!(read, Err(StorageError::Unreachable(_)))), "{:?}", all.first());
    let unknown = driver.commit(Plain::new(2, 1).batch());
    assert!(matches!(unknown, Commit::Unknown(_) | Commit::Refused(Cause::Unreachable(_))), "{unknown:?}");
    let run = driver.apply(vec![Op::Put(record.clone(), "2".into())], true);
    assert!(matches!(run, Commit::Unknown(_) | Commit::Refused(Cause::Unreachable(_))), "{run:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "calls piled up: {:?}", begun.elapsed());
    peer.signal("CONT");
    let mut end = driver.apply(vec![Op::Put(record.clone(), "3".into())], true);
    for _ in 0..50 {
        if end == Commit::Done {
            break;
        }
        pause(100);
        end = driver.apply(vec![Op::Put(record.clone(), "3".into())], true);
    }
    assert_eq!(end, Commit::Done);
    pause(1000);
    assert_eq!(driver.one(&record), Some("3".into()), "a run that was given up arrived after a later one");
    let head = driver.head(Shard(0));
    assert_eq!(driver.commit(Plain::new(head + 1, 2).batch()), Commit::Done);
}

pub(crate) fn ft_20_a_commit_whose_answer_was_lost_is_found_by_its_id_and_happens_once(peer: impl Peer) {
    let (_, runtime) = (peer.database("cut"), runtime());
    let proxy = Proxy::start(peer.port());
    let through = peer.through(proxy.port, "cut");
    let store = open(&runtime, &through, &options(Duration::from_secs(2))).unwrap();
    let driver = Driver(&*store);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    for number in 2..12 {
        proxy.set(Answers::Cut);
        let batch = Plain::new(number, 1).batch();
        let end = match number % 2 {
            // The way is whole again while the engine still asks.
            0 => std::thread::scope(|scope| {
                let commit = scope.spawn(|| driver.commit(batch.clone()));
                pause(60);
                proxy.set(Answers::Pass);
                commit.join().unwrap()
            }),
            _ => {
                let end = driver.commit(batch.clone());
                assert!(matches!(end, Commit::Unknown(_)), "{end:?}");
                proxy.set(Answers::Pass);
                end
            }
        };
        assert!(matches!(end, Commit::Done | Commit::Unknown(_)), "{end:?}");
        let found = driver.tail(Shard(0), number, 1);
        if end == Commit::Done {
            assert_eq!(found.first().map(|stored| stored.id), Some(BatchId([1; 16])));
        } else if found.is_empty() {
            assert_eq!(driver.commit(batch), Commit::Done);
        }
        assert_eq!(driver.head(Shard(0)), number);
    }
    // A run is carried out once more, and none of before comes after it.
    let record = Key::new(Kind::Record, Shard(0), b"a".as_slice());
    proxy.set(Answers::Hold);
    let held = driver.apply(vec![Op::Put(record.clone(), "old".into())], true);
    assert!(matches!(held, Commit::Unknown(_)), "{held:?}");
    proxy.set(Answers::Refuse);
    let refused = driver.apply(vec![Op::Put(record.clone(), "no".into())], true);
    assert!(matches!(refused, Commit::Refused(Cause::Unreachable(_))), "{refused:?}");
    proxy.set(Answers::Pass);
    assert_eq!(driver.apply(vec![Op::Put(record.clone(), "new".into())], true), Commit::Done);
    assert_eq!(driver.one(&record), Some("new".into()));
}
