//! Every use case of secrets.

use crate::house::{code, house, path, until};
use app::Act;
use app::secret::{self, Edit, Fate, MetadataEdit, Rollback, Scope, Source};
use crypto::WallMs;

#[tokio::test]
async fn a_value_written_is_read_by_version_and_newest() {
    let house = house().await;
    let owner = house.owner().await;
    let first = owner.put("team/db/password", "one").await.unwrap();
    assert_eq!((first.what.version, first.replayed), (1, false));
    let second = owner.put("team/db/password", "two").await.unwrap();
    assert_eq!(second.what.version, 2);
    assert!(second.position.index > first.position.index);
    assert_eq!(owner.get("team/db/password").await.unwrap(), "two");
    let old = owner.read("team/db/password", Some(1)).await.unwrap();
    assert_eq!((old.value.expose(), old.version), (b"one".as_slice(), 1));
    assert_eq!(code(owner.read("team/db/password", Some(3)).await), "secret.not_found");
    assert_eq!(code(owner.read("team/db", None).await), "secret.not_found");
}

#[tokio::test]
async fn any_bytes_up_to_a_mebibyte_come_back_as_they_were() {
    let house = house().await;
    let owner = house.owner().await;
    let bytes: Vec<u8> = (0..1 << 20).map(|n: u32| n.to_le_bytes()[0]).collect();
    let put = |bytes: Vec<u8>| {
        let value = crypto::SecretBytes::new(bytes);
        let new =
            secret::NewValue { value, encoding: secret::Encoding::Bytes, cas: None, edit: MetadataEdit::default() };
        owner.act(Act::secret_write(path("blob")), b"", |grant| secret::put(grant, new))
    };
    put(bytes.clone()).await.into_outcome().unwrap();
    assert_eq!(owner.read("blob", None).await.unwrap().value.expose(), bytes);
    put(Vec::new()).await.into_outcome().unwrap();
    assert!(owner.read("blob", None).await.unwrap().value.is_empty());
    assert_eq!(code(put(vec![0; (1 << 20) + 1]).await.into_outcome()), "secret.limit");
}

#[tokio::test]
async fn when_a_secret_was_last_read_is_told_after_a_restart_too_and_by_whom_to_auditors_only() {
    let (storage, clock) =
        (std::sync::Arc::new(storage::Memory::new(storage::Transactions::Yes)), std::sync::Arc::default());
    let house = crate::house::open(storage.clone(), std::sync::Arc::clone(&clock), 1).await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    let about = async |who: &crate::house::Caller<'_>| {
        who.act(Act::secret_metadata(path("a")), b"", secret::about).await.into_outcome().unwrap()
    };
    assert_eq!(about(&owner).await.last_read, None);
    house.pass(5_000);
    owner.get("a").await.unwrap();
    let read = about(&owner).await;
    assert_eq!((read.last_read, read.last_reader.as_deref()), (Some(crypto::Clock::wall(&*clock)), Some("owner")));
    let permit = r#"permit (principal in Role::"r", action == Action::"secret.metadata", resource);"#;
    owner.policy("r", permit).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    let seen = about(&friend).await;
    assert_eq!((seen.last_read, seen.last_reader), (read.last_read, None));
    let size = house.ledger.head().size;
    assert_eq!(secret::keep_uses(&house.app).await.unwrap(), 1);
    assert_eq!(
        (secret::keep_uses(&house.app).await.unwrap(), house.ledger.head().size),
        (0, size),
        "no entry comes of it"
    );
    let seen = about(&owner).await;
    assert_eq!((seen.last_read, seen.last_reader), (read.last_read, read.last_reader));
}

#[tokio::test]
async fn notice_of_an_expiry_is_given_a_week_and_a_day_ahead_and_with_it() {
    const DAY: u64 = 86_400_000;
    let house = house().await;
    let owner = house.owner().await;
    let now = crypto::Clock::wall(&*house.clock).0;
    let expires = WallMs(now + 10 * DAY);
    owner.put_if("a", "v", None, until(expires)).await.unwrap();
    owner.put_if("a", "w", None, until(expires)).await.unwrap();
    owner.put_if("moved", "v", None, until(WallMs(now + 9 * DAY))).await.unwrap();
    owner.put_if("moved", "v", None, until(WallMs(now + 400 * DAY))).await.unwrap();
    owner.put_if("hidden", "v", None, until(WallMs(now + 2 * DAY))).await.unwrap();
    owner
        .act(Act::secret_delete(path("hidden")), b"", |grant| secret::delete(grant, None, None))
        .await
        .into_outcome()
        .unwrap();
    let kinds = async || {
        while secret::run_due(&house.app).await.unwrap() > 0 {}
        let entries = house.ledger.entries(0, 512).await.unwrap();
        let facts = entries.iter().map(|entry| house.ledger.open_entry(entry).unwrap().1);
        facts.map(|fact| fact.kind).filter(|kind| kind.starts_with("secret.expir")).collect::<Vec<_>>()
    };
    assert!(kinds().await.is_empty());
    house.pass(3 * DAY);
    assert_eq!(kinds().await, ["secret.expiring"]);
    assert_eq!(kinds().await, ["secret.expiring"], "once");
    house.pass(6 * DAY);
    assert_eq!(kinds().await, ["secret.expiring"; 2]);
    house.pass(DAY - DAY / 24);
    assert_eq!(kinds().await, ["secret.expiring"; 3]);
    house.pass(DAY / 24);
    assert_eq!(kinds().await, ["secret.expiring", "secret.expiring", "secret.expiring", "secret.expired"]);
    house.pass(30 * DAY);
    assert_eq!(kinds().await.len(), 4);
}

