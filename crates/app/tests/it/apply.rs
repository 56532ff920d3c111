//! Documents that say what there shall be: all of it or nothing.

use crate::house::{Caller, code, house, path};
use app::apply::{Application, Document, First, Planned, Step};
use app::secret::{Edit, MetadataEdit, Recipe};
use app::tenant::{self, Change, TenantLimits, TenantState};
use app::{Act, PolicyName, PrincipalName, Refusal};
use std::sync::Arc;
use storage::{Memory, Transactions};
use testkit::clock::ManualClock;
use testkit::faulty::{Fault, Faulty};

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

fn tenant(name: &str, suspended: Option<bool>, secrets: Option<u64>) -> Document {
    let limits = secrets.map(|secrets| TenantLimits { secrets: Some(secrets), request_rate: None });
    Document::Tenant { name: name.to_owned(), change: Change { suspended, limits } }
}

/// State and number of secrets of a tenant, or the code of the refusal.
async fn seen(owner: &Caller<'_>, name: &str) -> Result<(TenantState, Option<u64>), &'static str> {
    let found = owner.act(Act::tenant_read(name).unwrap(), b"", tenant::get).await.into_outcome();
    found.map(|tenant| (tenant.state, tenant.limits.secrets)).map_err(|refusal| refusal.code.name)
}

/// Logs the owner of a tenant in for the first time.
async fn moved_in<'a>(owner: &Caller<'a>, name: &str) -> Caller<'a> {
    let create = |grant| tenant::create(grant, TenantLimits::default());
    let made = owner.keyed(name).act(Act::tenant_create(name).unwrap(), b"", create).await.into_outcome().unwrap();
    owner.house.login(made.what.login, Some(name.to_owned())).await
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
        (principal("ann", &[]), "apply.invalid", "principal `ann`"),
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
async fn a_plan_tells_whoever_may_not_see_a_secret_nothing_of_it() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("hid/there", "v").await.unwrap();
    let planner = owner.friend("planner", &["planner"]).await;
    let plans =
        r#"permit (principal in Role::"planner", action in [Action::"apply.read", Action::"apply.write"], resource);"#;
    owner.policy("planners", plans).await.unwrap();
    let about = |at: &str, recipe: Option<Recipe>, edit: MetadataEdit| {
        let document = Document::Secret { path: path(at), recipe, edit };
        application("main", vec![document], false)
    };
    let labels = || MetadataEdit {
        labels: Edit::Set([("team".to_owned(), "web".to_owned())].into_iter().collect()),
        ..MetadataEdit::default()
    };
    for at in ["hid/there", "hid/none", "hid"] {
        for (recipe, edit) in [
            (None, MetadataEdit::default()),
            (None, labels()),
            (Some(Recipe::Hex(32)), MetadataEdit::default()),
            (Some(Recipe::Hex(1)), labels()),
        ] {
            let told = [
                plan(&planner, about(at, recipe.clone(), edit.clone())).await,
                apply(&planner, about(at, recipe.clone(), edit.clone())).await,
            ];
            for refused in told.map(Result::unwrap_err) {
                let wanted = "this needs `secret.write` where it is not there, `secret.annotate` where it is";
                assert_eq!((refused.code.name, refused.detail), ("policy.denied", format!("secret `{at}`: {wanted}")));
            }
        }
    }
    // Who may see it is told which right is missing.
    let sees =
        r#"permit (principal in Role::"planner", action == Action::"secret.metadata", resource in Path::"hid");"#;
    owner.policy("sees", sees).await.unwrap();
    for (at, wanted) in [("hid/there", "this needs `secret.annotate`"), ("hid/none", "this needs `secret.write`")] {
        let refused = plan(&planner, about(at, None, labels())).await.unwrap_err();
        assert!(refused.detail.ends_with(wanted), "{}", refused.detail);
    }
}

