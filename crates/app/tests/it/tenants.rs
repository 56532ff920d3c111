//! Two tenants see nothing of each other.

use crate::house::{House, code, folder, house, path};
use app::access_view::{AccessQuery, query};
use app::secret::{ListQuery, list};
use app::{Act, Refusal, session, tenant};

#[tokio::test]
async fn two_tenants_with_the_same_paths_keep_their_own_values() {
    let house = house().await;
    let ours = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    ours.put("a/b", "ours").await.unwrap();
    assert_eq!(theirs.get("a/b").await, Err("secret.not_found"));
    theirs.put("a/b", "theirs").await.unwrap();
    theirs.put("only/theirs", "x").await.unwrap();
    assert_eq!(ours.get("a/b").await.unwrap(), "ours");
    assert_eq!(theirs.get("a/b").await.unwrap(), "theirs");
    let seen = ours.act(Act::secret_list(folder("")), b"", |grant| list(grant, ListQuery::default())).await;
    assert_eq!(seen.into_outcome().unwrap().items.len(), 1);
    let rows = theirs.act(Act::access_read(), b"", |grant| query(grant, AccessQuery::default())).await;
    let rows = rows.into_outcome().unwrap().items;
    assert!(!rows.is_empty() && rows.iter().all(|row| row.row.row.tenant != house.home));
}

