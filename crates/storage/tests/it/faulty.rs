//! The failing store fails as planned, and as planned only.

use bytes::Bytes;
use std::sync::Arc;
use storage::{BatchNumber, Cause, Commit, Key, Kind, Memory, Op, Shard, Storage, StorageError, Transactions};
use testkit::conformance::{Driver, Plain, Subject, block_on};
use testkit::faulty::{Fault, Faulty};

testkit::storage_conformance!(faulty_without_plans, Subject::new(faulty([]), true));

fn faulty(plan: impl IntoIterator<Item = (u64, Fault)>) -> Faulty {
    Faulty::new(Arc::new(Memory::new(Transactions::Yes)), plan)
}

fn unknown() -> Commit {
    Commit::Unknown(Cause::Unreachable("a fault of the plan".into()))
}

fn record(rest: &[u8]) -> Key {
    Key::new(Kind::Record, Shard(0), rest)
}

#[test]
fn lost_answers_look_alike_whether_or_not_it_happened() {
    for (fault, head) in [(Fault::NotApplied, 0), (Fault::AppliedButLost, 1)] {
        let store = faulty([(0, fault)]);
        assert_eq!(Driver(&store).commit(Plain::new(1, 1).batch()), unknown());
        assert_eq!(Driver(&store).head(Shard(0)), head);
        assert_eq!((store.hit(), store.calls()), (vec![(0, fault)], 2));
    }
}

#[test]
fn a_fault_strikes_its_call_or_all_from_it_on() {
    let ends = |store: &Faulty| -> Vec<bool> {
        let head = block_on(store.head(Shard(0))).map_or(0, |head| head.0);
        (1..=4).map(|step| Driver(store).commit(Plain::new(head + step, 1).bare()) == Commit::Done).collect()
    };
    let once = faulty([(4, Fault::Refused)]);
    assert_eq!(ends(&once), [true, true, true, false]);
    let lasting = faulty([]);
    lasting.fail_from(3, Fault::Refused);
    assert_eq!(ends(&lasting), [true, true, false, false]);
    lasting.heal();
    assert_eq!(ends(&lasting), [true; 4]);
    assert_eq!(lasting.hit(), [(3, Fault::Refused), (4, Fault::Refused)]);
}

#[test]
fn half_a_run_happens_and_then_nothing_more() {
    let memory = Memory::new(Transactions::No);
    let store = Faulty::new(Arc::new(memory.clone()), [(0, Fault::HalfThenGone)]);
    let ops = [b"a", b"b", b"c", b"d"].map(|rest| Op::Put(record(rest), Bytes::from_static(b"x")));
    assert_eq!(Driver(&store).apply(ops.to_vec(), true), unknown());
    assert_eq!(Driver(&memory).keys(&record(b""), None, 9), [record(b"a"), record(b"b")]);
    assert_eq!(Driver(&store).commit(Plain::new(1, 1).batch()), unknown());
    assert!(store.is_gone() && Driver(&store).get(&[record(b"a")]).is_err());
    assert_eq!(Driver(&memory).head(Shard(0)), 0);
}

#[test]
fn a_slow_call_takes_effect_and_answers_late() {
    let memory = Memory::new(Transactions::Yes);
    let store = Faulty::new(Arc::new(memory.clone()), [(0, Fault::Slow(3))]);
    let mut commit = store.commit(Plain::new(1, 1).batch());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..3 {
        assert!(commit.as_mut().poll(&mut context).is_pending());
        assert_eq!(Driver(&memory).head(Shard(0)), 1);
    }
    assert_eq!(commit.as_mut().poll(&mut context), std::task::Poll::Ready(Commit::Done));
}

#[test]
fn a_torn_read_loses_its_end_and_a_lost_one_gives_nothing() {
    let store = faulty([(2, Fault::Torn), (3, Fault::Torn), (5, Fault::NotApplied)]);
    let driver = Driver(&store);
    driver.fill([(record(b"a"), Bytes::from_static(b"whole!"))]);
    assert_eq!(driver.commit(Plain::new(1, 1).batch()), Commit::Done);
    assert_eq!(driver.one(&record(b"a")), Some(Bytes::from_static(b"who")));
    let row = Plain::new(1, 1).value("row");
    assert_eq!(driver.tail(Shard(0), 1, 1).first().map(|batch| batch.row.clone()), Some(row.slice(..row.len() / 2)));
    assert_eq!(driver.one(&record(b"a")), Some(Bytes::from_static(b"whole!")), "the store itself is whole");
    assert!(matches!(block_on(store.head(Shard(0))), Err(StorageError::Unreachable(_))));
}

#[test]
fn a_stale_read_is_of_before_the_newest_write() {
    let store = faulty([]);
    store.fail_from(100, Fault::Stale);
    let driver = Driver(&store);
    let (one, two) = (|| Bytes::from_static(b"1"), || Bytes::from_static(b"2"));
    driver.fill([(record(b"a"), one()), (record(b"b"), one())]);
    let newest = vec![Op::Put(record(b"a"), two()), Op::Delete(record(b"b")), Op::Put(record(b"c"), two())];
    assert_eq!(driver.apply(newest, false), Commit::Done);
    store.fail_from(0, Fault::Stale);
    let keys = [record(b"a"), record(b"b"), record(b"c")];
    assert_eq!(driver.get(&keys), Ok(vec![Some(one()), Some(one()), None]));
    assert_eq!(driver.scan(&record(b""), None, 9), Ok(vec![(record(b"a"), one()), (record(b"b"), one())]));
    assert_eq!(driver.scan(&record(b""), Some(&record(b"a")), 9), Ok(vec![(record(b"b"), one())]));
    for number in 1..=3 {
        assert_eq!(driver.commit(Plain::new(number, 1).batch()), Commit::Done, "a write is not touched");
    }
    assert_eq!((driver.head(Shard(0)), driver.head(Shard(1))), (2, 0));
    assert_eq!(driver.tail(Shard(0), 1, 9).last().map(|batch| batch.number), Some(BatchNumber(2)));
    assert_eq!(driver.one(&Plain::new(3, 1).key(Kind::Blob, 0)), None);
    store.heal();
    assert_eq!(driver.get(&keys), Ok(vec![Some(two()), None, Some(two())]));
    assert_eq!(driver.head(Shard(0)), 3);
}
