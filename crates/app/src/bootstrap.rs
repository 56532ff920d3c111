//! The first start: the house's own tenant, its owner, the one-time login that the server leaves in a file.

use crate::act::Act;
use crate::app::{App, no_entropy};
use crate::authenticate::damaged;
use crate::grant::{Authorized, Done, bug};
use crate::session::{Issued, issue_command, issued};
use access::limits::{LOGIN_TTL_MAX, SESSION_TTL_DEFAULT};
use access::login::{self, IssueLogin, StoredLogin};
use access::principal::{BootstrapOwner, PutPrincipal, record_name};
use access::session::{self, Ttl};
use access::{Action, Principal, RequestContext, SessionFacts};
use crypto::id::{EntityId, TenantId};
use crypto::{SecretBytes, SecretText};
use ledger::access_log::Row;
use ledger::code::KEY_BUSY;
use ledger::{Actor, Command, Ledger, Position, Receipt, RecordKind, Refusal, Unit};
use std::sync::Arc;
use std::time::Duration;

/// Name of the tenant that requests belong to when they name none.
pub const HOME: &str = "main";
/// Source of the rows of what the server does by itself.
pub const SOURCE: &str = "server";

/// The house's own tenant, made at the first start. Harmless to repeat.
pub async fn home(ledger: &Ledger) -> Result<TenantId, Refusal> {
    if let Some(tenant) = ledger.tenant_named(HOME).await? {
        return Ok(tenant.id);
    }
    match ledger.create_tenant(HOME).await {
        // Another node was first.
        Err(refusal) if refusal.code == &KEY_BUSY => {
            let there = ledger.tenant_named(HOME).await?;
            there.map(|tenant| tenant.id).ok_or_else(|| bug("a tenant that is there and is not"))
        }
        made => made,
    }
}

/// Makes the owner of the home tenant at the first start, with a one-time login for whoever runs the server.
///
/// As long as nobody has logged in, each start gives a fresh login, so that one lost with a crash is no loss;
/// afterwards `None`, unless it is wanted `anew`: then the owner is enabled, has its role, and gets one in any case. The
/// caller leaves the token in a file that only the server's user can read.
pub async fn owner_login(app: &App, anew: bool) -> Result<Option<SecretText>, Refusal> {
    let (ledger, home) = (&app.parts().ledger, app.parts().home);
    let name = BootstrapOwner::name()?;
    let there = ledger.record(home, &record_name(&name)).await?;
    let there = there.map(|record| Principal::decode(&record)).transpose().map_err(damaged)?;
    if there.is_some() && has_logged_in(ledger, home).await? && !anew {
        return Ok(None);
    }
    let entity = EntityId::generate(app.now(), &*app.parts().entropy).map_err(no_entropy)?;
    let mut commands: Vec<Box<dyn Command>> = match there {
        None => vec![Box::new(BootstrapOwner::new(entity))],
        Some(there) if anew => {
            let mut roles: Vec<String> = there.roles.iter().map(|role| role.to_string()).collect();
            if !there.is_owner() {
                roles.push(access::OWNER.to_owned());
            }
            vec![Box::new(PutPrincipal::new(name, &roles, false, entity)?)]
        }
        Some(_) => Vec::new(),
    };
    commands.push(Box::new(login_command(app)?));
    let mut receipt = submit(app, "bootstrap.owner_login", commands).await?;
    let token = receipt.replies.pop().ok_or_else(|| bug("a commit without an answer"))?;
    token.into_text().map(Some).map_err(|_: SecretBytes| bug("a login token that is no text"))
}

/// Whether somebody has logged in, as far as it left a trace: a session that was ended leaves none.
async fn has_logged_in(ledger: &Ledger, home: TenantId) -> Result<bool, Refusal> {
    Ok(!ledger.children(home, RecordKind::SESSION, &[], None, 1).await?.is_empty()
        || ledger.record(home, &session::swept_record_name()).await?.is_some())
}

/// Whether nobody has used the house yet: nobody has logged in, and there is nothing in it but its owner.
pub(crate) async fn is_empty(app: &App) -> Result<bool, Refusal> {
    let (ledger, home) = (&app.parts().ledger, app.parts().home);
    let at_most = [
        (TenantId::SYSTEM, RecordKind::TENANT, 1),
        (home, RecordKind::PRINCIPAL, 1),
        (home, RecordKind::POLICY, 0),
        (home, RecordKind::SECRET, 0),
        (home, RecordKind::FOLDER, 0),
        (home, RecordKind::APPLIED, 0),
    ];
    for (tenant, kind, most) in at_most {
        if ledger.children(tenant, kind, &[], None, 2).await?.len() > most {
            return Ok(false);
        }
    }
    Ok(!has_logged_in(ledger, home).await?)
}

