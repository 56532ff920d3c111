//! Promises about commits, runs and limits.

use super::Subject;
use super::build::{Plain, block_on, record, value};
use bytes::Bytes;
use storage::{
    Batch, BatchId, BatchNumber, Cause, Commit, Fence, Key, Kind, LIMITS, Op, Put, Run, Shard, StorageError,
};

/// A number is taken once, in order; the loser learns the head, and number 0 is no number.
pub fn batches_follow_one_another_without_gaps(subject: &Subject) {
    let store = subject.driver();
    assert_eq!(store.commit(Plain::new(2, 1).batch()), Commit::Conflict(BatchNumber(0)), "a gap at the start");
    assert_eq!(store.commit(Plain::new(1, 1).batch()), Commit::Done);
    assert_eq!(store.commit(Plain::new(1, 2).batch()), Commit::Conflict(BatchNumber(1)), "taken");
    assert_eq!(store.commit(Plain::new(1, 1).batch()), Commit::Conflict(BatchNumber(1)), "the same batch once more");
    assert_eq!(store.commit(Plain::new(3, 1).batch()), Commit::Conflict(BatchNumber(1)), "a gap");
    assert_eq!(store.commit(Plain::new(2, 1).batch()), Commit::Done);
    assert_eq!(store.commit(Plain::new(1, 1).batch()), Commit::Conflict(BatchNumber(2)), "far behind");
    assert!(matches!(store.commit(Plain::new(0, 1).bare()), Commit::Refused(Cause::Invalid(_))));
    assert_eq!(store.commit(Plain::new(u64::MAX >> 30, 1).bare()), Commit::Conflict(BatchNumber(2)), "far ahead");
    assert_eq!(store.head(Shard(0)), 2);
}

/// A batch that lost shows neither row nor side; its puts are orphans on an engine without transactions, absent on others.
pub fn a_refused_batch_leaves_at_most_orphans(subject: &Subject) {
    let store = subject.driver();
    let (winner, loser) = (Plain::new(1, 1), Plain::new(1, 2));
    assert_eq!(store.commit(winner.batch()), Commit::Done);
    assert_eq!(store.commit(loser.batch()), Commit::Conflict(BatchNumber(1)));
    assert_eq!(store.one(&winner.numbered(Kind::Batch)), Some(winner.value("row")));
    assert_eq!(store.one(&winner.numbered(Kind::Side)), Some(winner.value("side")));
    for key in [loser.key(Kind::Key, 0), loser.key(Kind::Blob, 2), loser.ring()] {
        assert!(store.one(&key).is_none() || !subject.transactions, "{key:?}");
        assert_eq!(store.apply(vec![Op::Delete(key.clone())], true), Commit::Done, "orphans can be swept");
        assert_eq!(store.one(&key), None);
    }
    let kept = [(winner.key(Kind::Key, 0), "key"), (winner.key(Kind::Blob, 2), "blob"), (winner.ring(), "ring")];
    for (key, what) in kept {
        assert_eq!(store.one(&key), Some(winner.value(what)), "the sweep took the winner's row");
    }
}

/// Each shard has its own order of batches and its own rows.
pub fn shards_do_not_touch_one_another(subject: &Subject) {
    let store = subject.driver();
    for shard in [1, 0, 7] {
        let plain = Plain { shard: Shard(shard), number: 1, seed: 4 };
        assert_eq!(store.commit(plain.batch()), Commit::Done, "shard {shard}");
    }
    assert_eq!(store.commit(Plain { shard: Shard(1), number: 2, seed: 4 }.batch()), Commit::Done);
    assert_eq!([0, 1, 7, 2].map(|shard| store.head(Shard(shard))), [1, 2, 1, 0]);
    let one = Plain { shard: Shard(7), number: 1, seed: 4 };
    assert_eq!(store.one(&one.key(Kind::Blob, 1)), Some(one.value("blob")));
    assert_eq!(store.apply(vec![Op::Delete(one.key(Kind::Blob, 1))], false), Commit::Done);
    assert_eq!(store.one(&one.key(Kind::Blob, 1)), None);
    assert!(store.one(&Plain::new(1, 4).key(Kind::Blob, 1)).is_some(), "shard 0 lost the row of shard 7");
}

