//! Promises about get, scan, tail and head.

use super::Subject;
use super::build::{Plain, record, value};
use storage::{BatchId, Commit, Key, Kind, Op, Shard};

/// Head 0, no batches, no rows under any kind.
pub fn an_empty_store_has_nothing(subject: &Subject) {
    let store = subject.driver();
    assert_eq!(store.head(Shard(0)), 0);
    assert_eq!(store.head(Shard(u32::MAX)), 0);
    assert!(store.tail(Shard(0), 0, 10).is_empty());
    for kind in Kind::ALL {
        let all = Key::new(kind, Shard(0), []);
        assert!(store.keys(&all, None, 10).is_empty(), "{kind:?}");
        assert_eq!(store.one(&all), None, "{kind:?}");
    }
    for key in Plain::new(1, 1).keys() {
        assert_eq!(store.one(&key), None);
    }
}

/// Every row of a batch is found under its key and in the scans of its kind.
pub fn a_batch_reads_back_as_written(subject: &Subject) {
    let store = subject.driver();
    let plain = Plain::new(1, 5);
    let batch = plain.batch();
    assert_eq!(store.commit(batch.clone()), Commit::Done);
    for put in &batch.puts {
        assert_eq!(store.one(&put.key).as_ref(), Some(&put.value), "{:?}", put.key);
        let page = store.scan(&put.key, None, 2);
        assert_eq!(page, Ok(vec![(put.key.clone(), put.value.clone())]), "a key is its own prefix");
    }
    let numbered = [(Kind::Batch, "row"), (Kind::Side, "side")];
    for (kind, what) in numbered {
        let page = store.scan(&Key::new(kind, Shard(0), []), None, 9);
        assert_eq!(page, Ok(vec![(plain.numbered(kind), plain.value(what))]));
    }
    let order = [2, 0, 1, 0].map(|index| plain.key(Kind::Blob, index));
    let read = store.get(&order).unwrap_or_default();
    assert_eq!(read, vec![Some(plain.value("blob")); 4], "in the order asked, also twice");
}

/// The last key below a prefix is in, the first one past it is not, also where bytes run over.
pub fn scans_stop_at_the_edges_of_their_prefix(subject: &Subject) {
    let store = subject.driver();
    let rests: [&[u8]; 12] = [
        b"",
        b"\x00",
        b"\x00\x00",
        b"\x00\xff",
        b"\x01",
        b"a",
        b"a\x00",
        b"a\xff",
        b"a\xff\xff",
        b"b",
        b"\xff",
        b"\xff\xff",
    ];
    for kind in [Kind::Record, Kind::Intent, Kind::Volatile, Kind::Access, Kind::Meta] {
        let key = |rest: &[u8]| Key::new(kind, Shard(0), rest);
        store.fill(rests.iter().rev().map(|rest| (key(rest), value("x"))));
        for prefix in rests.iter().copied().chain([b"a\xff\xff\xff".as_slice(), b"\xff\xff\xff", b"c", b"\x00\x01"]) {
            let expected: Vec<Key> =
                rests.iter().filter(|rest| rest.starts_with(prefix)).map(|rest| key(rest)).collect();
            assert_eq!(store.keys(&key(prefix), None, 100), expected, "{kind:?} below {prefix:02x?}");
            for limit in 0..expected.len() {
                assert_eq!(store.keys(&key(prefix), None, limit), expected.get(..limit).unwrap_or_default());
            }
        }
    }
}

/// Neighbours in kind and shard are not below the empty prefix.
pub fn scans_see_one_kind_and_one_shard(subject: &Subject) {
    let store = subject.driver();
    let kinds = [Kind::Record, Kind::Intent, Kind::Volatile, Kind::Access, Kind::Meta];
    let shards = [0, 1, 255, 256, 511].map(Shard);
    let keys = || kinds.into_iter().flat_map(|kind| shards.map(|shard| Key::new(kind, shard, b"\xff".as_slice())));
    store.fill(keys().map(|key| (key.clone(), value(&format!("{key:?}")))));
    for key in keys() {
        let all = Key::new(key.kind(), key.shard(), []);
        assert_eq!(store.keys(&all, None, 100), std::slice::from_ref(&key));
        assert_eq!(store.one(&key), Some(value(&format!("{key:?}"))));
    }
}

/// `after` need not exist, need not lie below the prefix, and is left out if it does.
pub fn a_scan_goes_on_after_any_key(subject: &Subject) {
    let store = subject.driver();
    let keys = [b"ma".as_slice(), b"mb", b"mc"].map(record);
    store.fill(keys.iter().map(|key| (key.clone(), value("x"))));
    store.fill([(record(b"l"), value("x")), (record(b"n"), value("x"))]);
    let other = |kind, shard| Key::new(kind, Shard(shard), b"mb".as_slice());
    let table = [
        ("the first", record(b"ma"), &keys[1..]),
        ("between two", record(b"ma\x00"), &keys[1..]),
        ("the last", record(b"mc"), &keys[3..]),
        ("the prefix", record(b"m"), &keys[..]),
        ("before the prefix", record(b"a"), &keys[..]),
        ("nothing at all", record(b""), &keys[..]),
        ("past the prefix", record(b"n"), &keys[3..]),
        ("a lower kind", other(Kind::Ring, 0), &keys[..]),
        ("a higher kind", other(Kind::Meta, 0), &keys[3..]),
        ("a higher shard", other(Kind::Record, 1), &keys[3..]),
    ];
    for (what, after, expected) in table {
        assert_eq!(store.keys(&record(b"m"), Some(&after), 100), expected, "after {what}");
    }
}

