//! Tenants by name or id, as requests name them.

use crate::app::App;
use crate::limits::TENANTS_KNOWN_MAX;
use crate::rate::Bucket;
use crypto::id::TenantId;
use ledger::code::{TENANT_QUOTA, TENANT_SUSPENDED};
use ledger::{Located, Refusal, Tenant, TenantLimits, TenantState, tenant_record};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// Tenants already looked up, each valid only as long as its record is the very one in force.
#[derive(Debug)]
pub(crate) struct TenantBook {
    by_name: Cache<Box<str>, Arc<Known>>,
    by_id: Cache<TenantId, Arc<Known>>,
    // One at a time, so that an older promise has not the last word.
    promises: tokio::sync::Mutex<()>,
}

/// A tenant and what it has asked for lately.
#[derive(Debug)]
pub(crate) struct Known {
    at: Located,
    record: Arc<[u8]>,
    pub(crate) tenant: Tenant,
    asked: Mutex<Bucket>,
}

/// Bytes of a tenant's name or id in a request.
const NAME_BYTES_MAX: usize = 64;

impl TenantBook {
    pub(crate) fn new() -> TenantBook {
        TenantBook {
            by_name: Cache::new(TENANTS_KNOWN_MAX),
            by_id: Cache::new(TENANTS_KNOWN_MAX),
            promises: tokio::sync::Mutex::default(),
        }
    }

    /// Held while promises about tenants are kept.
    pub(super) fn promises(&self) -> &tokio::sync::Mutex<()> {
        &self.promises
    }

    /// The tenant named, the house's own when none is; `None` when there is no such one.
    pub(crate) async fn resolve(&self, app: &App, name: Option<&str>) -> Result<Option<TenantId>, Refusal> {
        let home = app.parts().home;
        let Some(name) = name else { return Ok(Some(home)) };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Ok(None);
        }
        let known = match name.parse::<TenantId>() {
            Ok(id) if id == home => return Ok(Some(home)),
            Ok(TenantId::SYSTEM) => return Ok(None),
            Ok(id) => self.with_id(app, id).await?,
            Err(_) => self.named(app, name).await?,
        };
        Ok(known.filter(|known| known.tenant.state != TenantState::Deleting).map(|known| known.tenant.id))
    }

    /// Whether a request may go on in a tenant that it was found to belong to.
    ///
    /// Errors: `tenant.suspended`, `tenant.quota` for too many requests.
    pub(crate) async fn admit(&self, app: &App, id: TenantId) -> Result<(), Refusal> {
        if id == app.parts().home {
            return Ok(());
        }
        let suspended = || Refusal::new(&TENANT_SUSPENDED, "the tenant is suspended");
        let known = self.with_id(app, id).await?.ok_or_else(suspended)?;
        if known.tenant.state != TenantState::Active {
            return Err(suspended());
        }
        let Some(rate) = known.tenant.limits.request_rate else { return Ok(()) };
        match known.asked.lock().take(rate, app.parts().clock.monotonic()) {
            true => Ok(()),
            false => Err(Refusal::new(&TENANT_QUOTA, format!("the tenant may make {rate} requests a second"))),
        }
    }

    /// How much a tenant may have; the house's own has no limits.
    pub(crate) async fn limits(&self, app: &App, id: TenantId) -> Result<TenantLimits, Refusal> {
        if id == app.parts().home {
            return Ok(TenantLimits::default());
        }
        Ok(self.with_id(app, id).await?.map(|known| known.tenant.limits).unwrap_or_default())
    }

    /// The tenant of this id, if there is one.
    async fn with_id(&self, app: &App, id: TenantId) -> Result<Option<Arc<Known>>, Refusal> {
        if let Some(known) = self.by_id.get(&id)
            && known.holds(app).await?
        {
            return Ok(Some(known));
        }
        let Some(name) = app.parts().ledger.tenant_name(id).await? else { return Ok(None) };
        let known = self.named(app, &name).await?.filter(|known| known.tenant.id == id);
        if let Some(known) = &known {
            self.by_id.insert(id, Arc::clone(known));
        }
        Ok(known)
    }

    async fn named(&self, app: &App, name: &str) -> Result<Option<Arc<Known>>, Refusal> {
        if let Some(known) = self.by_name.get(name)
            && known.holds(app).await?
        {
            return Ok(Some(known));
        }
        let ledger = &app.parts().ledger;
        let at = ledger.locate(TenantId::SYSTEM, &tenant_record(name))?;
        let Some(record) = ledger.located(at).await? else { return Ok(None) };
        let tenant = Tenant::decode(name, &record).map_err(crate::authenticate::damaged)?;
        let known = Arc::new(Known { at, record, tenant, asked: Mutex::default() });
        self.by_name.insert(name.into(), Arc::clone(&known));
        Ok(Some(known))
    }
}

impl Known {
    async fn holds(&self, app: &App) -> Result<bool, Refusal> {
        let now = app.parts().ledger.located(self.at).await?;
        Ok(now.is_some_and(|now| Arc::ptr_eq(&now, &self.record) || now == self.record))
    }
}
