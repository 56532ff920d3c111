//! What is deleted for good is in no live file.

use super::open;
use bytes::Bytes;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::{Batch, Commit, Key, Kind, Op, Put, Shard};
use testkit::conformance::{Driver, Plain};

const BATCHES: u64 = 120;

fn mark(what: &str, number: u64, index: u32) -> Vec<u8> {
    format!("<{what}:{number:08}:{index:08}:planted>").into_bytes()
}

fn rows(number: u64) -> Vec<(Put, Vec<u8>)> {
    let plain = Plain::new(number, 1);
    let mut rows = Vec::new();
    for index in 0..6 {
        let (key, blob, ring) = (mark("key", number, index), mark("blob", number, index), mark("ring", number, index));
        rows.push((Put { key: plain.key(Kind::Key, index), value: Bytes::from(key.clone()) }, key));
        // Short ones share a page, long ones run over several.
        let times = if index == 5 { 600 } else { 30 };
        rows.push((Put { key: plain.key(Kind::Blob, index), value: Bytes::from(blob.repeat(times)) }, blob));
        let tenant = [u8::try_from(number * 37 % 251).unwrap(); 16];
        rows.push((Put { key: plain.place(index).ring_key(Shard(0), tenant), value: Bytes::from(ring.clone()) }, ring));
    }
    rows
}

/// Every planted mark that stands in a file of the folder.
fn found(data: &Path) -> std::collections::BTreeSet<Vec<u8>> {
    let mut marks = std::collections::BTreeSet::new();
    for entry in fs::read_dir(data).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let mut rest = bytes.as_slice();
        while let Some(at) = rest.windows(9).position(|window| window == b":planted>") {
            let (head, tail) = rest.split_at(at + 9);
            // A mark that runs over the end of a page has no start here.
            marks.extend(head.iter().rposition(|byte| *byte == b'<').map(|start| head[start..].to_vec()));
            rest = tail;
        }
    }
    marks
}

#[test]
fn a_durable_delete_leaves_nothing_of_the_row_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = open(folder.path());
    let driver = Driver(&store);
    let mut planted = Vec::new();
    for number in 1..=BATCHES {
        let rows = rows(number);
        let puts = rows.iter().map(|(put, _)| put.clone()).collect();
        assert_eq!(driver.commit(Batch { puts, ..Plain::new(number, 1).bare() }), Commit::Done);
        planted.extend(rows.into_iter().map(|(put, mark)| (put.key, mark)));
    }
    // Spread over the trees, in an order that empties some pages, thins others and makes neighbours merge.
    let gone = |at: usize| at % 7 < 4 || (500..900).contains(&at);
    let deletes: Vec<Op> =
        (0..planted.len()).filter(|at| gone(*at)).map(|at| Op::Delete(planted[at].0.clone())).collect();
    for run in deletes.rchunks(97) {
        assert_eq!(driver.apply(run.to_vec(), true), Commit::Done);
    }
    let marks = found(&data);
    let mut kept = 0;
    for (at, (key, mark)) in planted.iter().enumerate() {
        let there: Option<Bytes> = driver.one(key);
        assert_eq!(there.is_some(), !gone(at), "{key:?}");
        let shown = String::from_utf8_lossy(mark);
        assert_eq!(marks.contains(mark), !gone(at), "{shown} of {key:?} in the files");
        kept += u32::from(!gone(at));
    }
    assert!(kept > 500, "the search must be able to find what is kept");
    assert_eq!(store.verify(), Ok(Vec::new()));
}

#[test]
fn a_durable_delete_waits_for_readers_and_then_erases() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends_the_reader_also_when_the_test_fails = OnDrop(&over);
        scope.spawn(|| {
            let driver = Driver(&store);
            while !over.load(Ordering::Acquire) {
                let _rows = driver.keys(&Key::new(Kind::Blob, Shard(0), []), None, 4096);
            }
        });
        let driver = Driver(&store);
        for number in 1..=30 {
            let rows = rows(number);
            let puts = rows.iter().map(|(put, _)| put.clone()).collect();
            assert_eq!(driver.commit(Batch { puts, ..Plain::new(number, 1).bare() }), Commit::Done);
            let (put, mark) = &rows[3];
            assert_eq!(driver.apply(vec![Op::Delete(put.key.clone())], true), Commit::Done);
            assert!(!found(&folder.path().join("data")).contains(mark));
        }
    });
}

struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
