//! LOG-08: someone changes the rows.

use super::{Desk, MemorySink, numbered, one};
use ledger::Position;
use ledger::access_log::{Bad, ClosedSegment, Fault, HEADER_BYTES, RowKeys, Verifier, Wrong};
use std::ops::Range;
use std::sync::Arc;

/// Two closed segments of ten rows and one open of three.
async fn filled() -> (Arc<MemorySink>, Desk) {
    let (sink, desk) = one().await;
    for _ in 0..2 {
        desk.write(numbered(10)).await;
        desk.log.close(&*desk.anchor).await.unwrap();
    }
    desk.write(numbered(3)).await;
    (sink, desk)
}

/// Where the frames of a segment stand.
fn frames(segment: &[u8]) -> Vec<Range<usize>> {
    let (mut places, mut at) = (Vec::new(), HEADER_BYTES);
    while at < segment.len() {
        let length = u32::from_be_bytes(segment[at..at + 4].try_into().unwrap()) as usize;
        places.push(at..at + 4 + length);
        at += 4 + length;
    }
    places
}

fn check(bytes: &[u8], entry: &ClosedSegment, keys: Option<&dyn RowKeys>) -> Option<Bad> {
    let mut verifier = Verifier::new();
    verifier.segment(entry.number, Some(bytes), Some(entry), keys);
    verifier.finish().bad.into_iter().next()
}

#[tokio::test]
async fn log_08_edit_delete_swap_duplicate_and_cut_name_the_first_bad_row() {
    let (sink, desk) = filled().await;
    let (good, entry) = (sink.bytes(2), desk.anchor.segment(2));
    assert_eq!(check(&good, &entry, None), None);
    let at = frames(&good);
    let row = |n: usize| Some(entry.first_row + n as u64);
    let part = |n: usize| &good[at[n].clone()];
    let bad = |bytes: &[u8]| check(bytes, &entry, None).map(|bad| (bad.row, bad.what)).unwrap();
    for n in 0..10 {
        let mut edited = good.clone();
        edited[at[n].start + 70] ^= 1;
        assert_eq!(bad(&edited), (row(n), Wrong::Row(Fault::Altered)));

        let deleted = [&good[..at[n].start], &good[at[n].end..]].concat();
        match n {
            9 => assert_eq!(bad(&deleted), (row(9), Wrong::CutTail)),
            n => assert_eq!(bad(&deleted), (row(n), Wrong::Row(Fault::Missing { found: row(n + 1).unwrap() }))),
        }

        let doubled = [&good[..at[n].end], part(n), &good[at[n].end..]].concat();
        let (named, what) = bad(&doubled);
        assert_eq!((named, what), (row(n + 1), Wrong::Row(Fault::Repeated { found: row(n).unwrap() })));

        if n < 9 {
            let swapped = [&good[..at[n].start], part(n + 1), part(n), &good[at[n + 1].end..]].concat();
            assert_eq!(bad(&swapped), (row(n), Wrong::Row(Fault::Missing { found: row(n + 1).unwrap() })));
        }
        for end in [at[n].start, at[n].start + 2, at[n].end - 1] {
            assert_eq!(bad(&good[..end]), (row(n), Wrong::CutTail));
        }
    }
}

#[tokio::test]
async fn every_flipped_byte_of_a_closed_segment_is_named() {
    let (sink, desk) = filled().await;
    let (good, entry) = (sink.bytes(2), desk.anchor.segment(2));
    let at = frames(&good);
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 0x10;
        let found = check(&bad, &entry, None).unwrap();
        let row = at.iter().position(|place| place.contains(&byte)).map(|n| entry.first_row + n as u64);
        assert_eq!(found.row, row, "byte {byte}: {found}");
    }
}

