//! What policies say, and what they would say: who, test, diff.

use crate::house::{Caller, code, house, path};
use app::policy::{self, Altered, Changes, Question};
use app::{Act, Action, PolicyName, PrincipalName, Refusal, Resource};

fn put(name: &str, text: &str) -> Changes {
    Changes { put: vec![(PolicyName::parse(name).unwrap(), text.to_owned())], remove: Vec::new() }
}

fn remove(name: &str) -> Changes {
    Changes { put: Vec::new(), remove: vec![PolicyName::parse(name).unwrap()] }
}

async fn diff(owner: &Caller<'_>, changes: Changes) -> Result<Vec<Altered>, Refusal> {
    let found = owner.act(Act::policy_diff(), b"", |grant| policy::diff(grant, changes)).await.into_outcome()?;
    Ok(found.altered)
}

/// Who, which act, on what, with a sign before it.
fn lines(altered: &[Altered]) -> Vec<String> {
    let sign = |allowed| if allowed { '+' } else { '-' };
    altered
        .iter()
        .map(|one| format!("{}{} {} {}", sign(one.allowed), one.principal, one.action, one.resource))
        .collect()
}

const READERS: &str =
    r#"permit (principal in Role::"reader", action == Action::"secret.read", resource in Path::"db");"#;

#[tokio::test]
async fn a_difference_names_whose_access_a_change_gives_and_takes() {
    let house = house().await;
    let owner = house.owner().await;
    owner.friend("ann", &["reader"]).await;
    owner.friend("bob", &["writer"]).await;
    assert_eq!(lines(&diff(&owner, put("readers", READERS)).await.unwrap()), ["+ann secret.read db/*"]);
    assert_eq!(owner.get("x").await, Err("secret.not_found"), "nothing was written");
    owner.policy("readers", READERS).await.unwrap();
    assert_eq!(lines(&diff(&owner, remove("readers")).await.unwrap()), ["-ann secret.read db/*"]);
    assert!(diff(&owner, put("readers", READERS)).await.unwrap().is_empty(), "the same text changes nothing");
    // A forbid below the folder keeps what is below it closed, and that shows.
    let prod = r#"forbid (principal in Role::"reader", action, resource in Path::"db/prod");"#;
    owner.policy("prod", prod).await.unwrap();
    let wider = READERS.replace("reader", "writer");
    assert_eq!(
        lines(&diff(&owner, put("writers", &wider)).await.unwrap()),
        ["+bob secret.read db/*", "+bob secret.read db/prod/*"]
    );
    assert_eq!(lines(&diff(&owner, remove("prod")).await.unwrap()), ["+ann secret.read db/prod/*"]);
    let one = r#"permit (principal in Role::"writer", action == Action::"secret.write", resource == Secret::"db/a");"#;
    assert_eq!(lines(&diff(&owner, put("one", one)).await.unwrap()), ["+bob secret.write db/a"]);
    let keys = r#"permit (principal in Role::"writer", action == Action::"key.read", resource);"#;
    assert_eq!(lines(&diff(&owner, put("keys", keys)).await.unwrap()), ["+bob key.read keys"]);
}

#[tokio::test]
async fn what_cannot_be_written_cannot_be_tried_and_says_which() {
    let house = house().await;
    let owner = house.owner().await;
    let refused = diff(&owner, put("broken", "permit (")).await.unwrap_err();
    assert_eq!(refused.code.name, "policy.invalid");
    assert!(refused.detail.contains("broken"), "{}", refused.detail);
    assert_eq!(code(diff(&owner, remove("nothing")).await), "policy.not_found");
    let twice = Changes { remove: vec![PolicyName::parse("p").unwrap()], ..put("p", READERS) };
    owner.policy("p", READERS).await.unwrap();
    assert_eq!(code(diff(&owner, twice).await), "policy.invalid");
}

#[tokio::test]
async fn questions_are_answered_as_after_a_change_that_is_not_made() {
    let house = house().await;
    let owner = house.owner().await;
    let ann = owner.friend("ann", &["reader"]).await;
    owner.put("db/a", "v").await.unwrap();
    let question = |at: &str| Question {
        principal: PrincipalName::parse("ann").unwrap(),
        action: Action::SecretRead,
        resource: Resource::Secret(path(at)),
        source_ip: None,
        at: None,
        tls: None,
    };
    let ask = |changes: Changes| {
        let questions = vec![question("db/a"), question("x")];
        owner.act(Act::policy_test(), b"", |grant| policy::test(grant, changes, questions))
    };
    let allowed = |answers: Vec<policy::Explained>| answers.iter().map(|answer| answer.allowed).collect::<Vec<_>>();
    assert_eq!(allowed(ask(Changes::default()).await.into_outcome().unwrap()), [false, false]);
    assert_eq!(allowed(ask(put("readers", READERS)).await.into_outcome().unwrap()), [true, false]);
    assert_eq!(ann.get("db/a").await, Err("policy.denied"));
    owner.policy("readers", READERS).await.unwrap();
    assert_eq!(allowed(ask(remove("readers")).await.into_outcome().unwrap()), [false, false]);
    assert_eq!(ann.get("db/a").await.unwrap(), "v");
    let many = (0..1_001).map(|_| question("x")).collect();
    let refused = owner.act(Act::policy_test(), b"", |grant| policy::test(grant, Changes::default(), many)).await;
    assert_eq!(code(refused.into_outcome()), "request.invalid");
}

#[tokio::test]
async fn those_who_may_are_exactly_those_who_do() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("db/a", "v").await.unwrap();
    owner.policy("readers", READERS).await.unwrap();
    let mut callers = Vec::new();
    for (name, roles) in [("ann", &["reader"][..]), ("bob", &[]), ("eve", &["reader"]), ("tom", &["owner"])] {
        callers.push((name, owner.friend(name, roles).await));
    }
    let eve = Act::principal_write(PrincipalName::parse("eve").unwrap());
    owner.act(eve, b"", |grant| app::principal::put(grant, Vec::new(), true, None)).await.into_outcome().unwrap();
    let resource = Resource::Secret(path("db/a"));
    let who = owner.act(Act::policy_who(), b"", |grant| policy::who(grant, Action::SecretRead, resource)).await;
    let found: Vec<String> = who.into_outcome().unwrap().into_iter().map(|who| who.principal).collect();
    assert_eq!(found, ["ann", "owner", "tom"]);
    for (name, caller) in callers {
        assert_eq!(caller.get("db/a").await.is_ok(), found.iter().any(|found| found == name), "{name}");
    }
}
