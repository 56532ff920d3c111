//! Writing many secrets, all or none.

use crate::house::{Caller, House, code, house, path};
use app::Act;
use app::secret::{self, Encoding, Fallen, Imported, MetadataEdit, NewItem, OnConflict};
use crypto::SecretBytes;
use ledger::Refusal;

fn item(value: &[u8]) -> NewItem {
    NewItem { value: SecretBytes::from_slice(value), encoding: Encoding::Text, edit: MetadataEdit::default() }
}

async fn import(who: &Caller<'_>, all: &[(String, Vec<u8>)], on: OnConflict, dry: bool) -> Result<Imported, Refusal> {
    let paths = all.iter().map(|(at, _)| path(at)).collect();
    let items: Vec<NewItem> = all.iter().map(|(_, value)| item(value)).collect();
    let reply = match dry {
        true => {
            who.act(Act::secret_import_check(paths)?, b"", move |grant| secret::import_check(grant, items, on)).await
        }
        false => who.act(Act::secret_import(paths)?, b"", move |grant| secret::import(grant, items, on)).await,
    };
    reply.into_outcome()
}

fn many(count: usize, folder: &str) -> Vec<(String, Vec<u8>)> {
    (0..count).map(|n| (format!("{folder}/{n}"), format!("value {n}").into_bytes())).collect()
}

fn fallen(imported: &Imported) -> Vec<Fallen> {
    imported.items.iter().map(|item| item.fallen).collect()
}

async fn rows_of(house: &House, act: &str) -> Vec<(Option<String>, Option<u64>, String)> {
    let rows = house.rows().await.into_iter().filter(|row| row.act == act);
    rows.map(|row| (row.path, row.version, row.outcome.to_string())).collect()
}

#[tokio::test]
async fn an_import_writes_all_in_one_commit_with_a_row_for_each() {
    let house = house().await;
    let owner = house.owner().await;
    let before = house.ledger.head();
    let all = many(20, "a/b");
    let done = import(&owner, &all, OnConflict::Fail, false).await.unwrap();
    assert_eq!(fallen(&done), vec![Fallen::Written(Some(1)); 20]);
    assert_eq!(house.ledger.head().size - before.size, 20);
    for (at, value) in &all {
        assert_eq!(owner.get(at).await.unwrap().as_bytes(), value);
    }
    let rows = rows_of(&house, "secret.import").await;
    assert_eq!(rows.len(), 20);
    assert!(
        rows.iter().zip(&all).all(|(row, (at, _))| *row == (Some(at.clone()), Some(1), "ok".to_owned())),
        "{rows:?}"
    );
}

#[tokio::test]
async fn pol_12_one_item_that_may_not_be_written_stops_the_whole_import_before_any_effect() {
    let house = house().await;
    let owner = house.owner().await;
    let text = r#"permit (principal in Role::"r", action == Action::"secret.write", resource in Path::"mine");"#;
    owner.policy("r", text).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    let mut all = many(5, "mine");
    all.push(("theirs/x".to_owned(), b"canary".to_vec()));
    let size = house.ledger.head().size;
    let refused = import(&friend, &all, OnConflict::Overwrite, false).await.unwrap_err();
    assert_eq!(refused.code.name, "policy.denied");
    assert!(refused.detail.contains("theirs/x") && !refused.detail.contains("canary"), "{refused}");
    let refused = import(&friend, &all, OnConflict::Overwrite, true).await.unwrap_err();
    assert_eq!(refused.code.name, "policy.denied", "a check shows no more than an import");
    assert_eq!(house.ledger.head().size, size);
    assert_eq!(owner.get("mine/0").await, Err("secret.not_found"));
    let rows = rows_of(&house, "secret.import").await;
    assert_eq!(rows, [(Some("theirs/x".to_owned()), None, "policy.denied".to_owned())]);
}

