//! What is decided, and by which rules.

use crate::support::{TENANT, World, decider, folder, here, policy, secret};
use access::policy::{PolicyV1, PutPolicy, StoredPolicy, record_name};
use access::{
    Action, Decider, Decision, DenyReason, Part, PasswordPolicyName, PolicyName, PolicyStore, PrincipalName,
    RequestContext,
};
use access::{Resource, SessionFacts};

const READ_TEAM1: &str =
    r#"permit (principal in Role::"reader", action == Action::"secret.read", resource in Path::"team1");"#;

fn may_read(decider: &Decider, who: &SessionFacts, path: &str) -> bool {
    decider.decide(who, Action::SecretRead, &secret(path), &here()).is_allow()
}

#[test]
fn a_write_that_names_no_version_is_forbidden_where_a_policy_wants_it_and_nothing_of_that_is_remembered() {
    let store = [
        r#"permit (principal in Role::"team", action in Action::"secret", resource in Path::"");"#,
        r#"forbid (principal, action == Action::"secret.write", resource in Path::"team") unless { context.cas };"#,
        r#"forbid (principal, action == Action::"secret.write", resource) when { resource.name == "x" && !context.cas };"#,
    ];
    let decider = decider(&store);
    let who = World::new().login("team", &["team"]);
    let ask = |path: &str, cas: bool| {
        decider.decide(&who, Action::SecretWrite, &secret(path), &RequestContext { cas, ..here() }).is_allow()
    };
    for _ in 0..3 {
        assert!(ask("team/a", true) && !ask("team/a", false));
        assert!(ask("other/x", true) && !ask("other/x", false));
        assert!(ask("other/y", true) && ask("other/y", false));
    }
}

#[test]
fn an_unknown_tenant_is_denied() {
    let who = World::new().login("alice", &["owner"]);
    let decision = Decider::new().decide(&who, Action::SecretRead, &secret("a"), &here());
    assert!(matches!(decision, Decision::Deny { why: DenyReason::NotLoaded, .. }));
}

#[test]
fn pol_01_without_a_policy_nothing_but_ones_own_is_permitted() {
    let who = World::new().login("alice", &["reader"]);
    let decider = decider(&[]);
    for action in Action::ALL {
        for resource in [secret("a/b"), folder("a"), folder(""), Resource::System(Part::Ledger)] {
            let own = action.group() == "own" && matches!(resource, Resource::System(_));
            assert_eq!(decider.decide(&who, *action, &resource, &here()).is_allow(), own, "{action}");
        }
    }
}

#[test]
fn the_owner_may_do_everything_and_the_rule_is_named() {
    let who = World::new().login("boss", &["owner"]);
    let decider = decider(&[READ_TEAM1]);
    for action in Action::ALL {
        match decider.decide(&who, *action, &secret("x/y"), &here()) {
            Decision::Allow { rules } => assert_eq!(rules.to_vec(), ["aumbry:owner"]),
            other => panic!("{action}: {other:?}"),
        }
    }
}

#[test]
fn pol_02_a_forbid_wins_in_any_order_and_from_any_source() {
    let who = World::new().login("alice", &["reader", "contractor"]);
    let forbid = r#"forbid (principal in Role::"contractor", action, resource in Path::"team1/payroll");"#;
    let both = format!("{forbid}\n{READ_TEAM1}");
    let other = format!("{READ_TEAM1}\n{forbid}");
    for texts in [vec![READ_TEAM1, forbid], vec![forbid, READ_TEAM1], vec![&both], vec![&other]] {
        let decider = decider(&texts);
        let denied = decider.decide(&who, Action::SecretRead, &secret("team1/payroll/key"), &here());
        assert!(matches!(&denied, Decision::Deny { why: DenyReason::Forbidden, rules } if !rules.is_empty()));
        assert!(may_read(&decider, &who, "team1/other"));
    }
}

