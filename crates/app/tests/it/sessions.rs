//! Logins, sessions and principals.

use crate::house::{code, house, open};
use app::{Act, Arrival, Asked, principal, session};
use crypto::SecretText;
use std::time::Duration;

#[tokio::test]
async fn a_one_time_login_opens_once() {
    let house = house().await;
    let token = app::bootstrap::owner_login(&house.app, false).await.unwrap().unwrap();
    let text = token.expose().to_owned();
    let owner = house.login(token, None).await;
    owner.put("a", "v").await.unwrap();
    let login = |key: &str| {
        let arrival = Arrival { idempotency: Some(key.to_owned()), ..house.arrival(None, None) };
        session::login(&house.app, arrival, SecretText::new(text.clone()))
    };
    let again = login("another key").await;
    assert_eq!(code(again.into_outcome()), "auth.login_refused");
    let repeat = login("login").await.into_outcome().unwrap();
    assert!(repeat.replayed, "the same request gets the same session");
    for bad in ["", "aum_login_x", "aum_ses_x", text.get(1..).unwrap()] {
        let arrival = Arrival { idempotency: Some("k".into()), ..house.arrival(None, None) };
        let refused = session::login(&house.app, arrival, SecretText::new(bad.to_owned())).await;
        assert_eq!(code(refused.into_outcome()), "auth.login_refused");
    }
    assert!(app::bootstrap::owner_login(&house.app, false).await.unwrap().is_none(), "no second owner login");
}

#[tokio::test]
async fn a_login_lost_before_it_was_used_is_made_again() {
    let house = house().await;
    app::bootstrap::owner_login(&house.app, false).await.unwrap().unwrap();
    let token = app::bootstrap::owner_login(&house.app, false).await.unwrap().unwrap();
    house.login(token, None).await.put("a", "v").await.unwrap();
}

#[tokio::test]
async fn token_01_whatever_is_wrong_with_a_token_is_answered_alike() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &["owner"]).await;
    let ended = owner.friend("ended", &["owner"]).await;
    let own = ended.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap();
    owner.act(Act::session_revoke(own.id), b"", session::revoke).await.into_outcome().unwrap();
    let good = friend.token.clone().unwrap();
    let mut flipped = good.clone().into_bytes();
    flipped[20] ^= 1;
    let flipped = String::from_utf8(flipped).unwrap();
    let mut answers = Vec::new();
    for token in
        [None, Some(String::new()), Some(flipped), good.get(..40).map(str::to_owned), Some("x".repeat(100_000))]
            .into_iter()
            .chain([ended.token.clone(), Some(good.clone() + "a"), Some("aum_login_x".into())])
    {
        let caller = crate::house::Caller { token, ..friend.clone() };
        answers.push(caller.read("a", None).await.unwrap_err());
    }
    house.pass(13 * 3_600_000);
    answers.push(friend.read("a", None).await.unwrap_err());
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0].code.name, "auth.required");
}

#[tokio::test]
async fn disabling_a_principal_ends_its_sessions_at_once_and_enabling_does_not_bring_them_back() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &["owner"]).await;
    friend.put("a", "v").await.unwrap();
    let set = |disabled| {
        let act = Act::principal_write(access::PrincipalName::parse("friend").unwrap());
        let roles = vec!["owner".to_owned()];
        owner.act(act, b"", move |grant| principal::put(grant, roles, disabled, None))
    };
    let shown = set(true).await.into_outcome().unwrap().what;
    assert!(shown.disabled);
    assert_eq!(friend.get("a").await, Err("auth.required"));
    set(false).await.into_outcome().unwrap();
    assert_eq!(friend.get("a").await, Err("auth.required"));
    assert_eq!(owner.session("friend").await.get("a").await.unwrap(), "v");
}

