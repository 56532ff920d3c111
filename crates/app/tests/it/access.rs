//! Who read that: the access log as a use case, and what happens when it takes no rows.

use crate::house::{code, folder, house, open, path};
use app::access_view::{AccessQuery, query, segments};
use app::{Act, Arrival, Reply};
use ledger::code::REQUEST_INVALID;
use ledger::{Path, Refusal};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn who_read_that_is_answered_with_a_proof() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a/b", "v").await.unwrap();
    let friend = owner.friend("friend", &["reader"]).await;
    owner.policy("readers", r#"permit (principal in Role::"reader", action, resource in Path::"a");"#).await.unwrap();
    friend.get("a/b").await.unwrap();
    assert_eq!(friend.get("b/c").await, Err("policy.denied"));
    let asked = AccessQuery { principal: Some("friend".into()), proof: true, ..AccessQuery::default() };
    let act = Act::access_read_secret(path("a/b"));
    let page = owner.act(act, b"", |grant| query(grant, asked)).await.into_outcome().unwrap();
    let [row] = page.items.as_slice() else { panic!("one row") };
    assert_eq!((&*row.row.row.act, &*row.row.row.outcome), ("secret.read", "ok"));
    assert_eq!((row.principal.as_deref(), row.row.row.version), (Some("friend"), Some(1)));
    assert_eq!(*row.row.row.rules, ["readers".into()]);
    let proven = row.proof.as_ref().unwrap().open().unwrap();
    assert_eq!(proven, row.row);
    let shown = owner.act(Act::access_segments(), b"", segments).await.into_outcome().unwrap();
    assert!(shown.iter().any(|segment| segment.closed.is_some()));
    let refused = AccessQuery { outcome: Some("policy.denied".into()), ..AccessQuery::default() };
    let page = owner.act(Act::access_read(), b"", |grant| query(grant, refused)).await.into_outcome().unwrap();
    assert_eq!(page.items.iter().map(|row| row.row.row.path.as_deref()).collect::<Vec<_>>(), [Some("b/c")]);
}

#[tokio::test]
async fn a_right_on_a_folders_rows_covers_no_other_rows() {
    let house = house().await;
    let owner = house.owner().await;
    for at in ["a", "a/b", "a/b/c", "ab"] {
        owner.put(at, "v").await.unwrap();
    }
    let seen = |act: Act| {
        let owner = owner.clone();
        async move {
            let asked = AccessQuery { act: Some("secret.write".into()), ..AccessQuery::default() };
            let page = owner.act(act, b"", |grant| query(grant, asked)).await.into_outcome().unwrap();
            page.items.into_iter().filter_map(|row| row.row.row.path).collect::<Vec<_>>()
        }
    };
    assert_eq!(seen(Act::access_read_folder(folder("a"))).await, ["a/b/c", "a/b"]);
    assert_eq!(seen(Act::access_read_secret(path("a/b"))).await, ["a/b"]);
    assert_eq!(seen(Act::access_read_folder(folder(""))).await.len(), 4);
}

#[tokio::test]
async fn pages_of_rows_join_and_their_cursor_is_bound() {
    let house = house().await;
    let owner = house.owner().await;
    for n in 0..10 {
        owner.put(&format!("p/{n}"), "v").await.unwrap();
    }
    let ask = |cursor: Option<String>, act: &str| {
        let asked = AccessQuery { act: Some(act.to_owned()), limit: Some(3), cursor, ..AccessQuery::default() };
        owner.act(Act::access_read(), b"", |grant| query(grant, asked))
    };
    let (mut cursor, mut paths) = (None, Vec::new());
    loop {
        let page = ask(cursor, "secret.write").await.into_outcome().unwrap();
        paths.extend(page.items.into_iter().filter_map(|row| row.row.row.path));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paths, (0..10).rev().map(|n| format!("p/{n}")).collect::<Vec<_>>());
    let next = ask(None, "secret.write").await.into_outcome().unwrap().next;
    assert_eq!(code(ask(next, "secret.read").await.into_outcome()), "cursor.invalid");
    assert_eq!(code(ask(Some("1.1".into()), "secret.write").await.into_outcome()), "cursor.invalid");
}

#[tokio::test]
async fn log_02_without_a_sink_nothing_is_served_and_nothing_changes() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    let rows = house.rows().await.len();
    let (size, stored) = (house.ledger.head().size, digest(&house).await);
    house.sink.fails.store(true, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(owner.get("a").await, Err("access_log.unavailable"));
        assert_eq!(house.nobody().get("a").await, Err("access_log.unavailable"));
        for outcome in [code(owner.put("a", "w").await), code(owner.put("b", "w").await)] {
            assert_eq!(outcome, "access_log.unavailable");
        }
        assert_eq!(code(owner.policy("p", "permit (principal, action, resource);").await), "access_log.unavailable");
    }
    assert_eq!((house.ledger.head().size, digest(&house).await), (size, stored));
    house.sink.fails.store(false, Ordering::SeqCst);
    house.pass(1_000);
    assert_eq!(owner.get("a").await.unwrap(), "v");
    assert_eq!(owner.get("b").await, Err("secret.not_found"));
    let after = house.rows().await;
    assert!(after.iter().skip(rows).any(|row| row.act == ledger::access_log::OUTAGE), "the outage is told");
}

