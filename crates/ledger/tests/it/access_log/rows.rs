//! What becomes of rows when all is well.

use super::{Desk, Fate, MemorySink, numbered, one, tenant};
use crypto::WallMs;
use ledger::Position;
use ledger::access_log::{Filter, Row, SEGMENT_LIMITS};
use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

#[tokio::test]
async fn requests_that_run_together_share_one_write() {
    let (sink, desk) = one().await;
    let rows = numbered(64).map(|path| desk.log.record(desk.row(&path)));
    let taken = futures::future::join_all(rows).await;
    assert!(taken.iter().all(Result::is_ok));
    let sequences: BTreeSet<u64> = taken.iter().filter_map(|taken| taken.as_ref().ok()?.row()).collect();
    assert_eq!(sequences, (1..=64).collect());
    assert!(sink.calls.load(SeqCst) <= 2, "{} writes", sink.calls.load(SeqCst));
    assert_eq!(desk.paths().await.len(), 64);
}

#[test]
fn ft_30_rows_written_by_four_threads_are_the_answers_given() {
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let sink = MemorySink::new("memory");
    let desk = Arc::new(runtime().block_on(Desk::over(vec![Arc::clone(&sink) as _])));
    // Every seventh write fails in one of the ways a write can fail.
    let fates = [Fate::Fails, Fate::Tears, Fate::WritesAndFails, Fate::Panics, Fate::Full, Fate::Hangs];
    sink.plan(move |call| if call % 7 == 0 { fates[(call / 7) as usize % fates.len()] } else { Fate::Works });
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let desk = Arc::clone(&desk);
            std::thread::spawn(move || {
                runtime().block_on(async {
                    let mut answered = Vec::new();
                    for round in 0..40 {
                        let paths: Vec<String> = (0..16).map(|n| format!("t{thread}/{round}/{n}")).collect();
                        let rows = paths.iter().map(|path| desk.log.record(desk.row(path)));
                        let taken = futures::future::join_all(rows).await;
                        answered
                            .extend(paths.into_iter().zip(taken).filter(|(_, taken)| taken.is_ok()).map(|(p, _)| p));
                        desk.pass(2);
                    }
                    answered
                })
            })
        })
        .collect();
    let answered: BTreeSet<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    sink.always(Fate::Works);
    desk.pass(2);
    let logged = runtime().block_on(desk.paths());
    assert_eq!(logged.len(), answered.len(), "no row twice");
    assert_eq!(logged.into_iter().collect::<BTreeSet<_>>(), answered);
    assert!(answered.len() > 1000 && answered.len() < 4 * 40 * 16, "{} answered", answered.len());
}

#[tokio::test]
async fn a_request_that_went_away_is_logged_by_the_next_or_by_the_tick() {
    let (_sink, desk) = one().await;
    for with_follower in [true, false] {
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut gone = pin!(desk.log.record(desk.row("gone")));
            assert!(matches!(gone.as_mut().poll(&mut cx), Poll::Pending));
        }
        if with_follower {
            let _recorded = desk.log.record(desk.row("next")).await.unwrap();
        } else {
            desk.log.tick(None).await.unwrap();
        }
    }
    assert_eq!(desk.paths().await, ["gone", "next", "gone"]);
}

#[tokio::test]
async fn a_request_that_goes_away_while_its_group_is_written_does_not_stop_the_log() {
    let (sink, desk) = one().await;
    sink.plan(|call| if call == 1 { Fate::Hangs } else { Fate::Works });
    let mut cx = Context::from_waker(Waker::noop());
    {
        let mut gone = pin!(desk.log.record(desk.row("gone")));
        (0..2).for_each(|_| assert!(gone.as_mut().poll(&mut cx).is_pending()));
    }
    desk.pass(3);
    let _recorded = desk.log.record(desk.row("next")).await;
    desk.pass(3);
    let _recorded = desk.log.record(desk.row("after")).await.unwrap();
    assert_eq!(desk.paths().await.last().unwrap(), "after");
}

#[tokio::test]
async fn log_14_sequence_numbers_rise_though_the_clock_steps_back() {
    let (_sink, desk) = one().await;
    desk.write(numbered(3)).await;
    desk.clock.jump_wall(-3_600_000);
    desk.write(numbered(3)).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    desk.clock.jump_wall(-3_600_000);
    desk.write(numbered(3)).await;
    assert_eq!(desk.paths().await.len(), 9);
    let all = desk.log.query(&Filter::default(), None, 10).await.unwrap().rows;
    assert!(all.windows(2).all(|pair| pair[0].sequence == pair[1].sequence + 1));
    let since = Filter { since: Some(super::START), ..Filter::default() };
    assert_eq!(desk.log.query(&since, None, 10).await.unwrap().rows.len(), 3, "found behind two segments");
}

#[tokio::test]
async fn log_13_a_field_of_10_mib_is_cut_with_length_and_hash() {
    let (sink, desk) = one().await;
    let mut row = desk.row(&"x".repeat(10 << 20));
    row.source = "s".repeat(10 << 20);
    row.rules = vec!["r".repeat(1 << 20).into(); 100].into();
    let _recorded = desk.log.record(row).await.unwrap();
    let _recorded = desk.log.record(desk.row("after")).await.unwrap();
    assert!(sink.all().len() < 8192);
    let paths = desk.paths().await;
    assert!(paths[0].ends_with(']') && paths[0].contains("…[10485760 bytes, sha256 ") && paths[0].len() < 1100);
    assert_eq!(paths[1], "after");
}