/// Whether a one-time login of the home tenant still opens: it was not used and its time is not over.
pub async fn login_waits(app: &App, token: &str) -> Result<bool, Refusal> {
    let Some(digest) = login::token_digest(token) else { return Ok(false) };
    let found = app.parts().ledger.record(app.parts().home, &login::record_name(&digest)).await?;
    found.map_or(Ok(false), |stored| StoredLogin::waits(&stored, app.now()).map_err(damaged))
}

/// Makes a session of the owner for `serve --dev`. Changes nothing else and weakens nothing.
pub async fn dev_session(app: &App, life: Duration) -> Result<Issued, Refusal> {
    let command = issue_command(app, BootstrapOwner::name()?, life)?;
    let receipt = submit(app, "bootstrap.dev_session", vec![Box::new(command)]).await?;
    let issued = issued(&app.parts().ledger, app.parts().home, Done::of(receipt)?).await?;
    issued.ok_or_else(|| bug("a session that ended as it began"))
}

/// Commands that give a tenant its owner; the answer of the last one is the owner's one-time login.
pub(crate) fn owner_commands(app: &App) -> Result<Vec<Box<dyn Command>>, Refusal> {
    let owner = EntityId::generate(app.now(), &*app.parts().entropy).map_err(no_entropy)?;
    Ok(vec![Box::new(BootstrapOwner::new(owner)), Box::new(login_command(app)?)])
}

/// The command that makes a one-time login for a tenant's owner.
pub(crate) fn login_command(app: &App) -> Result<IssueLogin, Refusal> {
    let (wait, life) = (Ttl::login(LOGIN_TTL_MAX)?, Ttl::session(SESSION_TTL_DEFAULT)?);
    IssueLogin::mint(BootstrapOwner::name()?, wait, life, &*app.parts().entropy).map_err(no_entropy)
}

/// Commits in the server's own name, with a row like any request.
async fn submit(app: &App, act: &'static str, commands: Vec<Box<dyn Command>>) -> Result<Receipt, Refusal> {
    let tenant = app.parts().home;
    app.parts().access_log.writable().await?;
    let operation = app.operation(app.now())?;
    let unit = Unit { tenant, actor: Actor::SYSTEM, commands, idempotency: None, operation };
    let outcome = app.parts().ledger.submit(unit).await;
    let position = outcome.as_ref().ok().and_then(|receipt| receipt.position);
    record(app, tenant, act, position, outcome.as_ref().err()).await?;
    outcome
}

/// The right of the house itself, which may do what an owner may, for what a first start does.
pub(crate) async fn as_house(app: &App, act: Act, by: Action) -> Result<Authorized, Refusal> {
    let (home, now) = (app.parts().home, app.now());
    app.policies().ready(app, home).await?;
    let missing = || bug("the owner is made before anything is done in the house's name");
    let owner = app.parts().ledger.record(home, &record_name(&BootstrapOwner::name()?)).await?.ok_or_else(missing)?;
    let mut facts = SessionFacts::supposed(home, &Principal::decode(&owner).map_err(damaged)?, now);
    facts.entity = EntityId::SYSTEM;
    let source_ip = std::net::Ipv4Addr::LOCALHOST.into();
    Ok(Authorized {
        app: app.clone(),
        facts: Arc::new(facts),
        act,
        by,
        circumstances: RequestContext { source_ip, now, tls: true, cas: false },
        idempotency: None,
        operation: app.operation(now)?,
        trail: Arc::default(),
    })
}

pub(crate) async fn record(
    app: &App,
    tenant: TenantId,
    act: &'static str,
    position: Option<Position>,
    refusal: Option<&Refusal>,
) -> Result<(), Refusal> {
    let outcome = refusal.map_or(ledger::access_log::OK, |refusal| refusal.code.name);
    let mut row = Row::new(app.now(), [0; 16], tenant, SOURCE, act, outcome);
    row.entity = Some(EntityId::SYSTEM);
    row.position = position;
    app.parts().access_log.record(row).await.map(drop)
}
