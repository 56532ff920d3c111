//! Small types that several nouns share.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A moment as RFC 3339 text in UTC with milliseconds, such as `2026-03-01T09:30:00.000Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(example = "2026-03-01T09:30:00.000Z")]
pub struct Timestamp(pub String);

/// A length of time as text with its unit, such as `90s`, `15m`, `24h` or `30d`; `none` where there is no end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(example = "15m")]
pub struct Ttl(pub String);

/// Where an entry stands in a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub struct Position {
    /// Shard the ledger belongs to.
    pub shard: u32,
    /// Index of the entry in that ledger, from 0.
    pub index: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}/{}", self.shard, self.index)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::fmt::Display for Ttl {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}
