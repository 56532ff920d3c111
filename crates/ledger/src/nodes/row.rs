//! The row by which a node shows that it lives, and the format level that all nodes agree on.

use super::Sharing;
use crate::code::{self, Refusal};
use crate::keyspace::meta_key;
use crate::state::storage_refusal;
use crate::unit::Damaged;
use crypto::seam::{Entropy, NoEntropy, WallMs};
use serde::{Deserialize, Serialize};
use std::fmt;
use storage::{Key, Op, Shard, Storage};

/// The newest format that this build reads and writes: raised with each new kind of event or form of a stored thing.
pub const FORMAT_LEVEL: u32 = 1;
/// Name of the row with the format level of the store.
const LEVEL: &str = "level";

/// A node, for as long as its process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct NodeId([u8; 8]);

impl NodeId {
    pub(crate) fn generate(entropy: &dyn Entropy) -> Result<NodeId, NoEntropy> {
        let mut id = [0; 8];
        entropy.fill_public(&mut id)?;
        Ok(NodeId(id))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a node tells of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct NodeRow {
    pub(super) id: NodeId,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) version: String,
    pub(super) level: u32,
    pub(super) started: WallMs,
    pub(super) head: u64,
    /// Rises with each time the row is written.
    pub(super) beat: u64,
}

#[derive(Serialize, Deserialize)]
enum StoredNode {
    V1 { id: NodeId, name: String, address: String, version: String, level: u32, started_ms: u64, head: u64, beat: u64 },
}

impl NodeRow {
    pub(super) fn new(id: NodeId, sharing: &Sharing, started: WallMs) -> NodeRow {
        let Sharing { name, address, version, .. } = sharing.clone();
        NodeRow { id, name, address, version, level: FORMAT_LEVEL, started, head: 0, beat: 0 }
    }

    pub(super) fn put(&self, shard: Shard) -> Result<Op, Damaged> {
        let NodeRow { id, level, started, head, beat, .. } = *self;
        let (name, address, version) = (self.name.clone(), self.address.clone(), self.version.clone());
        let stored = StoredNode::V1 { id, name, address, version, level, started_ms: started.0, head, beat };
        let bytes = postcard::to_allocvec(&stored).map_err(|_| Damaged("a node that cannot be encoded".into()))?;
        Ok(Op::Put(node_key(shard, id), bytes.into()))
    }

    /// Reads a row; one of a newer build may not be readable, and shows by its changes all the same that a node lives.
    pub(super) fn decode(bytes: &[u8]) -> Option<NodeRow> {
        let StoredNode::V1 { id, name, address, version, level, started_ms, head, beat } =
            postcard::from_bytes(bytes).ok()?;
        Some(NodeRow { id, name, address, version, level, started: WallMs(started_ms), head, beat })
    }
}

pub(super) fn node_key(shard: Shard, id: NodeId) -> Key {
    meta_key(shard, &format!("node/{id}"))
}

/// Below which all nodes stand.
pub(super) fn nodes_prefix(shard: Shard) -> Key {
    meta_key(shard, "node/")
}

/// Refuses a store that newer nodes have written in a format of theirs; says of a new store which format it has.
///
/// Errors: `storage.newer`.
pub(crate) async fn hold_level(storage: &dyn Storage, shard: Shard) -> Result<(), Refusal> {
    let found = storage.get(vec![meta_key(shard, LEVEL)]).await.map_err(storage_refusal)?;
    let level = found.into_iter().next().flatten().and_then(|level| <[u8; 4]>::try_from(level.as_ref()).ok());
    match level.map(u32::from_be_bytes) {
        Some(level) if level > FORMAT_LEVEL => {
            let why = format!("the store is of format level {level}, this build reads up to {FORMAT_LEVEL}");
            Err(Refusal::new(&code::STORAGE_NEWER, why))
        }
        _ => Ok(()),
    }
}
