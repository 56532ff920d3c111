//! Proofs that a row stands in the log: from the row as shown to the entry of its segment.

use super::frame::Frame;
use super::log::AccessLog;
use super::read::refusal;
use super::segment::{ClosedSegment, Statement};
use super::sink::{Anchor, Anchored, Numbered, RowKeys};
use super::unseal;
use super::verify::{Bad, Report, Verifier, Wrong};
use super::walk::{Fault, Walk};
use crate::code::{ACCESS_LOG_UNAVAILABLE, LEDGER_RANGE, Refusal};
use crate::entry;
use crate::unit::Position;
use bytes::Bytes;
use crypto::Hash;
use crypto::merkle::{self, HashReader, Node};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Shows that a row was logged, without any key.
///
/// The plaintext is committed to in the frame, the frame is a leaf of the segment's tree ([`RowProof::open`]), the tree's
/// root stands in clear in the segment's entry ([`RowProof::anchored_by`]), and the entry is in the ledger at `position`,
/// which is for the reader to check with an inclusion proof.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RowProof {
    /// Salt and encoded row.
    pub plain: Vec<u8>,
    /// The frame without its chain.
    pub frame: Vec<u8>,
    /// Which leaf of the segment it is, from 0.
    pub index: u64,
    /// RFC 6962 inclusion proof in the segment's tree.
    pub path: Vec<Hash>,
    /// The segment, as in the event at `position`.
    pub segment: ClosedSegment,
    /// The segment's entry.
    pub position: Position,
}

/// A proof that does not prove its row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotProven;

impl std::fmt::Display for NotProven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the proof does not show that this row was logged")
    }
}

impl std::error::Error for NotProven {}

impl RowProof {
    /// The row that is proven to be in `segment`. That `segment` is what the ledger holds at `position` is not looked
    /// at here. Never panics, whatever the bytes.
    pub fn open(&self) -> Result<Numbered, NotProven> {
        let whole = [self.frame.as_slice(), [0; 32].as_slice()].concat();
        let Ok((frame, [])) = Frame::take(&whole) else { return Err(NotProven) };
        let sequence = self.segment.first_row.checked_add(self.index).ok_or(NotProven)?;
        if frame.sequence != sequence {
            return Err(NotProven);
        }
        let leaf = merkle::leaf_hash(&self.frame);
        merkle::verify_inclusion(&leaf, self.index, self.segment.rows, &self.path, &self.segment.tree_root)
            .map_err(|_| NotProven)?;
        let row = unseal::read(&frame, &self.plain).ok_or(NotProven)?;
        Ok(Numbered { segment: self.segment.number, sequence, clear: frame.clear, row })
    }

    /// The RFC 6962 leaf of `entry`, which says in clear that `segment` is closed, exactly as it stands here. What is left
    /// is to check that this leaf stands at `position` of a tree whose root was signed. Never panics, whatever the bytes.
    pub fn anchored_by(&self, entry: &[u8]) -> Result<Hash, NotProven> {
        match entry::statement(entry) {
            Ok(Some(Statement::Closed(stated))) if stated == self.segment => Ok(merkle::leaf_hash(entry)),
            _ => Err(NotProven),
        }
    }
}

impl AccessLog {
    /// Proofs of rows that a query gave, in their order.
    ///
    /// Errors: `Invalid` for a row whose segment has no entry yet: call [`AccessLog::close`] before the query; `Corrupt`
    /// when a segment is not what its entry says; `Unavailable` when retention removed it since the query.
    pub async fn prove(&self, rows: &[Numbered], anchor: &dyn Anchor) -> Result<Vec<RowProof>, Refusal> {
        let mut proofs = Vec::with_capacity(rows.len());
        let mut loaded: Option<Loaded> = None;
        for row in rows {
            let held = match loaded.take() {
                Some(held) if held.entry.segment.number == row.segment => held,
                _ => self.load(row.segment, anchor).await?,
            };
            proofs.push(held.prove(row, &*self.inner.parts.keys)?);
            loaded = Some(held);
        }
        Ok(proofs)
    }

