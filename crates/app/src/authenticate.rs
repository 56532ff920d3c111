//! From a bearer token to a verified session.

use crate::app::App;
use crate::arrival::Arrival;
use crate::limits::SESSIONS_KNOWN_MAX;
use access::session::{self, StoredSession};
use access::{Principal, SessionFacts, verify_session};
use crypto::id::TenantId;
use crypto::{WallMs, token};
use ledger::code::{AUTH_REQUIRED, STORAGE_DAMAGED};
use ledger::{Damaged, Located, Refusal};
use quick_cache::sync::Cache;
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
}

#[derive(Debug)]
struct Known {
    session: Located,
    session_record: Arc<[u8]>,
    principal: Located,
    principal_record: Arc<[u8]>,
    facts: Arc<SessionFacts>,
}

impl Sessions {
    pub(crate) fn new() -> Sessions {
        Sessions { known: Cache::new(SESSIONS_KNOWN_MAX) }
    }

    /// Verifies who is asking, as of now.
    ///
    /// Errors: `auth.required`, the same for no token, a malformed, unknown, ended or foreign one, a disabled
    /// principal and an unknown tenant; otherwise why the store could not be asked.
    pub(crate) async fn verify(&self, app: &App, arrival: &Arrival, now: WallMs) -> Result<Arc<SessionFacts>, Unknown> {
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

    async fn look_up(
        &self,
        app: &App,
        tenant: TenantId,
        digest: [u8; 32],
        now: WallMs,
    ) -> Result<Option<Arc<SessionFacts>>, Refusal> {
        let ledger = &app.parts().ledger;
        if let Some(known) = self.known.get(&(tenant, digest)) {
            let session = ledger.located(known.session).await?;
            let principal = ledger.located(known.principal).await?;
            if same(&session, &known.session_record) && same(&principal, &known.principal_record) {
                return Ok((now < known.facts.expires).then(|| Arc::clone(&known.facts)));
            }
            self.known.remove(&(tenant, digest));
        }
        let session = ledger.locate(tenant, &session::record_name(&digest))?;
        let Some(session_record) = ledger.located(session).await? else { return Ok(None) };
        let stored = StoredSession::decode(&session_record).map_err(damaged)?;
        let principal = ledger.locate(tenant, &stored.principal_record().map_err(damaged)?)?;
        let Some(principal_record) = ledger.located(principal).await? else { return Ok(None) };
        let who = Principal::decode(&principal_record).map_err(damaged)?;
        let Ok(facts) = verify_session(tenant, &stored, &who, now) else { return Ok(None) };
        let facts = Arc::new(facts);
        let known = Known { session, session_record, principal, principal_record, facts: Arc::clone(&facts) };
        self.known.insert((tenant, digest), Arc::new(known));
        Ok(Some(facts))
    }
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
