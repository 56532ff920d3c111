//! Checks segments against one another and against their entries, with or without keys.

use super::segment::{ClosedSegment, Header};
use super::sink::RowKeys;
use super::unseal::{self, Unopened};
use super::walk::{Fault, Walk};
use crypto::{Hash, WallMs};
use std::fmt;

/// The first thing that is wrong in a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bad {
    /// Number of the segment.
    pub segment: u64,
    /// Sequence number of the row, where it can be told.
    pub row: Option<u64>,
    /// What is wrong with it.
    pub what: Wrong,
}

/// What can be wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// The segment is not there.
    Absent,
    /// Its header is damaged; says how.
    Header(String),
    /// It does not begin where the segment before it ends.
    DoesNotFollow,
    /// The row is not as it was written, missing, repeated or cut.
    Row(Fault),
    /// The segment ends before this row, which its entry counts.
    CutTail,
    /// The segment has this row, which its entry does not count.
    Surplus,
    /// All rows fit one another but are not those of the entry: the segment was written anew.
    NotAnchored,
    /// The row does not open with its key.
    Unopenable,
    /// The row names an entry that the ledger does not have: one of the two was cut.
    BeyondLedger(u64),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "access segment {}", self.segment)?;
        if let Some(row) = self.row {
            write!(f, ", row {row}")?;
        }
        match &self.what {
            Wrong::Absent => f.write_str(": missing"),
            Wrong::Header(why) => write!(f, ": {why}"),
            Wrong::DoesNotFollow => f.write_str(": does not follow the segment before it"),
            Wrong::Row(Fault::Torn) => f.write_str(": cut in the middle"),
            Wrong::Row(Fault::Altered) => f.write_str(": not as it was written"),
            Wrong::Row(Fault::Missing { found }) => write!(f, ": missing, row {found} stands in its place"),
            Wrong::Row(Fault::Repeated { found }) => write!(f, ": missing, row {found} stands there again"),
            Wrong::CutTail => f.write_str(": missing, the segment ends before it"),
            Wrong::Surplus => f.write_str(": added after the segment was closed"),
            Wrong::NotAnchored => f.write_str(": the rows are not those of its ledger entry"),
            Wrong::Unopenable => f.write_str(": does not open with its key"),
            Wrong::BeyondLedger(entry) => write!(f, ": names entry {entry}, which the ledger does not have"),
        }
    }
}

impl std::error::Error for Bad {}

/// What a check found.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Report {
    /// Segments looked at.
    pub segments: u64,
    /// Rows that are as they were written.
    pub rows: u64,
    /// Rows whose key could not be had, so that their content was not looked at.
    pub unopened: u64,
    /// The first bad row of each segment that has one; empty is good.
    pub bad: Vec<Bad>,
}

/// Checks the segments of one log in rising order.
#[derive(Debug, Default)]
pub struct Verifier {
    report: Report,
    expected: Option<Expected>,
    entries: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    first_row: u64,
    previous: Hash,
}

impl Verifier {
    /// A check that starts at any segment.
    pub fn new() -> Verifier {
        Verifier::default()
    }

    /// A check whose first segment must follow this one, which may be gone.
    pub fn after(segment: &ClosedSegment) -> Verifier {
        Verifier { expected: Some(follows(segment)), ..Verifier::default() }
    }

    /// The same where the ledger has so many entries: no row that is opened names one past them.
    pub fn within(self, entries: u64) -> Verifier {
        Verifier { entries: Some(entries), ..self }
    }

    /// Checks one segment. `entry` is what the ledger says of it, none for the open one; with `keys` each row is
    /// opened too, which also finds rows exchanged by someone who wrote chain and entry anew.
    pub fn segment(
        &mut self,
        number: u64,
        bytes: Option<&[u8]>,
        entry: Option<&ClosedSegment>,
        keys: Option<&dyn RowKeys>,
    ) {
        self.report.segments = self.report.segments.saturating_add(1);
        let expected = self.expected.take();
        let checked = self.check(number, bytes, entry, keys, expected);
        self.expected = entry.map(follows);
        match checked {
            Ok(seen) => self.expected = Some(self.expected.unwrap_or(seen)),
            Err(bad) => self.report.bad.push(bad),
        }
    }

    /// What was found.
    pub fn finish(self) -> Report {
        self.report
    }

    fn check(
        &mut self,
        number: u64,
        bytes: Option<&[u8]>,
        entry: Option<&ClosedSegment>,
        keys: Option<&dyn RowKeys>,
        expected: Option<Expected>,
    ) -> Result<Expected, Bad> {
        let bad = |row, what| Err(Bad { segment: number, row, what });
        let Some(bytes) = bytes else { return bad(None, Wrong::Absent) };
        let mut walk = match Walk::new(bytes) {
            Ok(walk) => walk,
            Err(damaged) => return bad(None, Wrong::Header(damaged.0)),
        };
        if !fits(&walk.header, number, entry, expected) {
            return bad(Some(walk.header.first_row), Wrong::DoesNotFollow);
        }
        loop {
            let row = walk.next_row();
            match walk.step() {
                Ok(None) => break,
                Ok(Some(_)) if entry.is_some_and(|entry| row >= entry.next_row()) => {
                    return bad(Some(row), Wrong::Surplus);
                }
                Ok(Some(frame)) => match keys.map(|keys| unseal::open(number, &frame, keys)) {
                    Some(Ok(opened)) => {
                        let named = opened.numbered.row.position.map(|position| position.index);
                        if let (Some(named), Some(entries)) = (named, self.entries)
                            && named >= entries
                        {
                            return bad(Some(row), Wrong::BeyondLedger(named));
                        }
                    }
                    None => {}
                    Some(Err(Unopened::NoKey(_))) => self.report.unopened = self.report.unopened.saturating_add(1),
                    Some(Err(Unopened::Damaged)) => return bad(Some(row), Wrong::Unopenable),
                },
                Err(Fault::Torn) if entry.is_some() => return bad(Some(row), Wrong::CutTail),
                Err(fault) => return bad(Some(row), Wrong::Row(fault)),
            }
            self.report.rows = self.report.rows.saturating_add(1);
        }
        let Some(entry) = entry else {
            return Ok(Expected { first_row: walk.next_row(), previous: walk.chain });
        };
        if walk.rows < entry.rows {
            return bad(Some(walk.next_row()), Wrong::CutTail);
        }
        let seen = walk.summary(WallMs(0), WallMs(0));
        if (seen.head_hash, seen.tree_root, seen.bytes) != (entry.head_hash, entry.tree_root, entry.bytes) {
            return bad(None, Wrong::NotAnchored);
        }
        Ok(follows(entry))
    }
}

fn follows(segment: &ClosedSegment) -> Expected {
    Expected { first_row: segment.next_row(), previous: segment.head_hash }
}

fn fits(header: &Header, number: u64, entry: Option<&ClosedSegment>, expected: Option<Expected>) -> bool {
    let by_entry = entry.is_none_or(|entry| {
        (header.log, header.number, header.first_row, header.previous)
            == (entry.log, entry.number, entry.first_row, entry.previous)
    });
    let by_chain =
        expected.is_none_or(|before| (header.first_row, header.previous) == (before.first_row, before.previous));
    header.number == number && by_entry && by_chain
}
