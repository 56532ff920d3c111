//! Principals, sessions and one-time logins, driven without a ledger.

use crate::support::{START, TENANT, World, actor, principal_name};
use access::limits::{LOGIN_TTL_MAX, ROLES_MAX, SESSION_TTL_MAX};
use access::login::{self, IssueLogin, RedeemLogin};
use access::policy::{PutPolicy, RemovePolicy, StoredPolicy};
use access::principal::{BootstrapOwner, PutPrincipal};
use access::session::{HighWater, IssueSession, IssuedSession, RevokeSession, Terms, Ttl};
use access::{AccessRules, PolicyName, Principal, Session, Why, session, verify_session};
use crypto::WallMs;
use ledger::{Actor, EventRef, Position, Refusal, Rules, Stamp};
use proptest::prelude::*;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn code<T: std::fmt::Debug>(result: Result<T, Refusal>) -> &'static str {
    result.unwrap_err().code.name
}

fn issue_login(world: &mut World, actor: &Actor, name: &str) -> Result<String, Refusal> {
    let (wait, life) = (Ttl::login(HOUR)?, Ttl::session(HOUR)?);
    let command = IssueLogin::mint(principal_name(name), wait, life, &world.entropy).unwrap();
    let outcome = world.submit(actor, &command)?;
    Ok(outcome.reply.duplicate().into_text().unwrap().expose().to_owned())
}

fn redeem(world: &mut World, token: &str) -> Result<IssuedSession, Refusal> {
    let digest = login::token_digest(token).ok_or_else(login::refused)?;
    let command = RedeemLogin::new(digest, world.fresh());
    let outcome = world.submit(&Actor::SYSTEM, &command)?;
    Ok(IssuedSession::from_reply(&outcome.reply).unwrap())
}

#[test]
fn auth_13_a_second_bootstrap_is_a_conflict_and_no_credential_is_there_by_default() {
    let mut world = World::new();
    let owner = world.bootstrap();
    assert!(owner.is_owner());
    assert_eq!(world.records.len(), 2, "the principal and its entity: no session, no login");
    let again = BootstrapOwner::new(world.entity());
    let refused = world.submit(&Actor::SYSTEM, &again).unwrap_err();
    assert_eq!((refused.code.name, refused.code.status), ("auth.already_set_up", 409));
    assert_eq!(world.principal("owner"), owner);
}

#[test]
fn a_login_leads_to_a_session_that_leads_to_the_principal() {
    let mut world = World::new();
    let owner = world.bootstrap();
    let token = issue_login(&mut world, &Actor::SYSTEM, "owner").unwrap();
    assert!(token.starts_with("aum_login_"));
    let issued = redeem(&mut world, &token).unwrap();
    let facts = world.authenticate(issued.token.expose()).unwrap();
    assert_eq!((facts.entity, facts.session, facts.tenant), (owner.entity, issued.id, TENANT));
    assert_eq!(facts.expires, START.saturating_add(HOUR));
    let kinds: Vec<&str> = world.kinds.iter().map(String::as_str).collect();
    assert_eq!(kinds, ["auth.principal.written", "auth.login.issued", "auth.login.redeemed", "auth.session.issued"]);
}

#[test]
fn disabling_ends_sessions_and_logins_and_enabling_brings_none_back() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    world.put(&owner, "ci", &["reader"], false).unwrap();
    let session = world.issue(&owner, "ci", HOUR).unwrap();
    let waiting = issue_login(&mut world, &owner, "ci").unwrap();
    assert!(world.authenticate(session.token.expose()).is_some());
    world.put(&owner, "ci", &["reader"], true).unwrap();
    assert!(world.authenticate(session.token.expose()).is_none());
    assert_eq!(code(world.issue(&owner, "ci", HOUR)), "principal.disabled");
    assert_eq!(code(redeem(&mut world, &waiting)), "auth.login_refused");
    world.put(&owner, "ci", &["reader"], false).unwrap();
    assert!(world.authenticate(session.token.expose()).is_none());
    assert_eq!(code(redeem(&mut world, &waiting)), "auth.login_refused");
    assert!(world.issue(&owner, "ci", HOUR).is_ok());
}

