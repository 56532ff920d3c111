//! Lists: pages, order, recursion, and what a caller may not see.

use crate::house::{Caller, code, folder, house};
use app::secret::{Edit, Item, ItemKind, ListQuery, MetadataEdit, list};
use app::{Act, Page};
use ledger::Refusal;
use std::collections::BTreeSet;

async fn page(who: &Caller<'_>, at: &str, query: &ListQuery) -> Result<Page<Item>, Refusal> {
    let query = query.clone();
    who.act(Act::secret_list(folder(at)), b"", |grant| list(grant, query)).await.into_outcome()
}

/// All pages of a list.
async fn all(who: &Caller<'_>, at: &str, mut query: ListQuery) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let found = page(who, at, &query).await.unwrap();
        assert!(query.limit.is_none_or(|limit| found.items.len() <= limit as usize));
        names.extend(found.items.into_iter().map(|item| match item.kind {
            ItemKind::Folder => format!("{}/", item.path),
            ItemKind::Secret { .. } => item.path,
        }));
        query.cursor = match found.next {
            Some(next) => Some(next),
            None => return names,
        };
    }
}

const PATHS: &[&str] = &["a", "b", "c/a", "c/b", "c/d/x", "c/d/y", "c/e", "f/g/h/i", "z"];

#[tokio::test]
async fn pages_of_any_size_join_to_the_same_list() {
    let house = house().await;
    let owner = house.owner().await;
    for at in PATHS {
        owner.put(at, "v").await.unwrap();
    }
    for by_name in [false, true] {
        for limit in [1, 2, 3, 100] {
            let query = ListQuery { limit: Some(limit), by_name, ..ListQuery::default() };
            let flat = all(&owner, "", query.clone()).await;
            let set: BTreeSet<&str> = flat.iter().map(String::as_str).collect();
            assert_eq!(set.len(), flat.len(), "nothing twice");
            assert_eq!(set, BTreeSet::from(["a", "b", "z", "c/", "f/"]));
            let below = all(&owner, "c/", query.clone()).await;
            assert_eq!(below.iter().map(String::as_str).collect::<BTreeSet<_>>(), ["c/a", "c/b", "c/d/", "c/e"].into());
            let deep = all(&owner, "", ListQuery { recursive: true, ..query }).await;
            assert_eq!(deep.len(), PATHS.len());
            assert_eq!(deep.iter().map(String::as_str).collect::<BTreeSet<_>>(), PATHS.iter().copied().collect());
            if by_name {
                assert_eq!(flat, ["a", "b", "z", "c/", "f/"], "secrets by name, then folders by name");
                assert_eq!(below, ["c/a", "c/b", "c/e", "c/d/"]);
            }
        }
    }
    assert!(all(&owner, "nothing", ListQuery::default()).await.is_empty());
}

#[tokio::test]
async fn a_purged_secret_leaves_no_name_and_no_folder() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("c/d/x", "v").await.unwrap();
    owner.put("k", "v").await.unwrap();
    let scope = app::secret::Scope::All;
    let act = Act::secret_purge(crate::house::path("c/d/x"));
    owner.act(act, b"", |grant| app::secret::purge(grant, scope)).await.into_outcome().unwrap();
    assert_eq!(all(&owner, "", ListQuery::default()).await, ["k"]);
    assert_eq!(all(&owner, "", ListQuery { recursive: true, ..ListQuery::default() }).await, ["k"]);
}

#[tokio::test]
async fn leak_13_a_folder_that_may_not_be_listed_is_not_hinted_at() {
    let house = house().await;
    let owner = house.owner().await;
    for at in PATHS {
        owner.put(at, "v").await.unwrap();
    }
    let friend = owner.friend("friend", &["reader"]).await;
    let text = r#"permit (principal in Role::"reader", action == Action::"secret.list", resource in Path::"c");
        forbid (principal in Role::"reader", action, resource in Path::"c/d");"#;
    owner.policy("lists", text).await.unwrap();
    assert_eq!(code(page(&friend, "", &ListQuery::default()).await), "policy.denied");
    assert_eq!(code(page(&friend, "c/d", &ListQuery::default()).await), "policy.denied");
    assert_eq!(code(page(&friend, "nothing", &ListQuery::default()).await), "policy.denied");
    let query = ListQuery { by_name: true, ..ListQuery::default() };
    assert_eq!(all(&friend, "c", query.clone()).await, ["c/a", "c/b", "c/e"]);
    assert_eq!(all(&friend, "c", ListQuery { recursive: true, ..query }).await, ["c/a", "c/b", "c/e"]);
}

