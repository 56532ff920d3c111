//! The open segment: rows drafted into it, and kept or taken back as the sinks answer.

use super::frame::{self, COMMITMENT_DOMAIN, FramePlace, SALT_BYTES};
use super::row::{self, ROW_LIMITS};
use super::segment::{ClosedSegment, Header, chain_start};
use super::sink::Numbered;
use crypto::aead::{Aad, Key, LogKey};
use crypto::merkle::Frontier;
use crypto::seam::Entropy;
use crypto::{Hash, WallMs};
use std::time::Duration;

/// State after the last row that some sink has.
#[derive(Clone, Debug)]
struct Kept {
    bytes: usize,
    rows: u64,
    chain: Hash,
    tree: Frontier,
    first_time: WallMs,
    last_time: WallMs,
}

/// A segment that takes rows.
///
/// All its frames stay in memory, at most [`super::SEGMENT_LIMITS`] and one group, so that a sink that was away gets what it missed and
/// a reader needs no disk.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) header: Header,
    pub(super) opened_at: Duration,
    frames: Vec<u8>,
    kept: Kept,
    draft: Kept,
    /// Domain, salt and encoded row, side by side so that nothing is copied to be hashed.
    scratch: Box<[u8]>,
}

/// A row that could not be made into a frame; nothing of it was kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unsealable;

impl OpenSegment {
    pub(super) fn new(header: Header, opened_at: Duration, mut frames: Vec<u8>) -> OpenSegment {
        frames.clear();
        let kept = Kept {
            bytes: 0,
            rows: 0,
            chain: chain_start(&header),
            tree: Frontier::default(),
            first_time: WallMs(u64::MAX),
            last_time: WallMs(0),
        };
        let mut scratch =
            vec![0; COMMITMENT_DOMAIN.len() + SALT_BYTES + ROW_LIMITS.encoded_bytes_max].into_boxed_slice();
        scratch.iter_mut().zip(COMMITMENT_DOMAIN).for_each(|(to, from)| *to = *from);
        OpenSegment { header, opened_at, frames, draft: kept.clone(), kept, scratch }
    }

    /// Drafts one row and gives it its sequence number.
    pub(super) fn draft(
        &mut self,
        numbered: &mut Numbered,
        key: Option<&Key<LogKey>>,
        entropy: &dyn Entropy,
    ) -> Result<(), Unsealable> {
        let head = COMMITMENT_DOMAIN.len();
        let start = head.saturating_add(SALT_BYTES);
        let salt = self.scratch.get_mut(head..start).ok_or(Unsealable)?;
        entropy.fill_secret(salt).map_err(|_| Unsealable)?;
        let encoded = self.scratch.get_mut(start..).ok_or(Unsealable)?;
        let size = row::encode(&numbered.row, key.is_none(), encoded).map_err(|_| Unsealable)?;
        let committed = self.scratch.get(..start.saturating_add(size)).ok_or(Unsealable)?;
        let plain = committed.get(head..).ok_or(Unsealable)?;

        let sequence = self.header.first_row.saturating_add(self.draft.rows);
        let tenant = numbered.row.tenant;
        let place = FramePlace { clear: key.is_none(), tenant, sequence };
        let commitment = crypto::sha256(committed);
        let appended = match key {
            None => frame::append(&mut self.frames, place, &commitment, plain, &self.draft.chain),
            Some(key) => {
                let aad = Aad::access_row(tenant, self.header.number, sequence);
                let sealed = key.seal(entropy, aad, plain).map_err(|_| Unsealable)?;
                frame::append(&mut self.frames, place, &commitment, &sealed, &self.draft.chain)
            }
        };
        let (leaf, chain) = appended.ok_or(Unsealable)?;
        let draft = &mut self.draft;
        draft.bytes = self.frames.len();
        draft.rows = draft.rows.saturating_add(1);
        draft.chain = chain;
        draft.tree.push(leaf);
        draft.first_time = draft.first_time.min(numbered.row.time);
        draft.last_time = draft.last_time.max(numbered.row.time);
        (numbered.segment, numbered.sequence, numbered.clear) = (self.header.number, sequence, key.is_none());
        Ok(())
    }

    /// Some sink has what was drafted.
    pub(super) fn keep(&mut self) {
        self.kept.clone_from(&self.draft);
    }

    /// No sink has what was drafted: it never happened.
    pub(super) fn take_back(&mut self) {
        self.frames.truncate(self.kept.bytes);
        self.draft.clone_from(&self.kept);
    }

    /// All frames, drafted ones included.
    pub(super) fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// The frames that some sink has.
    pub(super) fn kept_frames(&self) -> &[u8] {
        self.frames.get(..self.kept.bytes).unwrap_or_default()
    }

    pub(super) fn drafted_rows(&self) -> u64 {
        self.draft.rows
    }

    pub(super) fn rows(&self) -> u64 {
        self.kept.rows
    }

    pub(super) fn last_time(&self) -> WallMs {
        self.kept.last_time
    }

    /// What is said of it when it closes.
    pub(super) fn summary(&self) -> ClosedSegment {
        ClosedSegment {
            log: self.header.log,
            number: self.header.number,
            first_row: self.header.first_row,
            rows: self.kept.rows,
            bytes: u64::try_from(self.kept.bytes).unwrap_or(u64::MAX),
            previous: self.header.previous,
            head_hash: self.kept.chain,
            tree_root: self.kept.tree.root(),
            first_time: self.kept.first_time,
            last_time: self.kept.last_time,
        }
    }

    /// Its buffer, for the next one.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.frames
    }
}
