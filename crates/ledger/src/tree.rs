//! The tree of the folded ledger: its edge in memory, its tiles as records, its signed checkpoint.

use crate::code::{self, Refusal};
use crate::keyspace::{meta_key, tile_key, watermark_key};
use crate::ring::{damaged, seal_fail};
use crate::state::{State, storage_refusal};
use bytes::Bytes;
use crypto::Hash;
use crypto::aead::{Aad, Header};
use crypto::id::TenantId;
use crypto::merkle::{
    Frontier, Node, ProofError, TILE_HEIGHT, TILE_WIDTH, Tile, TileHashes, consistency_nodes, consistency_proof,
    inclusion_nodes, inclusion_proof, leaf_hash,
};
use crypto::note::{VerifierKey, sign_checkpoint};
use crypto::seam::Entropy;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use storage::{BatchNumber, Op};

/// How far the fold has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Mark {
    pub(crate) batch: BatchNumber,
    pub(crate) size: u64,
    pub(crate) time_ms: u64,
}

#[derive(Serialize, Deserialize)]
enum StoredMark {
    V1 { batch: u64, size: u64, time_ms: u64, frontier: Vec<u8> },
}

/// The folded tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    frontier: Frontier,
    /// Rightmost tile of each level that is not full: its index and its hashes.
    open: BTreeMap<u8, (u64, Vec<u8>)>,
    /// The newest checkpoint and the size it is of.
    note: Option<(u64, String)>,
    /// A checkpoint with what witnesses signed below it. Clones share it: a fold works on one meanwhile.
    cosigned: Arc<RwLock<Option<String>>>,
}

