//! The access log: `GET access`, `GET access/segments`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Position, Timestamp};

/// Which rows to show; newest first.
#[derive(Debug, Default, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AccessQuery {
    /// Only rows about this path, or below it when it ends with a slash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Only rows of this principal, by name or entity id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Only rows from this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(value_type = Option<String>)]
    pub since: Option<Timestamp>,
    /// Only rows with this outcome: `ok`, or a code such as `access.denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Where an earlier answer stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many rows at most, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Whether to close the open segment and add to each row the proof that it is in the ledger.
    #[serde(default)]
    pub proof: bool,
}

/// One row: who asked for what, when, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Row {
    /// When the request was answered.
    pub time: Timestamp,
    /// Id of the request.
    pub request_id: String,
    /// Name of the principal, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Id of the entity, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// Id of the session, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Address the request came from.
    pub source: String,
    /// What was asked for, such as `secret.read`.
    pub act: String,
    /// Path it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Version it was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// `ok`, or the code of the refusal.
    pub outcome: String,
    /// Where the change stands in the ledger, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Names of the policies that decided.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// How many requests share this row; more than one only for unauthenticated refusals.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
    /// The proof that this row is in the ledger, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<RowProof>,
}

/// Ties a row to a ledger entry: row to segment by the chain, segment to checkpoint by the tree.
///
/// Start from `before`, fold in the digest of this row and then each of `after`, with
/// `SHA-256(previous || row digest)`; the result is the segment's digest, which stands in `anchor`.
/// Digests are standard base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowProof {
    /// Number of the segment.
    pub segment: u64,
    /// Number of the row in it, from 0.
    pub row: u64,
    /// Chain value before this row.
    pub before: String,
    /// Digest of this row as it is stored.
    pub digest: String,
    /// Digests of the rows after it in the segment.
    pub after: Vec<String>,
    /// Chain value at the end of the segment.
    pub end: String,
    /// Index of the ledger entry that holds the segment's end.
    pub entry: u64,
    /// RFC 6962 leaf hash of that entry.
    pub leaf_hash: String,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rows {
    /// The rows.
    pub items: Vec<Row>,
    /// Where to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// One segment of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// Its number.
    pub segment: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// Chain value it starts from.
    pub start: String,
    /// Chain value at its end.
    pub end: String,
    /// Index of the ledger entry that holds its end; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<u64>,
    /// When it was closed; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

/// All segments, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segments {
    /// The segments.
    pub items: Vec<Segment>,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_one(count: &u64) -> bool {
    *count == 1
}
