//! Sessions: log in, issue, derive, see, renew and end.

mod sweep;
mod uses;

pub use sweep::sweep;
pub(crate) use uses::Uses;

use crate::act::Act;
use crate::app::{App, no_entropy};
use crate::arrival::Arrival;
use crate::authenticate::damaged;
use crate::grant::{Authorized, Done, bug};
use crate::limits;
use crate::one_time::{self, OneTime};
use crate::principal;
use crate::reply::{Changed, Page, Reply};
use access::session::{
    self, Asked, Bounds, DeriveSession, FreshSession, IssueSession, IssuedSession, RenewSession, RevokeSession,
    Session, Terms, Ttl,
};
use access::{Action, Part, Principal, PrincipalName, Resource, login, verify_session};
use crypto::id::{EntityId, SessionId, TenantId};
use crypto::{SecretText, WallMs};
use ledger::code::{POLICY_DENIED, SESSION_NOT_FOUND};
use ledger::{Ledger, RecordKind, Refusal};
use std::time::Duration;

/// A session as shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Its id.
    pub id: SessionId,
    /// Name of its principal.
    pub principal: String,
    /// The identity behind it.
    pub entity: EntityId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Roles of the principal.
    pub roles: Vec<String>,
    /// When it began.
    pub created: WallMs,
    /// When it is over: it or one that it hangs on.
    pub expires: WallMs,
    /// No renewal goes beyond; of a periodic session there is none.
    pub limit: Option<WallMs>,
    /// Whether a renewal may put its end off.
    pub renewable: bool,
    /// The sessions it hangs on, the nearest first.
    pub parents: Vec<SessionId>,
    /// What it may not, in layers.
    pub bounds: Vec<Bounds>,
    /// Uses not yet made or set aside, where they are counted.
    pub uses: Option<u32>,
}

/// A new session with its token, shown this once.
#[derive(Debug)]
pub struct Issued {
    /// The session.
    pub session: Shown,
    /// The token that proves it.
    pub token: SecretText,
}

/// What the records say of a session; `None` of one whose token would be refused for more than its time being over.
///
/// Errors: `storage.damaged`, why the store could not be asked.
async fn show(
    ledger: &Ledger,
    tenant: TenantId,
    (digest, session): ([u8; 32], Session),
) -> Result<Option<Shown>, Refusal> {
    let mut parents = Vec::with_capacity(session.parents.len());
    for link in &session.parents {
        let Some(parent) = ledger.record(tenant, &session::record_name(&link.digest)).await? else { return Ok(None) };
        parents.push(Session::decode(&parent).map_err(damaged)?);
    }
    let name = session.principal_record().map_err(damaged)?;
    let Some(principal) = ledger.record(tenant, &name).await? else { return Ok(None) };
    let principal = Principal::decode(&principal).map_err(damaged)?;
    // As of the first moment there is: the end is shown, also when it is past.
    let verified = verify_session(tenant, (digest, &session), &parents, &principal, WallMs(0));
    let Ok(facts) = verified else { return Ok(None) };
    Ok(Some(Shown {
        renewable: session.is_renewable(),
        id: session.id,
        principal: session.principal,
        entity: session.entity,
        tenant,
        roles: facts.roles.iter().map(|role| role.to_string()).collect(),
        created: session.created,
        expires: facts.expires,
        limit: session.limit,
        parents: session.parents.iter().map(|link| link.id).collect(),
        bounds: session.bounds,
        uses: session.uses,
    }))
}

/// The session of this token digest. Errors: `session.not_found`.
async fn find(ledger: &Ledger, tenant: TenantId, digest: &[u8; 32]) -> Result<Shown, Refusal> {
    let record = ledger.record(tenant, &session::record_name(digest)).await?.ok_or_else(missing)?;
    show(ledger, tenant, (*digest, Session::decode(&record).map_err(damaged)?)).await?.ok_or_else(missing)
}

/// The terms asked for; for ever only with the right to that. Errors: `session.invalid`, `policy.denied`.
fn terms(grant: &Authorized, asked: Asked) -> Result<Terms, Refusal> {
    let terms = Terms::new(asked)?;
    if terms.is_periodic() {
        needs(grant, Action::SessionPeriodic)?;
    }
    Ok(terms)
}

/// A further right that a wish needs. Errors: `policy.denied`.
fn needs(grant: &Authorized, right: Action) -> Result<(), Refusal> {
    match grant.also(right, &Resource::System(Part::Sessions)) {
        true => Ok(()),
        false => Err(Refusal::new(&POLICY_DENIED, format!("this needs `{right}` too"))),
    }
}