/// Everything stored but access rows, whose sink may try.
async fn digest(house: &crate::house::House) -> Vec<(storage::Key, bytes::Bytes)> {
    let mut all = Vec::new();
    for kind in storage::Kind::ALL {
        if !matches!(kind, storage::Kind::Access | storage::Kind::Meta | storage::Kind::Side | storage::Kind::Record) {
            let prefix = storage::Key::new(kind, storage::Shard(0), Vec::new());
            all.extend(house.storage.scan(prefix, None, 4_096).await.unwrap());
        }
    }
    all
}

#[tokio::test]
async fn a_change_committed_as_the_sink_dies_is_answered_and_its_row_follows() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    // The check before the commit saw a sink; the write of the row does not.
    house.sink.fails.store(true, Ordering::SeqCst);
    let written = owner.put("a", "w").await.unwrap();
    assert_eq!(owner.get("a").await, Err("access_log.unavailable"));
    house.sink.fails.store(false, Ordering::SeqCst);
    house.pass(1_000);
    assert_eq!(owner.get("a").await.unwrap(), "w");
    let rows = house.rows().await;
    let of_it = rows.iter().filter(|row| row.position == Some(written.position)).count();
    assert_eq!(of_it, 1);
}

#[tokio::test]
async fn log_09_rows_lost_with_a_crash_are_made_again_from_their_entries() {
    let first = house().await;
    let (storage, clock) = (first.storage.clone(), first.clock.clone());
    let owner = first.owner().await;
    owner.put("a", "v").await.unwrap();
    first.sink.fails.store(true, Ordering::SeqCst);
    let lost = owner.put("b", "w").await.unwrap().position;
    drop(owner);
    drop(first);
    let second = open(storage, clock, 2).await;
    assert!(second.rows().await.iter().all(|row| row.position != Some(lost)));
    assert_eq!(app::recovery::remake_rows(&second.app, u64::MAX).await.unwrap(), 1);
    let rows = second.rows().await;
    let made: Vec<_> = rows.iter().filter(|row| row.position == Some(lost)).collect();
    let [row] = made.as_slice() else { panic!("one row") };
    assert_eq!((row.path.as_deref(), row.source.as_str()), (Some("b"), ledger::access_log::REMADE));
    assert_eq!(
        app::recovery::remake_rows(&second.app, u64::MAX).await.unwrap(),
        0,
        "a second time finds nothing missing"
    );
}

#[tokio::test]
async fn a_request_no_door_could_read_has_its_row_too() {
    let house = house().await;
    let owner = house.owner().await;
    let turn_away = |token: Option<String>, refusal: Refusal| {
        let arrival = Arrival { route: "GET /x", ..house.arrival(token.map(crypto::SecretText::new), None) };
        let app = house.app.clone();
        async move { app.turn_away::<()>(arrival, refusal).await }
    };
    let bad = Path::parse("a//b").unwrap_err();
    let reply: Reply<()> = turn_away(owner.token.clone(), bad.clone()).await;
    assert_eq!(reply.outcome().unwrap_err(), &bad);
    let reply = turn_away(None, Refusal::new(&REQUEST_INVALID, "x")).await;
    assert_eq!(code(reply.into_outcome()), "auth.required", "strangers learn nothing else");
    let rows = house.rows().await;
    let last: Vec<_> = rows.iter().rev().take(2).map(|row| (&*row.act, &*row.outcome)).collect();
    assert_eq!(last, [("GET /x", "auth.required"), ("GET /x", "path.invalid")]);
}

#[tokio::test]
async fn a_change_goes_on_and_is_recorded_when_its_caller_goes_away() {
    let house = house().await;
    let owner = house.owner().await;
    let work = owner.put("a", "v");
    let _ = tokio::time::timeout(std::time::Duration::ZERO, work).await;
    for _ in 0..200 {
        if owner.get("a").await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(owner.get("a").await.unwrap(), "v");
    let rows = house.rows().await;
    assert_eq!(rows.iter().filter(|row| row.act == "secret.write" && row.position.is_some()).count(), 1);
}

#[tokio::test]
async fn leak_03_a_use_case_that_panics_shows_a_code_and_leaves_a_row() {
    let house = house().await;
    let owner = house.owner().await;
    for act in [Act::secret_read(path("a"), None), Act::secret_write(path("a"))] {
        let name = act.kind().name;
        let reply: Reply<()> = owner.act(act, b"", |_| async { panic!("canary-81a4") }).await;
        let refusal = reply.into_outcome().unwrap_err();
        assert_eq!(refusal.code.name, "server.bug");
        assert!(!format!("{refusal:?} {refusal}").contains("canary"));
        let row = house.rows().await.pop().unwrap();
        assert_eq!((&*row.act, &*row.outcome), (name, "server.bug"));
        assert!(!format!("{row:?}").contains("canary"));
    }
}
