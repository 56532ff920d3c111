//! Index, split and memory together say exactly what Cedar says over all policies as written.

use crate::support::{START, TENANT, World, folder, policy, secret};
use access::{
    Action, Decider, Decision, DenyReason, Part, PasswordPolicyName, PolicyName, PolicyStore, PrincipalName,
    RequestContext, Resource, SessionFacts,
};
use crypto::WallMs;
use std::sync::Arc;

/// Small numbers from a seed, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.roll(of.len())]
    }
}

const CONDITIONS: &[&str] = &[
    "context.tls",
    "context has now_ms && !context.tls",
    "{now: context}.now.now_ms > 1790000000300",
    "!context.tls",
    "context.cas",
    "!context.cas && context.tls",
    "context.source_ip.isInRange(ip(\"10.0.0.0/8\"))",
    "context.source_ip.isLoopback() || context.tls",
    "context.now_ms < 1790000000500",
    "context.now_ms + 9223370246854775500 > 0",
    "context.now_ms * 9223372036854775807 > 0 && context.tls",
    "1 + 9223372036854775807 > context.now_ms",
    "principal in Role::\"a\"",
    "principal in [Role::\"b\", Role::\"c\"] && context.tls",
    "!(principal in Role::\"c\")",
    "action == Action::\"secret.read\"",
    "action in Action::\"secret\"",
    "action in [Action::\"policy\", Action::\"secret.read\"] || context.tls",
    "9223372036854775807 + 1 == 0",
    "principal in Role::\"a\" && 9223372036854775807 + 1 == 0",
    "if context.tls then principal in Role::\"a\" else 0 - 9223372036854775807 - 2 == 0",
];

const ON_SECRETS: &[&str] = &[
    "resource.path like \"t/*\"",
    "resource.name == \"x\"",
    "resource in Path::\"t/a\"",
    "resource in Path::\"u\" && context.tls",
    "resource in Path::\"t\" && !context.cas",
    "resource.path like \"*/x\" && context.now_ms > 1790000000500",
    "resource.space == principal.name",
    "resource.space == \"b\" && principal.name == \"p2\"",
    "resource.path like \"t*\" && 9223372036854775807 + 1 == 0",
    "resource is Secret",
    "resource has name && resource == Secret::\"t/a/x\"",
];

const PATHS: &[&str] = &["x", "t", "t/x", "t/a", "t/a/x", "t/a/b/x", "t/ab/x", "u/x", "u/t/a/x", "T/x"];
const FOLDERS: &[&str] = &["", "t", "t/a", "t/a/b", "u", "ta"];

/// One random statement; not every one is valid. Without `single` its scope names no single secret.
fn statement(dice: &mut Dice, entities: &[String], single: bool) -> String {
    let effect = dice.pick(&["permit", "permit", "permit", "forbid"]);
    let entity = &entities[dice.roll(entities.len())];
    let principal = match dice.roll(9) {
        0 | 1 => "principal".to_owned(),
        2 => "principal is Principal".to_owned(),
        3 => format!("principal == Principal::\"{entity}\""),
        4 => format!("principal in Principal::\"{entity}\""),
        5 => format!("principal is Principal in Role::\"{}\"", dice.pick(&["a", "b", "c", "owner"])),
        _ => format!("principal in Role::\"{}\"", dice.pick(&["a", "b", "c", "d"])),
    };
    let action = match dice.roll(7) {
        0 | 1 => "action".to_owned(),
        2 => "action in Action::\"secret\"".to_owned(),
        3 => "action in [Action::\"secret.list\", Action::\"policy\", Action::\"secret.read\"]".to_owned(),
        4 => "action in [Action::\"own\", Action::\"access.read\"]".to_owned(),
        5 => "action == Action::\"secret.list\"".to_owned(),
        _ => "action == Action::\"secret.read\"".to_owned(),
    };
    let (path, below) = (dice.pick(PATHS), dice.pick(FOLDERS));
    let resource = match dice.roll(14) {
        0 | 1 => "resource".to_owned(),
        2 => "resource is Secret".to_owned(),
        3 => "resource is Path".to_owned(),
        4 => "resource is Policy".to_owned(),
        5 if single => format!("resource == Secret::\"{path}\""),
        6 if single => format!("resource in Secret::\"{path}\""),
        7 => format!("resource is Secret in Path::\"{below}\""),
        8 => format!("resource is Path in Path::\"{below}\""),
        9 => format!("resource == Path::\"{below}\""),
        10 => {
            dice.pick(&["resource == Policy::\"p\"", "resource is System", "resource == System::\"access\""]).to_owned()
        }
        _ => format!("resource in Path::\"{below}\""),
    };
    let mut text = format!("{effect} ({principal}, {action}, {resource})");
    for _ in 0..[0, 0, 0, 1, 1, 2][dice.roll(6)] {
        let conditions = if dice.roll(3) == 0 { ON_SECRETS } else { CONDITIONS };
        text += &format!(" {} {{ {} }}", dice.pick(&["when", "when", "unless"]), dice.pick(conditions));
    }
    text + ";"
}

