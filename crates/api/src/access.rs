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

/// Shows, without any key, that a row is in the ledger.
///
/// `frame` holds a commitment to `plain`; it is leaf `index` of the segment's tree (RFC 6962, `hashes` is the
/// path), whose root stands in clear in the entry at `position`. That the entry is in the ledger is for the reader to
/// check with the leaf hash of `entry` and an inclusion proof under the newest checkpoint. Binary fields are standard
/// base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowProof {
    /// Salt and row, as they were sealed.
    pub plain: String,
    /// The stored frame without its chain value.
    pub frame: String,
    /// Which leaf of the segment it is, from 0.
    pub index: u64,
    /// RFC 6962 inclusion path in the segment's tree.
    pub hashes: Vec<String>,
    /// The segment, as in the entry.
    pub segment: Segment,
    /// Where the segment's entry stands.
    pub position: Position,
    /// That entry as it stands in the ledger: what it says of the segment in clear, the rest sealed.
    pub entry: String,
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

/// One segment of the log. Hashes are standard base64; those of an open segment are as far as it got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Segment {
    /// Id of the log it belongs to, in hexadecimal.
    pub log: String,
    /// Its number.
    pub segment: u64,
    /// Sequence number of its first row.
    pub first_row: u64,
    /// How many rows it holds.
    pub rows: u64,
    /// Bytes of its frames.
    pub bytes: u64,
    /// Final chain value of the segment before it.
    pub previous: String,
    /// Its own final chain value.
    pub end: String,
    /// Root of the RFC 6962 tree over its rows.
    pub root: String,
    /// Earliest time of its rows.
    pub first_time: Timestamp,
    /// Latest time of its rows.
    pub last_time: Timestamp,
    /// Where the entry that closes it stands; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
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
