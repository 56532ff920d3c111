//! Open intents: what is due, and what became of an operation.

use crate::code::{self, Refusal};
use crate::keyspace::intent_key;
use crate::ledger::Ledger;
use crate::ring::damaged;
use crate::side::StoredIntent;
use crate::state::{State, storage_refusal};
use crate::unit::{IntentKey, Position};
use crypto::aead::{Aad, Header};
use crypto::id::{OperationId, TenantId};
use crypto::seam::WallMs;
use std::collections::BTreeMap;
use storage::{Key, Kind};

/// Milliseconds after an operation id was made within which its unit is looked for.
const OPERATION_SPAN_MS: u64 = 10 * 60 * 1_000;

/// What is known of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OperationState {
    /// It took effect; its last entry if it made any.
    Applied(Option<Position>),
    /// It took no effect, and will not any more once the caller's deadline has passed.
    NotApplied,
}

impl Ledger {
    /// Intents due at or before `now`, oldest first, at most `limit`.
    pub async fn due(&self, now: WallMs, limit: usize) -> Result<Vec<StoredIntent>, Refusal> {
        let mut found = self.open_intents(limit.saturating_add(64)).await?;
        found.retain(|intent| intent.key.due <= now);
        found.truncate(limit);
        Ok(found)
    }

    /// Open intents by due time, at most about `limit`.
    pub async fn open_intents(&self, limit: usize) -> Result<Vec<StoredIntent>, Refusal> {
        let state = &self.inner.state;
        let mut found: BTreeMap<(IntentKey, TenantId), StoredIntent> = BTreeMap::new();
        let overlaid: Vec<_> = {
            let overlay = state.overlay.read();
            overlay.intents.iter().map(|(key, (_, intent))| (*key, intent.clone())).collect()
        };
        let limit = limit.min(storage::LIMITS.page_max);
        let page = state.storage.scan(Key::new(Kind::Intent, state.shard, Vec::new()), None, limit).await;
        for (key, sealed) in page.map_err(storage_refusal)? {
            let intent = open_intent(state, &key, &sealed)?;
            found.insert((intent.key, intent.tenant), intent);
        }
        for (key, intent) in overlaid {
            match intent {
                Some(intent) => found.insert(key, intent),
                None => found.remove(&key),
            };
        }
        Ok(found.into_values().collect())
    }

    /// Whether an operation took effect. Looks at entries of about ten minutes after the id was made.
    pub async fn operation(&self, tenant: TenantId, operation: OperationId) -> Result<OperationState, Refusal> {
        let begun = id_time(operation);
        let name = crate::replay::operation_key(operation);
        if self.volatile(tenant, name).await?.is_some() {
            return Ok(OperationState::Applied(None));
        }
        let mut number = self.batch_at(begun).await?;
        let mut last = None;
        'search: loop {
            let state = &self.inner.state;
            let batches = state.storage.tail(state.shard, number, 64).await.map_err(storage_refusal)?;
            let Some(newest) = batches.last() else { break };
            number = newest.number.next();
            for batch in &batches {
                let row = crate::entry::BatchRow::decode(&batch.row)
                    .map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("batch {}: {why}", batch.number.0)))?;
                if row.time.0 > begun.0.saturating_add(OPERATION_SPAN_MS) {
                    break 'search;
                }
                for (entry, index) in row.entries.iter().zip(row.first..) {
                    let (whose, fact) = crate::absorb::open_entry(state, index, entry)?;
                    if whose == tenant && fact.operation == operation {
                        last = Some(Position { shard: state.shard.0, index });
                    }
                }
            }
            if last.is_some() {
                break;
            }
        }
        Ok(match last {
            Some(position) => OperationState::Applied(Some(position)),
            None => OperationState::NotApplied,
        })
    }

    /// Number of the first batch that can hold something decided at or after a time.
    async fn batch_at(&self, time: WallMs) -> Result<storage::BatchNumber, Refusal> {
        let (mut low, mut high) = (1u64, self.head().batch.0.max(1));
        while low < high {
            let middle = low.saturating_add(high) / 2;
            let row = self.row_at(storage::BatchNumber(middle)).await?;
            // A minute of slack: the id's clock and the committer's may differ.
            if row.is_some_and(|row| row.time.0.saturating_add(60_000) < time.0) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(storage::BatchNumber(low))
    }
}

/// When an id was made: its first 48 bits.
fn id_time(operation: OperationId) -> WallMs {
    WallMs(operation.as_bytes().iter().take(6).fold(0, |ms, byte| (ms << 8) | u64::from(*byte)))
}

/// Opens a stored intent.
pub(crate) fn open_intent(state: &State, key: &Key, sealed: &[u8]) -> Result<StoredIntent, Refusal> {
    let name = format!("intent {key:?}");
    let bad = || Refusal::new(&code::STORAGE_DAMAGED, format!("{name} stands under a key that cannot be read"));
    let (due, rest) = key.rest().split_first_chunk::<8>().ok_or_else(bad)?;
    let (tenant, id) = rest.split_first_chunk::<16>().ok_or_else(bad)?;
    let id = <[u8; 16]>::try_from(id).map_err(|_| bad())?;
    let tenant = TenantId::from_bytes(*tenant);
    let at = IntentKey { due: WallMs(u64::from_be_bytes(*due)), id };
    let store_key = intent_key(state.shard, tenant, &at);
    let header = Header::parse(sealed).map_err(|error| damaged(&name, &error))?;
    let keys = state.ring.tenant(tenant).map_err(|_| bad())?;
    let key = keys.state_by_id(header.key_id).map_err(|error| damaged(&name, &error))?;
    let plain = key.open(Aad::intent(tenant, store_key.rest()), sealed).map_err(|error| damaged(&name, &error))?;
    StoredIntent::decode(plain.expose()).map_err(|why| Refusal::new(&code::STORAGE_DAMAGED, format!("{name}: {why}")))
}
