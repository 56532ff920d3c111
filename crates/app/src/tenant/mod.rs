//! Tenants: make, see, suspend, resume, limit, delete.

mod book;
mod delete;
mod promise;

pub(crate) use book::TenantBook;
pub(crate) use delete::begun as deletion;
pub(crate) use promise::{Promise, Wanted, keep};

use crate::app::App;
use crate::authenticate::damaged;
use crate::grant::{Authorized, Done, bug};
use crate::limits;
use crate::reply::{Changed, Page};
use access::PrincipalName;
use crypto::id::TenantId;
use crypto::{SecretText, WallMs};
use ledger::code::{AUTH_ALREADY_SET_UP, KEY_BUSY, TENANT_INVALID, TENANT_NOT_FOUND, TENANT_TAKEN};
use ledger::{Actor, ChangeTenant, Command, RecordKind, Refusal, SYSTEM_TENANT, Tenant, Unit};

pub use ledger::{TenantLimits, TenantState};

/// A tenant as shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: String,
    /// What may be done in it.
    pub state: TenantState,
    /// How much it may have.
    pub limits: TenantLimits,
    /// When it was made.
    pub created: WallMs,
}

impl From<Tenant> for Shown {
    fn from(tenant: Tenant) -> Shown {
        let Tenant { id, name, created, state, limits } = tenant;
        Shown { id, name, state, limits, created }
    }
}

/// A new tenant with the one-time login of its owner, shown this once.
#[derive(Debug)]
pub struct Created {
    /// The tenant.
    pub tenant: Shown,
    /// Opens one session of the tenant's owner.
    pub login: SecretText,
}

/// Largest rate and number that limits take; more is as good as none.
const RATE_MAX: u32 = 1_000_000;

/// Checks a name. Errors: `tenant.invalid`.
pub fn check_name(name: &str) -> Result<(), Refusal> {
    if name == SYSTEM_TENANT || PrincipalName::parse(name).is_err() || name.starts_with("ten_") {
        let why = "a tenant's name is 1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit, not `system` and not \
                   beginning with `ten_`";
        return Err(Refusal::new(&TENANT_INVALID, why));
    }
    Ok(())
}

fn check(limits: &TenantLimits) -> Result<(), Refusal> {
    if limits.request_rate.is_some_and(|rate| rate == 0 || rate > RATE_MAX) {
        return Err(Refusal::new(&TENANT_INVALID, format!("`request_rate` is 1 to {RATE_MAX} requests a second")));
    }
    Ok(())
}

/// Makes the tenant the act names, with keys of its own and an owner; the answer holds the owner's one-time login.
///
/// What a crash left half made is finished by the same request again. Errors: `tenant.taken`, `tenant.invalid`.
pub async fn create(grant: Authorized, limits: TenantLimits) -> Result<Changed<Created>, Refusal> {
    let name = grant.tenant_named()?.to_owned();
    check(&limits)?;
    let ledger = grant.ledger();
    let tenant = match ledger.create_tenant(&name).await {
        Err(refusal) if refusal.code == &KEY_BUSY => find(&grant, &name).await?.id,
        made => made?,
    };
    let commands = crate::bootstrap::owner_commands(&grant.app)?;
    let receipt = grant.submit_in(tenant, Actor::SYSTEM, commands).await.map_err(|refusal| {
        match refusal.code == &AUTH_ALREADY_SET_UP {
            true => Refusal::new(&TENANT_TAKEN, "there is a tenant of this name"),
            false => refusal,
        }
    })?;
    let (position, replayed) = (receipt.position, receipt.replayed);
    let login = receipt.replies.into_iter().next_back().ok_or_else(|| bug("a commit without an answer"))?;
    let login = login.into_text().map_err(|_| bug("a login token that is no text"))?;
    if limits != TenantLimits::default() && !replayed {
        grant.change_tenant(ChangeTenant::new(&name, None, Some(limits), Vec::new())).await?;
    }
    let tenant = find(&grant, &name).await?.into();
    let position = position.ok_or_else(|| bug("a change without an entry"))?;
    Ok(Changed { what: Created { tenant, login }, position, replayed })
}

/// Makes a fresh one-time login for the owner of the tenant the act names: after a restore, or where the last one was lost.
///
/// Errors: `tenant.not_found`, `tenant.invalid` for the house's own, `principal.not_found`, `principal.disabled` (nothing
/// happened).
pub async fn login(grant: Authorized) -> Result<Changed<Created>, Refusal> {
    let name = grant.tenant_named()?.to_owned();
    if name == crate::bootstrap::HOME {
        let why =
            "its owner gets a fresh login by `aumbry serve --set init.owner_login=true`, from whoever runs the server";
        return Err(Refusal::new(&TENANT_INVALID, why));
    }
    let tenant = find(&grant, &name).await?;
    let command = crate::bootstrap::login_command(&grant.app)?;
    let receipt = grant.submit_in(tenant.id, Actor::SYSTEM, vec![Box::new(command)]).await?;
    let Done { reply, position, replayed } = Done::of(receipt)?;
    let login = reply.into_text().map_err(|_| bug("a login token that is no text"))?;
    Ok(Changed { what: Created { tenant: tenant.into(), login }, position, replayed })
}