#[tokio::test]
async fn ns_01_a_session_of_one_tenant_is_none_in_another() {
    let house = house().await;
    let ours = house.owner().await;
    let (id, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    ours.put("a", "v").await.unwrap();
    for spelling in ["other".to_owned(), id.to_string()] {
        assert_eq!(ours.under(&spelling).get("a").await, Err("auth.required"));
        assert_eq!(theirs.under(&spelling).get("a").await, Err("secret.not_found"));
    }
    for bad in ["", "root", "OTHER", "other/", "system", "ten_00000000000000000000000000", &"x".repeat(500)] {
        assert_eq!(ours.under(bad).get("a").await, Err("auth.required"), "{bad}");
    }
    let own = theirs.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap();
    let revoked = ours.act(Act::session_revoke(own.id), b"", session::revoke).await;
    assert_eq!(code(revoked.into_outcome()), "session.not_found");
    assert_eq!(theirs.get("a").await, Err("secret.not_found"), "it still lives");
}

async fn entries(who: &crate::house::Caller<'_>) -> app::Reply<app::ledger_view::Entries> {
    who.act(Act::ledger_entries(), b"", |grant| app::ledger_view::entries(grant, 0, None)).await
}

#[tokio::test]
async fn another_tenants_owner_has_no_right_over_the_cluster() {
    let house = house().await;
    let ours = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    ours.put("a", "v").await.unwrap();
    let root = theirs.act(Act::key_rotate_root(), b"", app::keys::rotate_root).await.into_outcome();
    assert_eq!(code(root), "policy.denied");
    let all = entries(&ours).await.into_outcome().unwrap().items;
    assert!(all.iter().all(|entry| entry.sealed.is_some()));
    let some = entries(&theirs).await.into_outcome().unwrap().items;
    assert!(some.len() >= all.len());
    assert!(some.iter().any(|entry| entry.sealed.is_none() && entry.kind.is_none()));
    assert!(some.iter().all(|entry| entry.sealed.is_some() == entry.kind.is_some()));
    assert_eq!(code(theirs.read("a", None).await), "secret.not_found");
    let act = Act::secret_purge(path("a"));
    let purge = theirs.act(act, b"", |grant| app::secret::purge(grant, app::secret::Scope::All)).await;
    assert_eq!(code(purge.into_outcome()), "secret.not_found");
    assert_eq!(ours.get("a").await.unwrap(), "v");
}

#[tokio::test]
async fn path_07_internal_words_are_ordinary_names_and_reach_nothing_internal() {
    let house = house().await;
    let owner = house.owner().await;
    let own = owner.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap();
    let words = ["sys", "core", "root", "_meta", "versions", "system", "owner", "main", "rotation", "id", "entity"];
    let below = [format!("id/{}", own.id), format!("entity/{}", own.entity), "main/owner".to_owned()];
    for at in words.iter().map(|word| (*word).to_owned()).chain(below) {
        assert_eq!(owner.get(&at).await, Err("secret.not_found"), "{at}");
        owner.put(&at, "v").await.unwrap();
        let act = Act::secret_purge(path(&at));
        owner.act(act, b"", |grant| app::secret::purge(grant, app::secret::Scope::All)).await.into_outcome().unwrap();
        assert_eq!(owner.act(Act::session_self(), b"", session::own).await.into_outcome().unwrap(), own);
    }
}

#[tokio::test]
async fn path_10_names_of_policies_principals_and_tenants_are_no_paths() {
    let long = "n".repeat(300);
    for bad in ["../../etc/cron.d/x", "/etc/passwd", "C:", "CON", "a/b", "..", "", ".x", "a\\b", &long] {
        assert!(app::PolicyName::parse(bad).is_err(), "{bad}");
        assert!(app::PrincipalName::parse(bad).is_err(), "{bad}");
        assert_eq!(code(Act::tenant_create(bad)), "tenant.invalid", "{bad}");
    }
    assert_eq!(code(Act::tenant_create("system")), "tenant.invalid");
}

async fn change(
    owner: &crate::house::Caller<'_>,
    name: &str,
    change: tenant::Change,
) -> Result<tenant::Shown, Refusal> {
    let act = Act::tenant_change(name)?;
    owner.act(act, b"", move |grant| tenant::change(grant, change)).await.into_outcome().map(|changed| changed.what)
}

async fn delete(owner: &crate::house::Caller<'_>, name: &str) -> Result<tenant::Shown, Refusal> {
    let act = Act::tenant_delete(name)?;
    owner.act(act, b"", tenant::delete).await.into_outcome().map(|changed| changed.what)
}

fn suspended(yes: bool) -> tenant::Change {
    tenant::Change { suspended: Some(yes), limits: None }
}

fn limits(secrets: Option<u64>, request_rate: Option<u32>) -> tenant::Change {
    tenant::Change { suspended: None, limits: Some(tenant::TenantLimits { secrets, request_rate }) }
}

#[tokio::test]
async fn a_suspended_tenant_answers_nothing_at_once_and_goes_on_as_it_was() {
    let house = house().await;
    let ours = house.owner().await;
    let (id, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    theirs.put("a", "v").await.unwrap();
    assert_eq!(theirs.get("a").await.unwrap(), "v", "remembered from now on");
    change(&ours, "other", suspended(true)).await.unwrap();
    for spelling in ["other".to_owned(), id.to_string()] {
        assert_eq!(theirs.under(&spelling).get("a").await, Err("tenant.suspended"));
    }
    assert_eq!(code(theirs.put("a", "w").await), "tenant.suspended");
    assert_eq!(
        ours.under("other").get("a").await,
        Err("auth.required"),
        "whoever does not belong there learns nothing"
    );
    ours.put("b", "v").await.unwrap();
    assert_eq!(change(&ours, "other", suspended(false)).await.unwrap().state, tenant::TenantState::Active);
    assert_eq!(theirs.get("a").await.unwrap(), "v");
    for (bad, wanted) in [("main", "tenant.invalid"), ("nobody", "tenant.not_found"), ("system", "tenant.invalid")] {
        assert_eq!(code(change(&ours, bad, suspended(true)).await), wanted, "{bad}");
        assert_eq!(code(delete(&ours, bad).await), wanted, "{bad}");
    }
    let act = Act::tenant_change("other").unwrap();
    let own = theirs.act(act, b"", |grant| tenant::change(grant, suspended(true))).await;
    assert_eq!(code(own.into_outcome()), "policy.denied", "an owner of a tenant has no right over tenants");
}

/// Everything stored under the kinds that hold a tenant's own things.
async fn stored(house: &House) -> [usize; 3] {
    let mut counts = [0; 3];
    for (count, kind) in counts.iter_mut().zip([storage::Kind::Key, storage::Kind::Blob, storage::Kind::Record]) {
        let prefix = storage::Key::new(kind, storage::Shard(0), Vec::new());
        *count = house.storage.scan(prefix, None, storage::LIMITS.page_max).await.unwrap().len();
    }
    counts
}

async fn filled(house: &House, name: &str) -> (crypto::id::TenantId, String) {
    let (id, login) = house.tenant(name).await;
    let theirs = house.login(login, Some(name.into())).await;
    for n in 0..45 {
        theirs.put(&format!("f{}/g/{n}", n % 5), "v").await.unwrap();
    }
    theirs.friend("friend", &["reader"]).await;
    theirs.policy("p", r#"permit (principal in Role::"reader", action, resource);"#).await.unwrap();
    (id, theirs.token.clone().unwrap())
}

#[tokio::test]
async fn ns_03_a_deleted_tenant_leaves_nothing_and_its_name_begins_anew() {
    let house = house().await;
    let ours = house.owner().await;
    ours.put("a", "v").await.unwrap();
    let before = stored(&house).await;
    let (id, token) = filled(&house, "other").await;
    let theirs = crate::house::Caller { house: &house, token: Some(token), tenant: Some("other".into()), key: None };
    assert_eq!(theirs.get("f0/g/0").await.unwrap(), "v");
    assert_eq!(delete(&ours, "other").await.unwrap().state, tenant::TenantState::Deleting);
    assert_eq!(theirs.get("f0/g/0").await, Err("auth.required"));
    assert_eq!(theirs.under(&id.to_string()).get("f0/g/0").await, Err("auth.required"));
    assert_eq!(code(delete(&ours, "other").await), "tenant.deleting");
    assert_eq!(code(change(&ours, "other", suspended(false)).await), "tenant.deleting");
    let create = |grant| tenant::create(grant, tenant::TenantLimits::default());
    let again = ours.keyed("again").act(Act::tenant_create("other").unwrap(), b"", create).await;
    assert_eq!(code(again.into_outcome()), "tenant.taken");
    while tenant::run_due(&house.app).await.unwrap() > 0 {}
    let after = stored(&house).await;
    assert_eq!((after[0], after[1]), (before[0], before[1]), "keys and values are gone");
    let (new, login) = house.tenant("other").await;
    assert_ne!(new, id);
    let fresh = house.login(login, Some("other".into())).await;
    assert_eq!(fresh.get("f0/g/0").await, Err("secret.not_found"));
    assert_eq!(theirs.get("f0/g/0").await, Err("auth.required"), "sessions of the first are none of the second");
    let listed = fresh.act(Act::secret_list(folder("")), b"", |grant| list(grant, ListQuery::default())).await;
    assert!(listed.into_outcome().unwrap().items.is_empty());
    assert_eq!(ours.get("a").await.unwrap(), "v");
}

#[tokio::test]
async fn a_deletion_goes_on_after_a_restart_at_any_step() {
    for stop_after in [0, 1, 2, 3, 4, 6] {
        let first = house().await;
        let (storage, clock) = (first.storage.clone(), first.clock.clone());
        let before = {
            let ours = first.owner().await;
            ours.put("a", "v").await.unwrap();
            let before = stored(&first).await;
            filled(&first, "other").await;
            delete(&ours, "other").await.unwrap();
            for _ in 0..stop_after {
                tenant::run_due(&first.app).await.unwrap();
            }
            before
        };
        drop(first);
        let second = crate::house::open(storage, clock, 7).await;
        while tenant::run_due(&second.app).await.unwrap() > 0 {}
        let after = stored(&second).await;
        assert_eq!((after[0], after[1]), (before[0], before[1]), "stopped after {stop_after}");
        let (_, login) = second.tenant("other").await;
        second.login(login, Some("other".into())).await.put("x", "v").await.unwrap();
    }
}

#[tokio::test]
async fn a_tenant_has_as_many_secrets_as_it_may_and_no_more() {
    let house = house().await;
    let ours = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    theirs.put("a/0", "v").await.unwrap();
    change(&ours, "other", limits(Some(3), None)).await.unwrap();
    theirs.put("a/1", "v").await.unwrap();
    theirs.put("b/2", "v").await.unwrap();
    assert_eq!(code(theirs.put("c", "v").await), "tenant.full");
    theirs.put("a/1", "w").await.unwrap();
    let act = Act::secret_purge(path("a/1"));
    theirs.act(act, b"", |grant| app::secret::purge(grant, app::secret::Scope::All)).await.into_outcome().unwrap();
    // What was written a moment ago may not be counted yet, and is counted twice rather than not at all.
    house.pass(10_001);
    theirs.put("c", "v").await.unwrap();
    assert_eq!(code(theirs.put("d", "v").await), "tenant.full");
    ours.put("a/1", "v").await.unwrap();
    change(&ours, "other", limits(None, None)).await.unwrap();
    theirs.put("d", "v").await.unwrap();
}

#[tokio::test]
async fn ns_09_a_tenant_that_asks_too_often_is_slowed_down_alone() {
    let house = house().await;
    let ours = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    theirs.put("a", "v").await.unwrap();
    ours.put("a", "v").await.unwrap();
    assert_eq!(code(change(&ours, "other", limits(None, Some(0))).await), "tenant.invalid");
    change(&ours, "other", limits(None, Some(5))).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(theirs.get("a").await.is_ok());
    }
    assert_eq!(answers, [true, true, true, true, true, false, false, false]);
    assert_eq!(theirs.get("a").await, Err("tenant.quota"));
    for _ in 0..20 {
        ours.get("a").await.unwrap();
    }
    house.pass(1_000);
    assert_eq!(theirs.get("a").await.unwrap(), "v");
}

#[tokio::test]
async fn a_creation_that_a_crash_cut_off_is_finished_by_asking_again() {
    let house = house().await;
    let ours = house.owner().await;
    // The tenant and its keys are one commit, its owner the next.
    house.ledger.create_tenant("half").await.unwrap();
    let create = |grant| tenant::create(grant, tenant::TenantLimits::default());
    let act = || Act::tenant_create("half").unwrap();
    let made = ours.keyed("k").act(act(), b"", create).await.into_outcome().unwrap();
    let same = ours.keyed("k").act(act(), b"", create).await.into_outcome().unwrap();
    assert!(same.replayed && same.what.login.expose() == made.what.login.expose());
    assert_eq!(code(ours.keyed("other").act(act(), b"", create).await.into_outcome()), "tenant.taken");
    house.login(made.what.login, Some("half".into())).await.put("a", "v").await.unwrap();
}

#[tokio::test]
async fn a_full_tenant_stays_full_however_many_write_at_once() {
    let house = house().await;
    let ours = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    change(&ours, "other", limits(Some(5), None)).await.unwrap();
    let paths: Vec<String> = (0..60).map(|n| format!("s/{n}")).collect();
    let answers = futures::future::join_all(paths.iter().map(|path| theirs.put(path, "v"))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5, "{answers:?}");
    assert_eq!(code(theirs.put("more", "v").await), "tenant.full");
}

#[tokio::test]
async fn a_tenants_owner_gets_a_fresh_login_from_the_house() {
    let house = house().await;
    let ours = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    theirs.put("a", "v").await.unwrap();
    let act = || Act::tenant_login("other").unwrap();
    let made = ours.keyed("k").act(act(), b"", tenant::login).await.into_outcome().unwrap();
    assert_eq!(house.login(made.what.login, Some("other".into())).await.get("a").await.unwrap(), "v");
    assert_eq!(code(theirs.keyed("k").act(act(), b"", tenant::login).await.into_outcome()), "policy.denied");
    let main = ours.keyed("m").act(Act::tenant_login("main").unwrap(), b"", tenant::login).await;
    assert_eq!(code(main.into_outcome()), "tenant.invalid");
    let none = ours.keyed("n").act(Act::tenant_login("none").unwrap(), b"", tenant::login).await;
    assert_eq!(code(none.into_outcome()), "tenant.not_found");
}

#[tokio::test]
async fn whoever_runs_the_server_gets_the_owner_in_again() {
    let house = house().await;
    let ours = house.owner().await;
    // Another owner takes everything from the first.
    let rival = ours.friend("rival", &["owner"]).await;
    let owner = || Act::principal_write(::access::PrincipalName::parse("owner").unwrap());
    rival.act(owner(), b"", |grant| app::principal::put(grant, Vec::new(), true, None)).await.into_outcome().unwrap();
    assert_eq!(ours.get("a").await, Err("auth.required"));
    assert!(app::bootstrap::owner_login(&house.app, false).await.unwrap().is_none());
    let login = app::bootstrap::owner_login(&house.app, true).await.unwrap().unwrap();
    let again = house.login(login, None).await;
    again.put("a", "v").await.unwrap();
    again.policy("p", r#"permit (principal in Role::"r", action, resource);"#).await.unwrap();
}
