//! Sinks that fail.

use super::{Desk, Fate, MemorySink, numbered, one};
use ledger::access_log::{Filter, OUTAGE};
use ledger::{Class, Position};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

const FATES: [Fate; 6] = [Fate::Fails, Fate::WritesAndFails, Fate::Tears, Fate::Full, Fate::Hangs, Fate::Panics];

async fn two() -> (Arc<MemorySink>, Arc<MemorySink>, Desk) {
    let (good, bad) = (MemorySink::new("good"), MemorySink::new("bad"));
    let desk = Desk::over(vec![Arc::clone(&good) as _, Arc::clone(&bad) as _]).await;
    (good, bad, desk)
}

#[tokio::test]
async fn log_02_all_sinks_fail_and_nothing_is_served_until_one_works_again() {
    for fate in FATES {
        let (good, bad, desk) = two().await;
        desk.write(["before".to_owned()]).await;
        good.always(fate);
        bad.always(fate);
        for _ in 0..3 {
            let refusal = desk.log.record(desk.row("refused")).await.unwrap_err();
            assert_eq!(refusal.code.name, "access_log.unavailable", "{fate:?}");
        }
        assert_eq!(desk.log.writable().await.unwrap_err().class(), Class::Unavailable);
        good.always(Fate::Works);
        desk.pass(2);
        desk.log.writable().await.unwrap();
        desk.write(["after".to_owned()]).await;
        assert_eq!(desk.paths().await, ["before", "after"], "{fate:?}: a refused request is not in the log as done");
        let outage = Filter { act: Some(OUTAGE.into()), ..Filter::default() };
        let told = desk.log.query(&outage, None, 10).await.unwrap().rows;
        assert_eq!(told.iter().map(|row| row.row.count).collect::<Vec<_>>(), [4], "the outage is in the log");
        assert_eq!(desk.log.counters().refused(), 4);
    }
}

#[tokio::test]
async fn log_03_one_of_two_sinks_fails_and_requests_are_served() {
    for fate in FATES {
        let (good, bad, desk) = two().await;
        bad.always(fate);
        assert_eq!(desk.write(numbered(5)).await, 5, "{fate:?}");
        let counts: Vec<_> =
            desk.log.sinks().map(|(name, c)| (name.to_owned(), c.failures() > 0, c.failing())).collect();
        assert_eq!(counts, [("good".into(), false, false), ("bad".into(), true, true)]);
        bad.always(Fate::Works);
        desk.pass(2);
        assert_eq!(desk.write(["back".to_owned()]).await, 1);
        assert_eq!(bad.bytes(1), good.bytes(1), "it got what it missed");
        assert!(desk.log.sinks().all(|(_, counters)| !counters.failing() && counters.missed_rows() == 0));
    }
}

#[tokio::test]
async fn log_04_a_sink_that_hangs_is_failed_by_the_deadline() {
    let (sink, desk) = one().await;
    sink.always(Fate::Hangs);
    assert_eq!(desk.log.record(desk.row("x")).await.unwrap_err().code.name, "access_log.unavailable");
    let calls = sink.calls.load(SeqCst);
    assert_eq!(desk.write(numbered(10)).await, 0);
    assert_eq!(sink.calls.load(SeqCst), calls, "for a second nobody waits for it again");
}

#[tokio::test]
async fn log_05_a_sink_that_panics_fails_the_group_and_not_the_log() {
    let (sink, desk) = one().await;
    sink.plan(|call| if call == 2 { Fate::Panics } else { Fate::Works });
    desk.write(["one".to_owned()]).await;
    assert!(desk.log.record(desk.row("two")).await.is_err());
    desk.pass(1);
    desk.write(["three".to_owned()]).await;
    assert_eq!(desk.paths().await, ["one", "three"]);
}

/// Rounds of four requests at once; answers which were served.
async fn scenario(desk: &Desk) -> Vec<String> {
    let mut served = Vec::new();
    for round in 0..6 {
        let paths: Vec<String> = (0..4).map(|n| format!("{round}/{n}")).collect();
        let rows = paths.iter().map(|path| desk.log.record(desk.row(path)));
        let taken = futures::future::join_all(rows).await;
        served.extend(paths.into_iter().zip(taken).filter(|(_, taken)| taken.is_ok()).map(|(path, _)| path));
        desk.pass(2);
        if round == 3 {
            desk.log.close(&*desk.anchor).await.unwrap();
        }
    }
    served
}

