//! Inclusion and consistency proofs, made and checked.

use core::fmt;
use core::ops::Range;

use super::{Hash, HashReader, Node, ProofError, fold, node_hash};
use crate::hash::sha256;

/// The proof does not prove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadProof;

impl fmt::Display for BadProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proof does not verify")
    }
}

impl core::error::Error for BadProof {}

/// Computes the root of the first `size` leaves.
///
/// # Errors
/// `Missing`, with the first hash that the reader lacks.
pub fn root_at(size: u64, reader: &dyn HashReader) -> Result<Hash, ProofError> {
    if size == 0 { Ok(sha256(b"")) } else { hash_over(&(0..size), reader) }
}

/// Makes the proof that leaf `index` is in the tree of `size` leaves. Source: RFC 6962 section 2.1.1.
///
/// # Errors
/// `OutOfRange` unless `index < size`; `Missing`.
pub fn inclusion_proof(index: u64, size: u64, reader: &dyn HashReader) -> Result<Vec<Hash>, ProofError> {
    inclusion_ranges(index, size)?.iter().map(|range| hash_over(range, reader)).collect()
}

/// The hashes that [`inclusion_proof`] will read, to be loaded before.
///
/// # Errors
/// `OutOfRange` unless `index < size`.
pub fn inclusion_nodes(index: u64, size: u64) -> Result<Vec<Node>, ProofError> {
    Ok(inclusion_ranges(index, size)?.into_iter().flat_map(nodes).collect())
}

/// Makes the proof that the tree of `old` leaves is the beginning of the tree of `new` leaves; empty if `old` is zero or
/// equals `new`. Source: RFC 6962 section 2.1.2.
///
/// # Errors
/// `OutOfRange` unless `old <= new`; `Missing`.
pub fn consistency_proof(old: u64, new: u64, reader: &dyn HashReader) -> Result<Vec<Hash>, ProofError> {
    consistency_ranges(old, new)?.iter().map(|range| hash_over(range, reader)).collect()
}

/// The hashes that [`consistency_proof`] will read, to be loaded before.
///
/// # Errors
/// `OutOfRange` unless `old <= new`.
pub fn consistency_nodes(old: u64, new: u64) -> Result<Vec<Node>, ProofError> {
    Ok(consistency_ranges(old, new)?.into_iter().flat_map(nodes).collect())
}

/// Checks that `leaf` stands at `index` in the tree of `size` leaves with `root`. Source: RFC 9162 section 2.1.3.2.
///
/// # Errors
/// [`BadProof`] for any proof, index, size or hash that does not fit; never panics.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), BadProof> {
    if index >= size {
        return Err(BadProof);
    }
    let mut climb = Climb { at: index, last: size - 1 };
    let mut hash = *leaf;
    for other in proof {
        hash = match climb.step()? {
            Side::Left => node_hash(other, &hash),
            Side::Right => node_hash(&hash, other),
        };
    }
    if climb.last == 0 && hash == *root { Ok(()) } else { Err(BadProof) }
}

/// Checks that the tree of `old` leaves with `old_root` is the beginning of the tree of `new` leaves with `new_root`.
/// Source: RFC 9162 section 2.1.4.2.
///
/// An empty tree is the beginning of any; its root must still be the one of an empty tree, and the proof empty.
///
/// # Errors
/// [`BadProof`] for any proof, size or root that does not fit; never panics.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), BadProof> {
    let settled = if old == 0 {
        Some(proof.is_empty() && *old_root == sha256(b"") && (new > 0 || new_root == old_root))
    } else if old >= new {
        Some(old == new && proof.is_empty() && old_root == new_root)
    } else {
        None
    };
    if let Some(fits) = settled {
        return if fits { Ok(()) } else { Err(BadProof) };
    }
    let (first, rest) = if old.is_power_of_two() { (old_root, proof) } else { proof.split_first().ok_or(BadProof)? };
    // The last subtree of the old tree is where the climb starts; below it both trees are the same.
    let skipped = (old - 1).trailing_ones();
    let mut climb = Climb { at: (old - 1) >> skipped, last: (new - 1) >> skipped };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for other in rest {
        match climb.step()? {
            Side::Left => {
                old_hash = node_hash(other, &old_hash);
                new_hash = node_hash(other, &new_hash);
            }
            Side::Right => new_hash = node_hash(&new_hash, other),
        }
    }
    if climb.last == 0 && old_hash == *old_root && new_hash == *new_root { Ok(()) } else { Err(BadProof) }
}

/// A walk from a leaf to the root; `last` is the rightmost node of the level reached.
struct Climb {
    at: u64,
    last: u64,
}

/// On which side the next hash of the proof joins.
enum Side {
    Left,
    Right,
}

impl Climb {
    fn step(&mut self) -> Result<Side, BadProof> {
        if self.last == 0 {
            return Err(BadProof);
        }
        let side = if self.at & 1 == 1 || self.at == self.last { Side::Left } else { Side::Right };
        if matches!(side, Side::Left) {
            // A rightmost node without a sibling moves up as it is.
            while self.at & 1 == 0 && self.at != 0 {
                self.up();
            }
        }
        self.up();
        Ok(side)
    }

    fn up(&mut self) {
        self.at >>= 1;
        self.last >>= 1;
    }
}

/// The subtrees beside the way from leaf to root, from the bottom.
fn inclusion_ranges(index: u64, size: u64) -> Result<Vec<Range<u64>>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange);
    }
    let (mut within, mut out) = (0..size, Vec::new());
    while within.end - within.start > 1 {
        let (left, right) = split(&within);
        let (into, beside) = if index < left.end { (left, right) } else { (right, left) };
        out.push(beside);
        within = into;
    }
    out.reverse();
    Ok(out)
}

/// SUBPROOF of RFC 6962 section 2.1.2, from the bottom.
fn consistency_ranges(old: u64, new: u64) -> Result<Vec<Range<u64>>, ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange);
    }
    let (mut within, mut out) = (0..new, Vec::new());
    if old == 0 {
        return Ok(out);
    }
    while within.end > old {
        let (left, right) = split(&within);
        let (into, beside) = if old <= left.end { (left, right) } else { (right, left) };
        out.push(beside);
        within = into;
    }
    // Whoever checks knows the old root, so a subtree that is the whole old tree need not be sent.
    if within.start > 0 {
        out.push(within);
    }
    out.reverse();
    Ok(out)
}

/// Splits at the greatest power of two below the length, which is at least two.
fn split(range: &Range<u64>) -> (Range<u64>, Range<u64>) {
    let middle = range.start + (1 << (range.end - range.start - 1).ilog2());
    (range.start..middle, middle..range.end)
}

fn hash_over(range: &Range<u64>, reader: &dyn HashReader) -> Result<Hash, ProofError> {
    let read = |node| reader.hash(node).ok_or(ProofError::Missing(node));
    let peaks = nodes(range.clone()).map(read).collect::<Result<Vec<_>, _>>()?;
    fold(&peaks).ok_or(ProofError::OutOfRange)
}

/// The perfect subtrees of a range, the greatest first. Ranges made by [`split`] start on a multiple of the greatest.
fn nodes(range: Range<u64>) -> impl Iterator<Item = Node> {
    let mut start = range.start;
    core::iter::from_fn(move || {
        let level = range.end.checked_sub(start)?.checked_ilog2()?;
        let node = Node { level: level as u8, index: start >> level };
        start += 1 << level;
        Some(node)
    })
}
