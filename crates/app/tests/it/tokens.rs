//! Sessions as tokens: derived, bound, counted, renewed, across tenants.

use crate::house::{Caller, House, code, house};
use app::{Act, Asked, Bounds, Refusal, ScopeRule, principal, session};
use crypto::Clock as _;
use std::net::IpAddr;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn life(span: Duration) -> Asked {
    Asked { ttl: Some(span), ..Asked::default() }
}

fn scope(actions: &[&str], place: &str) -> Asked {
    let actions = actions.iter().map(|action| (*action).into()).collect();
    let scope = vec![ScopeRule { actions, place: place.into() }];
    Asked { bounds: Bounds { scope, ..Bounds::default() }, ..Asked::default() }
}

async fn own(who: &Caller<'_>) -> Result<session::Shown, Refusal> {
    who.act(Act::session_self(), b"", session::own).await.into_outcome()
}

async fn renew(who: &Caller<'_>) -> Result<session::Shown, Refusal> {
    let renewed = who.act(Act::session_renew_own(), b"", |grant| session::renew(grant, None)).await;
    renewed.into_outcome().map(|changed| changed.what)
}

#[tokio::test]
async fn a_derived_session_does_less_and_ends_with_its_parent() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("db/a", "v").await.unwrap();
    owner.put("x", "v").await.unwrap();
    let reader = owner.derive(false, scope(&["secret.read"], "db/")).await.unwrap();
    assert_eq!(reader.get("db/a").await.unwrap(), "v");
    assert_eq!(reader.get("x").await, Err("policy.denied"));
    assert_eq!(code(reader.put("db/a", "w").await), "policy.denied");
    let child = reader.derive(false, scope(&["secret"], "")).await.unwrap();
    assert_eq!(child.get("db/a").await.unwrap(), "v");
    assert_eq!(code(child.put("db/a", "w").await), "policy.denied", "what the parent may not no child may");
    let shown = own(&child).await.unwrap();
    assert_eq!((shown.parents.len(), shown.bounds.len()), (2, 2));
    let parent = own(&reader).await.unwrap().id;
    reader.act(Act::session_revoke(parent), b"", session::revoke).await.into_outcome().unwrap();
    assert_eq!(child.get("db/a").await, Err("auth.required"));
    assert_eq!(owner.get("db/a").await.unwrap(), "v");
}

#[tokio::test]
async fn token_05_orphan_and_periodic_sessions_need_rights_of_their_own() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &["r"]).await;
    let periodic = Asked { period: Some(HOUR), ..Asked::default() };
    assert_eq!(code(friend.derive(true, life(HOUR)).await), "policy.denied");
    assert_eq!(code(friend.derive(false, periodic.clone()).await), "policy.denied");
    assert!(friend.derive(false, life(HOUR)).await.is_ok());
    let text = r#"permit (principal in Role::"r", action in [Action::"session.orphan", Action::"session.periodic"], resource);"#;
    owner.policy("p", text).await.unwrap();
    let orphan = friend.derive(true, life(HOUR)).await.unwrap();
    assert!(friend.derive(false, periodic).await.is_ok());
    let id = own(&friend).await.unwrap().id;
    owner.act(Act::session_revoke(id), b"", session::revoke).await.into_outcome().unwrap();
    assert!(own(&orphan).await.is_ok());
    assert_eq!(code(own(&friend).await), "auth.required");
}

#[tokio::test]
async fn token_07_an_id_shows_and_ends_a_session_only_with_the_right_and_in_its_tenant() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &[]).await;
    let (_, login) = house.tenant("other").await;
    let foreign = house.login(login, Some("other".into())).await;
    let (owners, friends) = (own(&owner).await.unwrap().id, own(&friend).await.unwrap().id);
    for who in [&friend, &foreign] {
        let read = who.act(Act::session_read(owners), b"", session::read).await;
        assert_eq!(code(read.into_outcome()), "session.not_found");
        let renewed = who.act(Act::session_renew(owners), b"", |grant| session::renew(grant, None)).await;
        assert_eq!(code(renewed.into_outcome()), "session.not_found");
        let revoked = who.act(Act::session_revoke(owners), b"", session::revoke).await;
        assert_eq!(code(revoked.into_outcome()), "session.not_found");
    }
    let shown = owner.act(Act::session_read(friends), b"", session::read).await.into_outcome().unwrap();
    assert_eq!((shown.principal.as_str(), shown.renewable), ("friend", false));
    let all = owner.act(Act::session_list(), b"", |grant| session::list(grant, None, None)).await;
    let mine = friend.act(Act::session_list(), b"", |grant| session::list(grant, None, None)).await;
    assert_eq!(all.into_outcome().unwrap().items.len(), 3, "and the one that made the tenant");
    let mine = mine.into_outcome().unwrap().items;
    assert_eq!(mine.iter().map(|shown| shown.id).collect::<Vec<_>>(), [friends]);
}

