//! Taking sessions, one-time logins and wraps out of the records once their time is over.

use crate::app::App;
use crate::authenticate::damaged;
use access::limits::SESSION_SWEEP_STEP;
use access::login::StoredLogin;
use access::session::{EndStale, Session, Stale};
use access::wrap::StoredWrap;
use crypto::WallMs;
use crypto::id::TenantId;
use ledger::{Actor, Child, RecordKind, Refusal, Unit};
use std::time::Duration;

/// Kept this long after their end, so that the answer to who had a session is at hand for a while.
const KEPT_AFTER: Duration = Duration::from_secs(3600);

/// Takes out what is over, in all tenants. Gives how many tokens; harmless to repeat.
pub async fn sweep(app: &App) -> Result<usize, Refusal> {
    let before = WallMs(app.now().0.saturating_sub(u64::try_from(KEPT_AFTER.as_millis()).unwrap_or(u64::MAX)));
    let mut swept = 0usize;
    for tenant in app.parts().ledger.tenants() {
        for kind in [RecordKind::SESSION, RecordKind::LOGIN, RecordKind::WRAP] {
            swept = swept.saturating_add(sweep_kind(app, tenant, kind, before).await?);
        }
    }
    Ok(swept)
}

async fn sweep_kind(app: &App, tenant: TenantId, kind: RecordKind, before: WallMs) -> Result<usize, Refusal> {
    let ledger = &app.parts().ledger;
    let (mut after, mut swept) = (None, 0usize);
    loop {
        let page = ledger.children(tenant, kind, &[], after, SESSION_SWEEP_STEP).await?;
        let full = page.len() == SESSION_SWEEP_STEP;
        after = page.last().map(|child| child.id);
        let mut tokens = Vec::new();
        for child in &page {
            tokens.extend(stale(kind, child, before)?);
        }
        if !tokens.is_empty() {
            swept = swept.saturating_add(tokens.len());
            let commands: Vec<Box<dyn ledger::Command>> = vec![Box::new(EndStale::new(tokens, before))];
            let operation = app.operation(app.now())?;
            ledger.submit(Unit { tenant, actor: Actor::SYSTEM, commands, idempotency: None, operation }).await?;
        }
        if !full {
            return Ok(swept);
        }
    }
}

fn stale(kind: RecordKind, child: &Child, before: WallMs) -> Result<Option<Stale>, Refusal> {
    // Records of tokens are named after the digest.
    let Some(digest) = access::codec::unhex(&child.name) else { return Ok(None) };
    let (waits, token) = match kind {
        RecordKind::LOGIN => (StoredLogin::waits(&child.body, before), Stale::Login { digest }),
        RecordKind::WRAP => (StoredWrap::waits(&child.body, before), Stale::Wrap { digest }),
        _ => {
            let session = Session::decode(&child.body).map_err(damaged)?;
            (Ok(before < session.expires), Stale::Session { digest, id: session.id })
        }
    };
    Ok((!waits.map_err(damaged)?).then_some(token))
}