impl Tree {
    /// Reads edge, open tiles and mark; an empty tree where nothing was folded yet.
    pub(crate) async fn load(state: &State) -> Result<(Tree, Mark), Refusal> {
        let found = state.storage.get(vec![watermark_key(state.shard), meta_key(state.shard, "checkpoint")]).await;
        let mut found = found.map_err(storage_refusal)?.into_iter();
        let Some(sealed) = found.next().flatten() else { return Ok((Tree::default(), Mark::default())) };
        let StoredMark::V1 { batch, size, time_ms, frontier } = open_mark(state, &sealed)?;
        let bad = |what: &str| Refusal::new(&code::STORAGE_DAMAGED, format!("the fold's watermark: {what}"));
        let frontier = Frontier::from_bytes(&frontier).map_err(|_| bad("its tree edge does not decode"))?;
        if frontier.size() != size {
            return Err(bad("its tree edge is of another size"));
        }
        let note = found.next().flatten().and_then(|note| String::from_utf8(note.to_vec()).ok()).map(|note| (0, note));
        let mut tree = Tree { frontier, open: BTreeMap::new(), note, cosigned: Arc::default() };
        for level in 0..u8::MAX {
            let row = size.checked_shr(u32::from(level).saturating_mul(TILE_HEIGHT.into())).unwrap_or(0);
            if row == 0 {
                break;
            }
            let width = usize::try_from(row % TILE_WIDTH).unwrap_or(0);
            if width > 0 {
                let index = row / TILE_WIDTH;
                let bytes = tree.read_tile(state, Tile { level, index, width: 0 }).await?;
                let kept = bytes.get(..width.saturating_mul(32)).ok_or_else(|| tile_damaged(level, index))?;
                tree.open.insert(level, (index, kept.to_vec()));
            }
        }
        Ok((tree, Mark { batch: BatchNumber(batch), size, time_ms }))
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The newest checkpoint, with what witnesses signed below it where they did.
    pub(crate) fn note(&self) -> Option<String> {
        let note = self.note.as_ref().map(|(_, note)| note)?;
        let cosigned = self.cosigned.read();
        Some(cosigned.as_ref().filter(|cosigned| cosigned.starts_with(note.as_str())).unwrap_or(note).clone())
    }

    /// Keeps a checkpoint that witnesses signed too.
    pub(crate) fn keep_cosigned(&self, cosigned: String) {
        *self.cosigned.write() = Some(cosigned);
    }

    /// Whether the newest checkpoint is of the whole folded tree.
    pub(crate) fn is_signed(&self) -> bool {
        self.note.as_ref().is_some_and(|(size, _)| *size == self.size())
    }

    /// Appends entries; gives the tiles that changed as puts.
    pub(crate) fn append(&mut self, state: &State, entries: &[Bytes]) -> Vec<Op> {
        let mut full = Vec::new();
        let Tree { frontier, open, .. } = self;
        let mut touched: BTreeMap<u8, ()> = BTreeMap::new();
        for entry in entries {
            frontier.push_each(leaf_hash(entry), |node, hash| {
                if !node.level.is_multiple_of(TILE_HEIGHT) {
                    return;
                }
                let (level, index) = (node.level / TILE_HEIGHT, node.index / TILE_WIDTH);
                let tile = open.entry(level).or_insert_with(|| (index, Vec::new()));
                tile.1.extend_from_slice(&hash);
                touched.insert(level, ());
                if node.index % TILE_WIDTH == TILE_WIDTH.saturating_sub(1) {
                    full.extend(open.remove(&level).map(|(index, bytes)| (level, index, bytes)));
                }
            });
        }
        let partial =
            touched.keys().filter_map(|level| open.get(level).map(|(index, bytes)| (*level, *index, bytes.clone())));
        let tiles = full.into_iter().chain(partial.collect::<Vec<_>>());
        tiles.map(|(level, index, bytes)| Op::Put(tile_key(state.shard, level, index), bytes.into())).collect()
    }

    /// The mark, sealed, as the last put of a fold.
    pub(crate) fn seal_mark(&self, state: &State, entropy: &dyn Entropy, mark: Mark) -> Result<Op, Refusal> {
        let frontier = self.frontier.to_bytes();
        let stored = StoredMark::V1 { batch: mark.batch.0, size: mark.size, time_ms: mark.time_ms, frontier };
        let plain = postcard::to_allocvec(&stored)
            .map_err(|_| Refusal::new(&code::BUG, "a watermark that cannot be encoded"))?;
        let keys = state.ring.tenant(TenantId::SYSTEM)?;
        let sealed =
            keys.current_state()?.key.seal(entropy, mark_aad(state), &plain).map_err(|error| seal_fail(&error))?;
        Ok(Op::Put(watermark_key(state.shard), sealed.into()))
    }

    /// Signs the tree as it is. The public key is kept beside the checkpoint, for checks without the seal.
    pub(crate) fn sign(&mut self, state: &State) -> Result<Vec<Op>, Refusal> {
        let (note, verifier) = self.signed(state)?;
        let ops = vec![
            Op::Put(meta_key(state.shard, "verifier"), verifier.into_bytes().into()),
            Op::Put(meta_key(state.shard, "checkpoint"), note.clone().into_bytes().into()),
        ];
        self.note = Some((self.size(), note));
        Ok(ops)
    }

    /// A checkpoint of the tree as it is, and the key it is signed with.
    pub(crate) fn signed(&self, state: &State) -> Result<(String, String), Refusal> {
        let keys = state.ring.tenant(TenantId::SYSTEM)?;
        let signer = keys
            .checkpoint
            .as_ref()
            .ok_or_else(|| Refusal::new(&code::SEAL_SEALED, "the checkpoint key is not loaded"))?;
        let note = sign_checkpoint(state.origin()?, self.size(), &self.root(), &signer.key);
        Ok((note, VerifierKey::new(state.origin()?.clone(), signer.key.public()).to_string()))
    }

    /// Bytes of a tile of the folded tree.
    pub(crate) async fn read_tile(&self, state: &State, tile: Tile) -> Result<Vec<u8>, Refusal> {
        if let Some((_, bytes)) = self.open.get(&tile.level).filter(|(index, _)| *index == tile.index) {
            return Ok(bytes.clone());
        }
        let found =
            state.storage.get(vec![tile_key(state.shard, tile.level, tile.index)]).await.map_err(storage_refusal)?;
        found
            .into_iter()
            .next()
            .flatten()
            .map(|bytes| bytes.to_vec())
            .ok_or_else(|| tile_damaged(tile.level, tile.index))
    }

    async fn hashes(&self, state: &State, nodes: &[Node]) -> Result<TileHashes, Refusal> {
        let mut hashes = TileHashes::new();
        let mut loaded = std::collections::BTreeSet::new();
        for node in nodes {
            let Some(tile) = Tile::holding(*node, self.size()) else { return Err(out_of_range()) };
            if loaded.insert((tile.level, tile.index)) {
                let bytes = self.read_tile(state, tile).await?;
                hashes.insert(tile, &bytes).map_err(|_| tile_damaged(tile.level, tile.index))?;
            }
        }
        Ok(hashes)
    }

    /// Proof that leaf `index` is in the tree of `size` leaves.
    pub(crate) async fn inclusion(&self, state: &State, index: u64, size: u64) -> Result<Vec<Hash>, Refusal> {
        if size > self.size() {
            return Err(out_of_range());
        }
        let hashes = self.hashes(state, &inclusion_nodes(index, size).map_err(|why| proof(&why))?).await?;
        inclusion_proof(index, size, &hashes).map_err(|why| proof(&why))
    }

    /// Proof that the tree of `old` leaves is the beginning of that of `new`.
    pub(crate) async fn consistency(&self, state: &State, old: u64, new: u64) -> Result<Vec<Hash>, Refusal> {
        if new > self.size() {
            return Err(out_of_range());
        }
        let hashes = self.hashes(state, &consistency_nodes(old, new).map_err(|why| proof(&why))?).await?;
        consistency_proof(old, new, &hashes).map_err(|why| proof(&why))
    }
}

fn mark_aad(state: &State) -> Aad<'static> {
    Aad::record(TenantId::SYSTEM, state.shard.0, crate::keyspace::LEDGER_RECORDS, [0; 16], [0; 16])
}

fn open_mark(state: &State, sealed: &[u8]) -> Result<StoredMark, Refusal> {
    let name = "the fold's watermark";
    let header = Header::parse(sealed).map_err(|error| damaged(name, &error))?;
    let keys = state.ring.tenant(TenantId::SYSTEM)?;
    let key = keys.state_by_id(header.key_id).map_err(|error| damaged(name, &error))?;
    let plain = key.open(mark_aad(state), sealed).map_err(|error| damaged(name, &error))?;
    postcard::from_bytes(plain.expose())
        .map_err(|_| Refusal::new(&code::STORAGE_DAMAGED, "the fold's watermark does not decode"))
}

fn tile_damaged(level: u8, index: u64) -> Refusal {
    Refusal::new(
        &code::STORAGE_DAMAGED,
        format!("tree tile {level}/{index} is missing or damaged; `aumbry ledger rebuild` makes it again"),
    )
}

fn out_of_range() -> Refusal {
    Refusal::new(&code::LEDGER_RANGE, "the index or size lies outside the tree of the newest checkpoint")
}

fn proof(why: &ProofError) -> Refusal {
    match why {
        ProofError::OutOfRange => out_of_range(),
        ProofError::Missing(_) => Refusal::new(&code::BUG, "a proof asked for a hash that was not loaded"),
    }
}
