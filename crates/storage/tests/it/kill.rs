//! Processes that die between any two instructions.

use super::{folded, open, record, watermark};
use bytes::Bytes;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use storage::{Commit, Kind, Op, Shard};
use testkit::conformance::{Driver, Plain};

fn say(what: &str, number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what} {number}").and_then(|()| out.flush()).unwrap();
}

/// Tells the child where to write.
const FOLDER: &str = "STORE_OF_THE_KILLED_CHILD";
const CHILD: &str = "kill::what_a_process_answered_is_there_after_it";

/// Commits and folds, and prints each answer, until `last` or death.
fn work(folder: &Path, last: u64) {
    let store = open(folder);
    let driver = Driver(&store);
    // Like the ledger, go on after the watermark: the head may be past it.
    let mut number = folded(driver);
    while number < last {
        number += 1;
        let plain = Plain::new(number, 1);
        if number > driver.head(Shard(0)) {
            assert_eq!(driver.commit(plain.batch()), Commit::Done);
            say("committed", number);
        }
        let ops = vec![
            Op::Delete(plain.numbered(Kind::Side)),
            Op::Delete(plain.key(Kind::Key, 2)),
            Op::Put(record(&number.to_be_bytes()), Bytes::from_static(b"x")),
            watermark(number),
        ];
        assert_eq!(driver.apply(ops, number.is_multiple_of(5)), Commit::Done);
        say("folded", number);
    }
}

/// Everything up to what was answered is there, nothing is there in part, and the store goes on.
fn check(folder: &Path, committed: u64, answered_folds: u64) -> u64 {
    let store = open(folder);
    let driver = Driver(&store);
    let (head, folded) = (driver.head(Shard(0)), folded(driver));
    assert!(head >= committed, "batch {committed} was answered and is gone; the head is {head}");
    assert!(folded >= answered_folds, "fold {answered_folds} was answered and is gone; the watermark is {folded}");
    let tail = driver.tail(Shard(0), 1, 4096);
    assert_eq!(tail.len() as u64, head);
    for batch in tail {
        let plain = Plain::new(batch.number.0, 1);
        let there = |key| driver.one(&key).is_some();
        assert!(
            there(plain.key(Kind::Key, 0)) && there(plain.key(Kind::Blob, 2)) && there(plain.ring()),
            "half a batch"
        );
        if plain.number <= folded {
            assert!(there(record(&plain.number.to_be_bytes())), "the watermark says {folded}, a record is missing");
            assert!(batch.side.is_none() && !there(plain.key(Kind::Key, 2)), "the watermark came before the rest");
        }
    }
    assert_eq!(store.verify(), Ok(Vec::new()));
    assert_eq!(driver.commit(Plain::new(head + 1, 1).batch()), Commit::Done);
    head + 1
}

fn spawn(folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([CHILD, "--exact", "--nocapture", "--test-threads=1"]).env(FOLDER, folder);
    child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn what_a_process_answered_is_there_after_it() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        work(Path::new(&folder), u64::MAX);
    }
    let folder = tempfile::tempdir().unwrap();
    work(folder.path(), 12);
    assert_eq!(check(folder.path(), 12, 12), 13);
}

#[test]
fn ft_01_what_a_killed_process_answered_is_there_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut head = 0;
    for round in 0..8_usize {
        let mut child = spawn(folder.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut committed, mut folds, mut answers) = (head, 0, 0);
        for line in lines.map_while(Result::ok) {
            match line.split_once(' ') {
                Some(("committed", number)) => committed = number.parse().unwrap(),
                Some(("folded", number)) => folds = number.parse().unwrap(),
                _ => continue,
            }
            answers += 1;
            if answers == 3 + round * 11 {
                child.kill().unwrap();
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(answers >= 3 + round * 11, "the child ended by itself after {answers} answers");
        head = check(folder.path(), committed, folds);
    }
}
