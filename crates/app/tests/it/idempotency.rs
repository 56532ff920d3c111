//! The same key gets the same reply; another body, principal or route does not.

use crate::house::{code, house};
use app::{Act, session};

#[tokio::test]
async fn the_same_request_again_gets_the_first_answer_and_writes_nothing() {
    let house = house().await;
    let owner = house.owner().await;
    let keyed = owner.keyed("k1");
    let first = keyed.put("a", "one").await.unwrap();
    owner.put("a", "two").await.unwrap();
    let size = house.ledger.head().size;
    let again = keyed.put("a", "one").await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!((again.what, again.position), (first.what, first.position));
    assert_eq!(house.ledger.head().size, size);
    assert_eq!(owner.get("a").await.unwrap(), "two");
}

#[tokio::test]
async fn writing_a_then_b_then_a_without_a_key_stores_a() {
    let house = house().await;
    let owner = house.owner().await;
    for value in ["a", "b", "a"] {
        owner.put("x", value).await.unwrap();
    }
    let last = owner.read("x", None).await.unwrap();
    assert_eq!((last.version, last.value.expose()), (3, b"a".as_slice()));
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let house = house().await;
    let owner = house.owner().await;
    let keyed = owner.keyed("k1");
    keyed.put("a", "one").await.unwrap();
    let refusal = keyed.put("a", "two").await.unwrap_err();
    assert_eq!((refusal.code.name, refusal.code.status), ("idempotency.reused", 422));
    assert_eq!(code(keyed.put("b", "one").await), "idempotency.reused");
    assert_eq!(owner.get("a").await.unwrap(), "one");
}

#[tokio::test]
async fn another_principal_with_the_same_key_gets_nothing_of_the_first() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &["owner"]).await;
    owner.keyed("k1").put("a", "one").await.unwrap();
    let other = friend.keyed("k1").put("a", "one").await.unwrap();
    assert_eq!((other.replayed, other.what.version), (false, 2));
}

#[tokio::test]
async fn what_mints_needs_a_key_and_a_repeat_gets_the_same_token() {
    let house = house().await;
    let owner = house.owner().await;
    owner.friend("friend", &[]).await;
    let issue = |key: Option<&str>| {
        let caller = key.map_or(owner.clone(), |key| owner.keyed(key));
        async move {
            let act = Act::session_issue(access::PrincipalName::parse("friend").unwrap());
            caller.act(act, b"", |grant| session::issue(grant, app::Asked::default())).await.into_outcome()
        }
    };
    assert_eq!(code(issue(None).await), "idempotency.required");
    let (first, again) = (issue(Some("k")).await.unwrap(), issue(Some("k")).await.unwrap());
    assert!(again.replayed);
    assert!(first.what.token.ct_eq(&again.what.token));
    let other = issue(Some("k2")).await.unwrap();
    assert!(!first.what.token.ct_eq(&other.what.token));
}
