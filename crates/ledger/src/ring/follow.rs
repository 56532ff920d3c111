//! Keys that other nodes made, taken in with the batches that tell of them.

use super::load::reload;
use crate::code::Refusal;
use crate::entry::{Fact, split_entry};
use crate::house::{HouseEvent, KEY_CREATED, KEY_REWRAPPED, SEAL_REKEYED, TENANT_CREATED};
use crate::state::State;
use bytes::Bytes;
use crypto::aead::Header;
use crypto::id::{KeyId, TenantId};

/// Sees to it that the key is held which an entry is sealed under. That it is not is said when the entry is opened.
pub(crate) async fn know(state: &State, tenant: TenantId, entry: &Bytes) -> Result<(), Refusal> {
    let Ok(header) = Header::parse(split_entry(entry)?.sealed) else { return Ok(()) };
    let held = state.ring.tenant(tenant).is_ok_and(|keys| keys.log_by_id(header.key_id).is_ok());
    if !held {
        state.ring.replace(reload(state, Some(tenant)).await?);
    }
    Ok(())
}

/// Reads the keys that an event tells of, before anything is decided over the batch: what is sealed from then on has to be
/// under the newest keys, since older ones are destroyed once nothing was left under them.
pub(crate) async fn follow(state: &State, fact: &Fact) -> Result<(), Refusal> {
    let changed = match fact.kind.as_ref() {
        TENANT_CREATED | KEY_CREATED | KEY_REWRAPPED | SEAL_REKEYED => HouseEvent::decode(&fact.body)?,
        _ => return Ok(()),
    };
    let only = match changed {
        HouseEvent::TenantCreated { tenant, .. } if state.ring.tenant(tenant).is_ok() => return Ok(()),
        HouseEvent::TenantCreated { tenant, .. } => Some(tenant),
        HouseEvent::Key { id, .. } if holds(state, id) => return Ok(()),
        _ => None,
    };
    state.ring.replace(reload(state, only).await?);
    Ok(())
}

fn holds(state: &State, id: KeyId) -> bool {
    let keys = state.ring.keys();
    keys.roots.iter().any(|held| held.id == id) || keys.tenants.values().any(|held| held.holds(id))
}