#[test]
fn a_change_keeps_entity_name_and_time_of_making() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let before = world.put(&owner, "ci", &["b", "a"], false).unwrap();
    world.now += 5000;
    let after = world.put(&owner, "ci", &["c"], false).unwrap();
    assert_eq!((after.entity, after.created, after.epoch), (before.entity, before.created, before.epoch));
    assert_eq!(after.changed, world.now());
    assert_eq!(before.roles.iter().map(|role| &**role).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn only_an_owner_makes_changes_or_impersonates_an_owner() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let admin = actor(&world.put(&owner, "admin", &["admin"], false).unwrap());
    assert_eq!(code(world.put(&admin, "admin", &["admin", "owner"], false)), "principal.owner_only");
    assert_eq!(code(world.put(&admin, "friend", &["owner"], false)), "principal.owner_only");
    assert_eq!(code(world.put(&admin, "owner", &["owner"], true)), "principal.owner_only");
    assert_eq!(code(world.put(&admin, "owner", &[], false)), "principal.owner_only");
    assert_eq!(code(world.issue(&admin, "owner", HOUR)), "principal.owner_only");
    assert_eq!(code(issue_login(&mut world, &admin, "owner")), "principal.owner_only");
    let owners = world.issue(&owner, "owner", HOUR).unwrap();
    assert_eq!(code(world.submit(&admin, &RevokeSession::anyone(owners.id))), "principal.owner_only");
    assert!(world.put(&admin, "ci", &["reader"], false).is_ok());
    let stranger = Actor { entity: world.entity(), session: None };
    assert_eq!(code(world.put(&stranger, "x", &["owner"], false)), "principal.owner_only");
}

#[test]
fn owners_cannot_remove_each_other_in_one_breath() {
    let mut world = World::new();
    let first = actor(&world.bootstrap());
    let second = actor(&world.put(&first, "second", &["owner"], false).unwrap());
    assert_eq!(code(world.put(&first, "owner", &["owner"], true)), "principal.self");
    assert_eq!(code(world.put(&first, "owner", &["reader"], false)), "principal.self");
    // Both were authorised before either was decided.
    world.put(&first, "second", &["owner"], true).unwrap();
    assert_eq!(code(world.put(&second, "owner", &[], true)), "principal.owner_only");
    assert!(!world.principal("owner").disabled);
}

#[test]
fn the_server_by_itself_makes_owners_and_unmakes_none() {
    let mut world = World::new();
    world.bootstrap();
    world.put(&Actor::SYSTEM, "second", &["owner"], false).unwrap();
    for (roles, disabled) in [(vec!["app"], false), (vec!["owner"], true), (vec![], true)] {
        for name in ["owner", "second"] {
            assert_eq!(code(world.put(&Actor::SYSTEM, name, &roles, disabled)), "principal.owner_only", "{roles:?}");
        }
    }
    world.put(&Actor::SYSTEM, "owner", &["owner", "app"], false).unwrap();
    assert!(world.principal("owner").is_owner() && !world.principal("owner").disabled);
}

#[test]
fn roles_are_names_given_once() {
    let world = World::new();
    let put = |roles: &[String]| PutPrincipal::new(principal_name("x"), roles, false, world.entity());
    for bad in [vec!["a", "a"], vec!["A"], vec![""], vec!["a b"], vec!["owner "]] {
        let roles: Vec<String> = bad.iter().map(|role| (*role).to_owned()).collect();
        assert_eq!(code(put(&roles)), "principal.invalid", "{bad:?}");
    }
    let many = |n: usize| (0..n).map(|i| format!("r{i}")).collect::<Vec<_>>();
    assert!(put(&many(ROLES_MAX)).is_ok());
    assert_eq!(code(put(&many(ROLES_MAX + 1))), "principal.invalid");
}

#[test]
fn a_session_is_revoked_by_its_id_and_only_within_reach() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let (a, b) = (world.put(&owner, "a", &[], false).unwrap(), world.put(&owner, "b", &[], false).unwrap());
    let session = world.issue(&owner, "a", HOUR).unwrap();
    assert_eq!(code(world.submit(&actor(&b), &RevokeSession::own(session.id))), "session.not_found");
    world.submit(&actor(&a), &RevokeSession::own(session.id)).unwrap();
    assert!(world.authenticate(session.token.expose()).is_none());
    assert_eq!(code(world.submit(&actor(&a), &RevokeSession::own(session.id))), "session.not_found");
    let other = world.issue(&owner, "a", HOUR).unwrap();
    world.submit(&owner, &RevokeSession::anyone(other.id)).unwrap();
    assert!(world.authenticate(other.token.expose()).is_none());
    let unknown = crypto::id::SessionId::from_bytes([3; 16]);
    assert_eq!(code(world.submit(&owner, &RevokeSession::anyone(unknown))), "session.not_found");
}

#[test]
fn a_session_of_another_entity_of_the_same_name_is_no_good() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    world.put(&owner, "a", &[], false).unwrap();
    let issued = world.issue(&owner, "a", HOUR).unwrap();
    let digest = session::token_digest(issued.token.expose()).unwrap();
    let stored = Session::decode(&world.records[&session::record_name(&digest)]).unwrap();
    let verify = |who: &Principal| verify_session(TENANT, (digest, &stored), &[], who, world.now());
    let another = Principal { entity: world.entity(), ..world.principal("a") };
    assert_eq!(verify(&another), Err(Why::Mismatched));
    let next = Principal { epoch: 2, ..world.principal("a") };
    assert_eq!(verify(&next), Err(Why::Superseded));
    let disabled = Principal { disabled: true, ..world.principal("a") };
    assert_eq!(verify(&disabled), Err(Why::Disabled));
}

