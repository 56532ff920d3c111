//! What a start finds after a crash.

use super::{Desk, MemorySink, numbered, one};
use ledger::access_log::{Anchor, Change, Fault, Filter, HEADER_BYTES, REMADE, Wrong};
use ledger::{Actor, Position};
use std::sync::Arc;

async fn restart(desk: &Desk, sink: Arc<MemorySink>) -> Desk {
    Desk::again(vec![sink as _], Arc::clone(&desk.anchor), Arc::clone(&desk.clock)).await
}

#[tokio::test]
async fn a_tail_torn_at_any_byte_is_cut_and_named_and_the_log_goes_on() {
    let (sink, desk) = one().await;
    desk.write(numbered(4)).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    let mut ends = vec![HEADER_BYTES];
    for n in 0..3 {
        desk.write([format!("open/{n}")]).await;
        ends.push(sink.bytes(2).len());
    }
    let whole = sink.bytes(2);
    for size in 0..=whole.len() {
        for zeros in [0, 1, 700] {
            let torn = sink.copy();
            torn.set(2, [&whole[..size], vec![0; zeros].as_slice()].concat());
            let again = restart(&desk, Arc::clone(&torn)).await;
            let kept = ends.iter().filter(|end| **end <= size).count().saturating_sub(1);
            let is_torn = (!ends.contains(&size) && size > 0) || zeros > 0 || size == HEADER_BYTES || size == 0;
            // The last row's bytes may end in zeros of their own, so a cut just before them can be whole again.
            if zeros > 0 && ends.iter().any(|end| *end > size && *end <= size + zeros) {
                continue;
            }
            let expected = if kept == 0 && size <= HEADER_BYTES { 4 } else { 4 + kept as u64 };
            assert_eq!(again.recovery.last_row, expected, "{size} bytes and {zeros} zeros");
            if size != HEADER_BYTES || zeros > 0 {
                assert_eq!(again.recovery.torn.is_some(), is_torn, "{size} bytes and {zeros} zeros");
            }
            assert_eq!(again.recovery.damaged, [], "{size} bytes and {zeros} zeros");
            again.write(["new".to_owned()]).await;
            assert_eq!(again.paths().await.len(), 4 + kept + 1, "{size} bytes and {zeros} zeros");
        }
    }
}

#[tokio::test]
async fn damage_before_the_tail_is_named_and_left_as_it_is() {
    let (sink, desk) = one().await;
    desk.write(numbered(6)).await;
    let mut bytes = sink.bytes(1);
    bytes[HEADER_BYTES + 70] ^= 1;
    sink.set(1, bytes.clone());
    let again = restart(&desk, Arc::clone(&sink)).await;
    assert!(again.recovery.torn.is_none());
    let damaged: Vec<_> = again.recovery.damaged.iter().map(|bad| (bad.segment, bad.row, bad.what.clone())).collect();
    assert_eq!(damaged, [(1, Some(1), Wrong::Row(Fault::Altered))]);
    assert_eq!(sink.bytes(1), bytes);
    again.write(["new".to_owned()]).await;
    assert!(again.log.query(&Filter::default(), None, 1).await.unwrap().rows.len() == 1);
}

#[tokio::test]
async fn segments_that_a_crash_left_without_an_entry_get_one_at_the_next_tick() {
    let (sink, desk) = one().await;
    desk.write(numbered(3)).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    desk.write(numbered(5)).await;
    let second = restart(&desk, sink.copy()).await;
    assert_eq!(second.log.id(), desk.log.id());
    second.write(numbered(2)).await;
    second.log.close(&*second.anchor).await.unwrap();
    let rows: Vec<_> = desk.anchor.entries.lock().iter().map(|e| (e.segment.number, e.segment.rows)).collect();
    assert_eq!(rows, [(1, 3), (2, 5), (3, 2)]);
    let recovered = desk.anchor.segment(2);
    assert_eq!((recovered.first_time, recovered.last_time), (super::START, super::START));
    assert_eq!(second.log.verify(1, 3, &*second.anchor).await.unwrap().bad, []);
}

#[tokio::test]
async fn a_start_without_keys_goes_on_in_the_same_chain() {
    let (sink, desk) = one().await;
    desk.write(numbered(3)).await;
    let sealed = restart(&desk, sink.copy()).await;
    sealed.keys.sealed.store(true, std::sync::atomic::Ordering::SeqCst);
    let recorded = sealed.log.record(sealed.row("named")).await.unwrap();
    assert_eq!(recorded.row(), Some(4));
    sealed.keys.sealed.store(false, std::sync::atomic::Ordering::SeqCst);
    sealed.log.close(&*sealed.anchor).await.unwrap();
    assert_eq!(sealed.log.verify(1, 2, &*sealed.anchor).await.unwrap().bad, []);
}

#[tokio::test]
async fn rows_of_committed_changes_that_a_crash_lost_are_made_again_once() {
    let (sink, desk) = one().await;
    let at = |index| Position { shard: 0, index };
    for index in [3, 4] {
        let mut row = desk.row("logged");
        row.position = Some(at(index));
        let _recorded = desk.log.record(row).await.unwrap();
        desk.log.close(&*desk.anchor).await.unwrap();
    }
    let again = restart(&desk, sink.copy()).await;
    assert_eq!(again.log.remake_after(&*again.anchor).await.unwrap(), None, "all of so young a log");
    let change = |index| Change {
        position: at(index),
        time: super::START,
        tenant: super::tenant(1),
        actor: Actor::SYSTEM,
        act: "secret.version.written".into(),
        path: Some(format!("lost/{index}")),
    };
    let changes: Vec<_> = [3, 4, 5, 6].map(change).into();
    assert_eq!(again.log.remake(changes.clone()).await.unwrap(), 2);
    assert_eq!(again.log.remake(changes.clone()).await.unwrap(), 0);
    let third = restart(&again, Arc::clone(&sink)).await;
    third.log.remake_after(&*third.anchor).await.unwrap();
    let made = third.log.remake(changes).await.unwrap();
    assert_eq!(made, 2, "control: that disk lacks them");
    assert_eq!(again.paths().await, ["logged", "logged", "lost/5", "lost/6"]);
    let last = again.log.tail(&Filter::default(), 3, 10).await.unwrap().remove(0).row;
    assert_eq!((last.source.as_str(), last.position), (REMADE, Some(at(6))));
}

#[tokio::test]
async fn rows_that_retention_removed_are_not_made_again() {
    let (sink, desk) = one().await;
    for index in [3, 4] {
        let mut row = desk.row("removed");
        row.position = Some(Position { shard: 0, index });
        let _recorded = desk.log.record(row).await.unwrap();
        desk.log.close(&*desk.anchor).await.unwrap();
        desk.pass(3600);
    }
    desk.write(["newest".to_owned()]).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    let before = crypto::WallMs(super::START.0 + 2 * 3_600_000);
    assert_eq!(desk.log.retain(before, &*desk.anchor).await.unwrap(), 2);
    let again = restart(&desk, sink.copy()).await;
    let removed = Anchor::find(&*desk.anchor, desk.log.id(), 2).await.unwrap().unwrap();
    assert_eq!(again.log.remake_after(&*again.anchor).await.unwrap(), Some(removed.position));
}

#[tokio::test]
async fn a_lost_folder_starts_another_log_instead_of_repeating_numbers() {
    let (_sink, desk) = one().await;
    let parts_differ = Desk::over(vec![MemorySink::new("empty") as _]).await;
    assert_eq!(parts_differ.recovery.segment, 0);
    assert_eq!(desk.recovery.last_row, 0);
}
