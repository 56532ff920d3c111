//! From a bearer token to a verified session.

use crate::app::App;
use crate::arrival::Arrival;
use crate::limits::SESSIONS_KNOWN_MAX;
use crate::session::Uses;
use access::session::{self, Session};
use access::{Principal, SessionFacts, principal, verify_session};
use crypto::id::TenantId;
use crypto::{WallMs, token};
use ledger::code::{AUTH_REQUIRED, SESSION_ELSEWHERE, STORAGE_DAMAGED};
use ledger::{Damaged, Located, RecordName, Refusal};
use quick_cache::sync::Cache;
use std::net::IpAddr;
use std::sync::Arc;

/// A request whose sender is not known; whatever the reason, the refusal is the same.
#[derive(Debug)]
pub(crate) struct Unknown {
    /// The tenant asked for, the system tenant where there is no such one.
    pub(crate) tenant: TenantId,
    pub(crate) refusal: Refusal,
}

/// Facts kept ready, each valid only as long as both records it was made of are the very ones in force.
#[derive(Debug)]
pub(crate) struct Sessions {
    known: Cache<(TenantId, [u8; 32]), Arc<Known>>,
    uses: Uses,
}

#[derive(Debug)]
struct Known {
    /// Where each of the records stands, and what it was.
    records: Box<[Seen]>,
    facts: Arc<SessionFacts>,
}

type Seen = (Located, Arc<[u8]>);

impl Sessions {
    pub(crate) fn new() -> Sessions {
        Sessions { known: Cache::new(SESSIONS_KNOWN_MAX), uses: Uses::new() }
    }

    /// Verifies who is asking, as of now.
    ///
    /// Errors: `auth.required`, the same for no token, a malformed, unknown, ended or foreign one, a disabled
    /// principal and an unknown tenant; otherwise why the store could not be asked.
    pub(crate) async fn verify(&self, app: &App, arrival: &Arrival, now: WallMs) -> Result<Arc<SessionFacts>, Unknown> {
        let ledger = &app.parts().ledger;
        let unasked = |refusal| Unknown { tenant: TenantId::SYSTEM, refusal };
        // Before anything is looked up: what another node took away must not be found here.
        ledger.fresh().await.map_err(unasked)?;
        if let Some(position) = arrival.after().map_err(unasked)? {
            ledger.caught_up(position).await.map_err(unasked)?;
        }
        let found = app.tenants().resolve(app, arrival.tenant.as_deref()).await;
        let found = found.map_err(|refusal| Unknown { tenant: TenantId::SYSTEM, refusal })?;
        let tenant = found.unwrap_or(TenantId::SYSTEM);
        let refused = |refusal| Unknown { tenant, refusal };
        let token = arrival.token.as_ref().ok_or_else(|| refused(required()))?;
        // Whatever its form: only a session's own token has the digest that its record stands under, and all others go
        // the same way.
        let digest = token::digest(token.expose());
        let facts = self.look_up(app, tenant, digest, now).await.map_err(refused)?;
        match (found, facts) {
            (Some(_), Some(facts)) => Ok(facts),
            _ => Err(refused(required())),
        }
    }

    /// Whether a verified session may be used from there, and once more.
    ///
    /// Errors: `session.elsewhere`; `auth.required` when its uses are made.
    pub(crate) async fn admit(&self, app: &App, facts: &SessionFacts, source: IpAddr) -> Result<(), Refusal> {
        if !facts.confines.admit(source) {
            return Err(Refusal::new(&SESSION_ELSEWHERE, "the session is bound to other networks"));
        }
        if facts.counted { self.uses.take(app, facts).await } else { Ok(()) }
    }

    async fn look_up(
        &self,
        app: &App,
        tenant: TenantId,
        digest: [u8; 32],
        now: WallMs,
    ) -> Result<Option<Arc<SessionFacts>>, Refusal> {
        if let Some(known) = self.known.get(&(tenant, digest)) {
            if unchanged(app, &known.records).await? {
                return Ok((now < known.facts.expires).then(|| Arc::clone(&known.facts)));
            }
            self.known.remove(&(tenant, digest));
        }
        let home = app.parts().home;
        let mut found = find(app, tenant, tenant, digest, now).await?;
        if found.is_none() && tenant != home {
            found = find(app, home, tenant, digest, now).await?;
        }
        Ok(found.map(|known| {
            let facts = Arc::clone(&known.facts);
            self.known.insert((tenant, digest), Arc::new(known));
            facts
        }))
    }
}

/// Looks for the session in the tenant it `lives` in. In another `tenant` its identity must have a principal too.
async fn find(
    app: &App,
    lives: TenantId,
    tenant: TenantId,
    digest: [u8; 32],
    now: WallMs,
) -> Result<Option<Known>, Refusal> {
    let mut seen = Gathered { app, records: Vec::new() };
    let Some(session) = seen.take(lives, &session::record_name(&digest)).await? else { return Ok(None) };
    let session = Session::decode(&session).map_err(damaged)?;
    let mut parents = Vec::with_capacity(session.parents.len());
    for link in &session.parents {
        let Some(parent) = seen.take(lives, &session::record_name(&link.digest)).await? else { return Ok(None) };
        parents.push(Session::decode(&parent).map_err(damaged)?);
    }
    let name = session.principal_record().map_err(damaged)?;
    let Some(principal) = seen.take(lives, &name).await? else { return Ok(None) };
    let principal = Principal::decode(&principal).map_err(damaged)?;
    let mut facts = verify_session(lives, (digest, &session), &parents, &principal, now);
    if lives != tenant {
        let name = principal::entity_record_name(session.entity);
        let Some(name) = seen.take(tenant, &name).await? else { return Ok(None) };
        let name = principal::record_name(&principal::decode_entity(&name).map_err(damaged)?);
        let Some(member) = seen.take(tenant, &name).await? else { return Ok(None) };
        let member = Principal::decode(&member).map_err(damaged)?;
        facts = facts.and_then(|facts| facts.within(tenant, &member, &session));
    }
    let records = seen.records.into();
    Ok(facts.ok().map(|facts| Known { records, facts: Arc::new(facts) }))
}

/// Records looked at, to be compared later.
struct Gathered<'a> {
    app: &'a App,
    records: Vec<Seen>,
}

impl Gathered<'_> {
    async fn take(&mut self, tenant: TenantId, name: &RecordName) -> Result<Option<Arc<[u8]>>, Refusal> {
        let ledger = &self.app.parts().ledger;
        let at = ledger.locate(tenant, name)?;
        let found = ledger.located(at).await?;
        self.records.extend(found.iter().map(|record| (at, Arc::clone(record))));
        Ok(found)
    }
}

async fn unchanged(app: &App, records: &[Seen]) -> Result<bool, Refusal> {
    for (at, then) in records {
        if !same(&app.parts().ledger.located(*at).await?, then) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a record is still the one it was.
fn same(now: &Option<Arc<[u8]>>, then: &Arc<[u8]>) -> bool {
    now.as_ref().is_some_and(|now| Arc::ptr_eq(now, then) || now == then)
}

/// The one refusal for whoever is not known.
pub(crate) fn required() -> Refusal {
    Refusal::new(&AUTH_REQUIRED, "no valid session came with the request")
}

/// Stored bytes that do not decode.
pub(crate) fn damaged(damaged: Damaged) -> Refusal {
    Refusal::new(&STORAGE_DAMAGED, damaged.to_string())
}