#[test]
fn pol_02_a_forbid_holds_for_the_owner_too() {
    let who = World::new().login("boss", &["owner"]);
    let decider = decider(&[r#"forbid (principal, action == Action::"secret.purge", resource is Secret);"#]);
    assert!(!decider.decide(&who, Action::SecretPurge, &secret("a"), &here()).is_allow());
    assert!(may_read(&decider, &who, "a"));
}

#[test]
fn pol_03_names_differ_by_case() {
    let who = World::new().login("boss", &["owner"]);
    let decider = decider(&[r#"forbid (principal, action, resource == Secret::"secret/x");"#]);
    assert!(!may_read(&decider, &who, "secret/x"));
    assert!(may_read(&decider, &who, "secret/X"));
}

#[test]
fn pol_04_a_list_is_decided_alike_with_and_without_a_trailing_slash() {
    let who = World::new().login("alice", &["reader"]);
    let decider = decider(&[r#"permit (principal, action == Action::"secret.list", resource in Path::"team1");"#]);
    for (path, allowed) in
        [("team1", true), ("team1/", true), ("team1/a", true), ("team1/a/", true), ("team", false), ("", false)]
    {
        assert_eq!(decider.decide(&who, Action::SecretList, &folder(path), &here()).is_allow(), allowed, "{path}");
    }
}

/// Scope, path of a secret, whether it matches.
const SEGMENTS: &[(&str, &str, bool)] = &[
    (r#"resource in Path::"secret""#, "secret", false),
    (r#"resource in Path::"secret""#, "secretx/a", false),
    (r#"resource in Path::"secret""#, "secret/a", true),
    (r#"resource in Path::"secret""#, "secret/a/b", true),
    (r#"resource in Path::"secret""#, "Secret/a", false),
    (r#"resource in Path::"secret""#, "a/secret/b", false),
    (r#"resource in Path::"secret""#, "secre/a", false),
    (r#"resource in Path::"secret/a""#, "secret/a", false),
    (r#"resource in Path::"secret/a""#, "secret/a/b", true),
    (r#"resource in Path::"secret/a""#, "secret/ab", false),
    (r#"resource in Path::"secret/a""#, "secret/b", false),
    (r#"resource in Path::"secret/a""#, "secret", false),
    (r#"resource in Path::"secret/a""#, "secret/a/b/c/d", true),
    (r#"resource in Path::"""#, "a", true),
    (r#"resource in Path::"""#, "a/b/c", true),
    (r#"resource"#, "any/thing", true),
    (r#"resource is Secret"#, "a", true),
    (r#"resource is Path"#, "a", false),
    (r#"resource is Secret in Path::"a""#, "a/b", true),
    (r#"resource is Secret in Path::"a""#, "a", false),
    (r#"resource is Path in Path::"a""#, "a/b", false),
    (r#"resource == Secret::"a/b""#, "a/b", true),
    (r#"resource == Secret::"a/b""#, "a/b/c", false),
    (r#"resource == Secret::"a/b""#, "a", false),
    (r#"resource in Secret::"a/b""#, "a/b", true),
    (r#"resource in Secret::"a/b""#, "a/b/c", false),
    (r#"resource == Path::"a""#, "a/b", false),
    (r#"resource in Path::"café""#, "café/x", true),
    (r#"resource in Path::"a b""#, "a b/c", true),
    (r#"resource in Path::"a.b""#, "a.b/c", true),
    (r#"resource in Path::"a.b""#, "axb/c", false),
    (r#"resource in Path::"a?""#, "a?/c", true),
    (r#"resource in Path::"a?""#, "ab/c", false),
    (r#"resource in Path::"a+b""#, "a+b/c", true),
    (r#"resource in Path::"a+b""#, "aab/c", false),
    (r#"resource in Path::"[a]""#, "[a]/c", true),
    (r#"resource in Path::"[a]""#, "a/c", false),
    (r#"resource in Path::"..;""#, "..;/c", true),
    (r#"resource in Path::"a""#, "a/*", true),
    (r#"resource in Path::"a/b""#, "a/ b/c", false),
];

#[test]
fn pol_05_scopes_match_whole_segments() {
    let who = World::new().login("boss", &["owner"]);
    for (scope, path, forbidden) in SEGMENTS {
        let actions = r#"action in [Action::"secret.read", Action::"secret.list"]"#;
        let decider = decider(&[&format!("forbid (principal, {actions}, {scope});")]);
        let decision = decider.decide(&who, Action::SecretRead, &secret(path), &here());
        assert_eq!(!decision.is_allow(), *forbidden, "{scope} {path}");
        assert_eq!(decision, decider.decide_by_the_whole(&who, Action::SecretRead, &secret(path), &here()));
    }
}

#[test]
fn pol_07_a_deep_rule_does_not_reach_a_sibling_made_later() {
    let who = World::new().login("alice", &[]);
    let decider = decider(&[r#"permit (principal, action, resource in Path::"team1/app1/deep");"#]);
    assert!(may_read(&decider, &who, "team1/app1/deep/x"));
    for path in ["team1/app2/deep/x", "team2/team1/app1/deep/x", "team1/app1/deeper", "team1/app1/dee"] {
        assert!(!may_read(&decider, &who, path), "{path}");
    }
}

#[test]
fn pol_11_each_action_needs_its_own_right() {
    let who = World::new().login("alice", &[]);
    let all = [
        secret("a/b"),
        folder("a"),
        Resource::Policy(PolicyName::parse("x").unwrap()),
        Resource::PrincipalRecord(PrincipalName::parse("x").unwrap()),
        Resource::PasswordPolicy(PasswordPolicyName::parse("x").unwrap()),
        Resource::System(Part::Keys),
    ];
    for action in Action::ALL.iter().filter(|action| action.group() != "own") {
        let others = Action::ALL.iter().filter(|other| *other != action).map(|other| format!("Action::\"{other}\""));
        let others: Vec<String> = others.collect();
        let decider = decider(&[&format!("permit (principal, action in [{}], resource);", others.join(", "))]);
        for resource in &all {
            assert!(!decider.decide(&who, *action, resource, &here()).is_allow(), "{action}");
        }
    }
}

#[test]
fn pol_14_a_forbid_that_cannot_be_evaluated_denies() {
    let who = World::new().login("boss", &["owner"]);
    // Overflows for every time after 1970.
    let decider = decider(&[
        "forbid (principal, action, resource is Secret) when { context.now_ms * 9223372036854775807 == 1 };",
    ]);
    for _ in 0..3 {
        match decider.decide(&who, Action::SecretRead, &secret("a"), &here()) {
            Decision::Deny { why: DenyReason::Unevaluable, rules } => assert_eq!(rules.to_vec(), ["p0"]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(decider.counters().unevaluable, 3);
}

#[test]
fn pol_14_a_permit_that_cannot_be_evaluated_beside_a_good_one_denies_too() {
    let who = World::new().login("boss", &["owner"]);
    let decider = decider(&[
        "permit (principal, action, resource is Secret) when { 9223372036854775807 + 1 == context.now_ms };",
    ]);
    assert!(!may_read(&decider, &who, "a"));
}

#[test]
fn pol_17_a_rule_of_one_tenant_never_applies_to_another() {
    let mut who = World::new().login("alice", &["reader"]);
    let decider = decider(&[READ_TEAM1]);
    let other = crypto::id::TenantId::from_bytes([8; 16]);
    decider.install(other, 1, PolicyStore::new().snapshot());
    assert!(may_read(&decider, &who, "team1/a"));
    who.tenant = other;
    assert!(!may_read(&decider, &who, "team1/a"));
}

#[test]
fn a_changed_role_bites_at_once() {
    let mut world = World::new();
    let decider = decider(&[READ_TEAM1]);
    for (roles, allowed) in [(&["reader"][..], true), (&[], false), (&["reader"], true), (&["readers"], false)] {
        let who = world.login("alice", roles);
        assert_eq!(may_read(&decider, &who, "team1/a"), allowed, "{roles:?}");
    }
}

#[test]
fn pol_08_a_changed_policy_bites_at_once_and_an_older_generation_never_returns() {
    let who = World::new().login("alice", &["reader"]);
    let decider = decider(&[READ_TEAM1]);
    let old = decider.snapshot(TENANT).unwrap();
    assert!(may_read(&decider, &who, "team1/a"));
    assert!(decider.install(TENANT, 2, PolicyStore::new().snapshot()));
    assert!(!may_read(&decider, &who, "team1/a"));
    assert!(!decider.install(TENANT, 1, old));
    assert!(!may_read(&decider, &who, "team1/a"));
    decider.forget(TENANT);
    let own = Resource::System(Part::Sessions);
    assert!(!decider.decide(&who, Action::SessionOwn, &own, &here()).is_allow());
}

#[test]
fn a_remembered_static_decision_makes_no_cedar_call() {
    let who = World::new().login("alice", &["reader"]);
    let decider = decider(&[
        READ_TEAM1,
        r#"permit (principal, action == Action::"secret.read", resource) when { resource.path like "team1/*" };"#,
        r#"forbid (principal, action == Action::"secret.read", resource) when { resource.name == "never" };"#,
    ]);
    for _ in 0..5 {
        assert!(may_read(&decider, &who, "team1/a"));
    }
    let counters = decider.counters();
    assert_eq!((counters.made, counters.cedar_calls), (1, 1));
    assert!(!may_read(&decider, &who, "team1/never"));
}

#[test]
fn scopes_alone_make_no_cedar_call_at_all() {
    let who = World::new().login("alice", &["reader"]);
    let decider = decider(&[READ_TEAM1]);
    assert!(may_read(&decider, &who, "team1/a"));
    assert_eq!(decider.counters().cedar_calls, 0);
}

#[test]
fn circumstances_are_looked_at_each_time() {
    let who = World::new().login("alice", &["reader"]);
    let decider = decider(&[
        READ_TEAM1,
        r#"forbid (principal in Role::"reader", action, resource)
           when { !context.source_ip.isInRange(ip("10.0.0.0/8")) };"#,
        "forbid (principal, action, resource) unless { context.tls };",
        "permit (principal, action, resource is Secret) when { context.now_ms < 1000 };",
    ]);
    let ask = |cx: &RequestContext| decider.decide(&who, Action::SecretRead, &secret("team1/a"), cx).rules().to_vec();
    let outside = RequestContext { source_ip: [192, 168, 0, 1].into(), ..here() };
    assert_eq!(ask(&here()), ["p0"]);
    assert_eq!(ask(&outside), ["p1"]);
    assert_eq!(ask(&RequestContext { tls: false, ..outside }), ["p1", "p2"]);
    assert_eq!(ask(&RequestContext { now: crypto::WallMs(0), ..here() }), ["p0"], "further permits change nothing");
    assert_eq!(ask(&here()), ["p0"]);
    assert_eq!((decider.counters().made, decider.counters().cedar_calls), (3, 3), "one for each place");
}

#[test]
fn a_policy_this_build_cannot_read_denies_all_but_mending_it() {
    let mut world = World::new();
    let (owner, reader) = (world.login("boss", &["owner"]), world.login("alice", &["reader"]));
    let mut store = PolicyStore::new();
    store.put(policy("readers", READ_TEAM1)).unwrap();
    let name = PolicyName::parse("old").unwrap();
    assert!(store.load(name.clone(), "forbid (principal, action, resource) when { context.gone };").is_some());
    assert!(store.list().iter().any(|listed| listed.broken));
    let decider = Decider::new();
    decider.install(TENANT, 1, store.snapshot());
    let mend = Resource::Policy(name.clone());
    assert!(decider.decide(&owner, Action::PolicyWrite, &mend, &here()).is_allow());
    assert!(!decider.decide(&reader, Action::PolicyWrite, &mend, &here()).is_allow());
    for who in [&owner, &reader] {
        let decision = decider.decide(who, Action::SecretRead, &secret("team1/a"), &here());
        let named = decision.rules().to_vec();
        assert!(matches!(decision, Decision::Deny { why: DenyReason::BrokenPolicy, .. }));
        assert_eq!(named, ["old"]);
    }
    store.remove(&name);
    decider.install(TENANT, 2, store.snapshot());
    assert!(may_read(&decider, &reader, "team1/a"));
}

#[test]
fn a_stored_policy_is_taken_as_checked_only_where_this_build_checked_it() {
    let name = || PolicyName::parse("p").unwrap();
    let valid = policy("p", "forbid (principal, action, resource) when { context.tls };");
    let mut world = World::new();
    world.submit(&ledger::Actor::SYSTEM, &PutPolicy::new(valid)).unwrap();
    let stored = StoredPolicy::decode(&world.records[&record_name(&name())]).unwrap();
    assert!(PolicyStore::new().load_stored(name(), &stored).is_none());
    // The same text as a build before this one stored it, and one that no build of this schema takes.
    let old = |text: &str| StoredPolicy::V1(PolicyV1 { text: text.to_owned(), ..stored.policy().clone() });
    assert!(PolicyStore::new().load_stored(name(), &old(&stored.policy().text)).is_none());
    let gone = old("forbid (principal, action, resource) when { context.gone };");
    let mut store = PolicyStore::new();
    assert!(store.load_stored(name(), &gone).is_some() && store.list().iter().any(|listed| listed.broken));
}
