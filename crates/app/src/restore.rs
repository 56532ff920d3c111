//! A store that came out of a backup begins a new life: nobody is logged in any more, and what the earlier life is known to have
//! taken away after the backup is taken away again.

use crate::app::no_entropy;
use crate::authenticate::damaged;
use crate::bootstrap::home;
use crate::grant::bug;
use access::erase::{ERASE_STEP, Erase};
use access::limits::{LOGIN_TTL_MAX, SESSION_TTL_DEFAULT};
use access::login::IssueLogin;
use access::policy::{self, RemovePolicy};
use access::principal::{self, EndEverything, Told};
use access::session::Ttl;
use access::{PolicyName, Principal, PrincipalName};
use crypto::id::{OperationId, TenantId};
use crypto::{Clock, Entropy, SecretBytes, SecretText};
use ledger::backup::Known;
use ledger::code::{POLICY_NOT_FOUND, PRINCIPAL_NOT_FOUND};
use ledger::house::{self, HouseEvent};
use ledger::{
    Actor, ChangeTenant, Command, EventRef, Ledger, Path, Position, RecordKind, RecordName, Refusal, Stamp,
    TenantState, Unit,
};
use secrets::Secret;
use secrets::command::{Purge, Scope};
use std::collections::{BTreeMap, BTreeSet};

/// What a new life began with.
#[derive(Debug)]
pub struct Begun {
    /// Principals whose sessions, logins and tokens are over.
    pub principals: u64,
    /// Versions that were purged again.
    pub purged: u64,
    /// Policies that were removed again.
    pub removed: u64,
    /// Tenants that were suspended again, or whose deletion began again.
    pub tenants: u64,
    /// Principals that were changed in the lost life; what was taken from them is taken again.
    pub told: u64,
    /// Policies that were made or changed in the lost life and are again as in the backup; somebody should look at them.
    pub policies: Vec<String>,
    /// A one-time login of an owner of the home tenant.
    pub login: SecretText,
}

/// What is known to have been taken away, by tenant.
#[derive(Debug, Default)]
struct Taken {
    purged: BTreeMap<(TenantId, String), BTreeSet<u64>>,
    principals: BTreeMap<(TenantId, PrincipalName), Told>,
    /// What became of tenants.
    tenants: BTreeMap<TenantId, (String, TenantState)>,
    /// Whether the policy was gone in the end.
    policies: BTreeMap<(TenantId, PolicyName), bool>,
}

/// Kinds of facts that [`begin_again`] wants to know of.
pub const KINDS: &[&str] = &[
    secrets::PURGED,
    principal::WRITTEN,
    policy::WRITTEN,
    policy::REMOVED,
    house::TENANT_CHANGED,
    house::TENANT_DELETED,
];

/// Page of principals and commands of one unit.
const STEP: usize = 200;

/// Begins a new life in a restored ledger that nobody else writes: ends everything that was issued, takes away again what
/// `known` tells, and makes a login for an owner. Repeated it does the same once more.
pub async fn begin_again(
    ledger: &Ledger,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    known: Option<&Known>,
) -> Result<Begun, Refusal> {
    let taken = known.map(taken).transpose()?.unwrap_or_default();
    let writer = Writer { ledger, clock, entropy };
    let purged = purge(&writer, &taken).await?;
    let removed = remove(&writer, &taken).await?;
    let tenants_shut = shut(&writer, &taken).await?;
    let mut principals = 0u64;
    let tenants = tenants(ledger).await?;
    for tenant in tenants.keys() {
        principals = principals.saturating_add(end(&writer, *tenant, &taken).await?);
        unwrap_nothing(&writer, *tenant).await?;
    }
    let home = home(ledger).await?;
    let shown = |(tenant, name): &(TenantId, PolicyName)| match tenants.get(tenant).filter(|_| *tenant != home) {
        Some(of) => format!("{name} (tenant {of})"),
        None => name.as_str().to_owned(),
    };
    let policies = taken.policies.iter().filter(|(_, gone)| !**gone).map(|(which, _)| shown(which)).collect();
    let told = u64::try_from(taken.principals.len()).unwrap_or(u64::MAX);
    let login = login(&writer).await?;
    Ok(Begun { principals, purged, removed, tenants: tenants_shut, told, policies, login })
}