fn resource(dice: &mut Dice) -> Resource {
    match dice.roll(10) {
        0..=5 => secret(dice.pick(PATHS)),
        6 | 7 => folder(dice.pick(FOLDERS)),
        8 => match dice.roll(3) {
            0 => Resource::Policy(PolicyName::parse("p").unwrap()),
            1 => Resource::PrincipalRecord(PrincipalName::parse("p").unwrap()),
            _ => Resource::PasswordPolicy(PasswordPolicyName::parse("p").unwrap()),
        },
        _ => Resource::System(Part::ALL[dice.roll(Part::ALL.len())]),
    }
}

fn circumstances(dice: &mut Dice) -> RequestContext {
    RequestContext {
        source_ip: [[10, 0, 0, 1], [192, 168, 0, 1], [127, 0, 0, 1]][dice.roll(3)].into(),
        now: WallMs(START.0 + dice.roll(1000) as u64),
        tls: dice.roll(2) == 0,
        cas: dice.roll(2) == 0,
    }
}

/// Compares everything that is promised: yes or no, why, and the rules, which for a permit or forbid may be some of them.
fn same(fast: &Decision, whole: &Decision) -> bool {
    match (fast, whole) {
        (
            Decision::Deny { rules, why: DenyReason::Forbidden },
            Decision::Deny { rules: all, why: DenyReason::Forbidden },
        )
        | (Decision::Allow { rules }, Decision::Allow { rules: all }) => {
            !rules.is_empty() && rules.iter().all(|rule| all.iter().any(|other| other == rule))
        }
        _ => fast == whole,
    }
}

#[derive(Default)]
struct Seen {
    decisions: usize,
    allowed: usize,
    forbidden: usize,
    unevaluable: usize,
    statements: usize,
    refused: usize,
}

fn random_policies(dice: &mut Dice, entities: &[String], seen: &mut Seen) -> (PolicyStore, Vec<String>) {
    let mut store = PolicyStore::new();
    let mut texts = Vec::new();
    // What is remembered for a whole folder is so only where no single secret is named.
    let single = dice.roll(2) == 0;
    for index in 0..dice.roll(25) {
        let name = PolicyName::parse(&format!("p{index}")).unwrap();
        let count = [1, 1, 1, 3][dice.roll(4)];
        let text = (0..count).map(|_| statement(dice, entities, single)).collect::<Vec<_>>().join("\n");
        match access::ValidPolicy::parse(name, &text) {
            Ok(valid) => {
                seen.statements += valid.statements_count();
                store.put(Arc::new(valid)).unwrap();
                texts.push(text);
            }
            Err(_) => seen.refused += 1,
        }
    }
    (store, texts)
}

