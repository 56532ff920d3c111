//! Copying and moving secrets.

use crate::house::{Caller, code, folder, house, path, until};
use app::Act;
use app::secret::{self, Copied, Copying};
use crypto::WallMs;
use ledger::Refusal;

async fn tree(who: &Caller<'_>, from: &str, to: &str, moves: bool, overwrite: bool) -> Result<Copied, Refusal> {
    let copying = Copying { to: Some(folder(to)), moves, overwrite };
    let act = Act::secret_copy_folder(folder(from), moves);
    who.act(act, to.as_bytes(), |grant| secret::copy(grant, copying)).await.into_outcome()
}

async fn one(who: &Caller<'_>, from: &str, to: &str, moves: bool) -> Result<Copied, Refusal> {
    let copying = Copying { to: None, moves, overwrite: false };
    let act = Act::secret_copy(&path(from), &path(to), moves);
    who.act(act, b"", |grant| secret::copy(grant, copying)).await.into_outcome()
}

#[tokio::test]
async fn a_copy_stands_on_its_own_with_what_goes_with_it() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put_if("a", "one", None, until(WallMs(u64::MAX >> 8))).await.unwrap();
    owner.put("a", "two").await.unwrap();
    let done = one(&owner, "a", "b/c", false).await.unwrap();
    assert_eq!((done.items.len(), done.items[0].version), (1, 1));
    assert_eq!(owner.read("b/c", None).await.unwrap().expires, Some(WallMs(u64::MAX >> 8)));
    owner
        .act(Act::secret_purge(path("a")), b"", |grant| secret::purge(grant, secret::Scope::All))
        .await
        .into_outcome()
        .unwrap();
    assert_eq!(owner.get("b/c").await.unwrap(), "two", "no key or value is shared");
    let rows: Vec<_> = house.rows().await.into_iter().filter(|row| row.act == "secret.copy").collect();
    let named: Vec<_> = rows.iter().map(|row| (row.path.as_deref(), row.version)).collect();
    assert_eq!(named, [(Some("a"), Some(2)), (Some("b/c"), Some(1))]);
    assert_eq!(code(one(&owner, "b/c", "b/c", false).await), "request.invalid");
    assert_eq!(code(one(&owner, "none", "x", false).await), "secret.not_found");
    owner.put("x", "there").await.unwrap();
    assert_eq!(code(one(&owner, "b/c", "x", true).await), "secret.version_conflict");
    assert_eq!(owner.get("b/c").await.unwrap(), "two", "a move that is refused hides nothing");
}

#[tokio::test]
async fn a_folder_moves_whole_and_its_sources_can_be_brought_back() {
    let house = house().await;
    let owner = house.owner().await;
    for at in ["t/a", "t/b/c", "t/b/d", "t/gone", "t"] {
        owner.put(at, at).await.unwrap();
    }
    owner
        .act(Act::secret_delete(path("t/gone")), b"", |grant| secret::delete(grant, None, None))
        .await
        .into_outcome()
        .unwrap();
    let done = tree(&owner, "t", "new/place", true, false).await.unwrap();
    let mut moved: Vec<_> = done.items.iter().map(|item| item.to.to_string()).collect();
    moved.sort();
    assert_eq!(moved, ["new/place/a", "new/place/b/c", "new/place/b/d"]);
    assert_eq!(done.left_out, [path("t/gone")]);
    assert_eq!(owner.get("new/place/b/c").await.unwrap(), "t/b/c");
    assert_eq!(owner.get("t/b/c").await, Err("secret.deleted"));
    assert_eq!(owner.get("t").await.unwrap(), "t", "the secret of the folder's own name is none below it");
    owner
        .act(Act::secret_undelete(path("t/b/c")), b"", |grant| secret::undelete(grant, None))
        .await
        .into_outcome()
        .unwrap();
    assert_eq!(owner.get("t/b/c").await.unwrap(), "t/b/c");
    for (from, to) in [("t", "t"), ("t", "t/b"), ("t/b", "t"), ("", "x"), ("x", "")] {
        assert_eq!(code(tree(&owner, from, to, false, true).await), "request.invalid", "{from} {to}");
    }
    let keyed = owner.keyed("move");
    let first = tree(&keyed, "new", "newer", true, false).await.unwrap();
    let again = tree(&keyed, "new", "newer", true, false).await.unwrap();
    assert!(again.replayed && again.items == first.items && again.items.len() == 3, "{again:?}");
    assert_eq!(code(tree(&keyed, "new", "other", true, false).await), "idempotency.reused");
    assert_eq!(tree(&owner, "nothing", "else", false, false).await.unwrap().position, None);
}

