//! Changing fields of structured values.

use crate::house::{Caller, code, house, path};
use app::secret::{self, Written};
use app::{Act, Changed};
use crypto::SecretBytes;
use ledger::Refusal;

async fn patch(who: &Caller<'_>, at: &str, patch: &str, cas: Option<u64>) -> Result<Changed<Written>, Refusal> {
    let bytes = SecretBytes::from_slice(patch.as_bytes());
    who.act(Act::secret_patch(path(at)), patch.as_bytes(), move |grant| secret::patch(grant, bytes, cas))
        .await
        .into_outcome()
}

#[tokio::test]
async fn a_patch_changes_the_fields_it_names_in_a_new_version() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("db", r#"{"user":"app","old":1,"deep":{"a":1,"b":2}}"#).await.unwrap();
    let changed = patch(&owner, "db", r#"{"old":null,"deep":{"b":3},"port":5432}"#, None).await.unwrap();
    assert_eq!(changed.what.version, 2);
    assert_eq!(owner.get("db").await.unwrap(), r#"{"user":"app","deep":{"a":1,"b":3},"port":5432}"#);
    assert_eq!(code(patch(&owner, "db", "{}", Some(1)).await), "secret.version_conflict");
    assert_eq!(patch(&owner, "db", "{}", Some(2)).await.unwrap().what.version, 3);
    assert_eq!(code(patch(&owner, "none", "{}", None).await), "secret.not_found");
    let once = owner.keyed("same");
    let first = patch(&once, "db", r#"{"n":1}"#, None).await.unwrap();
    let again = patch(&once, "db", r#"{"n":1}"#, None).await.unwrap();
    assert_eq!((first.what.version, again.what.version, again.replayed), (4, 4, true));
}

#[tokio::test]
async fn patches_at_the_same_time_lose_nothing_of_each_other() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("db", "{}").await.unwrap();
    let texts: Vec<String> = (0..6).map(|n| format!("{{\"f{n}\":{n}}}")).collect();
    let all = futures::future::join_all(texts.iter().map(|text| patch(&owner, "db", text, None))).await;
    let done: Vec<bool> = all.iter().map(Result::is_ok).collect();
    let value: String = owner.get("db").await.unwrap();
    for (n, done) in done.iter().enumerate() {
        assert_eq!(value.contains(&format!("\"f{n}\":{n}")), *done, "{value}");
    }
    assert!(done.iter().all(|done| *done), "six writers are within the tries of each: {all:?}");
    assert_eq!(owner.read("db", None).await.unwrap().version, 7);
}

#[tokio::test]
async fn who_may_write_and_not_read_learns_nothing_of_the_value_from_a_patch() {
    let house = house().await;
    let owner = house.owner().await;
    owner
        .policy("blind", r#"permit (principal in Role::"blind", action == Action::"secret.write", resource);"#)
        .await
        .unwrap();
    let blind = owner.friend("blind", &["blind"]).await;
    owner.put("db", r#"{"password":"canary"}"#).await.unwrap();
    let same = patch(&blind, "db", r#"{"password":"canary"}"#, None).await.unwrap();
    let other = patch(&blind, "db", r#"{"password":"other"}"#, None).await.unwrap();
    assert_eq!((same.what.version, other.what.version), (2, 3), "a right guess looks like a wrong one");
    assert_eq!(
        code(blind.get("db").await.map_err(|_| ledger::Refusal::new(&ledger::code::POLICY_DENIED, ""))),
        "policy.denied"
    );
    owner.put("text", "canary").await.unwrap();
    let refused = patch(&blind, "text", "{}", None).await.unwrap_err();
    assert_eq!(refused.code.name, "secret.invalid");
    assert!(!refused.to_string().contains("canary"), "{refused}");
}