/// Rows without bytes are rows.
pub fn empty_rows_and_values_are_kept(subject: &Subject) {
    let store = subject.driver();
    let plain = Plain::new(1, 3);
    let empty = Batch { row: Bytes::new(), side: Some(Bytes::new()), ..plain.bare() };
    assert_eq!(store.commit(empty), Commit::Done);
    assert_eq!(store.one(&plain.numbered(Kind::Batch)), Some(Bytes::new()));
    assert_eq!(store.one(&plain.numbered(Kind::Side)), Some(Bytes::new()));
    store.fill([(record(b""), Bytes::new()), (record(b"a"), Bytes::new())]);
    assert_eq!(store.one(&record(b"")), Some(Bytes::new()));
    assert_eq!(store.apply(Vec::new(), true), Commit::Done, "a run of nothing");
}

/// Carrying out a run again changes nothing, also when it was carried out in part.
pub fn a_run_may_be_repeated(subject: &Subject) {
    let store = subject.driver();
    assert_eq!(store.commit(Plain::new(1, 1).batch()), Commit::Done);
    let intent = Key::new(Kind::Intent, Shard(0), b"due".as_slice());
    let run = vec![
        Op::Put(record(b"a"), value("1")),
        Op::Put(intent.clone(), value("2")),
        Op::Delete(Plain::new(1, 1).numbered(Kind::Side)),
        Op::Delete(Plain::new(1, 1).key(Kind::Key, 0)),
        Op::Put(record(b"watermark"), value("1")),
    ];
    for (times, durable) in [(1, false), (2, true), (3, false)] {
        assert_eq!(store.apply(run.iter().take(times).cloned().collect(), durable), Commit::Done);
        assert_eq!(store.apply(run.clone(), durable), Commit::Done);
        assert_eq!(store.one(&record(b"a")), Some(value("1")));
        assert_eq!(store.one(&intent), Some(value("2")));
        assert_eq!(store.one(&Plain::new(1, 1).numbered(Kind::Side)), None);
        assert_eq!(store.one(&Plain::new(1, 1).key(Kind::Key, 0)), None);
        assert_eq!(store.one(&record(b"watermark")), Some(value("1")));
    }
}

/// Who has been succeeded changes nothing any more, and neither brings back what the successor removed.
pub fn a_run_of_an_earlier_turn_is_fenced(subject: &Subject) {
    let store = subject.driver();
    let put = |text: &str| vec![Op::Put(record(b"a"), value(text)), Op::Put(record(b"watermark"), value(text))];
    assert_eq!(store.apply_in_turn(put("1"), 1), Commit::Done);
    assert_eq!(store.apply_in_turn(put("2"), 1), Commit::Done, "a turn has many runs");
    assert_eq!(store.apply_in_turn(put("3"), 5), Commit::Done);
    let fenced = Commit::Refused(Cause::Fenced);
    assert_eq!(store.apply_in_turn(put("4"), 4), fenced);
    assert_eq!((store.one(&record(b"a")), store.one(&record(b"watermark"))), (Some(value("3")), Some(value("3"))));
    assert_eq!(store.apply_in_turn(vec![Op::Delete(record(b"a"))], 5), Commit::Done);
    for turn in 0..5 {
        assert_eq!(store.apply_in_turn(put("5"), turn), fenced);
        assert_eq!(store.apply_in_turn(vec![Op::Delete(record(b"watermark"))], turn), fenced);
        assert_eq!(store.apply_in_turn(Vec::new(), turn), fenced);
    }
    assert_eq!((store.one(&record(b"a")), store.one(&record(b"watermark"))), (None, Some(value("3"))));
    assert_eq!(store.keys(&record(b""), None, 10), [record(b"watermark")]);
    assert_eq!(store.apply(put("6"), false), Commit::Done, "without a fence it is everybody's turn");
    let other = Run { fence: Some(Fence { shard: Shard(1), turn: 1 }), ..Run::new(Vec::new(), false) };
    assert_eq!(block_on(subject.store.apply(other)), Commit::Done, "another shard has turns of its own");
    assert_eq!(store.apply_in_turn(put("7"), 5), Commit::Done);
    assert_eq!(store.one(&record(b"a")), Some(value("7")));
}

