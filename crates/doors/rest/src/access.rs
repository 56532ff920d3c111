//! The access log: rows with their proofs, segments.

use crate::answer::Answer;
use crate::call::{Call, request_text};
use crate::show::{base64, hashes, position};
use crate::time;
use api::access as wire;
use app::access_view::{self, AccessQuery, RowShown, SegmentShown};
use app::code::REQUEST_INVALID;
use app::{Act, ClosedSegment, Path, Position, Prefix, Refusal};

/// `GET access`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let query: wire::AccessQuery = call.query()?;
            let since = query.since.map(|since| time::read(&since, &REQUEST_INVALID, "since")).transpose()?;
            let rows = AccessQuery {
                principal: query.principal,
                since,
                outcome: query.outcome,
                cursor: query.cursor,
                limit: query.limit.map(u64::from),
                proof: query.proof,
                ..AccessQuery::default()
            };
            Ok((act(query.path.as_deref())?, rows))
        },
        access_view::query,
        |page| {
            let items = page.items.into_iter().map(row).collect();
            Answer::json(&wire::Rows { items, next_cursor: page.next })
        },
    )
    .await
}

/// `GET access/segments`
pub(crate) async fn segments(call: Box<Call>) -> Answer {
    call.act(
        |_| Ok((Act::access_segments(), ())),
        |grant, ()| access_view::segments(grant),
        |found| Answer::json(&wire::Segments { items: found.into_iter().filter_map(shown).collect() }),
    )
    .await
}

/// Rows about everything, one secret, or a folder when the path ends with a slash.
fn act(path: Option<&str>) -> Result<Act, Refusal> {
    Ok(match path {
        None | Some("") => Act::access_read(),
        Some(text) if text.ends_with('/') => Act::access_read_folder(Prefix::parse(text)?),
        Some(text) => Act::access_read_secret(Path::parse(text)?),
    })
}

fn row(shown: RowShown) -> wire::Row {
    let row = shown.row.row;
    wire::Row {
        time: time::shown(row.time),
        request_id: request_text(&row.request),
        principal: shown.principal,
        entity: row.entity.map(|entity| entity.to_string()),
        session: row.session.map(|session| session.to_string()),
        source: row.source,
        act: row.act.into_owned(),
        path: row.path,
        version: row.version,
        outcome: row.outcome.into_owned(),
        position: row.position.map(position),
        rules: row.rules.iter().map(|rule| rule.to_string()).collect(),
        count: u64::from(row.count),
        proof: shown.proof.map(|proof| wire::RowProof {
            plain: base64(&proof.plain),
            frame: base64(&proof.frame),
            index: proof.index,
            hashes: hashes(&proof.path),
            segment: segment(&proof.segment, Some(proof.position)),
            position: position(proof.position),
            entry: shown.entry.map(|entry| base64(&entry)).unwrap_or_default(),
        }),
    }
}

/// The open segment has nothing to show yet.
fn shown(shown: SegmentShown) -> Option<wire::Segment> {
    shown.closed.map(|(closed, position)| segment(&closed, Some(position)))
}

fn segment(closed: &ClosedSegment, place: Option<Position>) -> wire::Segment {
    wire::Segment {
        log: closed.log.to_string(),
        segment: closed.number,
        first_row: closed.first_row,
        rows: closed.rows,
        bytes: closed.bytes,
        previous: base64(&closed.previous),
        end: base64(&closed.head_hash),
        root: base64(&closed.tree_root),
        first_time: time::shown(closed.first_time),
        last_time: time::shown(closed.last_time),
        position: place.map(position),
    }
}
