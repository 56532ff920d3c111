//! What a token is worth: nothing but exactly itself, once verified.

use crate::support::{START, World, actor};
use access::login::{self, IssueLogin, RedeemLogin};
use access::session::{self, RevokeSession, Ttl};
use ledger::Actor;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Every stored byte, names of records too.
fn dump(world: &World) -> Vec<u8> {
    world.records.iter().flat_map(|(name, bytes)| [format!("{name:?}").into_bytes(), bytes.clone()].concat()).collect()
}

fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn token_01_expired_revoked_never_issued_and_changed_tokens_are_alike() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let short = world.issue(&owner, "owner", Duration::from_secs(1)).unwrap();
    let revoked = world.issue(&owner, "owner", HOUR).unwrap();
    let good = world.issue(&owner, "owner", HOUR).unwrap();
    world.submit(&owner, &RevokeSession::own(revoked.id)).unwrap();
    world.now += 1000;
    let mut other_cluster = World::new();
    let foreign_owner = actor(&other_cluster.bootstrap());
    let _ = other_cluster.fresh();
    other_cluster.issue(&foreign_owner, "owner", HOUR).unwrap();
    let foreign = loop {
        let issued = other_cluster.issue(&foreign_owner, "owner", HOUR).unwrap();
        if session::token_digest(issued.token.expose()) > session::token_digest(good.token.expose()) {
            break issued;
        }
    };
    assert!(world.authenticate(good.token.expose()).is_some());
    for bad in [short.token.expose(), revoked.token.expose(), foreign.token.expose(), "", "aum_ses_"] {
        assert!(world.authenticate(bad).is_none());
    }
    let text = good.token.expose().as_bytes();
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.to_vec();
            changed[at] ^= 1 << bit;
            assert!(String::from_utf8(changed).map_or(true, |text| world.authenticate(&text).is_none()), "{at} {bit}");
        }
    }
}

#[test]
fn token_07_ids_and_digests_are_no_tokens() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let issued = world.issue(&owner, "owner", HOUR).unwrap();
    let digest = session::token_digest(issued.token.expose()).unwrap();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    for text in [issued.id.to_string(), hex.clone(), format!("aum_ses_{hex}")] {
        assert!(world.authenticate(&text).is_none(), "{text}");
    }
}

#[test]
fn token_08_a_one_time_login_opens_once() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let (wait, life) = (Ttl::login(HOUR).unwrap(), Ttl::session(HOUR).unwrap());
    let command = IssueLogin::mint(crate::support::principal_name("owner"), wait, life, &world.entropy).unwrap();
    let token = world.submit(&owner, &command).unwrap().reply.duplicate().into_text().unwrap();
    let digest = login::token_digest(token.expose()).unwrap();
    // All twenty were prepared before the first was decided; the committer decides them in order.
    let tries: Vec<RedeemLogin> = (0..20).map(|_| RedeemLogin::new(digest, world.fresh())).collect();
    let outcomes: Vec<_> = tries.iter().map(|redeem| world.submit(&Actor::SYSTEM, redeem)).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for refused in outcomes.into_iter().filter_map(Result::err) {
        assert_eq!(refused, login::refused());
    }
}

#[test]
fn a_one_time_login_is_void_at_its_time() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let (wait, life) = (Ttl::login(HOUR).unwrap(), Ttl::session(HOUR).unwrap());
    let command = IssueLogin::mint(crate::support::principal_name("owner"), wait, life, &world.entropy).unwrap();
    let token = world.submit(&owner, &command).unwrap().reply.duplicate().into_text().unwrap();
    let digest = login::token_digest(token.expose()).unwrap();
    world.now = START.saturating_add(HOUR).0;
    let refused = world.submit(&Actor::SYSTEM, &RedeemLogin::new(digest, world.fresh())).unwrap_err();
    assert_eq!(refused, login::refused());
    world.now -= 1;
    assert!(world.submit(&Actor::SYSTEM, &RedeemLogin::new(digest, world.fresh())).is_ok());
}

#[test]
fn token_14_no_live_token_is_stored() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let issued = world.issue(&owner, "owner", HOUR).unwrap();
    let (wait, life) = (Ttl::login(HOUR).unwrap(), Ttl::session(HOUR).unwrap());
    let command = IssueLogin::mint(crate::support::principal_name("owner"), wait, life, &world.entropy).unwrap();
    let outcome = world.submit(&owner, &command).unwrap();
    let login = outcome.reply.duplicate().into_text().unwrap();
    let (stored, events) =
        (dump(&world), outcome.events.iter().flat_map(|event| event.body.clone()).collect::<Vec<_>>());
    let digest = session::token_digest(issued.token.expose()).unwrap();
    assert!(holds(&stored, &digest), "the search finds what is there");
    for token in [issued.token.expose(), login.expose()] {
        let random = &token[token.len() - 50..token.len() - 7];
        for text in [token, random] {
            assert!(!holds(&stored, text.as_bytes()) && !holds(&events, text.as_bytes()));
        }
    }
}

#[test]
fn token_18_cut_doubled_and_foreign_texts_are_no_tokens() {
    let mut world = World::new();
    let owner = actor(&world.bootstrap());
    let issued = world.issue(&owner, "owner", HOUR).unwrap();
    let token = issued.token.expose();
    for end in 0..token.len() {
        assert!(world.authenticate(&token[..end]).is_none());
        assert!(world.authenticate(&token[end + 1..]).is_none());
    }
    let as_login = token.replacen("aum_ses_", "aum_login_", 1);
    for text in [&token.repeat(2), "x", &"a".repeat(10 << 20), &"é".repeat(40), &as_login, &token.to_uppercase()] {
        assert!(world.authenticate(text).is_none());
    }
    assert!(login::token_digest(token).is_none(), "a session's token is no login");
    assert!(world.authenticate(token).is_some());
}