fn compare(seed: u64, rounds: usize, requests: usize) -> Seen {
    let mut dice = Dice(seed);
    let mut world = World::new();
    let who: Vec<SessionFacts> = [("p1", &[][..]), ("p2", &["a"]), ("p3", &["a", "b", "c"]), ("p4", &["c", "owner"])]
        .iter()
        .map(|(name, roles)| world.login(name, roles))
        .collect();
    let entities: Vec<String> = who.iter().map(|facts| facts.entity.to_string()).collect();
    let decider = Decider::new();
    let mut seen = Seen::default();
    for round in 0..rounds {
        let (store, texts) = random_policies(&mut dice, &entities, &mut seen);
        assert!(decider.install(TENANT, round as u64, store.snapshot()));
        for _ in 0..requests {
            let (facts, cx) = (&who[dice.roll(who.len())], circumstances(&mut dice));
            let action = match dice.roll(3) {
                0 => Action::ALL[dice.roll(Action::ALL.len())],
                1 => Action::SecretList,
                _ => Action::SecretRead,
            };
            let thing = resource(&mut dice);
            let whole = decider.decide_by_the_whole(facts, action, &thing, &cx);
            // Twice: made, then remembered.
            for _ in 0..2 {
                let fast = decider.decide(facts, action, &thing, &cx);
                assert!(
                    same(&fast, &whole),
                    "seed {seed} round {round}\n{fast:?}\n{whole:?}\n{:?} {action} {thing:?} {cx:?}\n{}",
                    facts.roles,
                    texts.join("\n")
                );
            }
            seen.decisions += 1;
            match whole {
                Decision::Allow { .. } => seen.allowed += 1,
                Decision::Deny { why: DenyReason::Forbidden, .. } => seen.forbidden += 1,
                Decision::Deny { why: DenyReason::Unevaluable, .. } => seen.unevaluable += 1,
                Decision::Deny { .. } => {}
            }
        }
    }
    seen
}

/// Worlds of 1,500 requests each: a few, or as many as the nightly run asks for, which makes a million requests.
fn seeds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the nightly run says how much it wants")]
    let asked = std::env::var("AUMBRY_POLICY_SEEDS").ok();
    asked.map_or(3, |text| text.parse().unwrap())
}

#[test]
fn pol_16_the_decider_equals_cedar_over_all_policies() {
    let mut total = Seen::default();
    for seed in 0..seeds() {
        let seen = compare(seed, 25, 60);
        total.decisions += seen.decisions;
        total.allowed += seen.allowed;
        total.forbidden += seen.forbidden;
        total.unevaluable += seen.unevaluable;
        total.statements += seen.statements;
        total.refused += seen.refused;
    }
    println!(
        "{} decisions: {} allowed, {} forbidden, {} unevaluable; {} statements, {} policies refused",
        total.decisions, total.allowed, total.forbidden, total.unevaluable, total.statements, total.refused
    );
    // The test means something only while every outcome is met often.
    assert!(total.allowed > 500 && total.forbidden > 200 && total.unevaluable > 100, "too uniform");
    assert!(total.statements > 500);
}

#[test]
fn a_role_forbid_is_never_missed_however_many_roles_there_are() {
    let mut world = World::new();
    let names: Vec<String> = (0..64).map(|n| format!("r{n}")).collect();
    let roles: Vec<&str> = names.iter().map(String::as_str).collect();
    let who = world.login("many", &roles);
    for role in ["r0", "r31", "r63"] {
        for tail in [";", " when { context.tls };", " when { principal in Role::\"r5\" };"] {
            let decider = Decider::new();
            let mut store = PolicyStore::new();
            store.put(policy("p", "permit (principal, action, resource);")).unwrap();
            store.put(policy("f", &format!("forbid (principal in Role::\"{role}\", action, resource){tail}"))).unwrap();
            decider.install(TENANT, 1, store.snapshot());
            let cx = RequestContext { source_ip: [10, 0, 0, 1].into(), now: START, tls: true, cas: false };
            let decision = decider.decide(&who, Action::SecretRead, &secret("a/b/c"), &cx);
            assert!(matches!(decision, Decision::Deny { why: DenyReason::Forbidden, .. }), "{role}{tail}");
        }
    }
}