#[tokio::test]
async fn log_07_forged_lines_and_escapes_stay_one_row_each() {
    let (_sink, desk) = one().await;
    let forged =
        ["a\n{\"time\":1,\"act\":\"secret.read\"}", "\u{1b}[2J\u{1b}[31mx", "a\u{2028}b\u{2029}c", "\0\r\u{202e}"];
    for text in forged {
        let mut row = desk.row(text);
        (row.source, row.act) = (text.into(), text.into());
        let _recorded = desk.log.record(row).await.unwrap();
    }
    let rows = desk.log.query(&Filter::default(), None, 100).await.unwrap().rows;
    assert_eq!(rows.len(), forged.len());
    for (row, text) in rows.iter().rev().zip(forged) {
        assert_eq!(row.row.path.as_deref(), Some(text), "stored as it came");
        let shown = ledger::access_log::shown(&row.row.act);
        assert!(!shown.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202e}')), "{shown}");
    }
}

#[tokio::test]
async fn log_16_refusals_without_a_login_share_rows_past_ten_a_second() {
    let (_sink, desk) = one().await;
    let refusal = |source: &str| {
        let mut row = Row::new(super::START, [1; 16], tenant(1), source, "session.login", "auth.required");
        row.path = Some("named".into());
        row
    };
    for _ in 0..500 {
        let _recorded = desk.log.record(refusal("198.51.100.7")).await.unwrap();
    }
    let _recorded = desk.log.record(refusal("198.51.100.8")).await.unwrap();
    desk.pass(1);
    desk.log.tick(None).await.unwrap();
    let rows = desk.log.query(&Filter::default(), None, 1000).await.unwrap().rows;
    assert_eq!(rows.len(), 12);
    assert_eq!(rows.iter().map(|row| row.row.count).sum::<u32>(), 501);
    let shared: Vec<_> = rows.iter().filter(|row| row.row.count > 1).collect();
    assert_eq!(shared.iter().map(|row| (row.row.count, row.row.path.is_some())).collect::<Vec<_>>(), [(490, false)]);
    assert_eq!(desk.log.counters().shared(), 490);
}

#[tokio::test]
async fn while_sealed_rows_hold_no_name_and_stand_in_the_same_chain() {
    let (sink, desk) = one().await;
    desk.keys.sealed.store(true, SeqCst);
    let _recorded = desk.log.record(desk.row("db/named")).await.unwrap();
    desk.keys.sealed.store(false, SeqCst);
    let _recorded = desk.log.record(desk.row("db/sealed")).await.unwrap();
    let rows = desk.log.query(&Filter::default(), None, 10).await.unwrap().rows;
    assert_eq!(rows.iter().map(|row| row.clear).collect::<Vec<_>>(), [false, true]);
    let clear = &rows[1].row;
    assert_eq!((clear.path.as_ref(), clear.entity, clear.tenant), (None, None, tenant(0)));
    assert_eq!((&*clear.act, &*clear.source, clear.time), ("secret.read", "192.0.2.1", super::START));
    assert!(!sink.all().windows(5).any(|part| part == b"named"));
}

#[tokio::test]
async fn a_segment_closes_at_its_limit_of_rows_and_not_one_before() {
    let (_sink, desk) = one().await;
    let limit = SEGMENT_LIMITS.rows_max;
    for chunk in 0..limit / 100 {
        let rows = (0..100).map(|n| desk.log.record(desk.row(&format!("{chunk}/{n}"))));
        assert!(futures::future::join_all(rows).await.iter().all(Result::is_ok));
    }
    assert_eq!(desk.log.unanchored(), 0);
    assert_eq!(desk.log.segments().await.unwrap(), Some((1, 1)));
    desk.write(["one past".to_owned()]).await;
    assert_eq!(desk.log.unanchored(), 1);
    desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    let closed = desk.anchor.segment(1);
    assert_eq!((closed.first_row, closed.rows, closed.next_row()), (1, limit, limit + 1));
}

#[tokio::test]
async fn a_segment_closes_after_a_minute_or_four_mebibytes() {
    let (_sink, desk) = one().await;
    desk.write(numbered(1)).await;
    desk.pass(59);
    desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    assert!(desk.anchor.entries.lock().is_empty());
    desk.pass(1);
    desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    assert_eq!(desk.anchor.entries.lock().len(), 1);
    desk.pass(600);
    desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    assert_eq!(desk.anchor.entries.lock().len(), 1, "an empty segment is not closed");
    let long = "p".repeat(1000);
    while desk.anchor.entries.lock().len() < 2 {
        let rows = (0..200).map(|_| desk.log.record(desk.row(&long)));
        assert!(futures::future::join_all(rows).await.iter().all(Result::is_ok));
        desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    }
    let bytes = desk.anchor.segment(2).bytes as usize;
    assert!((SEGMENT_LIMITS.bytes_max..SEGMENT_LIMITS.bytes_max + 400_000).contains(&bytes), "{bytes}");
}

#[tokio::test]
async fn times_of_a_closed_segment_are_those_of_its_rows() {
    let (_sink, desk) = one().await;
    for time in [50, 40, 90] {
        let mut row = desk.row("x");
        row.time = WallMs(time);
        row.position = Some(Position { shard: 0, index: time });
        let _recorded = desk.log.record(row).await.unwrap();
    }
    desk.log.close(&*desk.anchor).await.unwrap();
    let closed = desk.anchor.segment(1);
    assert_eq!((closed.first_time, closed.last_time), (WallMs(40), WallMs(90)));
}
