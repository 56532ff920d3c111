//! Values that several nouns show the same way.

use app::Position;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A place in the ledger.
pub(crate) fn position(position: Position) -> api::Position {
    api::Position { shard: position.shard, index: position.index }
}

/// Bytes that are no secret, such as hashes, as standard base64.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Hashes as standard base64.
pub(crate) fn hashes(hashes: &[crypto::Hash]) -> Vec<String> {
    hashes.iter().map(|hash| base64(hash)).collect()
}
