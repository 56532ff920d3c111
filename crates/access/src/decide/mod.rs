//! May this principal do this to that, now?
//!
//! The index finds the statements whose scope is met. Their conditions are sorted by what they look at: outcomes of those
//! that look at no resource are remembered per principal and act (and source address, where they look at it), of those
//! that look at the resource per resource; only what looks at the time, or at resource and circumstances both, goes to
//! Cedar each time, and mostly there is none.

mod entities;
mod evaluate;
mod memo;
mod subject;

use crate::action::Action;
use crate::decision::{Decision, DenyReason, RuleIds, Verdict};
use crate::limits::{FOLDERS_MAX, MEMO_MAX, PLACES_MAX, SUBJECTS_MAX, VERDICTS_MAX};
use crate::name::{OWNER, PolicyName};
use crate::policy::{Plan, Snapshot};
use crate::resource::Resource;
use crate::session::SessionFacts;
use cedar_policy::{Authorizer, Context};
use crypto::WallMs;
use crypto::id::{EntityId, TenantId};
use memo::{ApartKey, FolderKey, Key};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use subject::Known;

/// What a policy may know of a request besides who, what and which act: `context` in Cedar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestContext {
    /// `context.source_ip`: where the request comes from, as far as proxies are trusted.
    pub source_ip: IpAddr,
    /// `context.now_ms`.
    pub now: WallMs,
    /// `context.tls`.
    pub tls: bool,
    /// `context.cas`: whether a write says which version it replaces, so that it cannot undo another's.
    pub cas: bool,
}

/// How often what happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Outcomes that were made and are remembered.
    pub made: u64,
    /// Calls of Cedar's evaluator.
    pub cedar_calls: u64,
    /// Decisions denied because a rule could not be evaluated; worth an alarm.
    pub unevaluable: u64,
}

/// Decides for all tenants of a server. Shared by all threads.
#[derive(Debug)]
pub struct Decider {
    tenants: papaya::HashMap<TenantId, Arc<Installed>>,
    install: Mutex<()>,
    subjects: Cache<(TenantId, EntityId), Arc<Known>>,
    plans: Cache<FolderKey, Arc<Plan>>,
    apart: Cache<ApartKey, Arc<Verdict>>,
    memo: Cache<Key, Arc<Verdict>>,
    /// Source address, TLS and `cas` as Cedar takes them.
    places: Cache<(IpAddr, bool, bool), Context>,
    authorizer: Authorizer,
    serial: AtomicU64,
    made: AtomicU64,
    cedar_calls: AtomicU64,
    unevaluable: AtomicU64,
}

/// Whether an owner who asks from where this request does may still mend the policy, now and at any time. What would make it
/// no is not to be put into force: nobody could take it back.
pub fn owner_may_mend(snapshot: Arc<Snapshot>, asks: &SessionFacts, name: &PolicyName, cx: &RequestContext) -> bool {
    let mut owner = asks.clone();
    owner.roles = Arc::from([Box::from(OWNER)]);
    let mends = Resource::Policy(name.clone());
    let known = Known::new(0, 0, &owner);
    // What looks at the time says yes now and no later.
    let candidates = snapshot.candidates(known.subject(), Action::PolicyWrite, &mends);
    let mut forbids =
        candidates.iter().filter_map(|number| snapshot.statement(*number)).filter(|found| found.forbids());
    if forbids.any(|forbid| forbid.condition.as_ref().is_some_and(|condition| condition.uses_now)) {
        return false;
    }
    let trial = Decider::new();
    trial.install(owner.tenant, 0, snapshot);
    trial.decide(&owner, Action::PolicyWrite, &mends, cx).is_allow()
}

/// A snapshot in use. Its serial is unique in this process, so nothing remembered under another can be taken for it.
#[derive(Debug)]
struct Installed {
    serial: u64,
    /// The ledger position of the last change.
    generation: u64,
    snapshot: Arc<Snapshot>,
}

impl Default for Decider {
    fn default() -> Decider {
        Decider::new()
    }
}