/// Shows the tenant the act names. Errors: `tenant.not_found`.
pub async fn get(grant: Authorized) -> Result<Shown, Refusal> {
    find(&grant, grant.tenant_named()?).await.map(Shown::from)
}

/// Lists tenants in store order, the house's own among them. Errors: `cursor.invalid`.
pub async fn list(grant: Authorized, cursor: Option<String>, limit: Option<u64>) -> Result<Page<Shown>, Refusal> {
    let bound: [&[u8]; 1] = [b"tenant.list"];
    let (cursors, tenant) = (grant.app.cursors(), grant.tenant());
    let after: Option<[u8; 16]> = cursor.map(|text| cursors.read(tenant, &bound, &text)).transpose()?;
    let limit = limits::page(limit)?;
    let found = grant.ledger().children(TenantId::SYSTEM, RecordKind::TENANT, &[], after, limit).await?;
    let last = found.last().filter(|_| found.len() == limit).map(|child| child.id);
    let next = last.map(|last| cursors.write(tenant, &bound, &last)).transpose()?;
    let items = found.iter().map(|child| Tenant::decode(&child.name, &child.body).map(Shown::from).map_err(damaged));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next })
}

/// What of a tenant is to be another.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Change {
    /// Suspended or active again.
    pub suspended: Option<bool>,
    /// All limits anew.
    pub limits: Option<TenantLimits>,
}

impl Change {
    /// Refuses limits that no tenant takes, and any change of the house's own tenant. Errors: `tenant.invalid`.
    pub(crate) fn check(&self, name: &str) -> Result<(), Refusal> {
        not_home(name)?;
        self.limits.as_ref().map_or(Ok(()), check)
    }

    /// Whether it would change nothing about a tenant that is like this.
    pub(crate) fn leaves(&self, before: &Tenant) -> bool {
        self.suspended.is_none_or(|suspended| state(suspended) == before.state)
            && self.limits.is_none_or(|limits| limits == before.limits)
    }
}

/// Suspends, resumes or limits the tenant the act names. It counts at once.
///
/// Errors: `tenant.not_found`, `tenant.deleting`, `tenant.invalid` for the house's own (nothing happened).
pub async fn change(grant: Authorized, change: Change) -> Result<Changed<Shown>, Refusal> {
    let name = grant.tenant_named()?.to_owned();
    change.check(&name)?;
    let state = change.suspended.map(state);
    let done = grant.change_tenant(ChangeTenant::new(&name, state, change.limits, Vec::new())).await?;
    let what = find(&grant, &name).await?.into();
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Deletes the tenant the act names: nobody enters it from now on, and what is in it is destroyed step by step.
///
/// Its name is free when that is done. Errors: `tenant.not_found`, `tenant.deleting`, `tenant.invalid` for the house's own
/// (nothing happened).
pub async fn delete(grant: Authorized) -> Result<Changed<Shown>, Refusal> {
    let name = grant.tenant_named()?.to_owned();
    not_home(&name)?;
    let tenant = find(&grant, &name).await?;
    let intent = delete::begun(&tenant, grant.now())?;
    let command = ChangeTenant::new(&name, Some(TenantState::Deleting), None, vec![intent]);
    let Done { position, replayed, .. } = grant.change_tenant(command).await?;
    Ok(Changed { what: Shown { state: TenantState::Deleting, ..tenant.into() }, position, replayed })
}

fn state(suspended: bool) -> TenantState {
    if suspended { TenantState::Suspended } else { TenantState::Active }
}

/// Does one step of everything that was promised about tenants and is due: those that documents want are made, those that
/// are being deleted emptied. Answers how many steps; 0 means that there is nothing to do now.
///
/// Errors: the first step that failed; its promise stays and is tried again.
pub async fn run_due(app: &App) -> Result<usize, Refusal> {
    let (kept, emptied) = (keep(app).await, delete::run_due(app).await);
    Ok(kept?.saturating_add(emptied?))
}

/// Commits in the server's own name.
async fn submit(app: &App, tenant: TenantId, commands: Vec<Box<dyn Command>>) -> Result<(), Refusal> {
    let operation = app.operation(app.now())?;
    let unit = Unit { tenant, actor: Actor::SYSTEM, commands, idempotency: None, operation };
    app.parts().ledger.submit(unit).await.map(drop)
}

fn not_home(name: &str) -> Result<(), Refusal> {
    match name == crate::bootstrap::HOME {
        true => Err(Refusal::new(&TENANT_INVALID, "the house's own tenant is neither suspended, limited nor deleted")),
        false => Ok(()),
    }
}

async fn find(grant: &Authorized, name: &str) -> Result<Tenant, Refusal> {
    let missing = || Refusal::new(&TENANT_NOT_FOUND, "there is no tenant of this name");
    grant.ledger().tenant_named(name).await?.ok_or_else(missing)
}
