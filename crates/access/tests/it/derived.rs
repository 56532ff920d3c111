//! Sessions that hang on others, their bounds, renewal and counted uses, driven without a ledger.

use crate::support::{World, actor, principal_name};
use access::session::{
    self, Asked, Bounds, DeriveSession, EndStale, IssueSession, IssuedSession, RenewSession, ReserveUses, Reserved,
    RevokeSession, ScopeRule, Session, Stale, Terms,
};
use crypto::WallMs;
use ledger::{Actor, Outcome, Refusal};
use proptest::prelude::*;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: u64 = 3_600_000;

fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> &'static str {
    result.unwrap_err().code.name
}

fn of(asked: Asked) -> Terms {
    Terms::new(asked).unwrap()
}

fn answer(outcome: &Outcome) -> IssuedSession {
    IssuedSession::from_reply(&outcome.reply).unwrap()
}

fn issue(world: &mut World, by: &Actor, name: &str, asked: Asked) -> Result<IssuedSession, Refusal> {
    let command = IssueSession::new(principal_name(name), of(asked), world.fresh());
    world.submit(by, &command).map(|outcome| answer(&outcome))
}

fn deriving(world: &World, from: &IssuedSession, name: &str, orphan: bool, asked: Asked) -> DeriveSession {
    let digest = session::token_digest(from.token.expose()).unwrap();
    DeriveSession::new(digest, principal_name(name), orphan, of(asked), world.fresh())
}

fn derive(world: &mut World, from: &IssuedSession, name: &str, asked: Asked) -> Result<IssuedSession, Refusal> {
    let command = deriving(world, from, name, false, asked);
    let by = actor(&world.principal(name));
    world.submit(&by, &command).map(|outcome| answer(&outcome))
}

fn alive(world: &World, session: &IssuedSession) -> bool {
    world.authenticate(session.token.expose()).is_some()
}

fn life(ms: u64) -> Asked {
    Asked { ttl: Some(Duration::from_millis(ms)), ..Asked::default() }
}

fn roles(names: &[&str]) -> Asked {
    let roles = Some(names.iter().map(|name| (*name).into()).collect());
    Asked { bounds: Bounds { roles, ..Bounds::default() }, ..Asked::default() }
}

fn world() -> (World, Actor) {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    world.put(&owner, "ci", &["a", "b"], false).unwrap();
    (world, owner)
}

#[test]
fn a_derived_session_ends_with_any_it_hangs_on() {
    let (mut world, owner) = world();
    let top = issue(&mut world, &owner, "ci", life(2 * HOUR_MS)).unwrap();
    let middle = derive(&mut world, &top, "ci", life(HOUR_MS)).unwrap();
    let low = derive(&mut world, &middle, "ci", life(12 * HOUR_MS)).unwrap();
    let orphan = deriving(&world, &middle, "ci", true, life(12 * HOUR_MS));
    let ci = actor(&world.principal("ci"));
    let orphan = answer(&world.submit(&ci, &orphan).unwrap());
    let facts = world.authenticate(low.token.expose()).unwrap();
    assert_eq!(facts.expires, world.now().saturating_add(HOUR), "the first end of the three");
    world.now += HOUR_MS;
    assert!(alive(&world, &top) && !alive(&world, &middle) && !alive(&world, &low) && alive(&world, &orphan));
    world.now -= HOUR_MS / 2;
    assert!(alive(&world, &low));
    world.submit(&owner, &RevokeSession::anyone(top.id)).unwrap();
    assert!(!alive(&world, &middle) && !alive(&world, &low) && alive(&world, &orphan));
    assert_eq!(code(derive(&mut world, &middle, "ci", life(HOUR_MS))), "session.not_found");
    world.put(&owner, "ci", &["a", "b"], true).unwrap();
    assert!(!alive(&world, &orphan), "disabling the principal ends that one too");
}

