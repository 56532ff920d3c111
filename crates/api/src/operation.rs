//! What became of a change whose answer was lost: `GET operations/{id}`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Position;

/// Whether a change took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It did, once.
    Applied,
    /// It did not and never will.
    NotApplied,
    /// The store does not say yet; ask again.
    Unknown,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Id of the operation, `evt_…`.
    pub id: String,
    /// Whether it took effect.
    pub effect: Effect,
    /// Where it stands in the ledger, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}