/// Makes a session for the principal the act names; 12 hours if no life is asked for.
///
/// Errors: `session.invalid`, `session.beyond`, `policy.denied`, `principal.not_found`, `principal.disabled`,
/// `principal.owner_only` (nothing happened).
pub async fn issue(grant: Authorized, asked: Asked) -> Result<Changed<Issued>, Refusal> {
    let (name, terms) = (principal::name(&grant)?, terms(&grant, asked)?);
    let fresh = FreshSession::mint(grant.now(), &*grant.app.parts().entropy).map_err(no_entropy)?;
    answered(&grant, IssueSession::new(name, terms, fresh)).await
}

/// Derives a session from the caller's own: it may do as much or less and ends with it, unless it is an `orphan`.
///
/// Errors: `session.invalid`, `session.beyond`, `session.counted`, `session.not_found`, `policy.denied` (nothing happened).
pub async fn derive(grant: Authorized, orphan: bool, asked: Asked) -> Result<Changed<Issued>, Refusal> {
    let terms = terms(&grant, asked)?;
    if orphan {
        needs(&grant, Action::SessionOrphan)?;
    }
    let fresh = FreshSession::mint(grant.now(), &*grant.app.parts().entropy).map_err(no_entropy)?;
    let (parent, principal) = (grant.facts().digest, grant.facts().principal.clone());
    answered(&grant, DeriveSession::new(parent, principal, orphan, terms, fresh)).await
}

async fn answered(grant: &Authorized, command: impl ledger::Command + 'static) -> Result<Changed<Issued>, Refusal> {
    let done = grant.change(command).await?;
    let (position, replayed) = (done.position, done.replayed);
    let gone = || Refusal::new(&SESSION_NOT_FOUND, "the session made by this request has ended meanwhile");
    let what = issued(grant.ledger(), grant.tenant(), done).await?.ok_or_else(gone)?;
    Ok(Changed { what, position, replayed })
}

/// Shows the caller's own session.
pub async fn own(grant: Authorized) -> Result<Shown, Refusal> {
    let facts = grant.facts();
    let shown = find(grant.ledger(), facts.lives, &facts.digest).await?;
    // In another tenant than its own it is what its principal is there.
    let roles = facts.roles.iter().map(|role| role.to_string()).collect();
    Ok(Shown { tenant: facts.tenant, principal: facts.principal.as_str().to_owned(), roles, ..shown })
}

/// Shows the session the act names, never its token: the caller's own, or another's with the right to.
///
/// Errors: `session.not_found`.
pub async fn read(grant: Authorized) -> Result<Shown, Refusal> {
    let found = by_id(&grant, grant.session()?).await?;
    if reaches(&grant, found.id, found.entity, &found.parents) { Ok(found) } else { Err(missing()) }
}

/// Whether the right that was enough is about this session. That to one's own is, where acts are left out of what the session
/// may do, about itself and what was derived from it: who holds a lesser session does not end the wider ones beside it.
fn reaches(grant: &Authorized, id: SessionId, entity: EntityId, parents: &[SessionId]) -> bool {
    let me = grant.facts();
    let near = !me.confines.is_scoped() || id == me.session || parents.contains(&me.session);
    grant.right() != Action::SessionOwn || (entity == me.entity && near)
}

/// Errors: `session.not_found` for a session that the right is not about.
async fn within_reach(grant: &Authorized, id: SessionId) -> Result<(), Refusal> {
    if grant.right() != Action::SessionOwn || !grant.facts().confines.is_scoped() || id == grant.facts().session {
        return Ok(());
    }
    let found = by_id(grant, id).await?;
    if reaches(grant, id, found.entity, &found.parents) { Ok(()) } else { Err(missing()) }
}

fn missing() -> Refusal {
    Refusal::new(&SESSION_NOT_FOUND, "there is no such session")
}

async fn by_id(grant: &Authorized, id: SessionId) -> Result<Shown, Refusal> {
    let found = grant.ledger().record(grant.tenant(), &session::id_record_name(id)).await?;
    let digest = session::decode_id(&found.ok_or_else(missing)?).map_err(damaged)?;
    find(grant.ledger(), grant.tenant(), &digest).await
}