#[test]
fn token_04_no_child_survives_its_parent_in_ten_thousand_interleavings() {
    // A parent is revoked while children are being made of it: each order of deciding the commands is one interleaving.
    let mut random = 1u64;
    let mut survivors = 0;
    let (mut world, owner) = world();
    let ci = actor(&world.principal("ci"));
    for _ in 0..10_000 {
        world.records.retain(|name, _| name.kind != ledger::RecordKind::SESSION);
        let parent = issue(&mut world, &owner, "ci", life(HOUR_MS)).unwrap();
        let mut children = Vec::new();
        let mut newest = IssuedSession { token: parent.token.duplicate(), ..parent };
        let mut revoked = false;
        for step in 0..6u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
            match random >> 61 {
                0 | 1 if !revoked => {
                    world.submit(&owner, &RevokeSession::anyone(parent.id)).unwrap();
                    revoked = true;
                }
                // Prepared before whatever comes next is decided, from the parent or the youngest of its children.
                _ => {
                    let command = deriving(&world, &newest, "ci", false, life(HOUR_MS));
                    match world.submit(&ci, &command) {
                        Ok(outcome) => {
                            newest = answer(&outcome);
                            children.push(answer(&outcome));
                        }
                        Err(refusal) => assert!(revoked && refusal.code.name == "session.not_found"),
                    }
                }
            }
        }
        if !revoked {
            world.submit(&owner, &RevokeSession::anyone(parent.id)).unwrap();
        }
        survivors += children.iter().filter(|child| alive(&world, child)).count();
    }
    assert_eq!(survivors, 0);
}