#[test]
fn token_02_lives_are_bounded_and_nothing_means_for_ever() {
    for (life, taken) in [
        (Duration::ZERO, false),
        (Duration::from_millis(999), false),
        (Duration::from_secs(1), true),
        (SESSION_TTL_MAX, true),
        (SESSION_TTL_MAX + Duration::from_nanos(1), false),
        (Duration::from_secs(999_999 * 3600), false),
        (Duration::from_nanos(1 << 63), false),
        (Duration::MAX, false),
    ] {
        assert_eq!(Ttl::session(life).is_ok(), taken, "{life:?}");
    }
    assert!(Ttl::login(LOGIN_TTL_MAX).is_ok());
    assert!(Ttl::login(LOGIN_TTL_MAX + Duration::from_secs(1)).is_err());
}

#[test]
fn token_02_a_session_ends_at_its_time_and_a_clock_at_its_end_does_not_wrap() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let issued = world.issue(&owner, "owner", HOUR).unwrap();
    world.now = issued.expires.0 - 1;
    assert!(world.authenticate(issued.token.expose()).is_some());
    world.now = issued.expires.0;
    assert!(world.authenticate(issued.token.expose()).is_none());
    world.now = u64::MAX - 10;
    let last = world.issue(&owner, "owner", HOUR).unwrap();
    assert_eq!(last.expires, WallMs(u64::MAX));
    world.now = u64::MAX;
    assert!(world.authenticate(last.token.expose()).is_none());
}

#[test]
fn a_wall_clock_that_goes_back_never_lengthens_a_session() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let issued = world.issue(&owner, "owner", Duration::from_secs(10)).unwrap();
    let clock = HighWater::new(START);
    world.now = clock.observe(WallMs(START.0 + 20_000)).0;
    assert!(world.authenticate(issued.token.expose()).is_none());
    world.now = clock.observe(WallMs(START.0 - 3_600_000)).0;
    assert!(world.authenticate(issued.token.expose()).is_none());
}

#[test]
fn policies_are_stored_as_written_and_removed_by_name() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let text = "// who\npermit (principal in Role::\"a\", action, resource is Secret);\n";
    let name = PolicyName::parse("readers").unwrap();
    world.submit(&owner, &PutPolicy::new(crate::support::policy("readers", text))).unwrap();
    let record = access::policy::record_name(&name);
    let stored = StoredPolicy::decode(&world.records[&record]).unwrap().into_policy();
    assert_eq!((stored.text.as_str(), stored.by, stored.position), (text, owner.entity, world.index - 1));
    world.submit(&owner, &RemovePolicy::new(name.clone())).unwrap();
    assert!(!world.records.contains_key(&record));
    assert_eq!(code(world.submit(&owner, &RemovePolicy::new(name))), "policy.not_found");
}

#[test]
fn a_session_needs_an_enabled_principal() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    assert_eq!(code(world.issue(&owner, "nobody", HOUR)), "principal.not_found");
    let command = IssueSession::new(principal_name("owner"), Terms::of(Ttl::session(HOUR).unwrap()), world.fresh());
    assert!(world.decide(&owner, &command).is_ok());
}

#[test]
fn records_and_events_cut_or_lengthened_are_damage() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    world.issue(&owner, "owner", HOUR).unwrap();
    issue_login(&mut world, &owner, "owner").unwrap();
    for (name, bytes) in world.records.clone() {
        let decodes = |bytes: &[u8]| match name.kind {
            ledger::RecordKind::SESSION if name.path.len() == 1 => Session::decode(bytes).is_ok(),
            ledger::RecordKind::PRINCIPAL if name.path.len() == 1 => Principal::decode(bytes).is_ok(),
            ledger::RecordKind::PRINCIPAL => access::principal::decode_entity(bytes).is_ok(),
            _ => bytes == world.records[&name].as_slice(),
        };
        assert!(decodes(&bytes), "{name:?}");
        assert!(!decodes(&bytes[..bytes.len() - 1]), "{name:?}");
        assert!(!decodes(&[bytes.as_slice(), &[0]].concat()), "{name:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_rules_panic(kind in 0_usize..11, body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let kind = AccessRules.kinds().get(kind).copied().unwrap_or("no.such");
        let stamp = Stamp {
            position: Position { shard: 0, index: 0 },
            time: START,
            tenant: TENANT,
            actor: Actor::SYSTEM,
        };
        let event = EventRef { kind, body: &body, stamp: &stamp };
        if let Ok(names) = AccessRules.touches(&event) {
            for name in names {
                let _ = AccessRules.evolve(&name, Some(&body), &event);
            }
        }
        let _ = Session::decode(&body);
        let _ = Principal::decode(&body);
    }
}