/// Lists sessions in store order, those too whose time was over within the hour, not those that ended otherwise: the tenant's
/// with the right to, else the caller's own. Errors: `cursor.invalid`.
pub async fn list(grant: Authorized, cursor: Option<String>, limit: Option<u64>) -> Result<Page<Shown>, Refusal> {
    let bound: [&[u8]; 1] = [b"session.list"];
    let (cursors, tenant) = (grant.app.cursors(), grant.tenant());
    let after: Option<[u8; 16]> = cursor.map(|text| cursors.read(tenant, &bound, &text)).transpose()?;
    let limit = limits::page(limit)?;
    let found = grant.ledger().children(tenant, RecordKind::SESSION, &[], after, limit).await?;
    let last = found.last().filter(|_| found.len() == limit).map(|child| child.id);
    let next = last.map(|last| cursors.write(tenant, &bound, &last)).transpose()?;
    let mut items = Vec::with_capacity(found.len());
    for child in &found {
        // Records of sessions are named after the digest.
        let Some(digest) = access::codec::unhex(&child.name) else { continue };
        let session = Session::decode(&child.body).map_err(damaged)?;
        let parents: Vec<SessionId> = session.parents.iter().map(|link| link.id).collect();
        if reaches(&grant, session.id, session.entity, &parents) {
            items.extend(show(grant.ledger(), tenant, (digest, session)).await?);
        }
    }
    Ok(Page { items, next })
}

/// Puts the end of the session the act names off: one's own, or another's with the right to.
///
/// Errors: `session.not_found`, `session.not_renewable`, `session.invalid`, `principal.owner_only` (nothing happened).
pub async fn renew(grant: Authorized, ttl: Option<Duration>) -> Result<Changed<Shown>, Refusal> {
    let id = grant.session().unwrap_or(grant.facts().session);
    ttl.map(Ttl::session).transpose()?;
    within_reach(&grant, id).await?;
    let command = match grant.right() {
        Action::SessionRenew => RenewSession::anyone(id, ttl),
        _ => RenewSession::own(id, ttl),
    };
    let done = grant.change(command).await?;
    let (position, replayed) = (done.position, done.replayed);
    Ok(Changed { what: by_id(&grant, id).await?, position, replayed })
}

/// Ends the session the act names: one's own, or another's with the right to. What is not the caller's to end is as if
/// it did not exist. Errors: `session.not_found`, `principal.owner_only` (nothing happened).
pub async fn revoke(grant: Authorized) -> Result<Changed<SessionId>, Refusal> {
    let id = grant.session()?;
    within_reach(&grant, id).await?;
    let command = match grant.right() {
        Action::SessionRevoke => RevokeSession::anyone(id),
        _ => RevokeSession::own(id),
    };
    let done = grant.change(command).await?;
    Ok(Changed { what: id, position: done.position, replayed: done.replayed })
}

/// Trades a one-time login for a session, once.
///
/// The arrival's bearer token is not looked at. Errors: `auth.login_refused`, the same for an unknown, used, expired
/// or malformed login (nothing happened); `idempotency.required`.
pub async fn login(app: &App, arrival: Arrival, token: SecretText) -> Reply<Changed<Issued>> {
    let presented =
        OneTime { act: Act::session_login(), digest: login::token_digest(token.expose()), refused: login::refused };
    drop(token);
    let command = |digest| {
        let fresh = FreshSession::mint(app.now(), &*app.parts().entropy).map_err(no_entropy)?;
        Ok(Box::new(login::RedeemLogin::new(digest, fresh)) as Box<dyn ledger::Command>)
    };
    one_time::spend(app, arrival, presented, command, |used| async move {
        let what = issued(&used.ledger, used.tenant, used.done).await?.ok_or_else(login::refused)?;
        used.trail.lock().session = Some((what.session.entity, what.session.id));
        Ok(what)
    })
    .await
}

/// Reads the answer of a command that began a session; `None` when that session has ended since.
pub(crate) async fn issued(ledger: &Ledger, tenant: TenantId, done: Done) -> Result<Option<Issued>, Refusal> {
    let IssuedSession { token, .. } = IssuedSession::from_reply(&done.reply).map_err(damaged)?;
    let digest = session::token_digest(token.expose()).ok_or_else(|| bug("a session token that does not parse"))?;
    let Some(record) = ledger.record(tenant, &session::record_name(&digest)).await? else { return Ok(None) };
    let shown = show(ledger, tenant, (digest, Session::decode(&record).map_err(damaged)?)).await?;
    Ok(shown.map(|session| Issued { session, token }))
}

/// The command that makes a session, for the server itself.
pub(crate) fn issue_command(app: &App, name: PrincipalName, life: Duration) -> Result<IssueSession, Refusal> {
    let fresh = FreshSession::mint(app.now(), &*app.parts().entropy).map_err(no_entropy)?;
    Ok(IssueSession::new(name, Terms::of(Ttl::session(life)?), fresh))
}