#[tokio::test]
async fn a_prune_names_nothing_to_whoever_may_neither_see_nor_take_it() {
    let house = house().await;
    let owner = house.owner().await;
    let planner = owner.friend("planner", &["planner"]).await;
    let plans = r#"permit (principal in Role::"planner", action == Action::"apply.read", resource);"#;
    owner.policy("planners", plans).await.unwrap();
    apply(&owner, application("main", vec![secret("hid/c", Some(Recipe::Hex(32)), 5)], false)).await.unwrap();
    let hidden = plan(&planner, application("main", Vec::new(), true)).await.unwrap_err();
    assert_eq!((hidden.code.name, hidden.detail.contains("hid")), ("policy.denied", false), "{}", hidden.detail);
    let act = Act::secret_delete(path("hid/c"));
    owner.act(act, b"", |grant| app::secret::delete(grant, None, None)).await.into_outcome().unwrap();
    assert_eq!(plan(&planner, application("main", Vec::new(), true)).await.unwrap_err(), hidden, "gone or not");
    let sees =
        r#"permit (principal in Role::"planner", action == Action::"secret.metadata", resource in Path::"hid");"#;
    owner.policy("sees", sees).await.unwrap();
    let told = plan(&planner, application("main", Vec::new(), true)).await.unwrap_err();
    assert_eq!(told.detail, "secret `hid/c`: this needs `secret.delete`");
}

#[tokio::test]
async fn what_another_set_names_is_kept_by_a_prune() {
    let house = house().await;
    let owner = house.owner().await;
    apply(&owner, application("s1", first(), false)).await.unwrap();
    let shared = || vec![policy("readers", READERS), principal("ann", &["reader"]), secret("db/password", None, 5)];
    apply(&owner, application("s2", shared(), false)).await.unwrap();
    let ann = owner.session("ann").await;
    let pruned = ["=policy readers", "=principal ann", "-principal bob", "=secret db/password"];
    assert_eq!(plan(&owner, application("s1", Vec::new(), true)).await.unwrap(), pruned);
    assert_eq!(apply(&owner, application("s1", Vec::new(), true)).await.unwrap(), pruned);
    ann.get("db/password").await.unwrap();
    assert!(apply(&owner, application("s1", Vec::new(), true)).await.unwrap().is_empty(), "it is the set's no more");
    // The last set that names it takes it away.
    let gone = ["-policy readers", "-principal ann", "-secret db/password"];
    assert_eq!(apply(&owner, application("s2", Vec::new(), true)).await.unwrap(), gone);
    assert_eq!(ann.get("db/password").await, Err("auth.required"));
}

#[tokio::test]
async fn a_first_application_is_made_once() {
    let house = house().await;
    let login = app::bootstrap::owner_login(&house.app, false).await.unwrap().unwrap();
    let applied = app::apply::first(&house.app, application("init", first(), false)).await.unwrap();
    assert!(matches!(applied, First::Applied(_)), "{applied:?}");
    let owner = house.login(login, None).await;
    assert_eq!(owner.session("ann").await.get("db/password").await.unwrap().len(), 64);
    let again = application("init", vec![principal("eve", &[])], false);
    assert_eq!(app::apply::first(&house.app, again).await.unwrap(), First::Before);
    let eve = Act::principal_read(PrincipalName::parse("eve").unwrap());
    assert_eq!(code(owner.act(eve, b"", app::principal::get).await.into_outcome()), "principal.not_found");
}

#[tokio::test]
async fn a_first_application_leaves_the_owner_what_it_is() {
    let house = house().await;
    let login = app::bootstrap::owner_login(&house.app, false).await.unwrap().unwrap();
    let owner = |roles: &[&str], disabled| {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        Document::Principal { name: PrincipalName::parse("owner").unwrap(), roles, disabled }
    };
    for bad in [owner(&["app"], false), owner(&["owner"], true), owner(&[], true)] {
        let documents = vec![principal("ann", &["owner"]), bad];
        let refused = app::apply::first(&house.app, application("init", documents, false)).await.unwrap_err();
        assert_eq!(refused.code.name, "principal.owner_only");
        assert!(refused.detail.contains("`owner` is an owner"), "{}", refused.detail);
    }
    let good = vec![principal("ann", &["reader"]), owner(&["owner", "app"], false)];
    let applied = app::apply::first(&house.app, application("init", good, false)).await.unwrap();
    assert!(matches!(applied, First::Applied(_)), "nothing of the others was applied: {applied:?}");
    house.login(login, None).await.put("a", "v").await.unwrap();
}