#[tokio::test]
async fn pol_12_each_right_on_each_secret_is_asked_for_before_any_effect() {
    let house = house().await;
    let owner = house.owner().await;
    for at in ["t/a", "t/b", "t/c"] {
        owner.put(at, "canary").await.unwrap();
    }
    let permit = |act: &str, at: &str| {
        format!("permit (principal in Role::\"r\", action == Action::\"{act}\", resource in Path::\"{at}\");")
    };
    let all = [("secret.list", "t"), ("secret.read", "t"), ("secret.write", "u"), ("secret.delete", "t")];
    for missing in 0..all.len() {
        let rights = all.iter().enumerate().filter(|(at, _)| *at != missing);
        let text: String = rights.map(|(_, (act, at))| permit(act, at)).collect();
        owner.policy("r", &text).await.unwrap();
        let friend = owner.friend("friend", &["r"]).await;
        let size = house.ledger.head().size;
        assert_eq!(code(tree(&friend, "t", "u", true, false).await), "policy.denied", "without {:?}", all[missing]);
        assert_eq!(house.ledger.head().size, size);
    }
    let mut text: String = all.iter().map(|(act, at)| permit(act, at)).collect();
    text += "forbid (principal in Role::\"r\", action == Action::\"secret.write\", resource == Secret::\"u/b\");";
    owner.policy("r", &text).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    let size = house.ledger.head().size;
    let refused = tree(&friend, "t", "u", true, false).await.unwrap_err();
    assert!(
        refused.code.name == "policy.denied" && refused.detail.contains("u/b") && !refused.detail.contains("canary")
    );
    assert_eq!(house.ledger.head().size, size);
    let row = house.rows().await.pop().unwrap();
    assert_eq!((row.path.as_deref(), &*row.outcome), (Some("u/b"), "policy.denied"));
    owner.policy("r", &all.iter().map(|(act, at)| permit(act, at)).collect::<String>()).await.unwrap();
    assert_eq!(tree(&friend, "t", "u", true, false).await.unwrap().items.len(), 3, "control: with all rights it goes");
}

#[tokio::test]
async fn leak_13_what_may_not_be_listed_is_neither_copied_nor_told() {
    let house = house().await;
    let owner = house.owner().await;
    for at in ["t/a", "t/hidden/b"] {
        owner.put(at, "v").await.unwrap();
    }
    let text = r#"permit (principal in Role::"r", action in Action::"secret", resource);
        forbid (principal in Role::"r", action, resource in Path::"t/hidden");"#;
    owner.policy("r", text).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    let done = tree(&friend, "t", "u", false, false).await.unwrap();
    assert_eq!((done.items.len(), done.left_out.len()), (1, 0));
}

#[tokio::test]
async fn a_copy_takes_what_one_commit_takes_and_not_one_more() {
    let house = house().await;
    let owner = house.owner().await;
    let item = || secret::NewItem {
        value: crypto::SecretBytes::from_slice(b"v"),
        encoding: secret::Encoding::Text,
        edit: secret::MetadataEdit::default(),
    };
    let import = async |names: std::ops::Range<usize>| {
        let paths: Vec<_> = names.map(|n| path(&format!("t/{n}"))).collect();
        let items = paths.iter().map(|_| item()).collect();
        let act = Act::secret_import(paths).unwrap();
        owner
            .act(act, b"", |grant| secret::import(grant, items, secret::OnConflict::Fail))
            .await
            .into_outcome()
            .unwrap();
    };
    import(0..499).await;
    assert_eq!(tree(&owner, "t", "moved", true, false).await.unwrap().items.len(), 499);
    import(499..999).await;
    import(999..1498).await;
    assert_eq!(tree(&owner, "t", "copy", false, false).await.unwrap().items.len(), 999);
    import(1498..1499).await;
    assert_eq!(code(tree(&owner, "t", "again", false, false).await), "secret.limit");
    assert_eq!(code(tree(&owner, "copy", "further", true, false).await), "ledger.too_large");
    assert_eq!(owner.get("further/500").await, Err("secret.not_found"));
}
