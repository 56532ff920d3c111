//! Events of the ledger itself: its beginning, tenants, keys.

use crate::ring::{Purpose, RingPut};
use crate::tenants::{
    StoredTenant, StoredTenantName, Tenant, TenantLimits, TenantState, tenant_id_record, tenant_record,
};
use crate::unit::{Damaged, Event, EventRef, RecordName, Rules};
use crypto::id::{BackupId, KeyId, TenantId};
use serde::{Deserialize, Serialize};

/// The ledger's first entry.
pub const LEDGER_CREATED: &str = "ledger.created";
/// A tenant and its keys exist.
pub const TENANT_CREATED: &str = "tenant.created";
/// What may be done in a tenant, or how much it may have, is another.
pub const TENANT_CHANGED: &str = "tenant.changed";
/// A tenant is gone, and all that was in it.
pub const TENANT_DELETED: &str = "tenant.deleted";
/// A key of the hierarchy exists.
pub const KEY_CREATED: &str = "key.created";
/// Keys were wrapped again under another key.
pub const KEY_REWRAPPED: &str = "key.rewrapped";
/// A key is gone.
pub const KEY_DESTROYED: &str = "key.destroyed";
/// The root key rests under another seal.
pub const SEAL_REKEYED: &str = "seal.rekeyed";
/// The ledger came out of a backup and goes on from there; what came after the backup in its earlier life is lost.
pub const LEDGER_RESTORED: &str = "ledger.restored";

/// Body of the ledger's own events.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HouseEvent {
    /// Origin of the checkpoints.
    LedgerCreated {
        /// `<cluster>/<shard>`.
        origin: String,
    },
    /// A tenant under a name.
    TenantCreated {
        /// Its id.
        tenant: TenantId,
        /// Its name, one segment.
        name: String,
    },
    /// One key: its id and what it is for.
    Key {
        /// Key id.
        id: KeyId,
        /// What it is for.
        purpose: Purpose,
        /// When it was made, ms.
        created_ms: u64,
    },
    /// How many keys were wrapped again, and under which key.
    Rewrapped {
        /// The wrapping key.
        under: KeyId,
        /// How many.
        count: u64,
    },
    /// The seal that holds the root key now.
    Rekeyed {
        /// Name of the seal; no secret.
        seal: String,
    },
    /// A tenant as it is from now on.
    TenantChanged(Tenant),
    /// A tenant that was.
    TenantDeleted {
        /// Its id.
        tenant: TenantId,
        /// Its name, free again.
        name: String,
    },
    /// The backup a ledger came out of.
    Restored {
        /// Its id.
        backup: BackupId,
        /// Entries in it.
        entries: u64,
        /// Entries that the earlier life is known to have had; 0 when nothing is known of it.
        known: u64,
    },
}

impl HouseEvent {
    pub(crate) fn event(&self, kind: &'static str) -> Result<Event, Damaged> {
        let body = postcard::to_allocvec(self).map_err(|_| Damaged("an event that cannot be encoded".into()))?;
        Ok(Event { kind, body })
    }

    /// Reads an event's body.
    pub fn decode(body: &[u8]) -> Result<HouseEvent, Damaged> {
        postcard::from_bytes(body).map_err(|_| Damaged("an event of the ledger that does not decode".into()))
    }
}

pub(crate) fn key_created(put: &RingPut) -> Result<Event, Damaged> {
    HouseEvent::Key { id: put.id, purpose: put.row.purpose, created_ms: put.created.0 }.event(KEY_CREATED)
}

/// Rules of the ledger's own events.
#[derive(Debug)]
pub(crate) struct HouseRules;

impl Rules for HouseRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[
            LEDGER_CREATED,
            TENANT_CREATED,
            TENANT_CHANGED,
            TENANT_DELETED,
            KEY_CREATED,
            KEY_REWRAPPED,
            KEY_DESTROYED,
            SEAL_REKEYED,
            LEDGER_RESTORED,
        ]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        Ok(match HouseEvent::decode(event.body)? {
            HouseEvent::TenantCreated { name, tenant } | HouseEvent::TenantDeleted { name, tenant } => {
                vec![tenant_record(&name), tenant_id_record(tenant)]
            }
            HouseEvent::TenantChanged(tenant) => vec![tenant_record(&tenant.name)],
            _ => Vec::new(),
        })
    }

    fn evolve(
        &self,
        name: &RecordName,
        before: Option<&[u8]>,
        event: &EventRef<'_>,
    ) -> Result<Option<Vec<u8>>, Damaged> {
        match HouseEvent::decode(event.body)? {
            HouseEvent::TenantCreated { name: text, .. } if *name != tenant_record(&text) => {
                stored(&StoredTenantName::V1 { name: text })
            }
            HouseEvent::TenantCreated { tenant, name } => stored(&StoredTenant::V2(Tenant {
                id: tenant,
                name,
                created: event.stamp.time,
                state: TenantState::Active,
                limits: TenantLimits::default(),
            })),
            HouseEvent::TenantChanged(tenant) => stored(&StoredTenant::V2(tenant)),
            HouseEvent::TenantDeleted { .. } => Ok(None),
            _ => Ok(before.map(<[u8]>::to_vec)),
        }
    }
}

fn stored<T: Serialize>(record: &T) -> Result<Option<Vec<u8>>, Damaged> {
    postcard::to_allocvec(record).map(Some).map_err(|_| Damaged("a tenant that cannot be encoded".into()))
}
