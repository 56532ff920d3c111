//! What a decision costs, in nanoseconds: `cargo run --release -p access --example decide`; `cargo xtask bench` takes the bar from here.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that fails should stop, and prints its table"
)]

use access::principal::{PrincipalV1, StoredPrincipal};
use access::session::SessionV1;
use access::{
    Action, Decider, PolicyName, PolicyStore, Principal, RequestContext, Resource, Session, SessionFacts, ValidPolicy,
    verify_session,
};
use crypto::WallMs;
use crypto::id::{EntityId, SessionId, TenantId};
use ledger::Path;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const TENANT: TenantId = TenantId::from_bytes([7; 16]);
const BATCHES: u32 = 9;
const COLD: u32 = 5_000;
const REMEMBERED: u32 = 200_000;

fn entity(number: u32) -> EntityId {
    let mut bytes = [1; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    EntityId::from_bytes(bytes)
}

fn facts(number: u32, roles: &[&str]) -> SessionFacts {
    let stored = StoredPrincipal::V1(PrincipalV1 {
        entity: entity(number),
        name: "ci".into(),
        roles: roles.iter().map(|role| (*role).into()).collect(),
        epoch: 1,
        disabled: false,
        created: WallMs(0),
        changed: WallMs(0),
    });
    let principal = Principal::decode(&postcard::to_allocvec(&stored).unwrap()).unwrap();
    let session = Session::from(SessionV1 {
        id: SessionId::from_bytes([1; 16]),
        entity: entity(number),
        principal: "ci".into(),
        entity_epoch: 1,
        created: WallMs(0),
        expires: WallMs(u64::MAX),
        issued_by: EntityId::SYSTEM,
    });
    verify_session(TENANT, ([1; 32], &session), &[], &principal, WallMs(1)).unwrap()
}

fn store(texts: &[String]) -> PolicyStore {
    let mut store = PolicyStore::new();
    for (index, text) in texts.iter().enumerate() {
        let name = PolicyName::parse(&format!("p{index}")).unwrap();
        store.put(Arc::new(ValidPolicy::parse(name, text).unwrap())).unwrap();
    }
    store
}

/// Ten candidates for a read below `team1/app1`: two own permits, five of roles, three forbids. `dynamic` makes one
/// of the forbids look at where the request comes from; `like` puts the path into conditions.
fn ten(like: bool, dynamic: bool) -> Vec<String> {
    let (me, read, forbid) = (entity(1), "action == Action::\"secret.read\"", "forbid (principal in Role::");
    let (scope, when) = if like {
        ("resource is Secret", " when { resource.path like \"team1/app1/*\" }")
    } else {
        ("resource in Path::\"team1/app1\"", "")
    };
    let mut texts = vec![format!("permit (principal == Principal::\"{me}\", {read}, {scope}){when};"); 2];
    texts.extend((0..5).map(|n| format!("permit (principal in Role::\"r{}\", {read}, {scope}){when};", n % 3)));
    texts.push(format!("{forbid}\"r0\", action, resource is Secret) when {{ resource.name == \"never\" }};"));
    texts.push(format!("{forbid}\"r1\", action, resource is Secret) when {{ resource.path like \"*/no\" }};"));
    texts.push(if dynamic {
        "forbid (principal, action, resource) when { !context.source_ip.isInRange(ip(\"10.0.0.0/8\")) };".into()
    } else {
        format!("{forbid}\"r2\", action, resource is Secret) when {{ resource.name == \"nor this\" }};")
    });
    texts
}

/// 80 % of principals, 16 % of roles, 4 % forbids without a principal, each about one application.
fn many(count: u32) -> Vec<String> {
    let text = |n: u32| {
        let folder = format!("resource in Path::\"team{}/app{}\"", n % 20, n % 7);
        match n % 25 {
            0 => format!("forbid (principal, action == Action::\"secret.purge\", {folder});"),
            1..=4 => format!("permit (principal in Role::\"r{}\", action in Action::\"secret\", {folder});", n % 60),
            _ => format!("permit (principal == Principal::\"{}\", action, {folder});", entity(n / 4)),
        }
    };
    (0..count).map(text).collect()
}

/// Twenty that apply to a read below `team1/app1`, five of them forbids; a third have conditions, of every sort.
fn twenty() -> Vec<String> {
    let (me, read, at) = (entity(1), "action == Action::\"secret.read\"", "resource in Path::\"team1/app1\"");
    let whens = [
        "resource.name like \"db*\"",
        "resource.path like \"team1/*\" && context.tls",
        "context.source_ip.isInRange(ip(\"10.0.0.0/8\"))",
        "context.now_ms > 1",
        "principal in Role::\"r1\"",
    ];
    let never = [
        "resource.name == \"never\"",
        "!context.tls",
        "!context.source_ip.isInRange(ip(\"10.0.0.0/8\"))",
        "resource.path like \"*/no\" && context.now_ms > 1",
        "context.now_ms < 1",
    ];
    let mut texts = vec![format!("permit (principal == Principal::\"{me}\", {read}, {at});"); 4];
    texts.extend((0..6).map(|n| format!("permit (principal in Role::\"r{}\", {read}, {at});", n % 3)));
    texts.extend(whens.map(|when| format!("permit (principal in Role::\"r0\", {read}, {at}) when {{ {when} }};")));
    texts.extend(never.map(|when| format!("forbid (principal in Role::\"r1\", {read}, {at}) when {{ {when} }};")));
    texts
}

/// Decisions one by one, each on a path of its own, in nanoseconds: median and the slowest of a hundred.
fn one_by_one(decider: &Decider, who: &SessionFacts, paths: &[Resource], cx: &RequestContext) -> (u128, u128) {
    let mut took: Vec<u128> = paths
        .iter()
        .map(|path| {
            let start = Instant::now();
            assert!(black_box(decider.decide(who, Action::SecretRead, path, cx)).is_allow());
            start.elapsed().as_nanos()
        })
        .collect();
    took.sort_unstable();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

fn decider(store: &PolicyStore) -> Decider {
    let decider = Decider::new();
    assert!(decider.install(TENANT, 1, store.snapshot()));
    decider
}

/// Time this thread spent on a core: neighbours on a busy machine do not count. Some kernels count in ticks of 4 ms,
/// so batches are long.
fn spent() -> u128 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Median over batches, in nanoseconds of processor time per call.
fn measure(calls: u32, mut call: impl FnMut(u32)) -> u128 {
    let mut batches: Vec<u128> = (0..BATCHES)
        .map(|batch| {
            let start = spent();
            (0..calls).for_each(|n| call(batch * calls + n));
            (spent() - start) / u128::from(calls)
        })
        .collect();
    batches.sort_unstable();
    batches[batches.len() / 2]
}

fn secret(text: &str) -> Resource {
    Resource::Secret(Path::parse(text).unwrap())
}

/// Under a thousand policies, 20 of which apply, 5 of them forbids: paths that were never asked about, and one again and
/// again. Median and slowest of a hundred, in nanoseconds.
fn crowded(who: &SessionFacts, cx: &RequestContext) -> [(&'static str, (u128, u128)); 2] {
    let mut texts = many(980);
    texts.extend(twenty());
    let crowded = decider(&store(&texts));
    let paths: Vec<Resource> = (0..BATCHES * COLD).map(|n| secret(&format!("team1/app1/db/first{n}"))).collect();
    let same = vec![secret("team1/app1/db/password"); paths.len()];
    [("first", one_by_one(&crowded, who, &paths, cx)), ("same", one_by_one(&crowded, who, &same, cx))]
}

/// With `--crowded` only what the bar of a decision is about, as JSON.
fn main() {
    let who = facts(1, &["r0", "r1", "r2"]);
    let cx = RequestContext { source_ip: [10, 1, 2, 3].into(), now: WallMs(1_790_000_000_000), tls: true, cas: false };
    if std::env::args().any(|arg| arg == "--crowded") {
        let told: Vec<String> = crowded(&who, &cx)
            .map(|(name, (median, slow))| format!("\"{name}\": {{ \"p50\": {median}, \"p99\": {slow} }}"))
            .to_vec();
        println!("{{ {} }}", told.join(", "));
        return;
    }
    let same = secret("team1/app1/db/password");
    let paths: Vec<Resource> = (0..BATCHES * COLD).map(|n| secret(&format!("team1/app1/db/password{n}"))).collect();
    for (name, like, dynamic) in
        [("in scope", false, false), ("in scope", false, true), ("by like", true, false), ("by like", true, true)]
    {
        let store = store(&ten(like, dynamic));
        let (hot, cold) = (decider(&store), decider(&store));
        let ask = |decider: &Decider, thing: &Resource| {
            assert!(black_box(decider.decide(&who, Action::SecretRead, thing, &cx)).is_allow());
        };
        let remembered = measure(REMEMBERED, |_| ask(&hot, &same));
        let made = measure(COLD, |n| ask(&cold, &paths[n as usize]));
        let whole = measure(500, |_| {
            assert!(black_box(hot.decide_by_the_whole(&who, Action::SecretRead, &same, &cx)).is_allow());
        });
        let forbids = if dynamic { "1 of 3 forbids dynamic" } else { "all static" };
        println!(
            "10 candidates, path {name:8}, {forbids:22}: remembered {remembered:>6}  cold {made:>6}  whole {whole:>7}"
        );
    }
    for (name, took) in crowded(&who, &cx) {
        println!("1,000 policies, 20 apply, 5 of them forbids, {name}: p50 {}  p99 {}", took.0, took.1);
    }
    for count in [1_000, 10_000] {
        let texts = many(count);
        let start = spent();
        let store = store(&texts);
        let parsed = (spent() - start) / 1_000_000;
        let start = spent();
        black_box(store.snapshot());
        let built = (spent() - start) / 1000;
        let decider = decider(&store);
        let remembered = measure(REMEMBERED, |_| {
            let _ = black_box(decider.decide(&who, Action::SecretRead, &same, &cx));
        });
        let made = measure(COLD, |n| {
            let _ = black_box(decider.decide(&who, Action::SecretRead, &paths[n as usize], &cx));
        });
        println!(
            "{count} policies: remembered {remembered}  cold {made}; index {built} µs, parse and check {parsed} ms"
        );
    }
}
