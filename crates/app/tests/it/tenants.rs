//! Two tenants see nothing of each other.

use crate::house::{code, folder, house, path};
use app::access_view::{AccessQuery, query};
use app::secret::{ListQuery, list};
use app::{Act, session};

#[tokio::test]
async fn two_tenants_with_the_same_paths_keep_their_own_values() {
    let house = house().await;
    let ours = house.owner().await;
    let (_, login) = app::bootstrap::tenant(&house.app, "other").await.unwrap();
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
    let (id, login) = app::bootstrap::tenant(&house.app, "other").await.unwrap();
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
    let (_, login) = app::bootstrap::tenant(&house.app, "other").await.unwrap();
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
    let house = house().await;
    let long = "n".repeat(300);
    for bad in ["../../etc/cron.d/x", "/etc/passwd", "C:", "CON", "a/b", "..", "", ".x", "a\\b", &long] {
        assert!(app::PolicyName::parse(bad).is_err(), "{bad}");
        assert!(app::PrincipalName::parse(bad).is_err(), "{bad}");
        assert_eq!(code(app::bootstrap::tenant(&house.app, bad).await), "request.invalid", "{bad}");
    }
    assert_eq!(code(app::bootstrap::tenant(&house.app, "system").await), "request.invalid");
}