#[tokio::test]
async fn a_right_taken_away_between_two_pages_ends_the_way_down() {
    let house = house().await;
    let owner = house.owner().await;
    for at in PATHS {
        owner.put(at, "v").await.unwrap();
    }
    let friend = owner.friend("friend", &["reader"]).await;
    owner.policy("lists", r#"permit (principal in Role::"reader", action, resource in Path::"c");"#).await.unwrap();
    let query = ListQuery { recursive: true, by_name: true, limit: Some(4), ..ListQuery::default() };
    let first = page(&friend, "c", &query).await.unwrap();
    assert_eq!(first.items.last().unwrap().path, "c/d/x");
    owner.policy("not-d", r#"forbid (principal, action, resource in Path::"c/d");"#).await.unwrap();
    let rest = page(&friend, "c", &ListQuery { cursor: first.next, ..query }).await.unwrap();
    assert!(rest.items.is_empty());
}

#[tokio::test]
async fn http_13_a_cursor_serves_its_own_list_only() {
    let house = house().await;
    let owner = house.owner().await;
    for at in PATHS {
        owner.put(at, "v").await.unwrap();
    }
    let query = ListQuery { limit: Some(1), ..ListQuery::default() };
    let next = page(&owner, "c", &query).await.unwrap().next;
    assert!(page(&owner, "c", &ListQuery { cursor: next.clone(), ..query.clone() }).await.is_ok());
    for (at, other) in [
        ("", ListQuery { cursor: next.clone(), ..query.clone() }),
        ("c", ListQuery { cursor: next.clone(), recursive: true, ..query.clone() }),
        ("c", ListQuery { cursor: next.clone(), by_name: true, ..query.clone() }),
        ("c", ListQuery { cursor: next.clone().map(|text| text + "A"), ..query.clone() }),
        ("c", ListQuery { cursor: Some("1; drop table secrets".into()), ..query.clone() }),
    ] {
        assert_eq!(code(page(&owner, at, &other).await), "cursor.invalid");
    }
    let (_, login) = house.tenant("other").await;
    let other = house.login(login, Some("other".into())).await;
    assert_eq!(code(page(&other, "c", &ListQuery { cursor: next, ..query }).await), "cursor.invalid");
}

#[tokio::test]
async fn labels_are_listed_only_to_whoever_may_see_them() {
    let house = house().await;
    let owner = house.owner().await;
    let labels = Edit::Set([("team".to_owned(), "red".to_owned())].into());
    owner.put("t/a", "v").await.unwrap();
    let edit = MetadataEdit { labels, ..MetadataEdit::default() };
    let act = Act::secret_annotate(app::Path::parse("t/a").unwrap());
    owner.act(act, b"", |grant| app::secret::annotate(grant, edit, None)).await.into_outcome().unwrap();
    let list = r#"permit (principal, action == Action::"secret.list", resource);"#;
    owner.policy("list", list).await.unwrap();
    let friend = owner.friend("friend", &[]).await;
    let shown = |page: Page<Item>| match &page.items[0].kind {
        ItemKind::Secret { labels, .. } => labels.len(),
        ItemKind::Folder => panic!("a folder"),
    };
    assert_eq!(shown(page(&owner, "t", &ListQuery::default()).await.unwrap()), 1);
    assert_eq!(shown(page(&friend, "t", &ListQuery::default()).await.unwrap()), 0);
    let see = r#"permit (principal, action == Action::"secret.metadata", resource in Path::"t");"#;
    owner.policy("see", see).await.unwrap();
    assert_eq!(shown(page(&friend, "t", &ListQuery::default()).await.unwrap()), 1);
}

#[tokio::test]
async fn no_policy_is_taken_after_which_the_owner_could_not_mend_it() {
    let house = house().await;
    let owner = house.owner().await;
    for condition in
        ["context.now_ms > 0", "resource is Policy", "!context.tls || context.tls", "principal in Role::\"owner\""]
    {
        let text = format!("forbid (principal, action, resource) when {{ {condition} }};");
        assert_eq!(owner.policy("lock", &text).await.unwrap_err().code.name, "policy.invalid", "{condition}");
    }
    let elsewhere = "forbid (principal, action, resource) when { !(principal in Role::\"owner\") };";
    owner.policy("lock", elsewhere).await.unwrap();
    owner.policy("lock", "forbid (principal, action, resource is Secret);").await.unwrap();
}
