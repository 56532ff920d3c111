//! Policies: put, get, list, remove; and keeping the decider up to date with them.

mod trial;

pub use trial::{Altered, Changes, Difference, QUESTIONS_MAX, Who, diff, explain, test, who};

use crate::app::App;
use crate::authenticate::damaged;
use crate::grant::{Authorized, Done, bug};
use crate::limits;
use crate::reply::{Changed, Page};
use access::policy::{self, Listed, PutPolicy, RemovePolicy, StoredPolicy};
use access::{Action, Decider, PolicyName, PolicyStore, PrincipalName, Resource, ValidPolicy, owner_may_mend};
use crypto::WallMs;
use crypto::id::TenantId;
use ledger::code::{POLICY_INVALID, POLICY_NOT_FOUND};
use ledger::{Command, Ledger, RecordKind, Refusal};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Policies fetched at once while a tenant's are loaded.
const FETCH: usize = 256;

/// A policy as shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Cedar text as written; empty for one that can no longer be read.
    pub text: String,
    /// When it was last written; built-in ones have no time.
    pub changed: Option<WallMs>,
    /// Whether it ships with the product.
    pub built_in: bool,
    /// Whether it can no longer be read, so that nothing is allowed until it is mended.
    pub broken: bool,
}

/// Whether a principal may do something, as a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Who.
    pub principal: PrincipalName,
    /// What.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// From where; from where the question comes otherwise.
    pub source_ip: Option<IpAddr>,
    /// When; now otherwise.
    pub at: Option<WallMs>,
    /// Over TLS or not; as the question comes otherwise.
    pub tls: Option<bool>,
    /// Whether it says which version it replaces: `context.cas`.
    pub cas: bool,
}

/// What a session of the principal would be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained {
    /// Whether it is a yes.
    pub allowed: bool,
    /// Why: `permitted`, or a reason of [`access::DenyReason`], or `disabled`, or `home_tenant_only`.
    pub reason: &'static str,
    /// The rules that decided: satisfied permits of a yes, at least one; forbids, or rules that could not be evaluated.
    pub rules: Vec<String>,
    /// The principal's roles.
    pub roles: Vec<String>,
}

/// The policies of each tenant as loaded, and the order of their changes.
#[derive(Debug, Default)]
pub(crate) struct PolicyBook {
    // One at a time, so that snapshots go into force in the order of the ledger.
    stores: tokio::sync::Mutex<BTreeMap<TenantId, PolicyStore>>,
    /// Changes by other nodes that `stores` knows of.
    foreign: AtomicU64,
}

impl PolicyBook {
    /// Sees to it that a tenant's policies are in force. Errors: why they cannot be loaded; everything is denied then.
    pub(crate) async fn ready(&self, app: &App, tenant: TenantId) -> Result<(), Refusal> {
        let foreign = app.parts().ledger.foreign_policies();
        if foreign == self.foreign.load(Ordering::Acquire) && app.parts().decider.snapshot(tenant).is_some() {
            return Ok(());
        }
        let mut stores = self.stores.lock().await;
        if foreign > self.foreign.load(Ordering::Acquire) {
            for tenant in app.parts().ledger.take_foreign_policies() {
                let Some(store) = stores.get_mut(&tenant) else { continue };
                if reload(app, tenant, store).await.is_err() {
                    // Nobody knows what is in force: nothing is allowed until it is loaded again.
                    stores.remove(&tenant);
                    app.parts().decider.forget(tenant);
                }
            }
            self.foreign.store(foreign, Ordering::Release);
        }
        if app.parts().decider.snapshot(tenant).is_none() {
            let (store, generation) = load(&app.parts().ledger, tenant).await?;
            install(&app.parts().decider, tenant, &store, generation);
            stores.insert(tenant, store);
        }
        Ok(())
    }

