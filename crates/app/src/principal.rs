//! Principals: put, get, list.

use crate::app::no_entropy;
use crate::authenticate::damaged;
use crate::grant::{Authorized, bug};
use crate::limits;
use crate::reply::{Changed, Page};
use access::principal::{PrincipalReply, PutPrincipal, entity_record_name, record_name};
use access::{Principal, PrincipalName, Resource};
use crypto::WallMs;
use crypto::id::EntityId;
use ledger::code::{PRINCIPAL_INVALID, PRINCIPAL_NOT_FOUND};
use ledger::{RecordKind, Refusal};

/// A principal as shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// The identity that policies name.
    pub entity: EntityId,
    /// Its roles.
    pub roles: Vec<String>,
    /// Whether it may do nothing.
    pub disabled: bool,
    /// When it was made.
    pub created: WallMs,
    /// When it was last changed.
    pub changed: WallMs,
}

impl From<Principal> for Shown {
    fn from(principal: Principal) -> Shown {
        Shown {
            name: principal.name.as_str().to_owned(),
            entity: principal.entity,
            roles: principal.roles.iter().map(|role| role.to_string()).collect(),
            disabled: principal.disabled,
            created: principal.created,
            changed: principal.changed,
        }
    }
}

/// The principal the act names.
pub(crate) fn name(grant: &Authorized) -> Result<PrincipalName, Refusal> {
    match grant.resource()? {
        Resource::PrincipalRecord(name) => Ok(name.clone()),
        _ => Err(bug("a use case was called for another act")),
    }
}

/// Makes or changes the principal the act names; disabling ends its sessions at once.
///
/// With an `identity` of the house's own tenant, who logs in there may act here as this principal. Elsewhere than in
/// another tenant that is refused: identities of a tenant's own are made, not taken.
///
/// Errors: `principal.invalid`, `principal.owner_only`, `principal.self`, `principal.taken` (nothing happened).
pub async fn put(
    grant: Authorized,
    roles: Vec<String>,
    disabled: bool,
    identity: Option<EntityId>,
) -> Result<Changed<Shown>, Refusal> {
    let name = name(&grant)?;
    if let Some(identity) = identity {
        check_identity(&grant, identity).await?;
    }
    let fresh = EntityId::generate(grant.now(), &*grant.app.parts().entropy).map_err(no_entropy)?;
    let mut command = PutPrincipal::new(name.clone(), &roles, disabled, fresh)?;
    if let Some(identity) = identity {
        command = command.being(identity);
    }
    let done = grant.change(command).await?;
    PrincipalReply::decode(done.reply.expose()).map_err(damaged)?;
    let what = find(&grant, &name).await?.into();
    Ok(Changed { what, position: done.position, replayed: done.replayed })
}

/// Only principals of the house's own tenant can be members of others. Whose identity another one is, and whether it is any,
/// is not told.
async fn check_identity(grant: &Authorized, identity: EntityId) -> Result<(), Refusal> {
    let home = grant.app.parts().home;
    let invalid = |why| Err(Refusal::new(&PRINCIPAL_INVALID, why));
    if grant.tenant() == home {
        return invalid("an identity is given to members of other tenants; here each principal has its own");
    }
    match grant.ledger().record(home, &entity_record_name(identity)).await? {
        Some(_) => Ok(()),
        None => invalid("`entity` is no principal of the tenant `main`; `aumbry principal get` there shows it"),
    }
}

/// Shows the principal the act names. Errors: `principal.not_found`.
pub async fn get(grant: Authorized) -> Result<Shown, Refusal> {
    find(&grant, &name(&grant)?).await.map(Shown::from)
}

/// Lists principals in store order. Errors: `cursor.invalid`.
pub async fn list(grant: Authorized, cursor: Option<String>, limit: Option<u64>) -> Result<Page<Shown>, Refusal> {
    let bound: [&[u8]; 1] = [b"principal.list"];
    let (cursors, tenant) = (grant.app.cursors(), grant.tenant());
    let after: Option<[u8; 16]> = cursor.map(|text| cursors.read(tenant, &bound, &text)).transpose()?;
    let limit = limits::page(limit)?;
    let found = grant.ledger().children(tenant, RecordKind::PRINCIPAL, &[], after, limit).await?;
    let last = found.last().filter(|_| found.len() == limit).map(|child| child.id);
    let next = last.map(|last| cursors.write(tenant, &bound, &last)).transpose()?;
    let items = found.iter().map(|child| Principal::decode(&child.body).map(Shown::from).map_err(damaged));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next })
}

/// A principal of the caller's tenant. Errors: `principal.not_found`.
pub(crate) async fn find(grant: &Authorized, name: &PrincipalName) -> Result<Principal, Refusal> {
    let missing = || Refusal::new(&PRINCIPAL_NOT_FOUND, "there is no principal of this name");
    let record = grant.ledger().record(grant.tenant(), &record_name(name)).await?.ok_or_else(missing)?;
    Principal::decode(&record).map_err(damaged)
}
