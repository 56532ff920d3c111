//! The ledger and its proofs.
//!
//! `GET ledger/checkpoint` answers the signed note itself as `text/plain` and `GET ledger/tile/…` raw bytes,
//! as existing verifiers expect (C2SP tlog-checkpoint, tlog-tiles). The rest is JSON. Hashes are standard base64.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Timestamp;

/// The key that checkpoints are signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifierKey {
    /// C2SP verifier key: `<origin>+<hash>+<base64>`.
    pub key: String,
}

/// Which entries to fetch.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EntriesQuery {
    /// Index of the first entry.
    #[serde(default)]
    pub from: u64,
    /// How many at most, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// One entry of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// Its index.
    pub index: u64,
    /// RFC 6962 leaf hash of the sealed entry.
    pub leaf_hash: String,
    /// The sealed entry, when the caller may fetch it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// When it was made, when the entry is the caller's tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Kind of its event, such as `secret.version.written`, when the entry is the caller's tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A run of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entries {
    /// The entries, by index without gaps.
    pub items: Vec<Entry>,
    /// Size of the ledger when they were read.
    pub size: u64,
}

/// Which inclusion to prove.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InclusionQuery {
    /// Index of the entry.
    pub index: u64,
    /// Size of the tree to prove it in.
    pub size: u64,
}

/// Which consistency to prove.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyQuery {
    /// Size of the older tree.
    pub from: u64,
    /// Size of the newer tree.
    pub to: u64,
}

/// An inclusion or consistency proof (RFC 6962 #2.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// The hashes of the path, in the order of the RFC.
    pub hashes: Vec<String>,
}
