//! The Merkle tree of a ledger: hashes, the growing edge, proofs and tiles. Source: RFC 6962 section 2, with the
//! verification algorithms of RFC 9162 section 2.1.
//!
//! ```
//! use crypto::merkle::{Frontier, leaf_hash};
//! let mut tree = Frontier::new();
//! tree.push(leaf_hash(b"first entry"));
//! assert_eq!(tree.root(), leaf_hash(b"first entry"));
//! ```

mod proof;
mod tile;

use core::fmt;

use crate::hash::{sha256, sha256_parts};

pub use crate::hash::Hash;
pub use proof::{
    BadProof, consistency_nodes, consistency_proof, inclusion_nodes, inclusion_proof, root_at, verify_consistency,
    verify_inclusion,
};
pub use tile::{BadTile, TILE_HEIGHT, TILE_WIDTH, Tile, TileHashes, changed_tiles, entries_path};

/// Hashes one entry into a leaf. Source: RFC 6962 section 2.1.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    sha256_parts(&[&[0], entry])
}

/// Hashes two neighbouring subtrees into their parent. Source: RFC 6962 section 2.1.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256_parts(&[&[1], left, right])
}

/// A perfect subtree: the leaves from `index << level`, `1 << level` of them. Once complete its hash never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// Height above the leaves, at most 63.
    pub level: u8,
    /// Number among the subtrees of this height, from the left.
    pub index: u64,
}

/// Why a proof could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// The index or the older size lies outside the tree.
    OutOfRange,
    /// The reader does not have this hash.
    Missing(Node),
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange => f.write_str("outside the tree"),
            Self::Missing(node) => write!(f, "the hash at level {}, index {} is missing", node.level, node.index),
        }
    }
}

impl core::error::Error for ProofError {}

/// Gives the hashes of complete perfect subtrees. Load what [`inclusion_nodes`] or [`consistency_nodes`] ask for first;
/// [`TileHashes`] reads tiles.
pub trait HashReader {
    /// The hash of `node`, if it is at hand.
    fn hash(&self, node: Node) -> Option<Hash>;
}

/// The growing edge of a tree: its size and the hashes of the perfect subtrees that it falls into, at most 64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
// INVARIANT: `peaks` holds one hash per bit set in `size`, the greatest subtree first.
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// The bytes are no stored frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFrontier;

impl fmt::Display for BadFrontier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the stored tree frontier is damaged")
    }
}

impl core::error::Error for BadFrontier {}

impl Frontier {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_each(leaf, |_, _| ());
    }

    /// Appends a leaf and shows each perfect subtree that it completes, the leaf first. Those whose level is a multiple
    /// of [`TILE_HEIGHT`] are the content of tiles.
    pub fn push_each(&mut self, leaf: Hash, mut completed: impl FnMut(Node, Hash)) {
        let (mut node, mut hash) = (Node { level: 0, index: self.size }, leaf);
        completed(node, hash);
        while node.index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            node = Node { level: node.level + 1, index: node.index >> 1 };
            completed(node, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root hash; SHA-256 of nothing for an empty tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold(&self.peaks).unwrap_or_else(|| sha256(b""))
    }

    /// The stored form: size as 8 bytes big-endian, then the hashes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.size.to_be_bytes().into_iter().chain(self.peaks.iter().flatten().copied()).collect()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`BadFrontier`] if the length does not fit the size.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadFrontier> {
        let (size, rest) = bytes.split_first_chunk().ok_or(BadFrontier)?;
        let size = u64::from_be_bytes(*size);
        let (peaks, excess) = rest.as_chunks();
        if excess.is_empty() && peaks.len() == size.count_ones() as usize {
            Ok(Self { size, peaks: peaks.to_vec() })
        } else {
            Err(BadFrontier)
        }
    }
}

/// Joins the hashes of neighbouring subtrees, each greater than those to its right, into the hash over all.
fn fold(peaks: &[Hash]) -> Option<Hash> {
    let (last, rest) = peaks.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}
