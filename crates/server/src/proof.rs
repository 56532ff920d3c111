//! Proofs of access log rows, checked by whoever was shown the row. Needs no key of the server's, and no server.

use api::access::{Row as Shown, RowProof as Wire, Segment};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::{Hash, WallMs};
use ledger::access_log::{ClosedSegment, LogId, NotProven, Row, RowProof};
use ledger::{Anchors, Position};

/// Checks that a row is what its proof says was logged: the row's fields, their commitment in the stored frame, the
/// frame's place in the tree of its segment, and the entry that closes it. The name of the principal is no part of a row.
///
/// Gives where the segment's entry stands and its RFC 6962 leaf hash, computed here from an entry that names this very
/// segment and root in clear. That this leaf is in the ledger is for the caller to check.
///
/// Errors: `NotProven`, also without a proof. Never panics, whatever the bytes.
pub fn check_row(shown: &Shown) -> Result<(Position, Hash), NotProven> {
    let wire = shown.proof.as_ref().ok_or(NotProven)?;
    let proof = read(wire).ok_or(NotProven)?;
    let opened = proof.open()?;
    let entry = STANDARD.decode(&wire.entry).map_err(|_| NotProven)?;
    let leaf = proof.anchored_by(&entry)?;
    if same(&opened.row, shown) { Ok((proof.position, leaf)) } else { Err(NotProven) }
}

fn read(wire: &Wire) -> Option<RowProof> {
    Some(RowProof {
        plain: STANDARD.decode(&wire.plain).ok()?,
        frame: STANDARD.decode(&wire.frame).ok()?,
        index: wire.index,
        path: wire.hashes.iter().map(|text| hash(text)).collect::<Option<_>>()?,
        segment: closed(&wire.segment)?,
        position: Position { shard: wire.position.shard, index: wire.position.index },
    })
}

/// What whole entries say in clear of the segments of the access log, gathered in the order of the ledger.
#[derive(Debug, Default)]
pub struct Segments(Anchors);

impl Segments {
    /// Takes the next entry. Errors: it says what cannot be, such as that a segment closes which does not follow the one
    /// before it. Never panics, whatever the bytes.
    pub fn take(&mut self, entry: &[u8], index: u64) -> Result<(), String> {
        let stated = ledger::entry::statement(entry).map_err(|why| why.to_string())?;
        let Some(stated) = stated else { return Ok(()) };
        self.0.take(stated, Position { shard: 0, index }).map_err(|why| why.to_string())
    }

    /// How many are closed.
    pub fn closed(&self) -> u64 {
        self.0.all().map(|_| 1).sum()
    }
}

fn closed(segment: &Segment) -> Option<ClosedSegment> {
    Some(ClosedSegment {
        log: log(&segment.log)?,
        number: segment.segment,
        first_row: segment.first_row,
        rows: segment.rows,
        bytes: segment.bytes,
        previous: hash(&segment.previous)?,
        head_hash: hash(&segment.end)?,
        tree_root: hash(&segment.root)?,
        first_time: moment(&segment.first_time)?,
        last_time: moment(&segment.last_time)?,
    })
}

fn same(row: &Row, shown: &Shown) -> bool {
    let text = |id: &Option<String>, own: Option<String>| *id == own;
    let request: String = row.request.iter().map(|byte| format!("{byte:02x}")).collect();
    moment(&shown.time) == Some(row.time)
        && shown.request_id == request
        && text(&shown.entity, row.entity.map(|id| id.to_string()))
        && text(&shown.session, row.session.map(|id| id.to_string()))
        && shown.source == row.source
        && shown.act == row.act
        && shown.path == row.path
        && shown.version == row.version
        && shown.outcome == row.outcome
        && shown.position.map(|place| (place.shard, place.index))
            == row.position.map(|place| (place.shard, place.index))
        && shown.rules.iter().map(String::as_str).eq(row.rules.iter().map(|rule| &**rule))
        && shown.count == u64::from(row.count)
}

fn hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn log(text: &str) -> Option<LogId> {
    let number = u64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)?;
    Some(LogId(number.to_be_bytes()))
}

fn moment(text: &api::Timestamp) -> Option<WallMs> {
    let time: jiff::Timestamp = text.0.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(WallMs)
}