    async fn load(&self, number: u64, anchor: &dyn Anchor) -> Result<Loaded, Refusal> {
        let open = self.inner.writer.lock().await.open().is_some_and(|open| open.header.number == number);
        if open {
            return Err(Refusal::new(&LEDGER_RANGE, format!("access segment {number} is still open")));
        }
        let entry = self.entry_of(number, anchor).await?;
        let _whole = self.inner.removing.read().await;
        let bytes = self.segment(number).await?;
        if bytes.is_none() && self.is_removed(number).await? {
            let why = format!("access segment {number} was removed by age meanwhile; ask again");
            return Err(Refusal::new(&ACCESS_LOG_UNAVAILABLE, why));
        }
        let mut verifier = Verifier::new();
        verifier.segment(number, bytes.as_deref(), Some(&entry.segment), None);
        if let Some(bad) = verifier.finish().bad.pop() {
            return Err(refusal(bad));
        }
        let bytes = bytes.unwrap_or_default();
        let mut loaded = Loaded { entry, places: Vec::new(), tree: Levels::default(), bytes: bytes.clone() };
        let Ok(mut walk) = Walk::new(&bytes) else { return Ok(loaded) };
        let (mut start, mut leaves) = (walk.size(), Vec::new());
        while let Ok(Some(frame)) = walk.step() {
            loaded.places.push(start..walk.size());
            leaves.push(frame.leaf());
            start = walk.size();
        }
        loaded.tree = Levels::over(leaves);
        Ok(loaded)
    }

    /// Checks segments `from` to `to` against their entries and opens every row whose key is at hand.
    pub async fn verify(&self, from: u64, to: u64, anchor: &dyn Anchor) -> Result<Report, Refusal> {
        let mut verifier = match from.checked_sub(1).filter(|before| *before > 0) {
            Some(before) => match anchor.find(self.id(), before).await? {
                Some(before) => Verifier::after(&before.segment),
                None => Verifier::new(),
            },
            None => Verifier::new(),
        };
        for number in from..=to {
            let entry = anchor.find(self.id(), number).await?;
            let bytes = self.segment(number).await?;
            let entry = entry.map(|anchored| anchored.segment);
            verifier.segment(number, bytes.as_deref(), entry.as_ref(), Some(&*self.inner.parts.keys));
        }
        Ok(verifier.finish())
    }

    /// Oldest and newest segment, the open one included.
    pub async fn segments(&self) -> Result<Option<(u64, u64)>, Refusal> {
        let open = self.inner.writer.lock().await.open().map(|open| open.header.number);
        let range = self.range().await?;
        Ok(match (range, open) {
            (Some((oldest, newest)), open) => Some((oldest, newest.max(open.unwrap_or(0)))),
            (None, open) => open.map(|open| (open, open)),
        })
    }
}

/// A closed segment that is as its entry says.
struct Loaded {
    entry: Anchored,
    /// Where each row's frame stands in `bytes`.
    places: Vec<Range<usize>>,
    tree: Levels,
    bytes: Bytes,
}

impl Loaded {
    fn prove(&self, row: &Numbered, keys: &dyn RowKeys) -> Result<RowProof, Refusal> {
        let segment = &self.entry.segment;
        let bad = |what| refusal(Bad { segment: segment.number, row: Some(row.sequence), what });
        let index = row.sequence.checked_sub(segment.first_row).ok_or_else(|| bad(Wrong::CutTail))?;
        let place = usize::try_from(index).ok().and_then(|index| self.places.get(index));
        let bytes = place.and_then(|place| self.bytes.get(place.clone())).ok_or_else(|| bad(Wrong::CutTail))?;
        let (frame, _) = Frame::take(bytes).map_err(|_| bad(Wrong::Row(Fault::Altered)))?;
        let opened = unseal::open(segment.number, &frame, keys).map_err(|_| bad(Wrong::Unopenable))?;
        let path = merkle::inclusion_proof(index, segment.rows, &self.tree).map_err(|_| bad(Wrong::NotAnchored))?;
        Ok(RowProof {
            plain: opened.plain,
            frame: frame.hashed.to_vec(),
            index,
            path,
            segment: segment.clone(),
            position: self.entry.position,
        })
    }
}

/// Hashes of a segment's tree, level by level; only complete subtrees.
#[derive(Default)]
struct Levels(Vec<Vec<Hash>>);

impl Levels {
    fn over(leaves: Vec<Hash>) -> Levels {
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|below| below.len() > 1) {
            let pairs = below.chunks_exact(2);
            let above = pairs.filter_map(|pair| Some(merkle::node_hash(pair.first()?, pair.last()?))).collect();
            levels.push(above);
        }
        Levels(levels)
    }
}

impl HashReader for Levels {
    fn hash(&self, node: Node) -> Option<Hash> {
        self.0.get(usize::from(node.level))?.get(usize::try_from(node.index).ok()?).copied()
    }
}
