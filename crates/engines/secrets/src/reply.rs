//! What a decision answers, in a codec of its own: an idempotent repeat gets these very bytes.

use crate::codec;
use crypto::seam::WallMs;
use ledger::Damaged;
use serde::{Deserialize, Serialize};

/// The answer to any command of this engine.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The newest version after the command.
    pub current: u64,
    /// Versions the command wrote, hid, brought back or destroyed.
    pub versions: Vec<u64>,
    /// Versions dropped because more than `max_versions` were there.
    pub pruned: Vec<u64>,
    /// Time of the decision.
    #[serde(with = "codec::wall")]
    pub time: WallMs,
}

#[derive(Serialize, Deserialize)]
enum Versioned {
    V1(Reply),
}

impl Reply {
    /// Reads an answer of a receipt.
    pub fn decode(bytes: &[u8]) -> Result<Reply, Damaged> {
        let Versioned::V1(reply) = codec::decode("answer of a secret command", bytes)?;
        Ok(reply)
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        codec::encode(&Versioned::V1(self))
    }
}
