//! A row as it lies on disk, byte by byte.
//!
//! ```text
//! length (4, of all that follows) | flags (1) | tenant (16) | sequence (8) | commitment (32) | body | chain (32)
//! ```
//! Integers are big-endian. `body` is `salt (16) | encoded row`, sealed with the tenant's log key, or in clear while
//! the server was sealed. `commitment` is a hash of that plaintext, so that a row shown in clear can be proven to be
//! the one that was logged without anyone handing out a key; the salt keeps the row from being guessed from it.
//! The leaf of a row is the RFC 6962 leaf hash of everything before `chain`, and `chain` is
//! `SHA-256(chain before | leaf)`, starting from the hash of the segment's header: an edited, missing, swapped or
//! repeated row shows at that row, without any key.

use crypto::id::TenantId;
use crypto::{Hash, merkle, sha256};

/// Bytes before the body.
pub(super) const FRAME_HEAD_BYTES: usize = 61;
/// Bytes after the body.
pub(super) const CHAIN_BYTES: usize = 32;
/// Bytes of the salt before the encoded row.
pub(super) const SALT_BYTES: usize = 16;
/// No frame is longer.
pub(super) const FRAME_BYTES_MAX: usize = 16 * 1024;

const FLAG_CLEAR: u8 = 1;
/// Stands before a row's plaintext where it is hashed.
pub(super) const COMMITMENT_DOMAIN: &[u8; 21] = b"aumbry access row v1\0";

/// One frame, borrowed from a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) clear: bool,
    pub(super) tenant: TenantId,
    pub(super) sequence: u64,
    pub(super) commitment: &'a [u8; 32],
    pub(super) body: &'a [u8],
    /// What the leaf is the hash of.
    pub(super) hashed: &'a [u8],
    pub(super) chain: &'a Hash,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoFrame {
    /// They end before the frame does.
    Short,
    /// They cannot be the beginning of one.
    Malformed,
}

impl<'a> Frame<'a> {
    /// Takes the first frame off `bytes`.
    pub(super) fn take(bytes: &'a [u8]) -> Result<(Frame<'a>, &'a [u8]), NoFrame> {
        let (length, _) = bytes.split_first_chunk::<4>().ok_or(NoFrame::Short)?;
        let size = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX).saturating_add(4);
        if !(FRAME_HEAD_BYTES + CHAIN_BYTES..=FRAME_BYTES_MAX).contains(&size) {
            return Err(NoFrame::Malformed);
        }
        let (frame, rest) = bytes.split_at_checked(size).ok_or(NoFrame::Short)?;
        let frame = Frame::whole(frame).ok_or(NoFrame::Malformed)?;
        Ok((frame, rest))
    }

    /// Reads what has the size of a frame.
    fn whole(bytes: &'a [u8]) -> Option<Frame<'a>> {
        let (hashed, chain) = bytes.split_last_chunk::<CHAIN_BYTES>()?;
        let (_length, rest) = hashed.split_first_chunk::<4>()?;
        let (&[flags], rest) = rest.split_first_chunk::<1>()?;
        let (tenant, rest) = rest.split_first_chunk::<16>()?;
        let (sequence, rest) = rest.split_first_chunk::<8>()?;
        let (commitment, body) = rest.split_first_chunk::<32>()?;
        if flags & !FLAG_CLEAR != 0 {
            return None;
        }
        Some(Frame {
            clear: flags & FLAG_CLEAR != 0,
            tenant: TenantId::from_bytes(*tenant),
            sequence: u64::from_be_bytes(*sequence),
            commitment,
            body,
            hashed,
            chain,
        })
    }

    pub(super) fn leaf(&self) -> Hash {
        merkle::leaf_hash(self.hashed)
    }
}

/// Appends one frame to `out`; answers its leaf and the chain after it. `body` is sealed, or clear as `clear` says.
pub(super) fn append(
    out: &mut Vec<u8>,
    place: FramePlace,
    commitment: &Hash,
    body: &[u8],
    before: &Hash,
) -> Option<(Hash, Hash)> {
    let size = FRAME_HEAD_BYTES.checked_add(body.len())?.checked_add(CHAIN_BYTES)?;
    if size > FRAME_BYTES_MAX {
        return None;
    }
    let start = out.len();
    out.extend_from_slice(&u32::try_from(size.checked_sub(4)?).ok()?.to_be_bytes());
    out.push(if place.clear { FLAG_CLEAR } else { 0 });
    out.extend_from_slice(place.tenant.as_bytes());
    out.extend_from_slice(&place.sequence.to_be_bytes());
    out.extend_from_slice(commitment);
    out.extend_from_slice(body);
    let leaf = merkle::leaf_hash(out.get(start..)?);
    let chain = link(before, &leaf);
    out.extend_from_slice(&chain);
    Some((leaf, chain))
}

/// What stands in clear before a frame's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct FramePlace {
    pub(super) clear: bool,
    pub(super) tenant: TenantId,
    pub(super) sequence: u64,
}

/// The chain after a row with this leaf.
pub(super) fn link(before: &Hash, leaf: &Hash) -> Hash {
    let mut both = [0; 64];
    let (left, right) = both.split_at_mut(32);
    left.copy_from_slice(before);
    right.copy_from_slice(leaf);
    sha256(&both)
}

/// Commits to a row's plaintext, salt included.
pub(super) fn commitment(plain: &[u8]) -> Hash {
    let mut input = Vec::with_capacity(COMMITMENT_DOMAIN.len().saturating_add(plain.len()));
    input.extend_from_slice(COMMITMENT_DOMAIN);
    input.extend_from_slice(plain);
    sha256(&input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let place = FramePlace { clear: true, tenant: TenantId::from_bytes([4; 16]), sequence: 8 };
        append(&mut out, place, &[9; 32], body, &[0; 32]).unwrap();
        out
    }

    #[test]
    fn a_frame_reads_back_and_no_prefix_of_it_does() {
        let bytes = one(b"body");
        let (frame, rest) = Frame::take(&bytes).unwrap();
        assert!(rest.is_empty() && frame.clear);
        assert_eq!((frame.sequence, frame.body, *frame.chain), (8, b"body".as_slice(), link(&[0; 32], &frame.leaf())));
        (0..bytes.len()).for_each(|end| assert_eq!(Frame::take(&bytes[..end]).unwrap_err(), NoFrame::Short));
    }

    #[test]
    fn every_flipped_bit_changes_the_chain_or_is_no_frame() {
        let bytes = one(b"body");
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            if let Ok((frame, _)) = Frame::take(&bad) {
                assert_ne!(*frame.chain, link(&[0; 32], &frame.leaf()), "bit {bit}");
            }
        }
    }

    #[test]
    fn the_longest_body_fits_and_one_past_does_not() {
        let most = FRAME_BYTES_MAX - FRAME_HEAD_BYTES - CHAIN_BYTES;
        let place = FramePlace { clear: false, tenant: TenantId::SYSTEM, sequence: 0 };
        assert!(append(&mut Vec::new(), place, &[0; 32], &vec![0; most], &[0; 32]).is_some());
        assert!(append(&mut Vec::new(), place, &[0; 32], &vec![0; most + 1], &[0; 32]).is_none());
    }
}