/// The last operation on a key wins, whatever kinds stand between.
pub fn operations_of_a_run_follow_their_order(subject: &Subject) {
    let store = subject.driver();
    for kind in [Kind::Record, Kind::Intent, Kind::Volatile, Kind::Access, Kind::Meta] {
        let key = |rest: &[u8]| Key::new(kind, Shard(0), rest);
        let ops = vec![
            Op::Put(key(b"a"), value("1")),
            Op::Put(key(b"b"), value("1")),
            Op::Delete(key(b"a")),
            Op::Put(record(b"between"), value("x")),
            Op::Put(key(b"b"), value("2")),
            Op::Put(key(b"a"), value("3")),
            Op::Delete(key(b"b")),
        ];
        assert_eq!(store.apply(ops, false), Commit::Done);
        assert_eq!((store.one(&key(b"a")), store.one(&key(b"b"))), (Some(value("3")), None), "{kind:?}");
    }
}

/// A delete takes one row, and only under its whole key.
pub fn deletes_remove_exactly_their_key(subject: &Subject) {
    let store = subject.driver();
    let plain = Plain::new(1, 1);
    assert_eq!(store.commit(plain.batch()), Commit::Done);
    let others = [Plain::new(1, 2), Plain::new(2, 1), Plain { shard: Shard(1), ..plain }];
    for other in others {
        let ops =
            vec![Op::Delete(other.key(Kind::Key, 0)), Op::Delete(other.key(Kind::Blob, 0)), Op::Delete(other.ring())];
        assert_eq!(store.apply(ops, true), Commit::Done, "absent is fine");
    }
    for key in plain.keys() {
        assert!(store.one(&key).is_some(), "{key:?} went with another's");
    }
    for key in plain.keys().into_iter().filter(|key| key.kind() != Kind::Batch) {
        assert_eq!(store.apply(vec![Op::Delete(key.clone())], true), Commit::Done);
        assert_eq!(store.one(&key), None);
    }
    assert_eq!(store.one(&plain.numbered(Kind::Batch)), Some(plain.value("row")));
    assert_eq!(store.head(Shard(0)), 1);
}

/// Keys, blobs and ring rows at the batch's own places; anything else is refused and nothing of it is there.
pub fn a_batch_writes_only_rows_of_its_own(subject: &Subject) {
    let store = subject.driver();
    let own = Plain::new(1, 1);
    let foreign = [
        ("another number", Plain::new(2, 1).key(Kind::Key, 0)),
        ("another id", Plain::new(1, 2).key(Kind::Blob, 0)),
        ("another shard", Plain { shard: Shard(1), ..own }.key(Kind::Blob, 0)),
        ("a record", record(b"a")),
        ("a side", own.numbered(Kind::Side)),
        ("a batch", own.numbered(Kind::Batch)),
        ("a short key", Key::new(Kind::Key, Shard(0), [0; 27])),
        ("a ring key without tenant", Key::new(Kind::Ring, Shard(0), own.place(0).bytes())),
        ("an index past the last", own.key(Kind::Blob, 65_536)),
    ];
    for (what, key) in foreign {
        let good = Put { key: own.key(Kind::Key, 1), value: value("x") };
        let puts = vec![good.clone(), Put { key, value: value("x") }];
        let end = store.commit(Batch { puts, ..own.bare() });
        assert!(matches!(end, Commit::Refused(Cause::Invalid(_))), "{what}: {end:?}");
        assert_eq!(store.one(&good.key), None, "{what}: half of it is there");
        let twice = store.commit(Batch { puts: vec![good.clone(), good], ..own.bare() });
        assert!(matches!(twice, Commit::Refused(Cause::Invalid(_))), "a row twice: {twice:?}");
    }
    assert_eq!(store.head(Shard(0)), 0);
    let last = Put { key: own.key(Kind::Blob, 65_535), value: value("last") };
    assert_eq!(store.commit(Batch { puts: vec![last.clone()], ..own.bare() }), Commit::Done, "the last index");
    assert_eq!(store.one(&last.key), Some(value("last")));
}

