//! Segments: runs of rows that are closed together, anchored in the ledger, and removed together.

use crate::unit::Damaged;
use crypto::{Hash, WallMs, sha256};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Kind of the event that anchors a closed segment.
pub const SEGMENT_CLOSED: &str = "access.segment.closed";
/// Kind of the event that says which segments retention removes.
pub const SEGMENTS_REMOVED: &str = "access.segment.removed";

/// Bytes of a segment's header.
pub const HEADER_BYTES: usize = 112;

/// When a segment closes; whichever comes first.
#[derive(Clone, Copy, Debug)]
pub struct SegmentLimits {
    /// Rows in a segment.
    pub rows_max: u64,
    /// Bytes of frames after which a segment takes no further group.
    pub bytes_max: usize,
    /// Time from its first row on.
    pub age_max: Duration,
}

/// The bounds.
pub const SEGMENT_LIMITS: SegmentLimits =
    SegmentLimits { rows_max: 10_000, bytes_max: 4 << 20, age_max: Duration::from_secs(60) };

const MAGIC: &[u8; 8] = b"aumacc\0\x01";
const CHECKED_BYTES: usize = HEADER_BYTES - 32;

/// Names one access log: the rows of one server on one set of sinks. Random, made when the log is empty.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LogId(pub [u8; 8]);

impl std::fmt::Display for LogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// First bytes of a segment, in clear: which one it is and what it follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The log it belongs to.
    pub log: LogId,
    /// Its number; the first of a log is 1, then without gaps.
    pub number: u64,
    /// Sequence number of its first row; the first of a log is 1, then without gaps.
    pub first_row: u64,
    /// When it was opened.
    pub opened: WallMs,
    /// Latest time of any row in the segments before it, so that a search by time knows where to stop even if the
    /// clock was set back.
    pub newest_before: WallMs,
    /// Final chain of the segment before it; zeros in the first.
    pub previous: Hash,
}

impl Header {
    /// Bytes as stored: the fields and their hash, which starts the segment's chain.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.log.0);
        for number in [self.number, self.first_row, self.opened.0, self.newest_before.0] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&self.previous);
        let check = sha256(&out);
        out.extend_from_slice(&check);
        out.first_chunk().copied().unwrap_or([0; HEADER_BYTES])
    }

    /// Reads the head of a segment and gives the rest. Errors name what is wrong; never panics, whatever the bytes.
    pub fn take(bytes: &[u8]) -> Result<(Header, Hash, &[u8]), Damaged> {
        let damaged = |what: &str| Damaged(format!("an access segment's header {what}"));
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or_else(|| damaged("cut short"))?;
        let (checked, check) = header.split_last_chunk::<32>().ok_or_else(|| damaged("cut short"))?;
        if !checked.starts_with(MAGIC) {
            return Err(damaged("of an unknown format"));
        }
        if sha256(checked) != *check {
            return Err(damaged("that does not match its hash"));
        }
        let eight = |at: usize| checked.get(at..).and_then(|part| part.first_chunk::<8>()).copied().unwrap_or_default();
        let number = |at: usize| u64::from_be_bytes(eight(at));
        let previous = checked.last_chunk::<32>().copied().unwrap_or_default();
        let header = Header {
            log: LogId(eight(8)),
            number: number(16),
            first_row: number(24),
            opened: WallMs(number(32)),
            newest_before: WallMs(number(40)),
            previous,
        };
        Ok((header, *check, rest))
    }
}

/// Where the chain of a segment with this header starts.
pub(super) fn chain_start(header: &Header) -> Hash {
    header.encode().last_chunk::<32>().copied().unwrap_or_default()
}

const _: () = assert!(CHECKED_BYTES == 8 + 8 + 4 * 8 + 32);

/// A segment that takes no further row. Its entry in the ledger is what makes its rows provable.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClosedSegment {
    /// The log it belongs to.
    pub log: LogId,
    /// Its number.
    pub number: u64,
    /// Sequence number of its first row.
    pub first_row: u64,
    /// How many rows it has, at least 1.
    pub rows: u64,
    /// Bytes of its frames, without the header.
    pub bytes: u64,
    /// Final chain of the segment before it.
    pub previous: Hash,
    /// Its own final chain.
    pub head_hash: Hash,
    /// Root of the RFC 6962 tree over its rows' leaves.
    pub tree_root: Hash,
    /// Earliest time of its rows.
    pub first_time: WallMs,
    /// Latest time of its rows.
    pub last_time: WallMs,
}

/// Segments that retention removes: all of the log up to and including `last`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RemovedSegments {
    /// The log.
    pub log: LogId,
    /// First number removed.
    pub first: u64,
    /// Last number removed.
    pub last: u64,
}

/// Bodies of the log's events. Variants are only ever added at the end.
#[derive(Serialize, Deserialize)]
enum Body {
    ClosedV1(ClosedSegment),
    RemovedV1(RemovedSegments),
}

/// What the ledger says of segments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Statement {
    /// This one takes no further row.
    Closed(ClosedSegment),
    /// These are gone.
    Removed(RemovedSegments),
}

impl Statement {
    /// Reads the body of either event, all of it. Never panics, whatever the bytes.
    pub fn decode(body: &[u8]) -> Result<Statement, Damaged> {
        match postcard::take_from_bytes(body) {
            Ok((Body::ClosedV1(segment), [])) => Ok(Statement::Closed(segment)),
            Ok((Body::RemovedV1(removed), [])) => Ok(Statement::Removed(removed)),
            _ => Err(Damaged("an entry about access segments".into())),
        }
    }
}

impl ClosedSegment {
    /// Body of the event [`SEGMENT_CLOSED`].
    pub fn encode(&self) -> Result<Vec<u8>, Damaged> {
        postcard::to_allocvec(&Body::ClosedV1(self.clone())).map_err(|_| Damaged("a closed access segment".into()))
    }

    /// Reads what [`ClosedSegment::encode`] wrote.
    pub fn decode(body: &[u8]) -> Result<ClosedSegment, Damaged> {
        match postcard::take_from_bytes(body) {
            Ok((Body::ClosedV1(segment), [])) => Ok(segment),
            _ => Err(Damaged("the entry of a closed access segment".into())),
        }
    }

    /// Sequence number after its last row.
    pub fn next_row(&self) -> u64 {
        self.first_row.saturating_add(self.rows)
    }
}

impl RemovedSegments {
    /// Body of the event [`SEGMENTS_REMOVED`].
    pub fn encode(&self) -> Result<Vec<u8>, Damaged> {
        postcard::to_allocvec(&Body::RemovedV1(*self)).map_err(|_| Damaged("removed access segments".into()))
    }

    /// Reads what [`RemovedSegments::encode`] wrote.
    pub fn decode(body: &[u8]) -> Result<RemovedSegments, Damaged> {
        match postcard::take_from_bytes(body) {
            Ok((Body::RemovedV1(removed), [])) => Ok(removed),
            _ => Err(Damaged("the entry of removed access segments".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_every_flipped_bit_is_refused() {
        let header = Header {
            log: LogId([1; 8]),
            number: 2,
            first_row: 3,
            opened: WallMs(4),
            newest_before: WallMs(5),
            previous: [6; 32],
        };
        let bytes = header.encode();
        assert_eq!(Header::take(&bytes).unwrap().0, header);
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::take(&bad).is_err(), "bit {bit}");
        }
        (0..HEADER_BYTES).for_each(|end| assert!(Header::take(&bytes[..end]).is_err()));
    }
}
