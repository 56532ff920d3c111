//! Events of the ledger itself: its beginning, tenants, keys.

use crate::ring::{Purpose, RingPut};
use crate::unit::{Damaged, Event, EventRef, RecordKind, RecordName, Rules};
use crypto::id::{KeyId, TenantId};
use serde::{Deserialize, Serialize};

/// The ledger's first entry.
pub const LEDGER_CREATED: &str = "ledger.created";
/// A tenant and its keys exist.
pub const TENANT_CREATED: &str = "tenant.created";
/// A key of the hierarchy exists.
pub const KEY_CREATED: &str = "key.created";
/// Keys were wrapped again under another key.
pub const KEY_REWRAPPED: &str = "key.rewrapped";
/// A key is gone.
pub const KEY_DESTROYED: &str = "key.destroyed";
/// The root key rests under another seal.
pub const SEAL_REKEYED: &str = "seal.rekeyed";

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

/// Record of a tenant, in the tenant `system`, by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoredTenant {
    /// First form.
    V1 {
        /// Its id.
        tenant: TenantId,
        /// When it was made, ms.
        created_ms: u64,
    },
}

/// Name of a tenant's record.
pub(crate) fn tenant_record(name: &str) -> RecordName {
    RecordName::new(RecordKind::TENANT, [name])
}

/// Rules of the ledger's own events.
#[derive(Debug)]
pub(crate) struct HouseRules;

impl Rules for HouseRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[LEDGER_CREATED, TENANT_CREATED, KEY_CREATED, KEY_REWRAPPED, KEY_DESTROYED, SEAL_REKEYED]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        match HouseEvent::decode(event.body)? {
            HouseEvent::TenantCreated { name, .. } => Ok(vec![tenant_record(&name)]),
            _ => Ok(Vec::new()),
        }
    }

    fn evolve(&self, _: &RecordName, before: Option<&[u8]>, event: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        match HouseEvent::decode(event.body)? {
            HouseEvent::TenantCreated { tenant, .. } => {
                let stored = StoredTenant::V1 { tenant, created_ms: event.stamp.time.0 };
                Ok(Some(postcard::to_allocvec(&stored).map_err(|_| Damaged("a tenant that cannot be encoded".into()))?))
            }
            _ => Ok(before.map(<[u8]>::to_vec)),
        }
    }
}
