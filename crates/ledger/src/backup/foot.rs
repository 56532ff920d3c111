//! The foot of a backup: how far it goes.

use super::damaged;
use crate::code::Refusal;
use crate::unit::Damaged;
use crypto::Hash;
use crypto::note::{Checkpoint, VerifierKey};
use crypto::seam::WallMs;
use serde::{Deserialize, Serialize};
use storage::{BatchId, BatchNumber};

/// How far a backup goes, and the proof that it is the ledger up to there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foot {
    /// Its last batch.
    pub batch: BatchNumber,
    /// That batch's id.
    pub batch_id: BatchId,
    /// Entries: the size of the tree.
    pub entries: u64,
    /// Root over them.
    pub root: Hash,
    /// A checkpoint of exactly this tree, a signed note.
    pub checkpoint: String,
    /// The key it is signed with.
    pub verifier: String,
    /// When the last batch was taken in.
    pub ended: WallMs,
    /// Data keys.
    pub keys: u64,
    /// Sealed values.
    pub blobs: u64,
    /// Intents.
    pub intents: u64,
}

#[derive(Serialize, Deserialize)]
enum Stored {
    V1 {
        batch: u64,
        #[serde(with = "crypto::run::fixed")]
        batch_id: [u8; 16],
        entries: u64,
        #[serde(with = "crypto::run::fixed")]
        root: [u8; 32],
        checkpoint: String,
        verifier: String,
        ended_ms: u64,
        keys: u64,
        blobs: u64,
        intents: u64,
    },
}

impl Foot {
    pub(super) fn encode(&self) -> Result<Vec<u8>, Damaged> {
        let stored = Stored::V1 {
            batch: self.batch.0,
            batch_id: self.batch_id.0,
            entries: self.entries,
            root: self.root,
            checkpoint: self.checkpoint.clone(),
            verifier: self.verifier.clone(),
            ended_ms: self.ended.0,
            keys: self.keys,
            blobs: self.blobs,
            intents: self.intents,
        };
        postcard::to_allocvec(&stored).map_err(|_| Damaged("a backup's foot that cannot be encoded".into()))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Foot, Refusal> {
        let Stored::V1 { batch, batch_id, entries, root, checkpoint, verifier, ended_ms, keys, blobs, intents } =
            postcard::from_bytes(bytes).map_err(|_| damaged("its foot"))?;
        let (batch, batch_id, ended) = (BatchNumber(batch), BatchId(batch_id), WallMs(ended_ms));
        Ok(Foot { batch, batch_id, entries, root, checkpoint, verifier, ended, keys, blobs, intents })
    }

    /// Whether its checkpoint is signed by its key, of the ledger with this origin, and of this tree.
    pub(super) fn is_signed(&self, origin: &str) -> bool {
        let Ok(key) = self.verifier.parse::<VerifierKey>() else { return false };
        let signed = Checkpoint::open(&self.checkpoint, &key);
        key.origin().as_str() == origin && signed.is_ok_and(|seen| (seen.size, seen.root) == (self.entries, self.root))
    }
}
