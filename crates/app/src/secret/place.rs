//! Where secrets stand, kept ready: a keyed hash for each segment of a path otherwise.

use crate::limits::PLACES_KNOWN_MAX;
use crypto::id::TenantId;
use ledger::{Ledger, Located, Path, Refusal};
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use secrets::secret_name;

/// Places of secrets asked for; there or not, a path has the same place as long as its tenant exists.
#[derive(Debug)]
pub(crate) struct Places {
    known: Cache<(TenantId, Path), Located>,
}

/// A key of the cache, borrowed. Fields in the same order: both hash alike.
#[derive(Hash)]
struct At<'a>(TenantId, &'a Path);

impl Equivalent<(TenantId, Path)> for At<'_> {
    fn equivalent(&self, (tenant, path): &(TenantId, Path)) -> bool {
        (self.0, self.1) == (*tenant, path)
    }
}

impl Places {
    pub(crate) fn new() -> Places {
        Places { known: Cache::new(PLACES_KNOWN_MAX) }
    }

    /// Where the record of a secret stands or would stand.
    pub(crate) fn of(&self, ledger: &Ledger, tenant: TenantId, path: &Path) -> Result<Located, Refusal> {
        if let Some(place) = self.known.get(&At(tenant, path)) {
            return Ok(place);
        }
        let place = ledger.locate(tenant, &secret_name(path))?;
        self.known.insert((tenant, path.clone()), place);
        Ok(place)
    }
}