/// Pages of any size, one after another, give each entry once.
pub fn pages_join_to_the_whole(subject: &Subject) {
    let store = subject.driver();
    let records: Vec<Key> = (0_u16..150).map(|n| record(&[b"p".as_slice(), &n.to_be_bytes()].concat())).collect();
    store.fill(records.iter().map(|key| (key.clone(), value("x"))));
    let mut blobs = Vec::new();
    for number in 1..=40 {
        let plain = Plain::new(number, 200 - u8::try_from(number).unwrap_or(0));
        assert_eq!(store.commit(plain.batch()), Commit::Done);
        blobs.extend((0..3).map(|index| plain.key(Kind::Blob, index)));
    }
    for (prefix, expected) in [(record(b"p"), records), (Key::new(Kind::Blob, Shard(0), []), blobs)] {
        for size in [1, 7, 50, 120, 150, 151] {
            let mut joined: Vec<Key> = Vec::new();
            loop {
                let page = store.keys(&prefix, joined.last(), size);
                joined.extend(page.iter().cloned());
                if page.len() < size {
                    break;
                }
            }
            assert_eq!(joined, expected, "pages of {size} below {prefix:?}");
        }
    }
}

/// A prefix of the number, the number, and number with id find the rows; a wrong id finds none.
pub fn rows_in_append_order_scan_by_their_number(subject: &Subject) {
    let store = subject.driver();
    for number in 1..=300 {
        assert_eq!(store.commit(Plain::new(number, 7).batch()), Commit::Done);
    }
    let count = |rest: &[u8]| store.keys(&Key::new(Kind::Key, Shard(0), rest), None, 4096).len();
    let number = 258_u64.to_be_bytes();
    assert_eq!(count(&[0; 6]), 900);
    assert_eq!(count(&[0, 0, 0, 0, 0, 0, 1]), 3 * 45, "numbers 256 to 300");
    assert_eq!(count(&[0, 0, 0, 0, 0, 0, 2]), 0);
    assert_eq!(count(&[0xff]), 0);
    assert_eq!(count(&number), 3);
    assert_eq!(count(&[number.as_slice(), &[7; 16]].concat()), 3);
    assert_eq!(count(&[number.as_slice(), &[7; 3]].concat()), 3);
    assert_eq!(count(&[number.as_slice(), &[8]].concat()), 0);
    let (before, past) = (Plain::new(258, 6), Plain::new(258, 8));
    let prefix = Key::new(Kind::Key, Shard(0), number.as_slice());
    assert_eq!(store.keys(&prefix, Some(&before.key(Kind::Key, 9)), 9).len(), 3, "after a smaller id");
    assert_eq!(store.keys(&prefix, Some(&past.key(Kind::Key, 0)), 9).len(), 0, "after a larger id");
    assert_eq!(store.keys(&prefix, Some(&Plain::new(258, 7).key(Kind::Key, 1)), 9).len(), 1);
    let batches = store.keys(&Key::new(Kind::Batch, Shard(0), [0; 7]), None, 4096);
    assert_eq!(batches.len(), 255, "numbers 1 to 255");
}

/// From any number on, oldest first; sides until they are removed.
pub fn the_tail_gives_batches_with_their_sides(subject: &Subject) {
    let store = subject.driver();
    for number in 1..=9 {
        let plain = Plain::new(number, 3);
        let batch = if number % 2 == 0 { plain.bare() } else { plain.batch() };
        assert_eq!(store.commit(batch), Commit::Done);
    }
    assert_eq!(store.apply(vec![Op::Delete(Plain::new(5, 3).numbered(Kind::Side))], false), Commit::Done);
    let numbers =
        |from, limit| store.tail(Shard(0), from, limit).iter().map(|batch| batch.number.0).collect::<Vec<_>>();
    assert_eq!(numbers(0, 3), [1, 2, 3]);
    assert_eq!(numbers(1, 100), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(numbers(9, 2), [9]);
    assert_eq!(numbers(10, 2), [0; 0]);
    assert_eq!(numbers(u64::MAX, 2), [0; 0]);
    assert_eq!(numbers(3, 0), [0; 0]);
    for batch in store.tail(Shard(0), 1, 9) {
        let plain = Plain::new(batch.number.0, 3);
        assert_eq!((batch.id, batch.row), (BatchId([3; 16]), plain.value("row")));
        let side = (plain.number % 2 == 1 && plain.number != 5).then(|| plain.value("side"));
        assert_eq!(batch.side, side, "batch {}", plain.number);
    }
}