#[tokio::test]
async fn ft_30_each_call_to_the_sink_failing_once_or_from_then_on_loses_no_answered_row() {
    let (sink, desk) = one().await;
    assert_eq!(scenario(&desk).await.len(), 24);
    let calls = sink.calls.load(SeqCst);
    for fate in FATES {
        for nth in 1..=calls + 1 {
            for from_then_on in [false, true] {
                let (sink, desk) = one().await;
                sink.plan(move |call| if call == nth || (from_then_on && call > nth) { fate } else { Fate::Works });
                let served = scenario(&desk).await;
                sink.always(Fate::Works);
                desk.pass(2);
                desk.log.tick(Some(&*desk.anchor)).await.unwrap();
                assert_eq!(desk.paths().await, served, "{fate:?} at call {nth}, from then on: {from_then_on}");

                // The same after a restart that finds what the sink holds.
                let again =
                    Desk::again(vec![sink.copy() as _], Arc::clone(&desk.anchor), Arc::clone(&desk.clock)).await;
                assert_eq!(again.paths().await, served, "{fate:?} at call {nth}: restart");
                again.log.close(&*again.anchor).await.unwrap();
                let (from, to) = again.log.segments().await.unwrap().unwrap();
                let report = again.log.verify(from, to, &*again.anchor).await.unwrap();
                assert_eq!(report.bad, [], "{fate:?} at call {nth}");
            }
        }
    }
}

#[tokio::test]
async fn ft_30_two_sinks_in_turn_out_of_order_still_give_every_row() {
    let (good, bad, desk) = two().await;
    good.plan(|call| if call % 3 == 0 { Fate::Tears } else { Fate::Works });
    bad.plan(|call| if call % 2 == 0 { Fate::Fails } else { Fate::Works });
    let served = scenario(&desk).await;
    assert!(served.len() >= 12);
    assert_eq!(desk.paths().await, served);
}

#[tokio::test]
async fn ft_05_on_a_full_disk_revocations_are_still_logged_from_the_reserve() {
    let (sink, desk) = one().await;
    desk.write(["before".to_owned()]).await;
    sink.reserve(64 << 20);
    sink.always(Fate::Full);
    let (read, revoke) =
        futures::join!(desk.log.record(desk.row("read")), desk.log.record_urgent(desk.row("revocation")));
    assert!(read.is_err() && revoke.is_ok());
    assert!(desk.log.writable().await.is_err());
    desk.log.writable_urgent().await.unwrap();
    sink.reserve(0);
    assert!(desk.log.record_urgent(desk.row("none left")).await.is_err());
    assert!(desk.log.writable_urgent().await.is_err());
    sink.always(Fate::Works);
    desk.pass(1);
    desk.log.writable().await.unwrap();
    desk.write(["after".to_owned()]).await;
    assert_eq!(desk.paths().await, ["before", "revocation", "after"]);
}

#[tokio::test]
async fn the_row_of_a_committed_change_is_kept_until_a_sink_works() {
    let (sink, desk) = one().await;
    sink.always(Fate::Fails);
    let mut change = desk.row("changed");
    change.position = Some(Position { shard: 0, index: 12 });
    let recorded = desk.log.record(change).await.unwrap();
    assert_eq!(recorded.row(), None);
    assert!(desk.log.writable().await.is_err(), "the next change is refused before commit");
    assert_eq!(sink.all(), b"");
    sink.always(Fate::Works);
    desk.pass(1);
    desk.log.tick(None).await.unwrap();
    assert_eq!(desk.paths().await, ["changed"]);
    desk.log.writable().await.unwrap();
}

#[tokio::test]
async fn an_anchor_that_fails_is_tried_again_in_order() {
    let (_sink, desk) = one().await;
    desk.anchor.down.store(true, SeqCst);
    for _ in 0..3 {
        desk.write(numbered(2)).await;
        assert!(desk.log.close(&*desk.anchor).await.is_err());
    }
    assert_eq!(desk.log.unanchored(), 3);
    desk.anchor.down.store(false, SeqCst);
    desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    let numbers: Vec<u64> = desk.anchor.entries.lock().iter().map(|entry| entry.segment.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}
