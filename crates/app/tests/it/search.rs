//! Finding secrets.

use crate::house::{Caller, code, folder, house, until};
use app::secret::{Edit, MetadataEdit, Search, search};
use app::{Act, Page};
use crypto::{Clock, WallMs};
use ledger::Refusal;
use std::collections::BTreeMap;

async fn page(who: &Caller<'_>, at: &str, wanted: Search) -> Result<Page<app::secret::Item>, Refusal> {
    who.act(Act::secret_search(folder(at)), b"", |grant| search(grant, wanted)).await.into_outcome()
}

async fn all(who: &Caller<'_>, at: &str, mut wanted: Search) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = page(who, at, wanted.clone()).await.unwrap();
        found.extend(page.items.into_iter().map(|item| item.path));
        wanted.cursor = page.next;
        if wanted.cursor.is_none() {
            found.sort();
            return found;
        }
    }
}

fn named(name: &str) -> Search {
    Search { name: Some(name.to_owned()), ..Search::default() }
}

fn labelled(name: &str, value: &str) -> Search {
    Search { labels: BTreeMap::from([(name.to_owned(), value.to_owned())]), ..Search::default() }
}

#[tokio::test]
async fn secrets_are_found_by_name_labels_and_expiry() {
    let house = house().await;
    let owner = house.owner().await;
    let soon = WallMs(house.clock.wall().0 + 1_000_000);
    for at in ["a/db/password", "a/db/user", "b/password", "c"] {
        owner.put(at, "v").await.unwrap();
    }
    let label = |value: &str| MetadataEdit {
        labels: Edit::Set(BTreeMap::from([("team".to_owned(), value.to_owned())])),
        ..until(soon)
    };
    owner.put_if("a/labelled", "v", None, label("x")).await.unwrap();
    assert_eq!(all(&owner, "", named("password")).await, ["a/db/password", "b/password"]);
    assert_eq!(all(&owner, "a", named("password")).await, ["a/db/password"]);
    assert_eq!(all(&owner, "", named("*/password")).await, ["b/password"]);
    assert_eq!(all(&owner, "", named("**/db/*")).await, ["a/db/password", "a/db/user"]);
    assert_eq!(all(&owner, "", labelled("team", "x")).await, ["a/labelled"]);
    assert!(all(&owner, "", labelled("team", "y")).await.is_empty());
    let before = |at: u64| Search { expires_before: Some(WallMs(at)), ..Search::default() };
    assert_eq!(all(&owner, "", before(soon.0 + 1)).await, ["a/labelled"]);
    assert!(all(&owner, "", before(soon.0)).await.is_empty());
    let one = Search { limit: Some(1), ..Search::default() };
    assert_eq!(all(&owner, "", one.clone()).await.len(), 5, "page by page");
    let first = page(&owner, "", one).await.unwrap();
    let other = Search { cursor: first.next, ..named("c") };
    assert_eq!(code(page(&owner, "", other).await), "cursor.invalid", "a cursor is of its own question");
    assert_eq!(code(page(&owner, "", named("")).await), "request.invalid");
}

fn made_by(name: &str) -> Search {
    Search { owner: Some(app::PrincipalName::parse(name).unwrap()), ..Search::default() }
}

#[tokio::test]
async fn secrets_are_found_by_who_made_them_and_stay_theirs_when_others_write() {
    let house = house().await;
    let owner = house.owner().await;
    owner.policy("r", r#"permit (principal in Role::"r", action, resource is Secret);"#).await.unwrap();
    let ann = owner.friend("ann", &["r"]).await;
    owner.put("a", "v").await.unwrap();
    ann.put("b", "v").await.unwrap();
    owner.put("b", "w").await.unwrap();
    assert_eq!(all(&owner, "", made_by("ann")).await, ["b"]);
    assert_eq!(all(&owner, "", made_by("owner")).await, ["a"]);
    let both = Search { name: Some("a".into()), ..made_by("ann") };
    assert!(all(&owner, "", both).await.is_empty(), "everything named must fit");
    let seen = page(&owner, "", named("b")).await.unwrap();
    let app::secret::ItemKind::Secret { owner: shown, .. } = &seen.items[0].kind else { panic!("{seen:?}") };
    assert_eq!(shown.as_deref(), Some("ann"));
    let one = Search { limit: Some(1), ..made_by("ann") };
    let first = page(&owner, "", one).await.unwrap();
    let other = Search { cursor: first.next, limit: Some(1), ..made_by("owner") };
    assert_eq!(code(page(&owner, "", other).await), "cursor.invalid", "a cursor is of its own question");
}

#[tokio::test]
async fn an_owner_in_another_tenant_is_nobody_here() {
    let house = house().await;
    let owner = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let other = house.login(login, Some("other".into())).await;
    other.friend("eve", &[]).await;
    other.put("x", "v").await.unwrap();
    owner.put("a", "v").await.unwrap();
    assert!(all(&owner, "", made_by("eve")).await.is_empty());
    assert!(all(&owner, "", made_by("nobody")).await.is_empty(), "as one that is nowhere");
    assert_eq!(all(&owner, "", made_by("owner")).await, ["a"]);
    assert_eq!(all(&other, "", made_by("owner")).await, ["x"]);
}

#[tokio::test]
async fn leak_13_a_search_hints_at_nothing_that_the_caller_may_not_see() {
    let house = house().await;
    let owner = house.owner().await;
    let label = || MetadataEdit {
        labels: Edit::Set(BTreeMap::from([("team".to_owned(), "x".to_owned())])),
        ..until(WallMs(u64::MAX >> 8))
    };
    for at in ["open/a", "names/b", "closed/c", "values/d"] {
        owner.put_if(at, "v", None, label()).await.unwrap();
    }
    let text = r#"permit (principal in Role::"r", action == Action::"secret.list", resource)
            unless { resource in Path::"closed" };
        permit (principal in Role::"r", action == Action::"secret.metadata", resource in Path::"open");
        permit (principal in Role::"r", action == Action::"secret.read", resource in Path::"values");"#;
    owner.policy("r", text).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    assert_eq!(all(&friend, "", Search::default()).await, ["names/b", "open/a", "values/d"]);
    assert_eq!(all(&friend, "", labelled("team", "x")).await, ["open/a", "values/d"]);
    let ending = Search { expires_before: Some(WallMs(u64::MAX)), ..Search::default() };
    assert_eq!(all(&friend, "", ending).await, ["open/a", "values/d"]);
    assert_eq!(all(&friend, "", made_by("owner")).await, ["open/a"], "a value does not say who made it");
    let seen = page(&friend, "names", Search::default()).await.unwrap();
    let app::secret::ItemKind::Secret { labels, expires, owner: made, .. } = &seen.items[0].kind else {
        panic!("{seen:?}")
    };
    assert!(labels.is_empty() && expires.is_none() && made.is_none());
    assert_eq!(code(page(&friend, "closed", Search::default()).await), "policy.denied");
    assert_eq!(code(page(&friend, "closed/none", Search::default()).await), "policy.denied");
    assert_eq!(all(&owner, "", labelled("team", "x")).await.len(), 4, "control");
}