#[tokio::test]
async fn a_house_that_was_used_takes_no_documents_of_a_first_start() {
    for logs_out in [false, true] {
        let house = house().await;
        let owner = house.owner().await;
        if logs_out {
            owner.friend("friend", &[]).await;
            for who in ["owner", "friend"] {
                let mine = owner.session(who).await;
                drop(mine);
            }
            let all = owner.act(Act::session_list(), b"", |grant| app::session::list(grant, None, None)).await;
            let own = owner.act(Act::session_self(), b"", app::session::own).await.into_outcome().unwrap().id;
            let others = all.into_outcome().unwrap().items.into_iter().map(|one| one.id).filter(|id| *id != own);
            for id in others.chain([own]).collect::<Vec<_>>() {
                owner.act(Act::session_revoke(id), b"", app::session::revoke).await.into_outcome().unwrap();
            }
        }
        let late = application("init", vec![principal("eve", &["owner"])], false);
        assert_eq!(app::apply::first(&house.app, late).await.unwrap(), First::TooLate, "logged out: {logs_out}");
    }
}

#[tokio::test]
async fn tenants_are_made_limited_suspended_and_never_deleted() {
    let house = house().await;
    let owner = house.owner().await;
    let both = || vec![tenant("a", None, Some(2)), tenant("b", Some(true), None), principal("ann", &[])];
    let all = ["+tenant a", "+tenant b", "+principal ann"];
    assert_eq!(plan(&owner, application("main", both(), false)).await.unwrap(), all);
    assert_eq!(seen(&owner, "a").await, Err("tenant.not_found"), "a plan does nothing");
    assert_eq!(apply(&owner, application("main", both(), false)).await.unwrap(), all);
    assert_eq!(seen(&owner, "a").await, Ok((TenantState::Active, Some(2))));
    assert_eq!(seen(&owner, "b").await, Ok((TenantState::Suspended, None)));
    let kept = ["=tenant a", "=tenant b", "=principal ann"];
    assert_eq!(apply(&owner, application("main", both(), false)).await.unwrap(), kept);

    let theirs = moved_in(&owner, "a").await;
    theirs.put("x", "v").await.unwrap();
    theirs.put("y", "v").await.unwrap();
    assert_eq!(code(theirs.put("z", "v").await), "tenant.full");
    let more = || vec![tenant("a", None, Some(3)), tenant("b", Some(false), None)];
    assert_eq!(apply(&owner, application("main", more(), false)).await.unwrap(), ["~tenant a", "~tenant b"]);
    house.pass(10_000);
    theirs.put("z", "v").await.unwrap();
    assert_eq!(seen(&owner, "b").await, Ok((TenantState::Active, None)));

    let none = || application("main", Vec::new(), true);
    let pruned = ["-principal ann", "-tenant a", "-tenant b"];
    assert_eq!(plan(&owner, none()).await.unwrap(), pruned);
    assert_eq!(apply(&owner, none()).await.unwrap(), pruned);
    assert_eq!(theirs.get("x").await, Err("tenant.suspended"));
    let again = || vec![tenant("a", None, None)];
    assert_eq!(apply(&owner, application("main", again(), false)).await.unwrap(), ["=tenant a"], "as it is");
    assert_eq!(
        apply(&owner, application("main", vec![tenant("a", Some(false), None)], false)).await.unwrap(),
        ["~tenant a"]
    );
    assert_eq!(theirs.get("x").await.unwrap(), "v", "nothing was lost");
}

