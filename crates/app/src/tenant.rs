//! Tenants by name or id.

use crate::app::App;
use crate::limits::TENANTS_KNOWN_MAX;
use crypto::id::TenantId;
use ledger::Refusal;
use quick_cache::sync::Cache;

/// Names of tenants already looked up. A name leads to the same tenant as long as that exists.
#[derive(Debug)]
pub(crate) struct TenantBook {
    known: Cache<Box<str>, TenantId>,
}

/// Bytes of a tenant's name or id in a request.
const NAME_BYTES_MAX: usize = 64;

impl TenantBook {
    pub(crate) fn new() -> TenantBook {
        TenantBook { known: Cache::new(TENANTS_KNOWN_MAX) }
    }

    /// The tenant named, the house's own when none is; `None` when there is no such one.
    pub(crate) async fn resolve(&self, app: &App, name: Option<&str>) -> Result<Option<TenantId>, Refusal> {
        let Some(name) = name else { return Ok(Some(app.parts().home)) };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Ok(None);
        }
        if let Ok(id) = name.parse::<TenantId>() {
            let there = id != TenantId::SYSTEM && app.parts().ledger.tenant_key(id).is_ok();
            return Ok(there.then_some(id));
        }
        if let Some(id) = self.known.get(name) {
            return Ok(Some(id));
        }
        let found = app.parts().ledger.tenant_named(name).await?;
        if let Some(id) = found {
            self.known.insert(name.into(), id);
        }
        Ok(found)
    }
}