#[tokio::test]
async fn a_policy_can_want_that_writes_name_the_version_they_replace() {
    let house = house().await;
    let owner = house.owner().await;
    let text = r#"permit (principal in Role::"r", action in Action::"secret", resource);
        forbid (principal in Role::"r", action == Action::"secret.write", resource) unless { context.cas };"#;
    owner.policy("r", text).await.unwrap();
    let friend = owner.friend("friend", &["r"]).await;
    let put = async |cas: Option<u64>, says: Option<u64>| {
        let value = crypto::SecretBytes::from_slice(b"v");
        let new = secret::NewValue { value, encoding: secret::Encoding::Text, cas, edit: MetadataEdit::default() };
        let act = Act::secret_write(path("a")).replacing(says);
        code(friend.act(act, b"", |grant| secret::put(grant, new)).await.into_outcome())
    };
    assert_eq!(put(None, None).await, "policy.denied");
    assert_eq!(put(Some(0), Some(0)).await, "ok");
    assert_eq!(put(None, None).await, "policy.denied", "nothing of the decision before is remembered");
    assert_eq!(put(None, Some(1)).await, "server.bug", "an act cannot say what it does not do");
    assert_eq!(put(Some(1), Some(1)).await, "ok");
}

#[tokio::test]
async fn a_stale_write_is_a_conflict_and_changes_nothing() {
    let house = house().await;
    let owner = house.owner().await;
    let put = |cas| owner.put_if("a", "v", Some(cas), MetadataEdit::default());
    put(0).await.unwrap();
    assert_eq!(code(put(0).await), "secret.version_conflict");
    let size = house.ledger.head().size;
    assert_eq!(code(put(7).await), "secret.version_conflict");
    assert_eq!(house.ledger.head().size, size);
    assert_eq!(put(1).await.unwrap().what.version, 2);
}

#[tokio::test]
async fn a_rollback_copies_by_version_and_by_time() {
    let house = house().await;
    let owner = house.owner().await;
    let roll = |source, cas| {
        let rollback = Rollback { source, cas };
        owner.act(Act::secret_rollback(path("a")), b"", move |grant| secret::rollback(grant, rollback))
    };
    let mut times = Vec::new();
    for value in ["one", "two", "three"] {
        times.push(owner.put("a", value).await.unwrap().what.created);
        house.pass(1_000);
    }
    assert_eq!(roll(Source::Version(1), Some(3)).await.into_outcome().unwrap().what.version, 4);
    assert_eq!(owner.get("a").await.unwrap(), "one");
    let between = WallMs(times[1].0 + 500);
    assert_eq!(roll(Source::At(between), None).await.into_outcome().unwrap().what.version, 5);
    assert_eq!(owner.get("a").await.unwrap(), "two");
    let about = owner.act(Act::secret_versions(path("a")), b"", secret::about).await.into_outcome().unwrap();
    assert_eq!(about.versions[0].copied_from, Some(2));
    assert_eq!(about.versions[0].author, "owner");
    assert_eq!(code(roll(Source::At(WallMs(times[0].0 - 1)), None).await.into_outcome()), "secret.not_found");
    assert_eq!(code(roll(Source::At(WallMs(u64::MAX)), None).await.into_outcome()), "secret.invalid");
    assert_eq!(code(roll(Source::Version(1), Some(1)).await.into_outcome()), "secret.version_conflict");
    assert_eq!(code(roll(Source::Version(99), None).await.into_outcome()), "secret.not_found");
}

