//! Promises that hold between threads.

use super::Subject;
use super::build::{Driver, Plain};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use storage::{BatchId, BatchNumber, Commit, Kind, Shard};

/// Eight threads want the same numbers: each number has exactly one winner, and the tail names it.
pub fn one_of_eight_racers_wins_each_number(subject: &Subject) {
    const LAST: u64 = 60;
    let race = |seed: u8| {
        let store = subject.driver();
        let mut won = Vec::new();
        let mut number = 1;
        while number <= LAST {
            match store.commit(Plain::new(number, seed).batch()) {
                Commit::Done => {
                    won.push((number, BatchId([seed; 16])));
                    number += 1;
                }
                Commit::Conflict(head) => number = head.0 + 1,
                end => assert_eq!(end, Commit::Done, "neither won nor lost"),
            }
        }
        won
    };
    let won: Vec<(u64, BatchId)> = std::thread::scope(|scope| {
        let racers: Vec<_> = (1..=8).map(|seed| scope.spawn(move || race(seed))).collect();
        racers.into_iter().flat_map(|racer| racer.join().unwrap_or_default()).collect()
    });
    let store = subject.driver();
    let tail: BTreeSet<_> = store.tail(Shard(0), 1, 4096).iter().map(|batch| (batch.number.0, batch.id)).collect();
    assert_eq!(won.len(), 60, "a number was won twice or never");
    assert_eq!(won.into_iter().collect::<BTreeSet<_>>(), tail);
    for (number, id) in tail {
        let winner = Plain::new(number, id.0[0]);
        assert!(winner.keys().iter().all(|key| store.one(key).is_some()), "rows of the winner of {number} are missing");
    }
}

/// A reader beside the writer sees a batch whole or not at all; without transactions, whole once its row is there.
pub fn a_batch_is_seen_whole_or_not_at_all(subject: &Subject) {
    const LAST: u64 = 150;
    let over = AtomicBool::new(false);
    let watch = |store: Driver<'_>| {
        let mut seen = 0;
        while !over.load(Ordering::Acquire) || seen < LAST {
            let plain = Plain::new(seen + 1, 1);
            let rows = store.get(&plain.keys()).unwrap_or_default();
            let there = rows.iter().flatten().count();
            let whole = there == plain.keys().len();
            let row = rows.first().is_some_and(Option::is_some);
            assert!(whole || !row, "batch {} is there with {there} rows", plain.number);
            assert!(whole || there == 0 || !subject.transactions, "batch {} without its row", plain.number);
            seen += u64::from(whole);
        }
    };
    std::thread::scope(|scope| {
        let watchers: Vec<_> = (0..2).map(|_| scope.spawn(|| watch(subject.driver()))).collect();
        let store = subject.driver();
        for number in 1..=LAST {
            assert_eq!(store.commit(Plain::new(number, 1).batch()), Commit::Done);
            assert!(store.one(&Plain::new(number, 1).key(Kind::Blob, 2)).is_some(), "not visible after done");
            assert_eq!(store.head(Shard(0)), number);
        }
        over.store(true, Ordering::Release);
        for watcher in watchers {
            assert!(watcher.join().is_ok());
        }
    });
}

/// What a call began goes on when nobody waits for it.
pub fn a_dropped_commit_is_not_undone(subject: &Subject) {
    let mut begun = subject.store.commit(Plain::new(1, 1).batch());
    let _may_be_pending = begun.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(begun);
    let store = subject.driver();
    assert_eq!(store.commit(Plain::new(1, 2).batch()), Commit::Conflict(BatchNumber(1)));
    assert_eq!(store.tail(Shard(0), 1, 1).first().map(|batch| batch.id), Some(BatchId([1; 16])));
}
