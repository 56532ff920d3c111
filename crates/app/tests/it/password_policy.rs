//! Named password policies: written, used, and seen by whoever may.

use crate::house::{Caller, code, house, path};
use app::apply::{Application, Document, apply};
use app::password_policy::{self, Shown};
use app::secret::{Characters, MetadataEdit, Password, Recipe, generate};
use app::{Act, PasswordPolicyName, Refusal};

fn name(text: &str) -> PasswordPolicyName {
    PasswordPolicyName::parse(text).unwrap()
}

fn digits(length: usize) -> Password {
    Password { length, sets: vec![(Characters::Digits, 1)], ..Password::default() }
}

async fn put(who: &Caller<'_>, named: &str, rules: Password) -> Result<Shown, Refusal> {
    let act = Act::password_policy_write(name(named));
    let done = who.act(act, b"", |grant| password_policy::put(grant, rules)).await.into_outcome();
    done.map(|changed| changed.what)
}

async fn made(who: &Caller<'_>, at: &str, named: &str) -> Result<String, &'static str> {
    let recipe = Recipe::Named(name(named));
    let run = move |grant| generate(grant, recipe, None, MetadataEdit::default());
    let done = who.act(Act::secret_generate(path(at)), b"", run).await.into_outcome();
    match done {
        Ok(_) => who.get(at).await,
        Err(refusal) => Err(refusal.code.name),
    }
}

#[tokio::test]
async fn passwords_are_made_by_a_named_policy_as_it_is_then() {
    let house = house().await;
    let owner = house.owner().await;
    assert_eq!(made(&owner, "a", "pins").await, Err("password_policy.not_found"));
    let written = put(&owner, "pins", digits(24)).await.unwrap();
    assert_eq!((written.name.as_str(), &written.rules), ("pins", &digits(24)));
    let first = made(&owner, "a", "pins").await.unwrap();
    assert!(first.len() == 24 && first.bytes().all(|byte| byte.is_ascii_digit()));
    put(&owner, "pins", digits(30)).await.unwrap();
    assert_eq!(owner.get("a").await.unwrap(), first, "what was made stays");
    assert_eq!(made(&owner, "a", "pins").await.unwrap().len(), 30);
    let read = owner.act(Act::password_policy_read(name("pins")), b"", password_policy::get).await;
    assert_eq!(read.into_outcome().unwrap().rules, digits(30));
    let remove = || owner.act(Act::password_policy_remove(name("pins")), b"", password_policy::remove);
    remove().await.into_outcome().unwrap();
    assert_eq!(code(remove().await.into_outcome()), "password_policy.not_found");
    assert_eq!(made(&owner, "a", "pins").await, Err("password_policy.not_found"));
}

#[tokio::test]
async fn rules_by_which_no_password_is_made_are_not_kept() {
    let house = house().await;
    let owner = house.owner().await;
    let empty = Password { exclude: "0123456789".into(), ..digits(30) };
    let greedy = Password { sets: vec![(Characters::Digits, 31)], ..digits(30) };
    let long = |count: usize| Password { exclude: "x".repeat(count), ..digits(30) };
    for bad in [digits(4), digits(5_000), empty, greedy, long(129), Password { sets: Vec::new(), ..digits(30) }] {
        assert_eq!(code(put(&owner, "bad", bad.clone()).await), "password_policy.invalid", "{bad:?}");
    }
    put(&owner, "good", long(128)).await.unwrap();
    for bad in ["", "A", "a/b", "..", "-a"] {
        assert_eq!(code(PasswordPolicyName::parse(bad)), "password_policy.invalid", "{bad}");
    }
}

#[tokio::test]
async fn a_policy_is_used_by_whoever_may_see_it_and_absent_looks_like_denied_to_others() {
    let house = house().await;
    let owner = house.owner().await;
    put(&owner, "pins", digits(24)).await.unwrap();
    owner.policy("w", r#"permit (principal in Role::"w", action in Action::"secret", resource);"#).await.unwrap();
    let friend = owner.friend("friend", &["w"]).await;
    assert_eq!(made(&friend, "a", "pins").await, Err("policy.denied"));
    assert_eq!(made(&friend, "a", "none").await, Err("policy.denied"));
    let see = r#"permit (principal in Role::"w", action == Action::"password_policy.read", resource == PasswordPolicy::"pins");"#;
    owner.policy("see", see).await.unwrap();
    assert_eq!(made(&friend, "a", "pins").await.unwrap().len(), 24);
    assert_eq!(made(&friend, "a", "none").await, Err("policy.denied"));
    assert_eq!(code(put(&friend, "pins", digits(20)).await), "policy.denied");
    let (_, login) = house.tenant("other").await;
    let other = house.login(login, Some("other".into())).await;
    assert_eq!(made(&other, "a", "pins").await, Err("password_policy.not_found"), "a tenant keeps its own");
}

#[tokio::test]
async fn documents_write_password_policies_and_make_secrets_by_them_at_once() {
    let house = house().await;
    let owner = house.owner().await;
    let rules = |length| Document::PasswordPolicy { name: name("pins"), rules: digits(length) };
    let secret = |at: &str, named: &str| Document::Secret {
        path: path(at),
        recipe: Some(Recipe::Named(name(named))),
        edit: MetadataEdit::default(),
    };
    let apply = async |documents: Vec<Document>, prune: bool| {
        let application = Application { set: "main".into(), documents, prune };
        let done = owner.act(Act::apply(), b"", |grant| apply(grant, application)).await.into_outcome();
        done.map(|changed| changed.what.into_iter().map(|one| one.step).collect::<Vec<_>>())
    };
    use app::apply::Step::{Create, Keep, Prune, Update};
    assert_eq!(code(apply(vec![secret("a", "pins")], false).await), "password_policy.not_found");
    assert_eq!(apply(vec![secret("a", "pins"), rules(24)], false).await.unwrap(), [Create, Create]);
    assert_eq!(owner.get("a").await.unwrap().len(), 24);
    assert_eq!(apply(vec![secret("a", "pins"), rules(24)], false).await.unwrap(), [Keep, Keep]);
    assert_eq!(apply(vec![rules(30), secret("b", "pins")], false).await.unwrap(), [Update, Create]);
    assert_eq!(owner.get("b").await.unwrap().len(), 30, "by the rules as they will be");
    assert_eq!(code(apply(vec![rules(3)], false).await), "password_policy.invalid");
    assert_eq!(apply(Vec::new(), true).await.unwrap(), [Prune, Prune, Prune]);
    assert_eq!(made(&owner, "c", "pins").await, Err("password_policy.not_found"));
}