/// Runs neither write nor remove what only a batch may write.
pub fn a_run_writes_no_row_of_a_batch(subject: &Subject) {
    let store = subject.driver();
    let plain = Plain::new(1, 1);
    assert_eq!(store.commit(plain.batch()), Commit::Done);
    let mut refused: Vec<Op> = plain.keys().into_iter().map(|key| Op::Put(key, value("forged"))).collect();
    refused.push(Op::Delete(plain.numbered(Kind::Batch)));
    refused.push(Op::Delete(Key::new(Kind::Blob, Shard(0), [1; 9])));
    for op in refused {
        let end = store.apply(vec![Op::Put(record(b"before"), value("x")), op.clone()], false);
        assert!(matches!(end, Commit::Refused(Cause::Invalid(_))), "{op:?}: {end:?}");
    }
    assert_eq!(store.one(&record(b"before")), None, "checked before the first operation");
    assert_eq!(store.one(&plain.numbered(Kind::Batch)), Some(plain.value("row")));
}

/// All bytes of a batch together: the limit is allowed, one more is not.
pub fn a_batch_is_at_most_eight_mebibytes(subject: &Subject) {
    let store = subject.driver();
    let sized = |number: u64, total: usize| {
        let plain = Plain::new(number, 1);
        let put = |kind, size| Put { key: plain.key(kind, 0), value: Bytes::from(vec![0xab; size]) };
        let rest = total - 1000 - 28 - 2000 - 28 - 3000;
        Batch {
            side: Some(Bytes::from(vec![1; 1000])),
            puts: vec![put(Kind::Key, 2000), put(Kind::Blob, 3000)],
            row: Bytes::from(vec![2; rest]),
            ..plain.bare()
        }
    };
    let end = store.commit(sized(1, LIMITS.batch_bytes_max + 1));
    assert!(matches!(end, Commit::Refused(Cause::Invalid(_))), "{end:?}");
    assert_eq!(store.commit(sized(1, LIMITS.batch_bytes_max)), Commit::Done);
    let stored = store.tail(Shard(0), 1, 1);
    assert_eq!(stored.first().map(|batch| batch.row.len()), Some(LIMITS.batch_bytes_max - 6056));
    assert_eq!(stored.first().map(|batch| batch.id), Some(BatchId([1; 16])));
}

/// A key of the limit is kept and found; one byte more is refused.
pub fn keys_are_at_most_their_limit(subject: &Subject) {
    let store = subject.driver();
    for kind in [Kind::Record, Kind::Intent, Kind::Volatile, Kind::Access, Kind::Meta] {
        let key = |len| Key::new(kind, Shard(0), vec![0xff; len]);
        let (longest, longer) = (key(LIMITS.key_bytes_max), key(LIMITS.key_bytes_max + 1));
        assert_eq!(store.apply(vec![Op::Put(longest.clone(), value("x"))], false), Commit::Done);
        for op in [Op::Put(longer.clone(), value("x")), Op::Delete(longer.clone())] {
            assert!(matches!(store.apply(vec![op], false), Commit::Refused(Cause::Invalid(_))), "{kind:?}");
        }
        assert_eq!(store.one(&longest), Some(value("x")));
        assert_eq!(store.one(&longer), None);
        assert_eq!(store.keys(&key(LIMITS.key_bytes_max - 1), None, 10), [longest]);
        assert!(store.keys(&longer, None, 10).is_empty());
    }
}

/// As many keys, entries and batches at once as the limit says; one more is refused.
pub fn a_page_is_at_most_its_limit(subject: &Subject) {
    let store = subject.driver();
    let most = LIMITS.page_max;
    let keys: Vec<Key> = (0_u32..).take(most + 1).map(|n| record(&n.to_be_bytes())).collect();
    store.fill(keys.iter().map(|key| (key.clone(), value("x"))));
    let invalid = |read: Option<StorageError>| assert!(matches!(read, Some(StorageError::Invalid(_))), "{read:?}");
    invalid(store.get(&keys).err());
    invalid(store.scan(&record(b""), None, most + 1).err());
    invalid(super::block_on(store.0.tail(Shard(0), BatchNumber(1), most + 1)).err());
    let read = store.get(keys.get(1..).unwrap_or_default()).unwrap_or_default();
    assert_eq!((read.len(), read.iter().flatten().count()), (most, most));
    assert_eq!(store.keys(&record(b""), None, most), keys.get(..most).unwrap_or_default());
    assert!(store.tail(Shard(0), 1, most).is_empty());
    assert_eq!(store.get(&[]), Ok(Vec::new()));
}