#[tokio::test]
async fn a_right_bites_at_once_when_given_and_when_taken() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &["reader"]).await;
    owner.put("a/b", "v").await.unwrap();
    assert_eq!(friend.get("a/b").await, Err("policy.denied"));
    assert_eq!(friend.get("a/nothing").await, Err("policy.denied"), "no look-up before the right");
    let text = r#"permit (principal in Role::"reader", action == Action::"secret.read", resource in Path::"a");"#;
    owner.policy("readers", text).await.unwrap();
    assert_eq!(friend.get("a/b").await.unwrap(), "v");
    assert_eq!(friend.get("a/nothing").await, Err("secret.not_found"));
    assert_eq!(code(friend.put("a/b", "w").await), "policy.denied");
    let name = access::PolicyName::parse("readers").unwrap();
    owner.act(Act::policy_remove(name), b"", app::policy::remove).await.into_outcome().unwrap();
    assert_eq!(friend.get("a/b").await, Err("policy.denied"));
}

async fn own(who: &crate::house::Caller<'_>) -> session::Shown {
    who.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap()
}

#[tokio::test]
async fn one_ends_ones_own_session_and_anothers_only_with_the_right() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &[]).await;
    let other = owner.session("friend").await;
    let (first, second, third) = (own(&friend).await, own(&other).await, own(&owner).await);
    assert_eq!((first.principal.as_str(), first.tenant), ("friend", house.home));
    let revoke = |id| friend.act(Act::session_revoke(id), b"", session::revoke);
    assert_eq!(code(revoke(third.id).await.into_outcome()), "session.not_found");
    revoke(second.id).await.into_outcome().unwrap();
    assert_eq!(other.get("x").await, Err("auth.required"));
    revoke(first.id).await.into_outcome().unwrap();
    assert_eq!(friend.get("x").await, Err("auth.required"));
}

#[tokio::test]
async fn token_02_lives_outside_the_range_are_refused() {
    let house = house().await;
    let owner = house.owner().await;
    owner.friend("friend", &[]).await;
    for (n, life) in [Duration::ZERO, Duration::from_secs(31 * 24 * 3_600), Duration::MAX].into_iter().enumerate() {
        let act = Act::session_issue(access::PrincipalName::parse("friend").unwrap());
        let caller = owner.keyed(&format!("k{n}"));
        let issued = caller
            .act(act, b"", move |grant| session::issue(grant, Asked { ttl: Some(life), ..Asked::default() }))
            .await;
        assert_eq!(code(issued.into_outcome()), "session.invalid");
    }
}

#[tokio::test]
async fn sessions_policies_and_secrets_outlive_a_restart() {
    let first = house().await;
    let (storage, clock) = (first.storage.clone(), first.clock.clone());
    let (token, friend) = {
        let owner = first.owner().await;
        owner.put("a/b", "v").await.unwrap();
        let friend = owner.friend("friend", &["reader"]).await;
        let text = r#"permit (principal in Role::"reader", action == Action::"secret.read", resource in Path::"a");"#;
        owner.policy("readers", text).await.unwrap();
        (owner.token.clone(), friend.token.clone())
    };
    first.close().await;
    let second = open(storage, clock, 2).await;
    let owner = crate::house::Caller { token, ..second.nobody() };
    let friend = crate::house::Caller { token: friend, ..second.nobody() };
    assert_eq!(owner.get("a/b").await.unwrap(), "v");
    assert_eq!(friend.get("a/b").await.unwrap(), "v");
    assert_eq!(code(friend.put("a/b", "w").await), "policy.denied");
    assert!(app::bootstrap::owner_login(&second.app, false).await.unwrap().is_none());
}

#[tokio::test]
async fn a_dev_session_is_an_ordinary_owners_session() {
    let house = house().await;
    house.owner().await;
    let issued = app::bootstrap::dev_session(&house.app, Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(issued.session.principal, "owner");
    let dev = crate::house::Caller { token: Some(issued.token.expose().to_owned()), ..house.nobody() };
    dev.put("a", "v").await.unwrap();
    house.pass(3_600_000);
    assert_eq!(dev.get("a").await, Err("auth.required"));
}