fn taken(known: &Known) -> Result<Taken, Refusal> {
    let mut taken = Taken::default();
    for (tenant, fact) in &known.facts {
        let position = Position { shard: 0, index: 0 };
        let stamp = Stamp { position, time: fact.time, tenant: *tenant, actor: fact.actor.clone() };
        match fact.kind.as_str() {
            secrets::PURGED => {
                let event = EventRef { kind: &fact.kind, body: &fact.body, stamp: &stamp };
                let (path, versions) = secrets::purged_by(&event)?;
                taken.purged.entry((*tenant, path)).or_default().extend(versions);
            }
            principal::WRITTEN => {
                let told = Told::decode(&fact.body)?;
                taken.principals.insert((*tenant, told.name.clone()), told);
            }
            house::TENANT_CHANGED | house::TENANT_DELETED => match HouseEvent::decode(&fact.body)? {
                HouseEvent::TenantChanged(tenant) => {
                    taken.tenants.insert(tenant.id, (tenant.name, tenant.state));
                }
                HouseEvent::TenantDeleted { tenant, name } => {
                    taken.tenants.insert(tenant, (name, TenantState::Deleting));
                }
                _ => {}
            },
            policy::WRITTEN => drop(taken.policies.insert((*tenant, policy::name_in_written(&fact.body)?), false)),
            policy::REMOVED => drop(taken.policies.insert((*tenant, policy::name_in_removed(&fact.body)?), true)),
            _ => {}
        }
    }
    Ok(taken)
}

/// Commits in the server's own name.
struct Writer<'a> {
    ledger: &'a Ledger,
    clock: &'a dyn Clock,
    entropy: &'a dyn Entropy,
}

impl Writer<'_> {
    async fn submit(&self, tenant: TenantId, commands: Vec<Box<dyn Command>>) -> Result<Vec<SecretBytes>, Refusal> {
        let operation = OperationId::generate(self.clock.wall(), self.entropy).map_err(no_entropy)?;
        let unit = Unit { tenant, actor: Actor::SYSTEM, commands, idempotency: None, operation };
        self.ledger.submit(unit).await.map(|receipt| receipt.replies)
    }
}

/// Takes out what is wrapped: what was opened in the lost life must not open again.
async fn unwrap_nothing(writer: &Writer<'_>, tenant: TenantId) -> Result<(), Refusal> {
    loop {
        let found = writer.ledger.children(tenant, RecordKind::WRAP, &[], None, ERASE_STEP).await?;
        if found.is_empty() {
            return Ok(());
        }
        let names = found.into_iter().map(|child| RecordName::new(RecordKind::WRAP, [child.name]));
        writer.submit(tenant, vec![Box::new(Erase::new(names.collect()))]).await?;
    }
}

/// Every tenant there is, with its name.
async fn tenants(ledger: &Ledger) -> Result<BTreeMap<TenantId, String>, Refusal> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = ledger.children(TenantId::SYSTEM, RecordKind::TENANT, &[], after, STEP).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = Some(last.id);
        for child in &page {
            all.extend(ledger.tenant_named(&child.name).await?.map(|tenant| (tenant.id, tenant.name)));
        }
    }
}

/// Destroys again what was destroyed; gives how many versions.
async fn purge(writer: &Writer<'_>, taken: &Taken) -> Result<u64, Refusal> {
    let mut purged = 0u64;
    for ((tenant, path), versions) in &taken.purged {
        let path = Path::parse(path)?;
        let record = writer.ledger.record(*tenant, &secrets::secret_name(&path)).await?;
        let secret = record.map(|record| Secret::decode(&record)).transpose().map_err(damaged)?.flatten();
        let Some(secret) = secret else { continue };
        let there = |number: &u64| secret.version(*number).is_some_and(|version| version.state.stored().is_some());
        let versions: Vec<u64> = versions.iter().copied().filter(there).collect();
        if versions.is_empty() {
            continue;
        }
        purged = purged.saturating_add(u64::try_from(versions.len()).unwrap_or(u64::MAX));
        writer.submit(*tenant, vec![Box::new(Purge { path, scope: Scope::Versions(versions) })]).await?;
    }
    Ok(purged)
}

