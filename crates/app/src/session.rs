//! Sessions: log in, issue, see and end.

use crate::act::Act;
use crate::app::{App, Ending, Stub, no_entropy};
use crate::arrival::Arrival;
use crate::authenticate::damaged;
use crate::grant::{Authorized, Done, Trail, bug};
use crate::principal;
use crate::reply::{Changed, Reply};
use access::session::{self, FreshSession, IssueSession, IssuedSession, RevokeSession, StoredSession, Ttl};
use access::{Action, Principal, PrincipalName, SessionFacts, limits::SESSION_TTL_DEFAULT, login};
use crypto::id::{EntityId, SessionId, TenantId};
use crypto::{SecretText, WallMs};
use futures::FutureExt;
use ledger::code::SESSION_NOT_FOUND;
use ledger::{Actor, Ledger, Refusal, Unit};
use parking_lot::Mutex;
use std::sync::Arc;
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
    /// When it is over.
    pub expires: WallMs,
}

/// A new session with its token, shown this once.
#[derive(Debug)]
pub struct Issued {
    /// The session.
    pub session: Shown,
    /// The token that proves it.
    pub token: SecretText,
}

impl Shown {
    fn of(facts: &SessionFacts) -> Shown {
        Shown {
            id: facts.session,
            principal: facts.principal.as_str().to_owned(),
            entity: facts.entity,
            tenant: facts.tenant,
            roles: facts.roles.iter().map(|role| role.to_string()).collect(),
            created: facts.created,
            expires: facts.expires,
        }
    }
}

/// Makes a session for the principal the act names; 12 hours if no life is given.
///
/// Errors: `session.invalid`, `principal.not_found`, `principal.disabled`, `principal.owner_only` (nothing happened).
pub async fn issue(grant: Authorized, life: Option<Duration>) -> Result<Changed<Issued>, Refusal> {
    let name = principal::name(&grant)?;
    let ttl = Ttl::session(life.unwrap_or(SESSION_TTL_DEFAULT))?;
    let fresh = FreshSession::mint(grant.now(), &*grant.app.parts().entropy).map_err(no_entropy)?;
    let done = grant.change(IssueSession::new(name, ttl, fresh)).await?;
    let (position, replayed) = (done.position, done.replayed);
    let gone = || Refusal::new(&SESSION_NOT_FOUND, "the session made by this request has ended meanwhile");
    let what = issued(grant.ledger(), grant.tenant(), done).await?.ok_or_else(gone)?;
    Ok(Changed { what, position, replayed })
}

/// Shows the caller's own session.
pub async fn own(grant: Authorized) -> Result<Shown, Refusal> {
    Ok(Shown::of(grant.facts()))
}

/// Ends the session the act names: one's own, or another's with the right to. What is not the caller's to end is as if
/// it did not exist. Errors: `session.not_found`, `principal.owner_only` (nothing happened).
pub async fn revoke(grant: Authorized) -> Result<Changed<SessionId>, Refusal> {
    let id = grant.session()?;
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
    let act = Act::session_login();
    let now = app.now();
    let stub = Stub::new(&arrival, &act);
    let tenant = match app.tenants().resolve(app, arrival.tenant.as_deref()).await {
        Ok(Some(tenant)) => tenant,
        Ok(None) => return app.refuse(stub, login::refused()).await,
        Err(refusal) => return app.refuse(stub, refusal).await,
    };
    let stub = stub.of(tenant);
    let Some(digest) = login::token_digest(token.expose()) else {
        return app.refuse(stub, login::refused()).await;
    };
    drop(token);
    // Nobody is known yet: the key is bound to the login itself.
    let mut bound = [0; 16];
    bound.copy_from_slice(digest.split_at(16).0);
    let prepared = || {
        let idempotency = arrival.idempotency(&act, tenant, EntityId::from_bytes(bound))?;
        let fresh = FreshSession::mint(now, &*app.parts().entropy).map_err(no_entropy)?;
        Ok((idempotency, fresh, app.operation(now)?))
    };
    let (idempotency, fresh, operation) = match prepared() {
        Ok(prepared) => prepared,
        Err(refusal) => return app.refuse(stub, refusal).await,
    };
    let unit = Unit {
        tenant,
        actor: Actor::SYSTEM,
        commands: vec![Box::new(login::RedeemLogin::new(digest, fresh))],
        idempotency,
        operation,
    };
    let trail = Arc::<Mutex<Trail>>::default();
    let (ledger, left) = (app.parts().ledger.clone(), Arc::clone(&trail));
    let work = async move {
        let receipt = ledger.submit(unit).await?;
        left.lock().position = receipt.position;
        let done = Done::of(receipt)?;
        let (position, replayed) = (done.position, done.replayed);
        let what = issued(&ledger, tenant, done).await?.ok_or_else(login::refused)?;
        left.lock().session = Some((what.session.entity, what.session.id));
        Ok(Changed { what, position, replayed })
    };
    app.carry_out(work.boxed(), Ending { stub, trail, operation }).await
}

/// Reads the answer of a command that began a session; `None` when that session has ended since.
pub(crate) async fn issued(ledger: &Ledger, tenant: TenantId, done: Done) -> Result<Option<Issued>, Refusal> {
    let IssuedSession { token, .. } = IssuedSession::from_reply(&done.reply).map_err(damaged)?;
    let digest = session::token_digest(token.expose()).ok_or_else(|| bug("a session token that does not parse"))?;
    let Some(record) = ledger.record(tenant, &session::record_name(&digest)).await? else { return Ok(None) };
    let stored = StoredSession::decode(&record).map_err(damaged)?;
    let name = stored.principal_record().map_err(damaged)?;
    let Some(principal) = ledger.record(tenant, &name).await? else { return Ok(None) };
    let principal = Principal::decode(&principal).map_err(damaged)?;
    let StoredSession::V1(session) = stored;
    let session = Shown {
        id: session.id,
        principal: session.principal,
        entity: session.entity,
        tenant,
        roles: principal.roles.iter().map(|role| role.to_string()).collect(),
        created: session.created,
        expires: session.expires,
    };
    Ok(Some(Issued { session, token }))
}

/// The command that makes a session, for the server itself.
pub(crate) fn issue_command(app: &App, name: PrincipalName, life: Duration) -> Result<IssueSession, Refusal> {
    let fresh = FreshSession::mint(app.now(), &*app.parts().entropy).map_err(no_entropy)?;
    Ok(IssueSession::new(name, Ttl::session(life)?, fresh))
}