#[tokio::test]
async fn a_session_with_a_scope_reaches_itself_and_what_hangs_on_it_and_no_wider_one() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &[]).await;
    for who in [&owner, &friend] {
        let lesser = who.derive(false, scope(&["secret.read"], "db/")).await.unwrap();
        let child = lesser.derive(false, Asked::default()).await.unwrap();
        let (wider, below, own_id) =
            (own(who).await.unwrap().id, own(&child).await.unwrap().id, own(&lesser).await.unwrap().id);
        assert_eq!(
            code(lesser.act(Act::session_read(wider), b"", session::read).await.into_outcome()),
            "session.not_found"
        );
        let renewed = lesser.act(Act::session_renew(wider), b"", |grant| session::renew(grant, None)).await;
        assert_eq!(code(renewed.into_outcome()), "session.not_found");
        assert_eq!(
            code(lesser.act(Act::session_revoke(wider), b"", session::revoke).await.into_outcome()),
            "session.not_found"
        );
        let listed = lesser.act(Act::session_list(), b"", |grant| session::list(grant, None, None)).await;
        let mut listed: Vec<_> = listed.into_outcome().unwrap().items.iter().map(|shown| shown.id).collect();
        listed.sort_unstable();
        let mut wanted = vec![own_id, below];
        wanted.sort_unstable();
        assert_eq!(listed, wanted);
        lesser.act(Act::session_revoke(below), b"", session::revoke).await.into_outcome().unwrap();
        assert_eq!(code(own(&child).await), "auth.required");
        lesser.act(Act::session_revoke(own_id), b"", session::revoke).await.into_outcome().unwrap();
        assert!(own(who).await.is_ok());
    }
}

#[tokio::test]
async fn token_08_a_one_use_session_is_good_for_one_of_twenty_calls_at_once() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    let text = r#"permit (principal in Role::"r", action, resource);"#;
    owner.policy("p", text).await.unwrap();
    owner.friend("friend", &["r"]).await;
    let once = owner.session_with("friend", Asked { uses: Some(1), ..Asked::default() }).await;
    let calls = (0..20).map(|_| once.get("a"));
    let answers = futures::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.is_ok() || *answer == Err("auth.required")));
    let three = owner.session_with("friend", Asked { uses: Some(3), ..Asked::default() }).await;
    for wanted in [true, true, true, false, false] {
        assert_eq!(three.get("a").await.is_ok(), wanted);
    }
}