    /// Commits changes of policies, with other commands, and puts the result into force before it is answered.
    pub(crate) async fn change(
        &self,
        grant: &Authorized,
        changes: Vec<PolicyChange>,
        more: Vec<Box<dyn Command>>,
    ) -> Result<Done, Refusal> {
        let (parts, tenant) = (grant.app.parts(), grant.tenant());
        let mut stores = self.stores.lock().await;
        let store = stores.get_mut(&tenant).ok_or_else(|| bug("policies are changed before they are loaded"))?;
        mendable(grant, store, &changes)?;
        let own = changes.iter().map(PolicyChange::command);
        let done = grant.submit(own.chain(more).collect()).await.and_then(Done::of);
        let refreshed = match &done {
            // What is in force is read back, so that a repeated request does not bring an old text back.
            Ok(done) => refresh(&parts.ledger, tenant, store, &changes).await.map(|()| done.position.index),
            Err(refusal) if refusal.operation.is_some() => Err(refusal.clone()),
            Err(_) => return done,
        };
        match refreshed {
            Ok(_) if changes.is_empty() => {}
            Ok(generation) => install(&parts.decider, tenant, store, generation),
            Err(_) => {
                // Nobody knows what is in force: nothing is allowed until it is loaded again.
                stores.remove(&tenant);
                parts.decider.forget(tenant);
            }
        }
        done
    }
}

/// Puts into force what another node changed. What was in force until now goes on meanwhile.
async fn reload(app: &App, tenant: TenantId, store: &mut PolicyStore) -> Result<(), Refusal> {
    // Removed ones leave no position: what is read now is at least as new as this.
    let known = app.parts().ledger.head().size.saturating_sub(1);
    let (read, generation) = load(&app.parts().ledger, tenant).await?;
    *store = read;
    install(&app.parts().decider, tenant, store, generation.max(known));
    Ok(())
}

/// A policy that is written, or removed where there is none.
#[derive(Debug)]
pub(crate) struct PolicyChange {
    pub(crate) name: PolicyName,
    pub(crate) policy: Option<Arc<ValidPolicy>>,
}

impl PolicyChange {
    fn command(&self) -> Box<dyn Command> {
        match &self.policy {
            Some(policy) => Box::new(PutPolicy::new(Arc::clone(policy))),
            None => Box::new(RemovePolicy::new(self.name.clone())),
        }
    }
}

/// Refuses policies past the bounds, and such after which the owner could not mend them any more.
fn mendable(grant: &Authorized, store: &PolicyStore, changes: &[PolicyChange]) -> Result<(), Refusal> {
    if changes.iter().all(|change| change.policy.is_none()) {
        return Ok(());
    }
    let pairs: Vec<_> = changes.iter().map(|change| (change.name.clone(), change.policy.clone())).collect();
    let trial = store.with(&pairs)?;
    for change in changes.iter().filter(|change| change.policy.is_some()) {
        if !owner_may_mend(trial.snapshot(), &grant.facts, &change.name, &grant.circumstances) {
            let why = "with it the owner could not mend policies any more, from where you are, now or at some time; name the \
                       acts or the folder, not `policy.write`";
            return Err(Refusal::new(&POLICY_INVALID, why));
        }
    }
    Ok(())
}

/// Whether a policy is there.
pub(crate) async fn holds(grant: &Authorized, name: &PolicyName) -> bool {
    let stores = grant.app.policies().stores.lock().await;
    stores.get(&grant.tenant()).is_some_and(|store| store.policy(name.as_str()).is_some())
}

fn install(decider: &Decider, tenant: TenantId, store: &PolicyStore, generation: u64) {
    decider.install(tenant, generation, store.snapshot());
}

async fn load(ledger: &Ledger, tenant: TenantId) -> Result<(PolicyStore, u64), Refusal> {
    let (mut store, mut generation) = (PolicyStore::new(), 0);
    let mut after = None;
    loop {
        let page = ledger.children(tenant, RecordKind::POLICY, &[], after, FETCH).await?;
        for child in &page {
            let stored = StoredPolicy::decode(&child.body).map_err(damaged)?;
            store.load_stored(PolicyName::parse(&child.name)?, &stored);
            generation = generation.max(stored.policy().position);
        }
        after = page.last().map(|child| child.id);
        if page.len() < FETCH {
            return Ok((store, generation));
        }
    }
}

