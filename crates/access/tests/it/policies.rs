//! What is taken as a policy, and what a refusal says.

use crate::support::{World, decider, here, policy, refusal, secret};
use access::limits::{POLICY_BYTES_MAX, POLICY_OPERATORS_MAX, POLICY_STATEMENTS_MAX};
use access::{Action, Decision, DenyReason, PolicyName, PolicyStore, ValidPolicy};

#[test]
fn a_refusal_names_the_line_and_never_the_whole_text() {
    let planted = "hunter2".repeat(40);
    for (text, line) in [
        ("permit (principal, action, resource)\n".to_owned(), "line"),
        ("permit (principal, action, resource);\n\nforbid (principle, action, resource);".to_owned(), "line 3"),
        (
            "permit (principal, action, resource);\n\npermit (principal, action, resource)\nwhen { context.risk > 3 };"
                .to_owned(),
            "line 4",
        ),
        (format!("permit (principal, action, resource);\n\"{planted}\";"), "line 2"),
        (format!("permit (principal, action, resource in Path::\"{planted}/\");"), "statement 1"),
        ("permit (principal, action == Action::\"secret.raed\", resource);".to_owned(), "line 1"),
    ] {
        let why = refusal(&text);
        assert_eq!(why.code.name, "policy.invalid");
        assert!(why.detail.contains(line), "{}", why.detail);
        assert!(why.detail.chars().count() < 300 && !why.detail.contains(&planted), "{}", why.detail);
        assert!(!why.detail.contains("policy0") && !why.detail.contains("policy1"), "{}", why.detail);
    }
}

#[test]
fn templates_are_refused() {
    for text in [
        "permit (principal == ?principal, action, resource);",
        "permit (principal, action, resource in ?resource);",
        "permit (principal, action, resource);\npermit (principal in ?principal, action, resource);",
    ] {
        assert!(refusal(text).detail.contains("template"), "{text}");
    }
}

#[test]
fn pol_09_unknown_names_and_texts_past_a_limit_are_refused() {
    for text in [
        "",
        "// nothing\n",
        "permit (principal, action, resource",
        "allow (principal, action, resource);",
        "permit (principal, action == Action::\"secret.fly\", resource);",
        "permit (principal, action in Action::\"everything\", resource);",
        "permit (principal in Group::\"x\", action, resource);",
        "permit (principal, action, resource is Bucket);",
        "permit (principal, action, resource) when { principal.age > 3 };",
        "permit (principal, action, resource) when { context.risk > 3 };",
        "permit (principal, action, resource) when { context.tls == 1 };",
        "permit (principal, action, resource) when { context.source_ip.isInRange(\"10.0.0.0/8\") };",
        "permit (principal, action, resource) when { ip(\"10.0.0.0/33\").isIpv4() };",
        "@id(\"a\") @id(\"b\") permit (principal, action, resource);",
    ] {
        refusal(text);
    }
    let one = "permit (principal, action, resource);";
    refusal(&one.repeat(POLICY_STATEMENTS_MAX + 1));
    policy("p", &one.repeat(POLICY_STATEMENTS_MAX));
    refusal(&format!("{one}//{}", "x".repeat(POLICY_BYTES_MAX)));
    refusal(&one.repeat(10_000));
    refusal(&one.repeat(30_000));
}

#[test]
fn rules_that_can_never_apply_are_refused() {
    for text in [
        "forbid (principal, action == Action::\"secret.read\", resource is Policy);",
        "forbid (principal, action == Action::\"secret.list\", resource is Secret);",
        "forbid (principal, action == Action::\"secret\", resource);",
        "forbid (principal, action, resource) when { false };",
        "forbid (principal in Path::\"x\", action, resource);",
        "forbid (principal, action, resource in Role::\"x\");",
        "forbid (principal, action, resource == System::\"legder\");",
    ] {
        refusal(text);
    }
}

#[test]
fn pol_05_names_no_request_can_carry_are_refused() {
    for scope in [
        "in Path::\"team1/\"",
        "in Path::\"/team1\"",
        "in Path::\"team1//a\"",
        "in Path::\"/\"",
        "in Path::\"a/../b\"",
        "in Path::\"team1/*\"",
        "in Path::\"*\"",
        "in Path::\"a/+/b\"",
        "in Path::\"cafe\u{301}\"",
        "in Path::\"a%2fb\"",
        "== Secret::\"\"",
        "== Secret::\"a/\"",
        "== Secret::\"a/*\"",
        "== Policy::\"Root\"",
        "== PrincipalRecord::\"Alice\"",
    ] {
        let why = refusal(&format!("forbid (principal, action, resource {scope});"));
        assert!(why.detail.contains("statement 1"), "{scope}: {}", why.detail);
    }
    refusal("forbid (principal == Principal::\"alice\", action, resource is Secret);");
    refusal("forbid (principal in Role::\"Admins\", action, resource is Secret);");
    refusal("permit (principal, action == Action::\"secret.read\", resource) when { resource in Path::\"team1/\" };");
    policy(
        "p",
        "forbid (principal, action == Action::\"secret.read\", resource) when { resource.path like \"team1/*/db\" };",
    );
    policy("p", "permit (principal == Principal::\"ent_01hz6yy082c5h66s35cskpgtba\", action, resource in Path::\"\");");
}