#[tokio::test]
async fn what_is_deleted_is_hidden_and_comes_back() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "one").await.unwrap();
    owner.put("a", "two").await.unwrap();
    let deleted = owner.act(Act::secret_delete(path("a")), b"", |grant| secret::delete(grant, None, None)).await;
    assert_eq!(deleted.into_outcome().unwrap().what.versions, [1, 2]);
    assert_eq!(owner.get("a").await, Err("secret.deleted"));
    assert_eq!(code(owner.read("a", Some(1)).await), "secret.deleted");
    let about = owner.act(Act::secret_metadata(path("a")), b"", secret::about).await.into_outcome().unwrap();
    assert!(about.is_deleted() && about.current.is_none());
    let undeleted = owner.act(Act::secret_undelete(path("a")), b"", |grant| secret::undelete(grant, None)).await;
    assert_eq!(undeleted.into_outcome().unwrap().what.versions, [1, 2]);
    assert_eq!(owner.get("a").await.unwrap(), "two");
    let again = owner.act(Act::secret_undelete(path("a")), b"", |grant| secret::undelete(grant, None)).await;
    assert_eq!(code(again.into_outcome()), "secret.state_conflict");
}

#[tokio::test]
async fn what_is_purged_is_gone_from_the_live_store() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "one").await.unwrap();
    owner.put("a", "two").await.unwrap();
    let count = || async {
        let scan = |kind| house.storage.scan(storage::Key::new(kind, storage::Shard(0), Vec::new()), None, 100);
        (scan(storage::Kind::Key).await.unwrap().len(), scan(storage::Kind::Blob).await.unwrap().len())
    };
    let before = count().await;
    let purge = |scope| owner.act(Act::secret_purge(path("a")), b"", move |grant| secret::purge(grant, scope));
    assert_eq!(purge(Scope::Versions(vec![1])).await.into_outcome().unwrap().what.versions, [1]);
    let after = count().await;
    assert_eq!((after.0 + 1, after.1 + 1), before);
    assert_eq!(code(owner.read("a", Some(1)).await), "secret.purged");
    assert_eq!(owner.get("a").await.unwrap(), "two");
    purge(Scope::All).await.into_outcome().unwrap();
    assert_eq!(count().await, (before.0 - 2, before.1 - 2));
    assert_eq!(owner.get("a").await, Err("secret.not_found"));
    assert_eq!(code(purge(Scope::All).await.into_outcome()), "secret.not_found");
    assert_eq!(owner.put("a", "again").await.unwrap().what.version, 3, "numbers go on");
}

#[tokio::test]
async fn an_expired_secret_says_so_until_it_is_written_again() {
    let house = house().await;
    let owner = house.owner().await;
    let at = owner.put("x", "v").await.unwrap().what.created;
    owner.put_if("a", "v", None, until(WallMs(at.0 + 5_000))).await.unwrap();
    assert!(owner.get("a").await.is_ok());
    house.pass(5_000);
    assert_eq!(owner.get("a").await, Err("secret.expired"));
    let about = owner.act(Act::secret_metadata(path("a")), b"", secret::about).await.into_outcome().unwrap();
    assert_eq!((about.current, about.versions[0].fate), (None, Fate::Expired));
    owner.put("a", "new").await.unwrap();
    assert_eq!(owner.get("a").await.unwrap(), "new");
}

#[tokio::test]
async fn metadata_changes_without_a_new_version() {
    let house = house().await;
    let owner = house.owner().await;
    for _ in 0..4 {
        owner.put("a", "v").await.unwrap();
    }
    let edit = MetadataEdit {
        labels: Edit::Set([("team".to_owned(), "red".to_owned())].into()),
        max_versions: Edit::Set(2),
        ..MetadataEdit::default()
    };
    let annotate = |edit: MetadataEdit| {
        owner.act(Act::secret_annotate(path("a")), b"", move |grant| secret::annotate(grant, edit, None))
    };
    let about = annotate(edit).await.into_outcome().unwrap().what;
    assert_eq!((about.last, about.max_versions, about.versions.len()), (4, 2, 2));
    assert_eq!(about.labels["team"], "red");
    assert_eq!(code(annotate(MetadataEdit::default()).await.into_outcome()), "secret.invalid");
    assert_eq!(owner.read("a", None).await.unwrap().labels["team"], "red");
    assert_eq!(code(owner.read("a", Some(1)).await), "secret.not_found");
}

#[tokio::test]
async fn several_secrets_are_read_at_once_or_none() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "1").await.unwrap();
    owner.put("b", "2").await.unwrap();
    let many = |paths: &[&str]| {
        let act = Act::secret_read_many(paths.iter().map(|text| path(text)).collect()).unwrap();
        owner.act(act, b"", secret::read_many)
    };
    let all = many(&["b", "a"]).await.into_outcome().unwrap();
    assert_eq!(all.iter().map(|one| one.value.expose()).collect::<Vec<_>>(), [b"2", b"1"]);
    let before = house.rows().await.len();
    let refusal = many(&["a", "nothing", "b"]).await.into_outcome().unwrap_err();
    assert_eq!(refusal.code.name, "secret.not_found");
    assert!(refusal.detail.contains("`nothing`"));
    let rows = house.rows().await;
    assert_eq!(rows.len(), before + 1, "nothing was disclosed, one row says why");
    assert_eq!(rows.last().unwrap().path.as_deref(), Some("nothing"));
}
