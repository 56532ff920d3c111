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
        cas: false,
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
    let who = owner.act(Act::policy_who(), b"", |grant| policy::who(grant, Action::SecretRead, resource, false)).await;
    let found: Vec<String> = who.into_outcome().unwrap().into_iter().map(|who| who.principal).collect();
    assert_eq!(found, ["ann", "owner", "tom"]);
    for (name, caller) in callers {
        assert_eq!(caller.get("db/a").await.is_ok(), found.iter().any(|found| found == name), "{name}");
    }
}

#[tokio::test]
async fn what_looks_at_resources_or_circumstances_is_said_to_be_open() {
    let house = house().await;
    let owner = house.owner().await;
    owner.friend("ann", &["reader"]).await;
    let named =
        r#"permit (principal, action == Action::"secret.read", resource) when { resource.name like "*-test" };"#;
    let open = async |changes: Changes| {
        let found = owner.act(Act::policy_diff(), b"", |grant| policy::diff(grant, changes)).await.into_outcome();
        found.unwrap().conditional
    };
    assert!(diff(&owner, put("like", named)).await.unwrap().is_empty());
    assert_eq!(open(put("like", named)).await, ["like"]);
    owner.policy("like", named).await.unwrap();
    assert_eq!(open(remove("like")).await, ["like"]);
    let later = r#"forbid (principal, action == Action::"secret.read", resource) when { context.now_ms > 1 };"#;
    assert_eq!(open(put("later", later)).await, ["later"]);
    assert!(open(put("readers", READERS)).await.is_empty());
}

#[tokio::test]
async fn what_only_the_house_may_is_explained_as_such_in_other_tenants() {
    let house = house().await;
    let _ours = house.owner().await;
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    let ask = |action| Question {
        principal: PrincipalName::parse("owner").unwrap(),
        action,
        resource: Resource::of(action, None).unwrap(),
        source_ip: None,
        at: None,
        tls: None,
        cas: false,
    };
    for action in [Action::SealAdmin, Action::TenantWrite, Action::TenantDelete, Action::BackupCreate] {
        let question = ask(action);
        let told = theirs.act(Act::policy_explain(), b"", |grant| policy::explain(grant, question)).await;
        let told = told.into_outcome().unwrap();
        assert_eq!((told.allowed, told.reason), (false, "home_tenant_only"), "{action}");
    }
    let question = ask(Action::KeyRotate);
    let told = theirs.act(Act::policy_explain(), b"", |grant| policy::explain(grant, question)).await;
    assert!(told.into_outcome().unwrap().allowed);
}

#[tokio::test]
async fn writes_that_name_their_version_are_explained_as_such() {
    let house = house().await;
    let owner = house.owner().await;
    owner.friend("ann", &["writer"]).await;
    let text = r#"permit (principal in Role::"writer", action == Action::"secret.write", resource in Path::"db")
        when { context.cas };"#;
    owner.policy("writers", text).await.unwrap();
    for cas in [false, true] {
        let question = Question {
            principal: PrincipalName::parse("ann").unwrap(),
            action: Action::SecretWrite,
            resource: Resource::Secret(path("db/a")),
            source_ip: None,
            at: None,
            tls: None,
            cas,
        };
        let told = owner.act(Act::policy_explain(), b"", |grant| policy::explain(grant, question)).await;
        assert_eq!(told.into_outcome().unwrap().allowed, cas);
        let resource = Resource::Secret(path("db/a"));
        let who = owner
            .act(Act::policy_who(), b"", move |grant| policy::who(grant, Action::SecretWrite, resource, cas))
            .await;
        assert_eq!(who.into_outcome().unwrap().len(), if cas { 2 } else { 1 });
    }
}

#[tokio::test]
async fn no_forbid_that_looks_at_the_time_can_lock_the_owner_out_later() {
    let house = house().await;
    let owner = house.owner().await;
    let at = |scope: &str| format!("forbid ({scope}) when {{ context.now_ms > 99999999999999 }};");
    for scope in [
        "principal, action, resource",
        r#"principal in Role::"owner", action, resource"#,
        r#"principal, action in Action::"policy", resource is Policy"#,
    ] {
        assert_eq!(code(owner.policy("freeze", &at(scope)).await), "policy.invalid", "{scope}");
    }
    owner.policy("freeze", &at(r#"principal, action in Action::"secret", resource"#)).await.unwrap();
    owner.policy("others", &at(r#"principal in Role::"reader", action, resource"#)).await.unwrap();
}