#[tokio::test]
async fn a_segment_written_anew_with_a_fitting_chain_is_found_by_its_entry_and_by_its_keys() {
    let (sink, desk) = filled().await;
    let (good, entry) = (sink.bytes(2), desk.anchor.segment(2));
    let (at, mut chain) = (frames(&good), good[HEADER_BYTES - 32..HEADER_BYTES].to_vec());
    // Exchange the tails of rows 3 and 4, keep their places, and write all chains anew.
    let mut forged = good[..HEADER_BYTES].to_vec();
    for n in 0..10 {
        let from = match n {
            3 => 4,
            4 => 3,
            n => n,
        };
        let (own, other) = (&good[at[n].clone()], &good[at[from].clone()]);
        assert_eq!(own.len(), other.len());
        let body = [&own[..29], &other[29..other.len() - 32]].concat();
        chain = crypto::sha256(&[&chain[..], &crypto::merkle::leaf_hash(&body)].concat()).to_vec();
        forged.extend([&body[..], &chain].concat());
    }
    assert_eq!(check(&forged, &entry, None).map(|bad| bad.what), Some(Wrong::NotAnchored));
    let with_keys = check(&forged, &entry, Some(&*desk.keys)).unwrap();
    assert_eq!((with_keys.row, with_keys.what), (Some(entry.first_row + 3), Wrong::Unopenable));
}

#[tokio::test]
async fn segments_that_are_missing_exchanged_or_of_another_log_are_named() {
    let (sink, desk) = filled().await;
    let (_other_sink, other) = filled().await;
    let verify = async |desk: &Desk| desk.log.verify(1, 3, &*desk.anchor).await.unwrap();
    let report = verify(&desk).await;
    assert_eq!((report.segments, report.rows, report.bad.len()), (3, 23, 0));

    let (one, two) = (sink.bytes(1), sink.bytes(2));
    sink.set(1, two.clone());
    sink.set(2, one.clone());
    let bad: Vec<_> = verify(&desk).await.bad.into_iter().map(|bad| (bad.segment, bad.what)).collect();
    assert_eq!(bad, [(1, Wrong::DoesNotFollow), (2, Wrong::DoesNotFollow)]);

    sink.set(1, one);
    sink.set(2, Vec::new());
    let bad = verify(&desk).await.bad;
    assert!(matches!(&bad[..], [Bad { segment: 2, what: Wrong::Header(_), .. }]), "{bad:?}");
    assert_eq!(other.log.verify(1, 3, &*other.anchor).await.unwrap().bad, []);
    let mut verifier = Verifier::after(&desk.anchor.segment(1));
    verifier.segment(2, None, Some(&desk.anchor.segment(2)), None);
    assert_eq!(verifier.finish().bad.pop().unwrap().what, Wrong::Absent);
}

#[tokio::test]
async fn a_query_over_an_altered_row_is_refused_and_names_it() {
    let (sink, desk) = filled().await;
    let mut bytes = sink.bytes(1);
    let at = frames(&bytes);
    bytes[at[4].start + 80] ^= 1;
    sink.set(1, bytes);
    let refusal = desk.log.query(&Default::default(), None, 1000).await.unwrap_err();
    assert_eq!(refusal.detail, "access segment 1, row 5: not as it was written");
    let page = desk.log.query(&Default::default(), None, 13).await.unwrap();
    assert_eq!(page.rows.len(), 13, "what lies before it is still answered");
}

#[tokio::test]
async fn rows_added_to_a_closed_segment_are_named() {
    let (sink, desk) = one().await;
    desk.write(numbered(4)).await;
    let short = desk.log.export(1).await.unwrap().unwrap();
    desk.write(numbered(1)).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    let mut entry = desk.anchor.segment(1);
    (entry.rows, entry.bytes) = (4, (short.len() - HEADER_BYTES) as u64);
    let found = check(&sink.bytes(1), &entry, None).unwrap();
    assert_eq!((found.row, found.what), (Some(5), Wrong::Surplus));
}

#[tokio::test]
async fn a_row_that_names_an_entry_past_the_ledgers_end_is_named() {
    let (sink, desk) = one().await;
    desk.write(["before".to_owned()]).await;
    let mut change = desk.row("changed");
    change.position = Some(Position { shard: 0, index: 7 });
    assert!(desk.log.record(change).await.unwrap().row().is_some());
    desk.write(["after".to_owned()]).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    let (bytes, entry) = (sink.bytes(1), desk.anchor.segment(1));
    let check = |entries: u64, keys: Option<&dyn RowKeys>| {
        let mut verifier = Verifier::new().within(entries);
        verifier.segment(1, Some(&bytes), Some(&entry), keys);
        verifier.finish().bad.into_iter().next().map(|bad| (bad.row, bad.what))
    };
    assert_eq!(check(8, Some(&*desk.keys)), None);
    assert_eq!(check(7, Some(&*desk.keys)), Some((Some(entry.first_row + 1), Wrong::BeyondLedger(7))));
    assert_eq!(check(7, None), None, "without the key no row says what it names");
}
