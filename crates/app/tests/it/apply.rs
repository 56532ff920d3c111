//! Documents that say what there shall be: all of it or nothing.

use crate::house::{Caller, code, house, path};
use app::apply::{Application, Document, Planned, Step};
use app::secret::{Edit, MetadataEdit, Recipe};
use app::{Act, PolicyName, PrincipalName, Refusal};

fn policy(name: &str, text: &str) -> Document {
    Document::Policy { name: PolicyName::parse(name).unwrap(), text: text.to_owned() }
}

fn principal(name: &str, roles: &[&str]) -> Document {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    Document::Principal { name: PrincipalName::parse(name).unwrap(), roles, disabled: false }
}

fn secret(at: &str, recipe: Option<Recipe>, kept: u32) -> Document {
    let edit = MetadataEdit { max_versions: Edit::Set(kept), ..MetadataEdit::default() };
    Document::Secret { path: path(at), recipe, edit }
}

fn application(set: &str, documents: Vec<Document>, prune: bool) -> Application {
    Application { set: set.to_owned(), documents, prune }
}

async fn apply(who: &Caller<'_>, application: Application) -> Result<Vec<String>, Refusal> {
    let applied = who.act(Act::apply(), b"", |grant| app::apply::apply(grant, application)).await.into_outcome();
    applied.map(|changed| lines(&changed.what))
}

async fn plan(who: &Caller<'_>, application: Application) -> Result<Vec<String>, Refusal> {
    let planned = who.act(Act::apply_plan(), b"", |grant| app::apply::plan(grant, application)).await.into_outcome();
    planned.map(|steps| lines(&steps))
}

fn lines(steps: &[Planned]) -> Vec<String> {
    let sign = |step| match step {
        Step::Create => '+',
        Step::Update => '~',
        Step::Keep => '=',
        Step::Prune => '-',
    };
    steps.iter().map(|one| format!("{}{} {}", sign(one.step), one.member.kind.word(), one.member.name)).collect()
}

const READERS: &str =
    r#"permit (principal in Role::"reader", action == Action::"secret.read", resource in Path::"db");"#;

fn first() -> Vec<Document> {
    vec![
        policy("readers", READERS),
        principal("ann", &["reader"]),
        principal("bob", &["reader"]),
        secret("db/password", Some(Recipe::Hex(32)), 5),
    ]
}

#[tokio::test]
async fn documents_are_planned_applied_and_then_as_they_shall_be() {
    let house = house().await;
    let owner = house.owner().await;
    let all = ["+policy readers", "+principal ann", "+principal bob", "+secret db/password"];
    assert_eq!(plan(&owner, application("main", first(), false)).await.unwrap(), all);
    assert_eq!(owner.get("db/password").await, Err("secret.not_found"), "a plan does nothing");
    assert_eq!(apply(&owner, application("main", first(), false)).await.unwrap(), all);
    let ann = owner.session("ann").await;
    let value = ann.get("db/password").await.unwrap();
    assert_eq!(value.len(), 64);
    let kept = ["=policy readers", "=principal ann", "=principal bob", "=secret db/password"];
    assert_eq!(apply(&owner, application("main", first(), false)).await.unwrap(), kept);
    assert_eq!(ann.get("db/password").await.unwrap(), value, "what is there is not made again");
    let changed = vec![
        policy("readers", &READERS.replace("\"db\"", "\"db/x\"")),
        principal("ann", &["reader", "writer"]),
        principal("bob", &["reader"]),
        secret("db/password", None, 9),
    ];
    let wanted = ["~policy readers", "~principal ann", "=principal bob", "~secret db/password"];
    assert_eq!(apply(&owner, application("main", changed, false)).await.unwrap(), wanted);
    assert_eq!(ann.get("db/password").await, Err("policy.denied"));
}