async fn refresh(
    ledger: &Ledger,
    tenant: TenantId,
    store: &mut PolicyStore,
    changes: &[PolicyChange],
) -> Result<(), Refusal> {
    for PolicyChange { name, .. } in changes {
        match ledger.record(tenant, &policy::record_name(name)).await? {
            Some(record) => {
                let stored = StoredPolicy::decode(&record).map_err(damaged)?;
                store.load_stored(name.clone(), &stored);
            }
            None => {
                store.remove(name);
            }
        }
    }
    Ok(())
}

fn name(grant: &Authorized) -> Result<PolicyName, Refusal> {
    match grant.resource()? {
        Resource::Policy(name) => Ok(name.clone()),
        _ => Err(bug("a use case was called for another act")),
    }
}

/// Puts a policy under the name the act says. Errors: `policy.invalid` naming line and cause, `policy.built_in`
/// (nothing happened).
pub async fn put(grant: Authorized, text: String) -> Result<Changed<String>, Refusal> {
    let name = name(&grant)?;
    let policy = Arc::new(ValidPolicy::parse(name.clone(), &text)?);
    let app = grant.app.clone();
    let done = app
        .policies()
        .change(&grant, vec![PolicyChange { name: name.clone(), policy: Some(policy) }], Vec::new())
        .await?;
    Ok(Changed { what: name.as_str().to_owned(), position: done.position, replayed: done.replayed })
}

/// Removes the policy the act names. Errors: `policy.not_found`, `policy.built_in` (nothing happened).
pub async fn remove(grant: Authorized) -> Result<Changed<String>, Refusal> {
    let name = name(&grant)?;
    let app = grant.app.clone();
    let done =
        app.policies().change(&grant, vec![PolicyChange { name: name.clone(), policy: None }], Vec::new()).await?;
    Ok(Changed { what: name.as_str().to_owned(), position: done.position, replayed: done.replayed })
}

/// Shows the policy the act names. Errors: `policy.not_found`.
pub async fn get(grant: Authorized) -> Result<Policy, Refusal> {
    let name = name(&grant)?;
    let missing = || Refusal::new(&POLICY_NOT_FOUND, "there is no policy of this name");
    let record = grant.ledger().record(grant.tenant(), &policy::record_name(&name)).await?.ok_or_else(missing)?;
    let stored = StoredPolicy::decode(&record).map_err(damaged)?.into_policy();
    let broken = ValidPolicy::parse(name.clone(), &stored.text).is_err();
    let changed = Some(stored.written);
    Ok(Policy { name: name.as_str().to_owned(), text: stored.text, changed, built_in: false, broken })
}

/// Lists policies by name, the built-in ones first. Errors: `cursor.invalid`.
pub async fn list(grant: Authorized, cursor: Option<String>, limit: Option<u64>) -> Result<Page<Policy>, Refusal> {
    let bound: [&[u8]; 1] = [b"policy.list"];
    let cursors = grant.app.cursors();
    let after: Option<String> = cursor.map(|text| cursors.read(grant.tenant(), &bound, &text)).transpose()?;
    let all = {
        let stores = grant.app.policies().stores.lock().await;
        stores.get(&grant.tenant()).map(PolicyStore::list).unwrap_or_default()
    };
    let start = match &after {
        Some(after) => all.iter().position(|listed| listed.name.as_str() == after).map_or(all.len(), |at| at + 1),
        None => 0,
    };
    let limit = limits::page(limit)?;
    let mut items = Vec::new();
    for listed in all.iter().skip(start).take(limit) {
        items.push(shown(&grant, listed).await?);
    }
    let more = start.saturating_add(items.len()) < all.len();
    let last = items.last().filter(|_| more).map(|policy| &policy.name);
    let next = last.map(|last| cursors.write(grant.tenant(), &bound, last)).transpose()?;
    Ok(Page { items, next })
}

async fn shown(grant: &Authorized, listed: &Listed) -> Result<Policy, Refusal> {
    let mut changed = None;
    if !listed.built_in
        && let Some(record) = grant.ledger().record(grant.tenant(), &policy::record_name(&listed.name)).await?
    {
        let stored = StoredPolicy::decode(&record).map_err(damaged)?.into_policy();
        changed = Some(stored.written);
    }
    let Listed { name, text, built_in, broken } = listed.clone();
    Ok(Policy { name: name.as_str().to_owned(), text, changed, built_in, broken })
}