#[tokio::test]
async fn uses_set_aside_are_lost_with_a_restart_and_none_is_given_twice() {
    let first = house().await;
    let (storage, clock) = (first.storage.clone(), first.clock.clone());
    let token = {
        let owner = first.owner().await;
        owner.put("a", "v").await.unwrap();
        owner.policy("p", r#"permit (principal in Role::"r", action, resource);"#).await.unwrap();
        owner.friend("friend", &["r"]).await;
        let counted = owner.session_with("friend", Asked { uses: Some(64), ..Asked::default() }).await;
        counted.get("a").await.unwrap();
        counted.token.clone()
    };
    drop(first);
    let second = crate::house::open(storage, clock, 2).await;
    let counted = Caller { house: &second, token, tenant: None, key: None };
    let mut good = 0;
    while counted.get("a").await.is_ok() {
        good += 1;
    }
    assert_eq!(good, 60, "four had been set aside, one of them was used");
}

#[tokio::test]
async fn token_12_a_session_bound_to_networks_is_refused_elsewhere_also_on_renewal() {
    let house = house().await;
    let owner = house.owner().await;
    let asked = |nets: &[&str]| Asked {
        ttl: Some(HOUR),
        max_ttl: Some(2 * HOUR),
        bounds: Bounds { networks: nets.iter().map(|net| (*net).into()).collect(), ..Bounds::default() },
        ..Asked::default()
    };
    owner.put("a", "v").await.unwrap();
    let here: IpAddr = house.arrival(None, None).source;
    let bound = owner.derive(false, asked(&[&here.to_string()])).await.unwrap();
    assert_eq!(bound.get("a").await.unwrap(), "v");
    renew(&bound).await.unwrap();
    let elsewhere = owner.derive(false, asked(&["203.0.113.0/24"])).await.unwrap();
    assert_eq!(elsewhere.get("a").await, Err("session.elsewhere"));
    assert_eq!(code(renew(&elsewhere).await), "session.elsewhere");
    let both = bound.derive(false, asked(&["203.0.113.0/24"])).await.unwrap();
    assert_eq!(both.get("a").await, Err("session.elsewhere"));
}

#[tokio::test]
async fn renewal_follows_the_parent_and_its_own_limit() {
    let house = house().await;
    let owner = house.owner().await;
    let asked = Asked { ttl: Some(HOUR), max_ttl: Some(30 * HOUR), ..Asked::default() };
    let long = owner.derive(false, asked).await.unwrap();
    let before = own(&long).await.unwrap();
    assert!(before.renewable && before.limit.is_some());
    house.pass(1_800_000);
    let after = renew(&long).await.unwrap();
    assert!(after.expires > before.expires);
    assert_eq!(code(renew(&owner).await), "session.not_renewable");
    let end = own(&owner).await.unwrap().expires;
    house.pass(12 * 3_600_000);
    assert_eq!(code(own(&long).await), "auth.required", "the session it hangs on ended at {end:?}");
}

#[tokio::test]
async fn a_sweep_forgets_what_is_over_and_brings_no_first_login_back() {
    let house = house().await;
    let owner = house.owner().await;
    owner.friend("friend", &[]).await;
    owner.session_with("friend", life(Duration::from_secs(2))).await;
    house.pass(2 * 3_600_000);
    assert_eq!(session::sweep(&house.app).await.unwrap(), 1);
    assert_eq!(session::sweep(&house.app).await.unwrap(), 0);
    assert!(own(&owner).await.is_ok());
    house.pass(24 * 3_600_000);
    assert_eq!(session::sweep(&house.app).await.unwrap(), 2);
    assert!(app::bootstrap::owner_login(&house.app, false).await.unwrap().is_none(), "the owner has logged in before");
}

#[tokio::test]
async fn a_session_whose_token_is_refused_is_neither_listed_nor_shown_nor_renewed() {
    let house = house().await;
    let owner = house.owner().await;
    let friend = owner.friend("friend", &["reader"]).await;
    let asked = Asked { ttl: Some(HOUR), max_ttl: Some(30 * HOUR), ..Asked::default() };
    let long = owner.session_with("friend", asked.clone()).await;
    let below = long.derive(false, Asked { ttl: Some(HOUR), ..Asked::default() }).await.unwrap();
    let ids = [own(&friend).await.unwrap().id, own(&long).await.unwrap().id, own(&below).await.unwrap().id];
    let listed = async || {
        let all = owner.act(Act::session_list(), b"", |grant| session::list(grant, None, None)).await;
        let all = all.into_outcome().unwrap().items;
        ids.iter().filter(|id| all.iter().any(|one| one.id == **id)).count()
    };
    let shown = async |id| code(owner.act(Act::session_read(id), b"", session::read).await.into_outcome());
    assert_eq!((listed().await, shown(ids[0]).await), (3, "ok"));
    owner.act(Act::session_revoke(ids[1]), b"", session::revoke).await.into_outcome().unwrap();
    assert_eq!((listed().await, shown(ids[2]).await), (1, "session.not_found"), "what hung on it is over");
    let long = owner.session_with("friend", asked).await;
    let last = own(&long).await.unwrap().id;
    for disabled in [true, false] {
        set(&owner, "friend", disabled).await;
        assert_eq!(code(own(&friend).await), "auth.required");
        assert_eq!((listed().await, shown(ids[0]).await), (0, "session.not_found"), "disabled: {disabled}");
        let renewed = owner.act(Act::session_renew(last), b"", |grant| session::renew(grant, None)).await;
        assert_eq!(code(renewed.into_outcome()), "session.not_found");
    }
    // What is over can still be ended, and one whose time is over is shown with its end.
    owner.act(Act::session_revoke(last), b"", session::revoke).await.into_outcome().unwrap();
    let short = owner.session_with("friend", life(Duration::from_secs(2))).await;
    let id = own(&short).await.unwrap().id;
    house.pass(3_000);
    let over = owner.act(Act::session_read(id), b"", session::read).await.into_outcome().unwrap();
    assert!(over.expires < house.clock.wall(), "{over:?}");
}

/// Makes a principal of another tenant out of an identity of the house's own.
async fn join(owner: &Caller<'_>, name: &str, roles: &[&str], identity: crypto::id::EntityId) -> Result<(), Refusal> {
    let act = Act::principal_write(app::PrincipalName::parse(name).unwrap());
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    owner.act(act, b"", move |grant| principal::put(grant, roles, false, Some(identity))).await.into_outcome().map(drop)
}

async fn members(house: &House) -> (Caller<'_>, Caller<'_>) {
    let home = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let there = house.login(login, Some("other".into())).await;
    (home, there)
}

#[tokio::test]
async fn an_identity_of_the_house_acts_in_the_tenants_that_took_it_in_and_as_what_it_is_there() {
    let house = house().await;
    let (home, there) = members(&house).await;
    let friend = home.friend("friend", &["owner"]).await;
    let identity = own(&friend).await.unwrap().entity;
    assert_eq!(friend.under("other").get("a").await, Err("auth.required"));
    join(&there, "guest", &["reader"], identity).await.unwrap();
    there.put("a", "theirs").await.unwrap();
    let text = r#"permit (principal in Role::"reader", action == Action::"secret.read", resource);"#;
    there.policy("p", text).await.unwrap();
    let guest = friend.under("other");
    assert_eq!(guest.get("a").await.unwrap(), "theirs");
    assert_eq!(code(guest.put("a", "x").await), "policy.denied", "an owner at home is a reader there");
    assert_eq!(friend.get("a").await, Err("secret.not_found"));
    let shown = own(&guest).await.unwrap();
    assert_eq!((shown.principal.as_str(), shown.roles), ("guest", vec!["reader".to_owned()]));
    // Disabled there, or at home: each shuts the door there.
    set(&there, "guest", true).await;
    assert_eq!(guest.get("a").await, Err("auth.required"));
    assert!(own(&friend).await.is_ok());
    set(&there, "guest", false).await;
    assert_eq!(guest.get("a").await.unwrap(), "theirs");
    set(&home, "friend", true).await;
    assert_eq!(guest.get("a").await, Err("auth.required"));
}

async fn set(who: &Caller<'_>, name: &str, disabled: bool) {
    let act = Act::principal_write(app::PrincipalName::parse(name).unwrap());
    let roles = vec!["reader".to_owned()];
    who.act(act, b"", move |grant| principal::put(grant, roles, disabled, None)).await.into_outcome().unwrap();
}

#[tokio::test]
async fn an_identity_is_taken_in_once_and_never_replaces_another() {
    let house = house().await;
    let (home, there) = members(&house).await;
    let identity = own(&home).await.unwrap().entity;
    join(&there, "guest", &[], identity).await.unwrap();
    assert_eq!(code(join(&there, "twin", &[], identity).await), "principal.taken");
    assert_eq!(code(join(&there, "owner", &["owner"], identity).await), "principal.taken");
    assert_eq!(code(join(&home, "x", &[], identity).await), "principal.invalid");
    let theirs = own(&there).await.unwrap().entity;
    join(&there, "guest", &["r"], identity).await.unwrap();
    assert_ne!(theirs, identity);
    // A session of the other tenant's own opens nothing at home, member or not.
    assert_eq!(there.under("main").get("a").await, Err("auth.required"));
}

#[tokio::test]
async fn only_principals_of_main_are_taken_in_and_all_others_are_refused_alike() {
    let house = house().await;
    let (home, there) = members(&house).await;
    let (_, login) = house.tenant("third").await;
    let third = house.login(login, Some("third".into())).await;
    let unknown = crypto::id::EntityId::from_bytes([7; 16]);
    let mut answers = Vec::new();
    for identity in [own(&third).await.unwrap().entity, own(&there).await.unwrap().entity, unknown] {
        answers.push(join(&there, "guest", &["reader"], identity).await.unwrap_err());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].code.name, "principal.invalid");
    let get = Act::principal_read(app::PrincipalName::parse("guest").unwrap());
    let guest = there.act(get, b"", principal::get).await.into_outcome();
    assert_eq!(code(guest), "principal.not_found");
    join(&there, "guest", &["reader"], own(&home).await.unwrap().entity).await.unwrap();
}