#[tokio::test]
async fn what_a_set_no_longer_names_goes_only_when_that_is_asked_for() {
    let house = house().await;
    let owner = house.owner().await;
    apply(&owner, application("main", first(), false)).await.unwrap();
    apply(&owner, application("other", vec![principal("eve", &[])], false)).await.unwrap();
    let (ann, bob) = (owner.session("ann").await, owner.session("bob").await);
    let less = || vec![policy("readers", READERS), principal("ann", &["reader"])];
    assert_eq!(apply(&owner, application("main", less(), false)).await.unwrap().len(), 2);
    bob.get("db/password").await.unwrap();
    let pruned = ["=policy readers", "=principal ann", "-principal bob", "-secret db/password"];
    assert_eq!(plan(&owner, application("main", less(), true)).await.unwrap(), pruned);
    assert_eq!(apply(&owner, application("main", less(), true)).await.unwrap(), pruned);
    assert_eq!(bob.get("db/password").await, Err("auth.required"));
    assert_eq!(ann.get("db/password").await, Err("secret.deleted"));
    assert_eq!(apply(&owner, application("main", less(), true)).await.unwrap(), pruned[..2]);
    assert_eq!(
        apply(&owner, application("main", Vec::new(), true)).await.unwrap(),
        ["-policy readers", "-principal ann"]
    );
    owner.session("eve").await;
}

#[tokio::test]
async fn one_document_that_cannot_be_applied_leaves_all_as_it_was() {
    let house = house().await;
    let owner = house.owner().await;
    let with = |last: Document| {
        let mut documents = first();
        documents.push(last);
        application("main", documents, false)
    };
    for (bad, wanted, named) in [
        (policy("broken", "permit ("), "policy.invalid", "policy `broken`"),
        (secret("db/none", None, 5), "apply.invalid", "secret `db/none`"),
        (secret("db/weak", Some(Recipe::Hex(1)), 5), "secret.invalid", "secret `db/weak`"),
        (policy("shut", "forbid (principal, action, resource);"), "policy.invalid", "owner"),
        (principal("ann", &[]), "apply.invalid", "same thing"),
    ] {
        let refused = apply(&owner, with(bad)).await.unwrap_err();
        assert_eq!(refused.code.name, wanted, "{refused:?}");
        assert!(refused.detail.contains(named), "{}", refused.detail);
    }
    let before = ["+policy readers", "+principal ann", "+principal bob", "+secret db/password"];
    assert_eq!(plan(&owner, application("main", first(), true)).await.unwrap(), before, "nothing of it is there");
    assert_eq!(code(apply(&owner, application("Not A Name", first(), false)).await), "apply.invalid");
}

#[tokio::test]
async fn each_change_needs_its_own_right_too() {
    let house = house().await;
    let owner = house.owner().await;
    let admin = owner.friend("admin", &["admin"]).await;
    let rights = r#"permit (principal in Role::"admin", action in [Action::"apply.write", Action::"principal.write"], resource);"#;
    owner.policy("admins", rights).await.unwrap();
    assert_eq!(
        apply(&admin, application("main", vec![principal("ann", &[])], false)).await.unwrap(),
        ["+principal ann"]
    );
    let refused = apply(&admin, application("main", first(), false)).await.unwrap_err();
    assert_eq!(refused.code.name, "policy.denied");
    assert!(
        refused.detail.contains("policy `readers`") && refused.detail.contains("policy.write"),
        "{}",
        refused.detail
    );
    let refused = apply(&admin, application("main", vec![principal("eve", &["owner"])], false)).await.unwrap_err();
    assert_eq!(refused.code.name, "principal.owner_only");
    apply(&owner, application("main", first(), false)).await.unwrap();
    assert_eq!(code(apply(&admin, application("main", Vec::new(), true)).await), "policy.denied", "nor does pruning");
}

#[tokio::test]
async fn a_first_application_is_made_once() {
    let house = house().await;
    let owner = house.owner().await;
    assert!(app::apply::first(&house.app, application("init", first(), false)).await.unwrap().is_some());
    assert_eq!(owner.session("ann").await.get("db/password").await.unwrap().len(), 64);
    let again = application("init", vec![principal("eve", &[])], false);
    assert!(app::apply::first(&house.app, again).await.unwrap().is_none());
    let eve = Act::principal_read(PrincipalName::parse("eve").unwrap());
    assert_eq!(code(owner.act(eve, b"", app::principal::get).await.into_outcome()), "principal.not_found");
}
