//! Reads a segment row by row and stops at the first that is not as it was written.

use super::frame::{self, Frame, NoFrame};
use super::segment::{ClosedSegment, Header};
use crate::unit::Damaged;
use crypto::merkle::Frontier;
use crypto::{Hash, WallMs};

/// What is wrong at a row of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The segment ends inside the row, or in bytes that were never written.
    Torn,
    /// The row is not as it was written.
    Altered,
    /// The row is not there; this one stands in its place.
    Missing {
        /// Sequence number found instead.
        found: u64,
    },
    /// A row that was before it stands here again.
    Repeated {
        /// Sequence number found instead.
        found: u64,
    },
}

/// A walk along the rows of one segment.
#[derive(Clone, Debug)]
pub(super) struct Walk<'a> {
    pub(super) header: Header,
    pub(super) chain: Hash,
    pub(super) rows: u64,
    tree: Frontier,
    all: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Starts behind the header. Errors: no header, or a damaged one.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Walk<'a>, Damaged> {
        let (header, chain, rest) = Header::take(bytes)?;
        Ok(Walk { header, chain, rows: 0, tree: Frontier::default(), all: bytes, rest })
    }

    /// The next row, `None` at the end. After a fault the walk stands before the bad row.
    pub(super) fn step(&mut self) -> Result<Option<Frame<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (frame, rest) = match Frame::take(self.rest) {
            Ok(taken) => taken,
            Err(NoFrame::Short) => return Err(Fault::Torn),
            Err(NoFrame::Malformed) if self.rest.iter().all(|byte| *byte == 0) => return Err(Fault::Torn),
            Err(NoFrame::Malformed) => return Err(Fault::Altered),
        };
        let (leaf, expected) = (frame.leaf(), self.next_row());
        let chain = frame::link(&self.chain, &leaf);
        if chain != *frame.chain {
            return Err(match frame.sequence {
                found if found == expected => Fault::Altered,
                found if found > expected && self.holds(found) => Fault::Missing { found },
                found if found < expected && found >= self.header.first_row => Fault::Repeated { found },
                _ => Fault::Altered,
            });
        }
        if frame.sequence != expected {
            return Err(Fault::Altered);
        }
        self.tree.push(leaf);
        (self.chain, self.rest) = (chain, rest);
        self.rows = self.rows.saturating_add(1);
        Ok(Some(frame))
    }

    /// All rows up to the end or the first fault.
    pub(super) fn run(&mut self) -> (Vec<Frame<'a>>, Option<Fault>) {
        let mut frames = Vec::new();
        loop {
            match self.step() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(fault) => return (frames, Some(fault)),
            }
        }
    }

    /// Sequence number that the next row must have.
    pub(super) fn next_row(&self) -> u64 {
        self.header.first_row.saturating_add(self.rows)
    }

    /// Bytes up to where it stands, header included.
    pub(super) fn size(&self) -> usize {
        self.all.len().saturating_sub(self.rest.len())
    }

    /// Whether what follows can be the remains of a write that was cut short: nothing of it is a whole row but
    /// perhaps the very last bytes.
    pub(super) fn ends_here(&self) -> bool {
        match Frame::take(self.rest) {
            Ok((_, rest)) => rest.is_empty(),
            Err(NoFrame::Short) => true,
            Err(NoFrame::Malformed) => self.rest.iter().all(|byte| *byte == 0),
        }
    }

    /// What the rows so far amount to.
    pub(super) fn summary(&self, first_time: WallMs, last_time: WallMs) -> ClosedSegment {
        let frames = self.size().saturating_sub(super::segment::HEADER_BYTES);
        ClosedSegment {
            log: self.header.log,
            number: self.header.number,
            first_row: self.header.first_row,
            rows: self.rows,
            bytes: u64::try_from(frames).unwrap_or(u64::MAX),
            previous: self.header.previous,
            head_hash: self.chain,
            tree_root: self.tree.root(),
            first_time,
            last_time,
        }
    }

    /// Whether a sequence number can belong to this segment, so that a damaged number is not taken for a gap.
    fn holds(&self, sequence: u64) -> bool {
        let least = u64::try_from(frame::FRAME_HEAD_BYTES.saturating_add(frame::CHAIN_BYTES)).unwrap_or(1);
        let most = u64::try_from(self.all.len()).unwrap_or(0).checked_div(least).unwrap_or(0).saturating_add(16_384);
        sequence < self.header.first_row.saturating_add(most)
    }
}
