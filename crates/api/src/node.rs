//! Nodes that share a store: `GET nodes`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Timestamp;

/// A node of the cluster, as the node that answers sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its id, another one after each start.
    pub id: String,
    /// What the configuration calls it.
    pub name: String,
    /// Where it answers.
    pub address: String,
    /// Version of its program.
    pub version: String,
    /// The newest format it reads and writes.
    pub format_level: u32,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
    /// Number of the newest batch it knew when it last showed itself.
    pub head: u64,
    /// Milliseconds since it last showed itself, as the node that answers saw it.
    pub silent_ms: u64,
    /// Whether it folds and does what is due.
    pub pen: bool,
    /// Whether it is the node that answers.
    pub own: bool,
}

/// The nodes; none where the store is not one that nodes share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeList {
    /// The nodes, in the order of their starts.
    pub items: Vec<Node>,
}