#[tokio::test]
async fn a_bad_item_is_named_and_nothing_is_written() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a/3", "there").await.unwrap();
    let size = house.ledger.head().size;
    let refused = import(&owner, &many(5, "a"), OnConflict::Fail, false).await.unwrap_err();
    assert_eq!(refused.code.name, "secret.version_conflict");
    assert!(refused.detail.starts_with("item 4, `a/3`: "), "{refused}");
    let mut long = many(3, "b");
    long[1].1 = vec![b'x'; (1 << 20) + 1];
    let refused = import(&owner, &long, OnConflict::Fail, false).await.unwrap_err();
    assert_eq!(refused.code.name, "secret.limit");
    assert!(refused.detail.starts_with("item 2, `b/1`: "), "{refused}");
    let twice = [many(2, "c"), many(1, "c")].concat();
    assert_eq!(code(import(&owner, &twice, OnConflict::Overwrite, false).await), "request.invalid");
    assert_eq!(code(import(&owner, &[], OnConflict::Overwrite, false).await), "request.invalid");
    assert_eq!(house.ledger.head().size, size);
    assert_eq!(owner.get("a/0").await, Err("secret.not_found"));
}

#[tokio::test]
async fn what_is_there_is_skipped_overwritten_or_told() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a/1", "there").await.unwrap();
    let all = many(3, "a");
    let size = house.ledger.head().size;
    let told = import(&owner, &all, OnConflict::Fail, true).await.unwrap();
    assert_eq!(fallen(&told), [Fallen::Written(None), Fallen::Conflict, Fallen::Written(None)]);
    let told = import(&owner, &all, OnConflict::Skip, true).await.unwrap();
    assert_eq!(fallen(&told), [Fallen::Written(None), Fallen::Skipped, Fallen::Written(None)]);
    assert_eq!(house.ledger.head().size, size, "a check writes nothing");
    let done = import(&owner, &all, OnConflict::Skip, false).await.unwrap();
    assert_eq!(fallen(&done), [Fallen::Written(Some(1)), Fallen::Skipped, Fallen::Written(Some(1))]);
    assert_eq!(owner.get("a/1").await.unwrap(), "there");
    let nothing = import(&owner, &all, OnConflict::Skip, false).await.unwrap();
    assert_eq!((nothing.position, fallen(&nothing)), (None, vec![Fallen::Skipped; 3]));
    let keyed = owner.keyed("import");
    let over = import(&keyed, &all, OnConflict::Overwrite, false).await.unwrap();
    assert_eq!(fallen(&over), [2, 2, 2].map(|version| Fallen::Written(Some(version))));
    let again = import(&keyed, &all, OnConflict::Overwrite, false).await.unwrap();
    assert_eq!((fallen(&again), again.replayed), (fallen(&over), true));
    assert_eq!(owner.get("a/1").await.unwrap(), "value 1");
}

#[tokio::test]
async fn an_import_holds_what_one_commit_takes_and_not_one_more() {
    let house = house().await;
    let owner = house.owner().await;
    // 999 secrets and their new folder are the 1,000 records of a commit.
    assert_eq!(import(&owner, &many(999, "a"), OnConflict::Fail, false).await.unwrap().items.len(), 999);
    let refused = import(&owner, &many(1_000, "b"), OnConflict::Fail, false).await.unwrap_err();
    assert_eq!(refused.code.name, "ledger.too_large");
    assert_eq!(owner.get("b/0").await, Err("secret.not_found"));
    assert_eq!(code(import(&owner, &many(1_001, "a"), OnConflict::Fail, false).await), "request.invalid");
    let large = |each: usize| (0..5).map(|n| (format!("l/{n}"), vec![b'x'; each])).collect::<Vec<_>>();
    import(&owner, &large(1 << 20), OnConflict::Fail, false).await.unwrap();
    let six = [large(1 << 20), vec![("l/6".to_owned(), b"x".to_vec())]].concat();
    assert_eq!(code(import(&owner, &six, OnConflict::Overwrite, false).await), "secret.limit");
}

#[tokio::test]
async fn large_imports_at_the_same_time_each_have_a_commit_of_their_own() {
    let house = house().await;
    let owner = house.owner().await;
    let all: Vec<_> = (0..4).map(|n| many(600, &format!("f{n}"))).collect();
    let large: Vec<Vec<_>> =
        (0..3).map(|n| (0..4).map(|m| (format!("l{n}/{m}"), vec![b'x'; 1 << 20])).collect()).collect();
    let imports = all.iter().chain(&large).map(|items| import(&owner, items, OnConflict::Fail, false));
    for done in futures::future::join_all(imports).await {
        done.unwrap();
    }
    for n in 0..4 {
        assert_eq!(owner.get(&format!("f{n}/599")).await.unwrap(), "value 599");
    }
}
