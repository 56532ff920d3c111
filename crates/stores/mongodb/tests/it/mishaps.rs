//! What a server may answer in place of done, and what that proves.

use super::{open, options, runtime};
use mongostore::Mongo;
use storage::{BatchId, BatchNumber, Cause, Commit, ConnectReason, Kind, Op, Shard};
use testkit::conformance::{Driver, Plain};
use testkit::peers::{Mishap, MongoWire, free_port};

#[test]
fn ft_20_a_batch_whose_answer_is_lost_or_unconfirmed_is_unknown_and_found_by_its_id() {
    let (server, runtime) = (MongoWire::start(), runtime());
    let store = open(&runtime, &server.url());
    let driver = Driver(&store);
    let mishaps = [
        Mishap::CutAfter,
        Mishap::Unconfirmed(64),
        Mishap::Unconfirmed(100),
        Mishap::CutAfter,
        Mishap::Unconfirmed(91),
    ];
    for (number, mishap) in (1..).zip(mishaps) {
        server.next("batches", mishap);
        let end = driver.commit(Plain::new(number, 7).batch());
        assert!(matches!(end, Commit::Unknown(Cause::Unreachable(_))), "{mishap:?}: {end:?}");
        assert!(!format!("{end:?}").contains("secret"), "{end:?}");
        assert_eq!(driver.tail(Shard(0), number, 1).first().map(|batch| batch.id), Some(BatchId([7; 16])));
        assert_eq!(driver.commit(Plain::new(number, 7).batch()), Commit::Conflict(BatchNumber(number)), "not twice");
        assert!(Plain::new(number, 7).keys().iter().all(|key| driver.one(key).is_some()), "its own rows were swept");
    }
    assert_eq!(server.strange(), Vec::<String>::new());
}

#[test]
fn ft_21_what_proves_that_nothing_happened_is_refused_and_may_be_tried_again() {
    let (server, runtime) = (MongoWire::start(), runtime());
    let store = open(&runtime, &server.url());
    let driver = Driver(&store);
    for (collection, code) in [("batches", 10107), ("rows", 10107), ("batches", 13), ("rows", 13435)] {
        server.next(collection, Mishap::Refused(code));
        let end = driver.commit(Plain::new(1, 7).batch());
        assert!(matches!(end, Commit::Refused(Cause::Unreachable(_))), "{collection} {code}: {end:?}");
        assert!(!format!("{end:?}").contains("secret"), "{end:?}");
        assert_eq!(driver.head(Shard(0)), 0);
    }
    for collection in ["batches", "rows"] {
        server.next(collection, Mishap::Refused(14031));
        assert_eq!(driver.commit(Plain::new(1, 7).batch()), Commit::Refused(Cause::Full));
    }
    // What comes before the batch proves nothing, and shows nothing.
    for mishap in [Mishap::CutAfter, Mishap::CutBefore, Mishap::Unconfirmed(64)] {
        server.next("rows", mishap);
        let end = driver.commit(Plain::new(1, 7).batch());
        assert!(matches!(end, Commit::Refused(Cause::Unreachable(_))), "{mishap:?}: {end:?}");
        assert_eq!(driver.head(Shard(0)), 0);
    }
    // Stopped half way: it may have happened, though it did not.
    for mishap in [Mishap::Refused(11600), Mishap::Refused(189), Mishap::CutBefore] {
        server.next("batches", mishap);
        let end = driver.commit(Plain::new(1, 7).batch());
        assert!(matches!(end, Commit::Unknown(_)), "{mishap:?}: {end:?}");
        assert!(driver.tail(Shard(0), 1, 1).is_empty());
    }
    assert_eq!(driver.commit(Plain::new(1, 7).batch()), Commit::Done);
    assert_eq!(server.strange(), Vec::<String>::new());
}

#[test]
fn a_batch_that_lost_its_number_is_swept_and_its_side_never_shows() {
    let (server, runtime) = (MongoWire::start(), runtime());
    let (one, two) = (open(&runtime, &server.url()), open(&runtime, &server.url()));
    assert_eq!(Driver(&one).commit(Plain::new(1, 1).batch()), Commit::Done);
    assert_eq!(Driver(&two).commit(Plain::new(1, 2).batch()), Commit::Conflict(BatchNumber(1)));
    assert_eq!(server.documents("rows").len(), Plain::new(1, 1).batch().puts.len(), "orphans were left");
    let side = Plain::new(1, 1).numbered(Kind::Side);
    assert_eq!(Driver(&two).one(&side), Some(Plain::new(1, 1).value("side")));
}

#[test]
fn what_a_later_turn_removed_leaves_a_mark_that_goes_with_time() {
    let (server, runtime) = (MongoWire::start(), runtime());
    let store = open(&runtime, &server.url());
    let driver = Driver(&store);
    let key = storage::Key::new(Kind::Record, Shard(0), *b"a");
    assert_eq!(driver.apply_in_turn(vec![Op::Put(key.clone(), "1".into())], 3), Commit::Done);
    assert_eq!(driver.apply_in_turn(vec![Op::Delete(key.clone())], 4), Commit::Done);
    let rows = server.documents("rows");
    let marks: Vec<_> = rows.values().filter(|row| row.contains_key("d")).collect();
    assert!(marks.len() == 1 && !marks[0].contains_key("v"), "{rows:?}");
    assert_eq!(driver.apply_in_turn(vec![Op::Put(key.clone(), "2".into())], 4), Commit::Done);
    assert!(server.documents("rows").values().all(|row| !row.contains_key("d")), "one that is there again is kept");
    assert_eq!(driver.one(&key), Some("2".into()));
}

#[test]
fn strings_that_would_weaken_or_leak_are_refused_without_repeating_them() {
    let runtime = runtime();
    let wrong = [
        "redis://me:hunter2@h",
        "mongodb+srv://me:hunter2@h",
        "mongodb://me:hunter2@",
        "mongodb://me:hunter2@h:port/",
        "mongodb://me:hunter2@h/?tls=true&tlsAllowInvalidCertificates=true",
        "mongodb://me:hunter2@h/?tls=true&tlsInsecure=true",
    ];
    for url in wrong {
        let error = runtime.block_on(Mongo::open(url, &options())).unwrap_err();
        assert_eq!(error.reason, ConnectReason::Invalid, "{url}: {error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    let nobody = format!("mongodb://me:hunter2@127.0.0.1:{}/", free_port());
    let quick = storage::RemoteOptions { deadline: std::time::Duration::from_secs(2), ..options() };
    let error = runtime.block_on(Mongo::open(&nobody, &quick)).unwrap_err();
    assert_eq!(error.reason, ConnectReason::Unreachable, "{error:?}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let (absent, looking) = (MongoWire::start(), storage::RemoteOptions { create: false, ..options() });
    let error = runtime.block_on(Mongo::open(&absent.url(), &looking)).unwrap_err();
    assert!(error.what.contains("no store") && absent.documents("store").is_empty(), "{error:?}");
    // Weaker concerns in the string are not taken over.
    let server = MongoWire::start();
    let url = format!("{}?w=1&journal=false&retryWrites=true&readConcernLevel=local", server.url());
    let store = open(&runtime, &url);
    assert_eq!(Driver(&store).commit(Plain::new(1, 1).batch()), Commit::Done);
    assert_eq!(Driver(&store).head(Shard(0)), 1);
    assert_eq!(server.strange(), Vec::<String>::new());
}