#[tokio::test]
async fn tenants_are_for_whoever_may_write_them_in_the_houses_own_tenant() {
    let house = house().await;
    let owner = house.owner().await;
    let one = || application("main", vec![tenant("a", None, None), principal("ann", &[])], false);
    let rights = r#"permit (principal in Role::"admin", action in [Action::"apply.write", Action::"principal.write"], resource);"#;
    owner.policy("admins", rights).await.unwrap();
    let admin = owner.friend("admin", &["admin"]).await;
    let refused = apply(&admin, one()).await.unwrap_err();
    assert_eq!(refused.code.name, "policy.denied");
    assert!(refused.detail.contains("tenant `a`") && refused.detail.contains("tenant.write"), "{}", refused.detail);
    let (_, login) = house.tenant("other").await;
    let theirs = house.login(login, Some("other".into())).await;
    assert_eq!(code(apply(&theirs, one()).await), "policy.denied", "an owner of a tenant has no right over tenants");
    for (bad, wanted) in [
        (tenant("main", Some(true), None), "tenant.invalid"),
        (tenant("system", None, None), "tenant.invalid"),
        (tenant("No Name", None, None), "tenant.invalid"),
    ] {
        assert_eq!(code(apply(&owner, application("main", vec![principal("ann", &[]), bad], false)).await), wanted);
    }
    let zero = TenantLimits { secrets: None, request_rate: Some(0) };
    let bad = Document::Tenant { name: "a".into(), change: Change { suspended: None, limits: Some(zero) } };
    assert_eq!(code(apply(&owner, application("main", vec![bad], false)).await), "tenant.invalid");
    let bad = vec![tenant("a", None, None), policy("broken", "permit (")];
    assert_eq!(code(apply(&owner, application("main", bad, false)).await), "policy.invalid");
    assert_eq!(seen(&owner, "a").await, Err("tenant.not_found"), "nor is a tenant made when another document is wrong");
    let ann = Act::principal_read(PrincipalName::parse("ann").unwrap());
    assert_eq!(code(owner.act(ann, b"", app::principal::get).await.into_outcome()), "principal.not_found");
    let delete = Act::tenant_delete("other").unwrap();
    owner.act(delete, b"", tenant::delete).await.into_outcome().unwrap();
    let late = application("main", vec![tenant("other", Some(false), None)], false);
    assert_eq!(code(apply(&owner, late).await), "tenant.deleting");
}

#[tokio::test]
async fn what_was_applied_is_finished_wherever_it_was_cut_off() {
    let mut cut = 0;
    for fault in [Fault::NotApplied, Fault::AppliedButLost, Fault::DoneThenGone] {
        for call in 0..60 {
            let inner: Arc<Memory> = Arc::new(Memory::new(Transactions::Yes));
            let clock = Arc::new(ManualClock::default());
            let storage = Arc::new(Faulty::new(inner.clone(), []));
            let first = crate::house::open(storage.clone(), clock.clone(), 1).await;
            let owner = first.owner().await;
            storage.fail(storage.calls() + call, fault);
            let documents = vec![tenant("a", Some(true), Some(2)), tenant("b", None, None), principal("ann", &[])];
            let answered = apply(&owner, application("main", documents, false)).await;
            if storage.hit().is_empty() {
                break;
            }
            cut += 1;
            storage.kill();
            drop(first);
            let second = crate::house::open(inner, clock, 2).await;
            while tenant::run_due(&second.app).await.unwrap() > 0 {}
            let names = ["a", "b"];
            let mut there = Vec::new();
            for name in names {
                there.push(second.ledger.tenant_named(name).await.unwrap().map(|one| (one.state, one.limits.secrets)));
            }
            let name = access::principal::record_name(&PrincipalName::parse("ann").unwrap());
            let ann = second.ledger.record(second.home, &name).await.unwrap().is_some();
            let all = [Some((TenantState::Suspended, Some(2))), Some((TenantState::Active, None))];
            assert_eq!(there, if ann { all } else { [None, None] }, "{fault:?} at {call}");
            assert!(ann || answered.is_err(), "{fault:?} at {call}");
        }
    }
    assert!(cut > 20, "{cut}");
}
