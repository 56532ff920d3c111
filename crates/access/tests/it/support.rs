//! Principals, policies and requests for tests.

use access::principal::{BootstrapOwner, PutPrincipal};
use access::session::{FreshSession, IssueSession, IssuedSession, Terms, Ttl};
use access::{
    AccessRules, Decider, PolicyName, PolicyStore, Principal, PrincipalName, RequestContext, Resource, Session,
    SessionFacts, ValidPolicy, principal, session, verify_session,
};
use crypto::id::{EntityId, OperationId, TenantId};
use crypto::{Entropy, NoEntropy, WallMs};
use ledger::{
    Actor, Command, Context, EventRef, Halt, Outcome, Path, Position, Prefix, RecordName, Refusal, Rules, Stamp, View,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub(crate) const TENANT: TenantId = TenantId::from_bytes([7; 16]);
pub(crate) const START: WallMs = WallMs(1_790_000_000_000);

/// Distinct bytes each time; good enough where nothing is guessed.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        for chunk in out.chunks_mut(32) {
            let n = self.0.fetch_add(1, Ordering::Relaxed);
            let block = crypto::sha256(&n.to_be_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.fill_secret(out)
    }
}

/// Records and the rules that make them: a ledger without a store.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) records: BTreeMap<RecordName, Vec<u8>>,
    pub(crate) entropy: Counting,
    pub(crate) now: u64,
    pub(crate) index: u64,
    pub(crate) kinds: Vec<String>,
}

impl World {
    pub(crate) fn new() -> World {
        World { now: START.0, ..World::default() }
    }

    pub(crate) fn now(&self) -> WallMs {
        WallMs(self.now)
    }

    /// Decides with at most four rounds of `Need`, as the committer does.
    pub(crate) fn decide(&self, actor: &Actor, command: &dyn Command) -> Result<Outcome, Refusal> {
        let mut view = View::new();
        let mut wanted = command.reads();
        for _ in 0..5 {
            for name in wanted.drain(..) {
                let record = self.records.get(&name).map(|bytes| Arc::from(bytes.as_slice()));
                view.insert(name, record);
            }
            let cx = Context::for_tests(self.now(), TENANT, actor, OperationId::from_bytes([1; 16]), 1);
            match command.decide(&view, &cx) {
                Ok(outcome) => return Ok(outcome),
                Err(Halt::Refuse(refusal)) => return Err(refusal),
                Err(Halt::Need(names)) => wanted = names,
            }
        }
        panic!("more than four rounds of Need");
    }

    /// Folds an outcome's events into the records.
    pub(crate) fn fold(&mut self, actor: &Actor, outcome: &Outcome) {
        for event in &outcome.events {
            let position = Position { shard: 0, index: self.index };
            self.index += 1;
            let stamp = Stamp { position, time: self.now(), tenant: TENANT, actor: actor.clone() };
            let event_ref = EventRef { kind: event.kind, body: &event.body, stamp: &stamp };
            assert!(AccessRules.kinds().contains(&event.kind));
            self.kinds.push(event.kind.to_owned());
            for name in AccessRules.touches(&event_ref).unwrap() {
                let before = self.records.get(&name).map(Vec::as_slice);
                match AccessRules.evolve(&name, before, &event_ref).unwrap() {
                    Some(after) => self.records.insert(name, after),
                    None => self.records.remove(&name),
                };
            }
        }
    }

    pub(crate) fn submit(&mut self, actor: &Actor, command: &dyn Command) -> Result<Outcome, Refusal> {
        let outcome = self.decide(actor, command)?;
        self.fold(actor, &outcome);
        Ok(outcome)
    }

    pub(crate) fn entity(&self) -> EntityId {
        EntityId::generate(self.now(), &self.entropy).unwrap()
    }

    pub(crate) fn fresh(&self) -> FreshSession {
        FreshSession::mint(self.now(), &self.entropy).unwrap()
    }

    pub(crate) fn bootstrap(&mut self) -> Principal {
        let command = BootstrapOwner::new(self.entity());
        self.submit(&Actor::SYSTEM, &command).unwrap();
        self.principal("owner")
    }

    pub(crate) fn put(
        &mut self,
        actor: &Actor,
        name: &str,
        roles: &[&str],
        disabled: bool,
    ) -> Result<Principal, Refusal> {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        let command = PutPrincipal::new(principal_name(name), &roles, disabled, self.entity())?;
        self.submit(actor, &command)?;
        Ok(self.principal(name))
    }

    pub(crate) fn principal(&self, name: &str) -> Principal {
        Principal::decode(&self.records[&principal::record_name(&principal_name(name))]).unwrap()
    }

    pub(crate) fn issue(&mut self, actor: &Actor, name: &str, life: Duration) -> Result<IssuedSession, Refusal> {
        let command = IssueSession::new(principal_name(name), Terms::of(Ttl::session(life)?), self.fresh());
        let outcome = self.submit(actor, &command)?;
        Ok(IssuedSession::from_reply(&outcome.reply).unwrap())
    }

    /// What the app does with a presented token; every failure is the same `None`.
    pub(crate) fn authenticate(&self, token: &str) -> Option<SessionFacts> {
        let digest = session::token_digest(token)?;
        let find = |digest: &[u8; 32]| {
            self.records.get(&session::record_name(digest)).map(|record| Session::decode(record).unwrap())
        };
        let session = find(&digest)?;
        let parents = session.parents.iter().map(|link| find(&link.digest)).collect::<Option<Vec<_>>>()?;
        let principal = Principal::decode(self.records.get(&session.principal_record().unwrap())?).unwrap();
        verify_session(TENANT, (digest, &session), &parents, &principal, self.now()).ok()
    }

    /// Facts of a principal with these roles, made and logged in by the way.
    pub(crate) fn login(&mut self, name: &str, roles: &[&str]) -> SessionFacts {
        self.put(&Actor::SYSTEM, name, roles, false).unwrap();
        let issued = self.issue(&Actor::SYSTEM, name, Duration::from_secs(3600)).unwrap();
        self.authenticate(issued.token.expose()).unwrap()
    }
}

pub(crate) fn actor(principal: &Principal) -> Actor {
    Actor { entity: principal.entity, session: None }
}

pub(crate) fn principal_name(name: &str) -> PrincipalName {
    PrincipalName::parse(name).unwrap()
}

pub(crate) fn policy(name: &str, text: &str) -> Arc<ValidPolicy> {
    Arc::new(ValidPolicy::parse(PolicyName::parse(name).unwrap(), text).unwrap_or_else(|why| panic!("{why}\n{text}")))
}

pub(crate) fn refusal(text: &str) -> Refusal {
    match ValidPolicy::parse(PolicyName::parse("p").unwrap(), text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(refusal) => refusal,
    }
}

/// A decider with these policies in force, named `p0`, `p1`, …
pub(crate) fn decider(texts: &[&str]) -> Decider {
    let decider = Decider::new();
    let mut store = PolicyStore::new();
    for (index, text) in texts.iter().enumerate() {
        store.put(policy(&format!("p{index}"), text)).unwrap();
    }
    assert!(decider.install(TENANT, 1, store.snapshot()));
    decider
}

pub(crate) fn secret(path: &str) -> Resource {
    Resource::Secret(Path::parse(path).unwrap())
}

pub(crate) fn folder(path: &str) -> Resource {
    Resource::Folder(Prefix::parse(path).unwrap())
}

pub(crate) fn here() -> RequestContext {
    RequestContext { source_ip: [10, 1, 2, 3].into(), now: START, tls: true, cas: false }
}