/// Removes policies again that were removed.
async fn remove(writer: &Writer<'_>, taken: &Taken) -> Result<u64, Refusal> {
    let mut removed = 0u64;
    for ((tenant, name), _) in taken.policies.iter().filter(|(_, gone)| **gone) {
        match writer.submit(*tenant, vec![Box::new(RemovePolicy::new(name.clone()))]).await {
            Ok(_) => removed = removed.saturating_add(1),
            // It was made in the lost life as well.
            Err(refusal) if refusal.code == &POLICY_NOT_FOUND => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(removed)
}

/// Suspends tenants again that were, and begins the deletion of those again that were deleted.
async fn shut(writer: &Writer<'_>, taken: &Taken) -> Result<u64, Refusal> {
    let mut shut = 0u64;
    for (id, (name, state)) in &taken.tenants {
        let there = writer.ledger.tenant_named(name).await?.filter(|tenant| tenant.id == *id && tenant.state != *state);
        let Some(tenant) = there.filter(|tenant| tenant.state != TenantState::Deleting) else { continue };
        let intents = match state {
            TenantState::Active => continue,
            TenantState::Suspended => Vec::new(),
            TenantState::Deleting => vec![crate::tenant::deletion(&tenant, writer.clock.wall())?],
        };
        let command = ChangeTenant::new(name, Some(*state), None, intents);
        writer.submit(TenantId::SYSTEM, vec![Box::new(command)]).await?;
        shut = shut.saturating_add(1);
    }
    Ok(shut)
}

/// Ends whatever was issued to the principals of a tenant.
async fn end(writer: &Writer<'_>, tenant: TenantId, taken: &Taken) -> Result<u64, Refusal> {
    let (mut after, mut ended) = (None, 0u64);
    loop {
        let page = writer.ledger.children(tenant, RecordKind::PRINCIPAL, &[], after, STEP).await?;
        let Some(last) = page.last() else { return Ok(ended) };
        after = Some(last.id);
        let mut commands: Vec<Box<dyn Command>> = Vec::with_capacity(page.len());
        for child in &page {
            let name = Principal::decode(&child.body).map_err(damaged)?.name;
            let told = taken.principals.get(&(tenant, name.clone())).cloned();
            let command = EndEverything::of(name);
            commands.push(Box::new(match told {
                Some(told) => command.known(told),
                None => command,
            }));
        }
        ended = ended.saturating_add(u64::try_from(commands.len()).unwrap_or(u64::MAX));
        writer.submit(tenant, commands).await?;
    }
}

/// A one-time login of an owner who may log in: the first one where it can be.
async fn login(writer: &Writer<'_>) -> Result<SecretText, Refusal> {
    let tenant = home(writer.ledger).await?;
    let mut owner: Option<PrincipalName> = None;
    let mut after = None;
    loop {
        let page = writer.ledger.children(tenant, RecordKind::PRINCIPAL, &[], after, STEP).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for child in &page {
            let principal = Principal::decode(&child.body).map_err(damaged)?;
            let first = owner.is_none() || principal.name.as_str() == access::OWNER;
            if first && principal.is_owner() && !principal.disabled {
                owner = Some(principal.name);
            }
        }
    }
    let missing = || Refusal::new(&PRINCIPAL_NOT_FOUND, "the restored store has no owner who may log in");
    let (wait, life) = (Ttl::login(LOGIN_TTL_MAX)?, Ttl::session(SESSION_TTL_DEFAULT)?);
    let login = IssueLogin::mint(owner.ok_or_else(missing)?, wait, life, writer.entropy).map_err(no_entropy)?;
    let token = writer.submit(tenant, vec![Box::new(login)]).await?.pop();
    let token = token.ok_or_else(|| bug("a commit without an answer"))?;
    token.into_text().map_err(|_: SecretBytes| bug("a login token that is no text"))
}
