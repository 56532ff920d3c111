//! Looking rows up.

use super::{Desk, START, numbered, one, tenant};
use crypto::WallMs;
use crypto::id::EntityId;
use ledger::Prefix;
use ledger::access_log::{Filter, OutcomeIs, RowCursor, SCAN_SEGMENTS_MAX};
use std::sync::atomic::Ordering::SeqCst;

async fn mixed() -> Desk {
    let (_sink, desk) = one().await;
    for n in 0..30_u8 {
        let mut row = desk.row(["team/db/a", "team/db", "team/dbx", "other"][usize::from(n % 4)]);
        row.tenant = tenant(1 + n % 2);
        row.entity = Some(EntityId::from_bytes([n % 3; 16]));
        row.outcome = ["ok", "policy.denied", "secret.not_found"][usize::from(n % 3)].into();
        row.act = ["secret.read", "secret.list"][usize::from(n % 2)].into();
        let _recorded = desk.log.record(row).await.unwrap();
        desk.pass(1);
        if n % 7 == 6 {
            desk.log.close(&*desk.anchor).await.unwrap();
        }
    }
    desk
}

async fn found(desk: &Desk, filter: &Filter) -> Vec<u64> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let page = desk.log.query(filter, cursor, 3).await.unwrap();
        assert!(page.rows.len() <= 3);
        all.extend(page.rows.iter().map(|row| row.sequence - 1));
        cursor = page.next.map(|next| next.to_string().parse::<RowCursor>().unwrap());
        if cursor.is_none() {
            all.reverse();
            return all;
        }
    }
}

fn rows(wanted: impl Fn(u64) -> bool) -> Vec<u64> {
    (0..30).filter(|n| wanted(*n)).collect()
}

#[tokio::test]
async fn each_filter_finds_exactly_its_rows_in_pages() {
    let desk = mixed().await;
    let all = Filter::default;
    assert_eq!(found(&desk, &all()).await, rows(|_| true));
    let by_tenant = Filter { tenant: Some(tenant(2)), ..all() };
    assert_eq!(found(&desk, &by_tenant).await, rows(|n| n % 2 == 1));
    let folder = Filter { path: Some(Prefix::parse("team/db").unwrap()), ..all() };
    assert_eq!(found(&desk, &folder).await, rows(|n| n % 4 < 2), "team/dbx is not below team/db");
    let entity = Filter { entity: Some(EntityId::from_bytes([2; 16])), ..all() };
    assert_eq!(found(&desk, &entity).await, rows(|n| n % 3 == 2));
    let refused = Filter { outcome: Some(OutcomeIs::Refused), ..all() };
    assert_eq!(found(&desk, &refused).await, rows(|n| n % 3 != 0));
    let denied = Filter { outcome: Some("policy.denied".parse().unwrap()), ..all() };
    assert_eq!(found(&desk, &denied).await, rows(|n| n % 3 == 1));
    let act = Filter { act: Some("secret.list".into()), ..all() };
    assert_eq!(found(&desk, &act).await, rows(|n| n % 2 == 1));
    let at = |seconds: u64| Some(WallMs(START.0 + seconds * 1000));
    let window = Filter { since: at(5), until: at(20), ..all() };
    assert_eq!(found(&desk, &window).await, rows(|n| (5..20).contains(&n)));
    let both = Filter { since: at(5), tenant: Some(tenant(1)), outcome: Some(OutcomeIs::Ok), ..all() };
    assert_eq!(found(&desk, &both).await, rows(|n| n >= 5 && n % 6 == 0));
}

#[tokio::test]
async fn tail_gives_what_came_after_oldest_first() {
    let desk = mixed().await;
    let rows = desk.log.tail(&Filter::default(), 27, 100).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.sequence).collect::<Vec<_>>(), [28, 29, 30]);
    assert!(desk.log.tail(&Filter::default(), 30, 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_query_that_finds_nothing_stops_after_a_bounded_number_of_segments() {
    let (_sink, desk) = one().await;
    for _ in 0..SCAN_SEGMENTS_MAX + 5 {
        desk.write(numbered(1)).await;
        desk.log.close(&*desk.anchor).await.unwrap();
    }
    let nothing = Filter { act: Some("none".into()), ..Filter::default() };
    let page = desk.log.query(&nothing, None, 10).await.unwrap();
    assert!(page.rows.is_empty());
    let page = desk.log.query(&nothing, page.next, 10).await.unwrap();
    assert!(page.rows.is_empty() && page.next.is_none());
}

#[tokio::test]
async fn rows_whose_key_is_gone_are_counted_and_not_shown() {
    let desk = mixed().await;
    desk.keys.lost.store(true, SeqCst);
    let page = desk.log.query(&Filter { tenant: Some(tenant(1)), ..Filter::default() }, None, 100).await.unwrap();
    assert_eq!((page.rows.len(), page.unopened), (0, 15));
    desk.keys.sealed.store(true, SeqCst);
    let refusal = desk.log.query(&Filter::default(), None, 100).await.unwrap_err();
    assert_eq!(refusal.code.name, "seal.sealed", "a sealed server does not answer with nothing");
}

#[tokio::test]
async fn a_cursor_that_was_not_given_out_is_refused() {
    for text in ["", "1", "1.", "a.b", "1.2.3", "01.2", "+1.2", "-1.2", "99999999999999999999.1"] {
        assert_eq!(text.parse::<RowCursor>().unwrap_err().code.name, "cursor.invalid", "{text:?}");
    }
    let desk = mixed().await;
    for cursor in [RowCursor { segment: 0, before: 1 }, RowCursor { segment: 1, before: 0 }] {
        assert!(desk.log.query(&Filter::default(), Some(cursor), 10).await.unwrap().rows.is_empty());
    }
    let beyond = RowCursor { segment: 400, before: 1 };
    assert_eq!(desk.log.query(&Filter::default(), Some(beyond), 10).await.unwrap_err().code.name, "cursor.invalid");
}

#[tokio::test]
async fn retention_removes_old_closed_segments_once_an_entry_says_so() {
    let (sink, desk) = one().await;
    for _ in 0..4 {
        desk.write(numbered(2)).await;
        desk.log.close(&*desk.anchor).await.unwrap();
        desk.pass(100);
    }
    let before = |seconds: u64| WallMs(START.0 + seconds * 1000);
    assert_eq!(desk.log.retain(before(0), &*desk.anchor).await.unwrap(), 0);
    assert_eq!(desk.log.retain(before(150), &*desk.anchor).await.unwrap(), 2);
    assert_eq!(desk.anchor.removals.lock().iter().map(|r| (r.first, r.last)).collect::<Vec<_>>(), [(1, 2)]);
    assert!(sink.bytes(1).is_empty() && sink.bytes(2).is_empty() && !sink.bytes(3).is_empty());
    assert_eq!(desk.paths().await.len(), 4);
    let report = desk.log.verify(3, 4, &*desk.anchor).await.unwrap();
    assert_eq!(report.bad, [], "the first kept segment follows the entry of the last removed one");
    assert_eq!(desk.log.retain(before(100_000), &*desk.anchor).await.unwrap(), 1, "the newest segment always stays");
}
