//! How many secrets a tenant may have.

use crate::app::App;
use crate::authenticate::damaged;
use crate::grant::Authorized;
use crate::limits::TENANTS_KNOWN_MAX;
use crate::walk::{Found, Frame, Order, Walk};
use crypto::id::TenantId;
use ledger::code::TENANT_FULL;
use ledger::{Path, Prefix, Refusal};
use quick_cache::sync::Cache;
use secrets::Secret;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Secrets of tenants that have a limit, counted now and then.
#[derive(Debug)]
pub(crate) struct Counts {
    known: Cache<TenantId, Arc<Mutex<Count>>>,
}

/// A count, with what was let through since.
#[derive(Default, Debug)]
struct Count {
    /// When it was counted, and how many there were.
    counted: Option<(Duration, u64)>,
    /// What was let through lately: a count made meanwhile may not have seen it.
    lately: VecDeque<(Duration, u64)>,
}

/// How long a count is believed; what is made in between is added to it.
const BELIEVED: Duration = Duration::from_secs(60);
/// A write that was let through stands in the store after this time, or never will.
const LATELY: Duration = Duration::from_secs(10);

impl Counts {
    pub(crate) fn new() -> Counts {
        Counts { known: Cache::new(TENANTS_KNOWN_MAX) }
    }
}

/// Refuses writes that would make more secrets than the tenant may have. Costs nothing where there is no limit.
///
/// Secrets that were destroyed count for up to a minute. Errors: `tenant.full` (nothing happened).
pub(super) async fn room_for(grant: &Authorized, paths: &[Path]) -> Result<(), Refusal> {
    let (app, tenant) = (&grant.app, grant.tenant());
    let Some(max) = app.tenants().limits(app, tenant).await?.secrets else { return Ok(()) };
    let mut new = 0u64;
    for path in paths {
        let record = grant.ledger().record(tenant, &secrets::secret_name(path)).await?;
        new = new.saturating_add(u64::from(!is_there(record.as_deref())?));
    }
    if new == 0 {
        return Ok(());
    }
    let counts = app.counts();
    let slot = match counts.known.get_or_insert_with(&tenant, || Ok::<_, std::convert::Infallible>(Arc::default())) {
        Ok(slot) => slot,
        Err(never) => match never {},
    };
    // One count at a time, and one decision: two writers do not both take the last place.
    let mut slot = slot.lock().await;
    let now = app.parts().clock.monotonic();
    slot.lately.retain(|(at, _)| now.saturating_sub(*at) < LATELY);
    let held = match slot.counted.filter(|(at, _)| now.saturating_sub(*at) < BELIEVED) {
        Some(held) => held,
        None => {
            let lately: u64 = slot.lately.iter().map(|(_, new)| new).sum();
            (now, count(app, tenant, max).await?.saturating_add(lately))
        }
    };
    let after = held.1.saturating_add(new);
    if after > max {
        // What was destroyed meanwhile makes room for whoever asks next.
        slot.counted = None;
        return Err(Refusal::new(&TENANT_FULL, format!("the tenant may have {max} secrets")));
    }
    slot.counted = Some((held.0, after));
    slot.lately.push_back((now, new));
    Ok(())
}

/// Whether a record is that of a secret; what is left of a destroyed one is none.
fn is_there(record: Option<&[u8]>) -> Result<bool, Refusal> {
    let secret = record.map(Secret::decode).transpose().map_err(damaged)?;
    Ok(secret.flatten().is_some())
}

/// Counts the secrets of a tenant, up to the limit.
async fn count(app: &App, tenant: TenantId, max: u64) -> Result<u64, Refusal> {
    let everything = |_: &str| true;
    let ledger = &app.parts().ledger;
    let (mut secrets, mut frames) = (0u64, Some(vec![Frame::top()]));
    // One walk looks at so much and no more.
    while let Some(from) = frames {
        let mut walk = Walk::resume((ledger, tenant), &everything, Prefix::default(), Order::Store, true, from);
        while let Some(found) = walk.next().await? {
            if let Found::Secret(_, body) = found {
                secrets = secrets.saturating_add(u64::from(is_there(Some(&body))?));
            }
            if secrets >= max {
                return Ok(secrets);
            }
        }
        frames = walk.rest();
    }
    Ok(secrets)
}
