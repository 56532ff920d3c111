//! What became of a change whose answer was lost.

use crate::grant::Authorized;
use crypto::WallMs;
use crypto::id::OperationId;
use ledger::code::OPERATION_NOT_FOUND;
use ledger::{OperationState, Position, Refusal};
use std::time::Duration;

/// How long after an operation began nobody says yet that it took no effect.
const SETTLES_AFTER: Duration = Duration::from_secs(60);

/// Whether a change took effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// It did, once; its last entry where it made any.
    Applied(Option<Position>),
    /// It did not and never will.
    NotApplied,
    /// It began a moment ago and may still take effect; ask again.
    Unknown,
}

/// Tells what became of one of the caller's own operations. Errors: `operation.not_found` for another's.
pub async fn read(grant: Authorized, operation: OperationId) -> Result<Effect, Refusal> {
    let ledger = grant.ledger();
    let state = ledger.operation(grant.tenant(), operation).await?;
    if let OperationState::Applied(Some(position)) = state {
        let entry = ledger.entries(position.index, 1).await?.pop();
        let by = entry.map(|entry| ledger.open_entry(&entry)).transpose()?.map(|(_, fact)| fact.actor.entity);
        if by != Some(grant.facts().entity) {
            return Err(Refusal::new(&OPERATION_NOT_FOUND, "there is no such operation"));
        }
    }
    Ok(match state {
        OperationState::Applied(position) => Effect::Applied(position),
        OperationState::NotApplied if grant.now() < begun(operation).saturating_add(SETTLES_AFTER) => Effect::Unknown,
        OperationState::NotApplied => Effect::NotApplied,
    })
}

/// When an id was made: its first 48 bits.
fn begun(operation: OperationId) -> WallMs {
    WallMs(operation.as_bytes().iter().take(6).fold(0, |ms, byte| (ms << 8) | u64::from(*byte)))
}