#[test]
fn conditions_look_no_further_than_the_request() {
    let when = |condition: &str| {
        format!("permit (principal, action == Action::\"secret.read\", resource) when {{ {condition} }};")
    };
    refusal(&when("Path::\"a\" in Path::\"b\""));
    refusal(&when("Secret::\"a\".name == \"a\""));
    policy("p", &when("resource in Path::\"b\" && principal in Role::\"x\""));
}

#[test]
fn a_forbid_that_locks_every_owner_out_of_policies_is_refused() {
    refusal("forbid (principal, action, resource);");
    refusal("forbid (principal in Role::\"owner\", action in Action::\"policy\", resource is Policy);");
    policy("p", "forbid (principal, action, resource is Secret);");
    policy("p", "forbid (principal, action, resource) unless { context.tls };");
    policy("p", "forbid (principal in Role::\"contractor\", action, resource);");
}

#[test]
fn no_text_exhausts_the_stack() {
    let worst = |condition: String| format!("permit (principal, action, resource) when {{ {condition} }};");
    let deep = 10_000;
    for condition in [
        format!("{}true{}", "(".repeat(deep), ")".repeat(deep)),
        format!("{}1{}", "[".repeat(deep), "]".repeat(deep)),
        format!("{}true", "!".repeat(deep)),
        format!("{}true{}", "if true then ".repeat(1_500), " else false".repeat(1_500)),
        format!("true{}", " && true".repeat(3_000)),
        format!("context{}", ".a".repeat(10_000)),
        format!("{}1 == 1", "-".repeat(deep)),
        format!("1{} == 1", " + 1".repeat(5_000)),
        format!("{}1{}", "{a:".repeat(2_000), "}".repeat(2_000)),
    ] {
        refusal(&worst(condition));
    }
    // The deepest that the bounds let through, in a thread as small as a worker's.
    let most = POLICY_OPERATORS_MAX;
    for condition in [
        format!("context.tls{}", " && context.tls".repeat(most / 2 - 1)),
        format!("1{} == context.now_ms", " + 1".repeat(most - 1)),
        format!("{}context.tls{}", "(".repeat(23), ")".repeat(23)),
        format!("{}context.tls{}", "if context.tls then ".repeat(23), " else context.tls".repeat(23)),
        format!("context{}", ".a".repeat(most)),
        format!("{}true{} && true", "[".repeat(23), "]".repeat(23)) + &" && true".repeat(most - 1),
    ] {
        let text = worst(condition);
        let parse = move || {
            let parsed = ValidPolicy::parse(PolicyName::parse("p").unwrap(), &text);
            assert!(parsed.as_ref().err().is_none_or(|why| !why.detail.contains("more than")), "{parsed:?}");
        };
        std::thread::Builder::new().stack_size(2 << 20).spawn(parse).unwrap().join().unwrap();
    }
}

#[test]
fn the_deepest_condition_taken_can_be_evaluated_on_a_workers_stack() {
    let sum = format!("1{} < context.now_ms", " + 1".repeat(POLICY_OPERATORS_MAX - 1));
    let decide = move || {
        let who = World::new().login("boss", &["owner"]);
        let decider = decider(&[&format!("forbid (principal, action, resource is Secret) when {{ {sum} }};")]);
        let decision = decider.decide(&who, Action::SecretRead, &secret("a"), &here());
        assert!(matches!(decision, Decision::Deny { why: DenyReason::Forbidden, .. }), "{decision:?}");
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(decide).unwrap().join().unwrap();
}

#[test]
fn built_in_policies_are_listed_and_cannot_be_named() {
    let store = PolicyStore::new();
    let names: Vec<String> = store.list().iter().map(|listed| listed.name.to_string()).collect();
    assert_eq!(names, ["aumbry:owner", "aumbry:self"]);
    assert!(store.policy("aumbry:owner").unwrap().text.contains("permit"));
    assert_eq!(PolicyName::parse("aumbry:owner").unwrap_err().code.name, "policy.built_in");
}

#[test]
fn the_schema_shown_names_every_action() {
    let text = access::policy::schema_text();
    for action in Action::ALL {
        assert!(text.contains(&format!("\"{action}\"")));
    }
}