#[test]
fn token_06_a_session_passes_on_no_role_that_it_has_not() {
    let (mut world, owner) = world();
    assert_eq!(code(issue(&mut world, &owner, "ci", roles(&["c"]))), "session.beyond");
    let half = issue(&mut world, &owner, "ci", roles(&["a"])).unwrap();
    let held = |world: &World, session: &IssuedSession| {
        let facts = world.authenticate(session.token.expose()).unwrap();
        facts.roles.iter().map(|role| role.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(held(&world, &half), ["a"]);
    for beyond in ["b", "c", "owner"] {
        assert_eq!(code(derive(&mut world, &half, "ci", roles(&[beyond]))), "session.beyond");
    }
    assert!(Terms::new(roles(&["A"])).is_err(), "another spelling is no role");
    let child = derive(&mut world, &half, "ci", life(HOUR_MS)).unwrap();
    assert_eq!(held(&world, &child), ["a"], "what is not asked for is held back all the same");
    let bare = derive(&mut world, &child, "ci", roles(&[])).unwrap();
    assert!(held(&world, &bare).is_empty());
    world.put(&owner, "ci", &["b"], false).unwrap();
    assert!(held(&world, &half).is_empty(), "a role that is taken away is gone from sessions at once");
}

#[test]
fn token_02_renewal_never_goes_beyond_the_limit_and_never_brings_back_what_is_over() {
    let (mut world, owner) = world();
    let start = world.now();
    let asked = Asked { ttl: Some(HOUR), max_ttl: Some(3 * HOUR), ..Asked::default() };
    let session = issue(&mut world, &owner, "ci", asked).unwrap();
    let ci = actor(&world.principal("ci"));
    let expires = |world: &World| world.authenticate(session.token.expose()).unwrap().expires;
    assert_eq!(expires(&world), start.saturating_add(HOUR));
    world.now += HOUR_MS - 1;
    world.submit(&ci, &RenewSession::own(session.id, None)).unwrap();
    assert_eq!(expires(&world), WallMs(start.0 + 2 * HOUR_MS - 1), "in the last moment");
    world.submit(&ci, &RenewSession::own(session.id, Some(Duration::from_secs(1)))).unwrap();
    assert_eq!(expires(&world), WallMs(start.0 + 2 * HOUR_MS - 1), "no renewal shortens");
    world.submit(&ci, &RenewSession::own(session.id, Some(Duration::MAX))).unwrap();
    assert_eq!(expires(&world), WallMs(start.0 + 2 * HOUR_MS - 1), "nor gives more than the terms do");
    world.now += HOUR_MS / 2;
    world.submit(&ci, &RenewSession::own(session.id, None)).unwrap();
    world.now += HOUR_MS / 2 + 2;
    world.submit(&ci, &RenewSession::own(session.id, None)).unwrap();
    assert_eq!(expires(&world), start.saturating_add(3 * HOUR), "the limit");
    assert_eq!(code(world.submit(&ci, &RenewSession::own(session.id, None))), "session.not_renewable");
    world.now = start.0 + 3 * HOUR_MS;
    assert!(!alive(&world, &session));
    let renewable = Asked { ttl: Some(HOUR), max_ttl: Some(3 * HOUR), ..Asked::default() };
    let over = issue(&mut world, &owner, "ci", renewable).unwrap();
    world.now += HOUR_MS;
    assert_eq!(code(world.submit(&ci, &RenewSession::own(over.id, None))), "session.not_found");
    let plain = issue(&mut world, &owner, "ci", life(HOUR_MS)).unwrap();
    assert_eq!(code(world.submit(&ci, &RenewSession::own(plain.id, None))), "session.not_renewable");
    let foreign = issue(&mut world, &owner, "owner", life(HOUR_MS)).unwrap();
    assert_eq!(code(world.submit(&ci, &RenewSession::own(foreign.id, None))), "session.not_found");
    assert_eq!(code(world.submit(&ci, &RenewSession::anyone(foreign.id, None))), "principal.owner_only");
}

#[test]
fn a_periodic_session_is_renewed_for_ever_and_ends_when_nobody_does() {
    let (mut world, owner) = world();
    let asked = Asked { period: Some(HOUR), ..Asked::default() };
    assert!(of(asked.clone()).is_periodic() && !of(life(HOUR_MS)).is_periodic());
    let session = issue(&mut world, &owner, "ci", asked).unwrap();
    let ci = actor(&world.principal("ci"));
    for _ in 0..2_000 {
        world.now += HOUR_MS - 1;
        world.submit(&ci, &RenewSession::own(session.id, None)).unwrap();
    }
    assert!(alive(&world, &session));
    world.now += HOUR_MS;
    assert!(!alive(&world, &session));
}

#[test]
fn uses_are_set_aside_in_blocks_and_never_more_than_there_are() {
    let (mut world, owner) = world();
    let asked = Asked { uses: Some(100), ..Asked::default() };
    let session = issue(&mut world, &owner, "ci", asked).unwrap();
    assert!(world.authenticate(session.token.expose()).unwrap().counted);
    let digest = session::token_digest(session.token.expose()).unwrap();
    let mut given = Vec::new();
    loop {
        let outcome = world.submit(&Actor::SYSTEM, &ReserveUses::new(digest)).unwrap();
        match Reserved::from_reply(&outcome.reply).unwrap().0 {
            0 => break,
            count => given.push(count),
        }
    }
    assert_eq!((given[0], given.iter().sum::<u32>(), *given.last().unwrap()), (6, 100, 1));
    assert_eq!(code(derive(&mut world, &session, "ci", life(HOUR_MS))), "session.counted");
    let free = issue(&mut world, &owner, "ci", life(HOUR_MS)).unwrap();
    let digest = session::token_digest(free.token.expose()).unwrap();
    assert_eq!(code(world.submit(&Actor::SYSTEM, &ReserveUses::new(digest))), "session.not_found");
}

#[test]
fn terms_that_mean_nothing_or_for_ever_are_refused() {
    let day = Duration::from_secs(86_400);
    for asked in [
        Asked { ttl: Some(Duration::ZERO), ..Asked::default() },
        Asked { max_ttl: Some(31 * day), ..Asked::default() },
        Asked { ttl: Some(2 * HOUR), max_ttl: Some(HOUR), ..Asked::default() },
        Asked { period: Some(31 * day), ..Asked::default() },
        Asked { period: Some(HOUR), ttl: Some(HOUR), ..Asked::default() },
        Asked { uses: Some(0), ..Asked::default() },
        Asked { uses: Some(1_000_001), ..Asked::default() },
    ] {
        assert_eq!(code(Terms::new(asked.clone())), "session.invalid", "{asked:?}");
    }
    let rule = |actions: &[&str]| ScopeRule {
        actions: actions.iter().map(|action| (*action).into()).collect(),
        place: "".into(),
    };
    for scope in [vec![rule(&[])], vec![rule(&["root"])], vec![rule(&["secret"]); 33]] {
        let asked = Asked { bounds: Bounds { scope, ..Bounds::default() }, ..Asked::default() };
        assert_eq!(code(Terms::new(asked)), "session.invalid");
    }
}

#[test]
fn sessions_are_derived_from_each_other_eight_deep_and_no_deeper() {
    let (mut world, owner) = world();
    let mut newest = issue(&mut world, &owner, "ci", life(HOUR_MS)).unwrap();
    for _ in 0..8 {
        newest = derive(&mut world, &newest, "ci", life(HOUR_MS)).unwrap();
    }
    assert!(alive(&world, &newest));
    assert_eq!(code(derive(&mut world, &newest, "ci", life(HOUR_MS))), "session.invalid");
}

#[test]
fn a_sweep_takes_what_is_over_and_nothing_else() {
    let (mut world, owner) = world();
    let short = issue(&mut world, &owner, "ci", life(1_000)).unwrap();
    let long = issue(&mut world, &owner, "ci", life(HOUR_MS)).unwrap();
    let before = world.records.len();
    world.now += 1_000;
    let stale = |session: &IssuedSession| Stale::Session {
        digest: session::token_digest(session.token.expose()).unwrap(),
        id: session.id,
    };
    let sweep = EndStale::new(vec![stale(&short), stale(&long)], world.now());
    world.submit(&Actor::SYSTEM, &sweep).unwrap();
    assert!(alive(&world, &long));
    assert_eq!(
        world.records.len(),
        before - 2 + 1,
        "two records of the session, and the mark that there were sessions"
    );
    assert!(world.records.contains_key(&session::swept_record_name()));
    assert!(world.submit(&Actor::SYSTEM, &sweep).unwrap().events.is_empty());
}

#[test]
fn a_session_of_the_first_form_is_still_read() {
    let first = session::SessionV1 {
        id: crypto::id::SessionId::from_bytes([1; 16]),
        entity: crypto::id::EntityId::from_bytes([2; 16]),
        principal: "ci".into(),
        entity_epoch: 3,
        created: WallMs(1_000),
        expires: WallMs(5_000),
        issued_by: crypto::id::EntityId::from_bytes([4; 16]),
    };
    let stored = postcard::to_allocvec(&access::StoredSession::V1(first.clone())).unwrap();
    let read = Session::decode(&stored).unwrap();
    assert_eq!(read, Session::from(first));
    assert!(!read.is_renewable() && read.uses.is_none() && read.parents.is_empty());
    assert_eq!((read.ttl_ms, read.limit), (4_000, Some(WallMs(5_000))));
}

proptest! {
    #[test]
    fn lives_and_renewals_stay_within_bounds(ttl in 0u64..40 * 86_400_000, max in 0u64..40 * 86_400_000, at in 0u64..2_000_000_000_000) {
        let asked = Asked {
            ttl: Some(Duration::from_millis(ttl)),
            max_ttl: Some(Duration::from_millis(max)),
            ..Asked::default()
        };
        let good = ttl >= 1_000 && max >= ttl && max <= 30 * 86_400_000;
        prop_assert_eq!(Terms::new(asked.clone()).is_ok(), good);
        if good {
            let (mut world, owner) = world();
            world.now = at;
            let session = issue(&mut world, &owner, "ci", asked).unwrap();
            let ci = actor(&world.principal("ci"));
            world.now += ttl - 1;
            let renewed = world.submit(&ci, &RenewSession::own(session.id, None));
            let facts = world.authenticate(session.token.expose()).unwrap();
            prop_assert!(facts.expires.0 <= at + max && facts.expires.0 >= at + ttl);
            prop_assert_eq!(renewed.is_ok(), max > ttl);
        }
    }
}