impl Decider {
    /// A decider that knows no tenant yet and so denies everything.
    pub fn new() -> Decider {
        Decider {
            tenants: papaya::HashMap::new(),
            install: Mutex::new(()),
            subjects: Cache::new(SUBJECTS_MAX),
            plans: Cache::new(FOLDERS_MAX),
            apart: Cache::new(VERDICTS_MAX),
            memo: Cache::new(MEMO_MAX),
            places: Cache::new(PLACES_MAX),
            authorizer: Authorizer::new(),
            serial: AtomicU64::new(1),
            made: AtomicU64::new(0),
            cedar_calls: AtomicU64::new(0),
            unevaluable: AtomicU64::new(0),
        }
    }

    /// Puts a tenant's policies into force for every decision that begins afterwards.
    ///
    /// The generation is the ledger position of the last change. Call it before answering the request that made it. An
    /// older one never replaces a newer one; returns whether this one is in force now.
    pub fn install(&self, tenant: TenantId, generation: u64, snapshot: Arc<Snapshot>) -> bool {
        let _one_at_a_time = self.install.lock();
        let tenants = self.tenants.pin();
        if tenants.get(&tenant).is_some_and(|now| now.generation > generation) {
            return false;
        }
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        tenants.insert(tenant, Arc::new(Installed { serial, generation, snapshot }));
        true
    }

    /// Takes a tenant out; everything of it is denied from now on.
    pub fn forget(&self, tenant: TenantId) {
        let _one_at_a_time = self.install.lock();
        self.tenants.pin().remove(&tenant);
    }

    /// The policies in force for a tenant.
    pub fn snapshot(&self, tenant: TenantId) -> Option<Arc<Snapshot>> {
        self.tenants.pin().get(&tenant).map(|installed| installed.snapshot.clone())
    }

    /// Decides. A forbid that is satisfied denies; else a rule that cannot be evaluated denies; else a
    /// permit allows; else it is denied.
    ///
    /// Never waits, never fails open. Facts come from [`crate::verify_session`] of the same request.
    pub fn decide(&self, who: &SessionFacts, action: Action, resource: &Resource, cx: &RequestContext) -> Decision {
        if !who.confines.cover(action, resource) {
            return Decision::deny(DenyReason::Confined);
        }
        let tenants = self.tenants.pin();
        let Some(installed) = tenants.get(&who.tenant) else { return Decision::deny(DenyReason::NotLoaded) };
        let known = self.known(who, installed);
        // Nothing but a defect of ours makes no decision here, and then the answer is no.
        let decision = Decider::broken(installed, &known, action)
            .or_else(|| self.evaluate(&installed.snapshot, &known, action, resource, cx))
            .unwrap_or_else(|| Decision::deny(DenyReason::Unevaluable));
        if matches!(decision, Decision::Deny { why: DenyReason::Unevaluable, .. }) {
            self.unevaluable.fetch_add(1, Ordering::Relaxed);
        }
        decision
    }

    /// How often what happened.
    pub fn counters(&self) -> Counters {
        Counters {
            made: self.made.load(Ordering::Relaxed),
            cedar_calls: self.cedar_calls.load(Ordering::Relaxed),
            unevaluable: self.unevaluable.load(Ordering::Relaxed),
        }
    }

    /// What is remembered of the principal under exactly these policies and these roles.
    fn known(&self, who: &SessionFacts, installed: &Installed) -> Arc<Known> {
        let key = (who.tenant, who.entity);
        if let Some(known) = self.subjects.get(&key)
            && known.serial == installed.serial
            && (Arc::ptr_eq(&known.roles, &who.roles) || known.roles == who.roles)
        {
            return known;
        }
        let slot = self.serial.fetch_add(1, Ordering::Relaxed);
        let known = Arc::new(Known::new(slot, installed.serial, who));
        self.subjects.insert(key, known.clone());
        known
    }

    /// A tenant with a policy that cannot be read allows owners to mend it, and nothing else.
    fn broken(installed: &Installed, known: &Known, action: Action) -> Option<Decision> {
        let broken = installed.snapshot.broken();
        let mends = matches!(action, Action::PolicyRead | Action::PolicyWrite | Action::SessionOwn)
            && known.roles.iter().any(|role| &**role == OWNER);
        (!broken.is_empty() && !mends)
            .then(|| Decision::Deny { rules: RuleIds::new(broken.to_vec()), why: DenyReason::BrokenPolicy })
    }
}
