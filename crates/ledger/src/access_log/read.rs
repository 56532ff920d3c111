//! Looking rows up: newest first, with bounded work, checking each segment's chain on the way.

use super::log::AccessLog;
use super::outlet::answered;
use super::row::{OK, Row};
use super::segment::Header;
use super::sink::{Numbered, Shelf, SinkError};
use super::unseal::{self, Unopened};
use super::verify::{Bad, Wrong};
use super::walk::Walk;
use crate::code::{
    self, ACCESS_LOG_UNAVAILABLE, ACCESS_OUTCOME_UNKNOWN, CURSOR_INVALID, Class, Refusal, STORAGE_DAMAGED,
};
use crate::path::Prefix;
use bytes::Bytes;
use crypto::WallMs;
use crypto::id::{EntityId, TenantId};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Rows that one call looks at before it answers with what it has and a cursor.
pub const SCAN_ROWS_MAX: u64 = 50_000;
/// Segments that one call looks at.
pub const SCAN_SEGMENTS_MAX: u64 = 1000;
/// Rows in one answer.
pub const QUERY_ROWS_MAX: usize = 1000;

/// The clock may have been set back by this much before `until` misses rows.
const CLOCK_SLACK: Duration = Duration::from_secs(600);

/// Which rows are wanted; empty wants all.
#[derive(Clone, Default, Debug)]
pub struct Filter {
    /// Rows of this tenant; `None` is a right over the whole cluster.
    pub tenant: Option<TenantId>,
    /// At or below this folder, or exactly this path.
    pub path: Option<Prefix>,
    /// Of this identity.
    pub entity: Option<EntityId>,
    /// At or after.
    pub since: Option<WallMs>,
    /// Before.
    pub until: Option<WallMs>,
    /// How it ended.
    pub outcome: Option<OutcomeIs>,
    /// With this act.
    pub act: Option<String>,
}

/// How a request ended, as asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutcomeIs {
    /// It was done.
    Ok,
    /// It was not, for whatever reason.
    Refused,
    /// It was refused with this code.
    Code(String),
}

impl FromStr for OutcomeIs {
    type Err = Refusal;

    /// Errors: `access.outcome_unknown`, naming all there are.
    fn from_str(text: &str) -> Result<OutcomeIs, Refusal> {
        match text {
            OK => Ok(OutcomeIs::Ok),
            "refused" => Ok(OutcomeIs::Refused),
            text if code::ALL.iter().any(|code| code.name == text) => Ok(OutcomeIs::Code(text.to_owned())),
            _ => {
                let codes: Vec<_> = code::ALL.iter().map(|code| code.name).collect();
                let detail = format!("no request ends so; outcomes are {OK}, refused, {}", codes.join(", "));
                Err(Refusal::new(&ACCESS_OUTCOME_UNKNOWN, detail))
            }
        }
    }
}

impl Filter {
    fn wants(&self, row: &Row) -> bool {
        let below = |folder: &Prefix| {
            let path = row.path.as_deref();
            folder.as_str().is_empty()
                || path
                    .and_then(|path| path.strip_prefix(folder.as_str()))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let ended = |wanted: &OutcomeIs| match wanted {
            OutcomeIs::Ok => row.is_ok(),
            OutcomeIs::Refused => !row.is_ok(),
            OutcomeIs::Code(code) => row.outcome == *code,
        };
        self.tenant.is_none_or(|tenant| row.tenant == tenant)
            && self.path.as_ref().is_none_or(below)
            && self.entity.is_none_or(|entity| row.entity == Some(entity))
            && self.since.is_none_or(|since| row.time >= since)
            && self.until.is_none_or(|until| row.time < until)
            && self.outcome.as_ref().is_none_or(ended)
            && self.act.as_ref().is_none_or(|act| row.act == *act)
    }
}

/// Where a query goes on: before this row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowCursor {
    /// Segment to look at first.
    pub segment: u64,
    /// Rows from this sequence number on have been seen.
    pub before: u64,
}

impl fmt::Display for RowCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.segment, self.before)
    }
}

impl FromStr for RowCursor {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<RowCursor, Refusal> {
        let parsed = text.split_once('.').and_then(|(segment, before)| {
            let cursor = RowCursor { segment: segment.parse().ok()?, before: before.parse().ok()? };
            (cursor.to_string() == text).then_some(cursor)
        });
        parsed.ok_or_else(|| Refusal::new(&CURSOR_INVALID, "the cursor is not one of the access log"))
    }
}

/// One page of rows.
#[derive(Clone, Default, Debug)]
pub struct RowPage {
    /// Newest first.
    pub rows: Vec<Numbered>,
    /// Where to go on, unless all was seen. A page may be empty and still have a cursor.
    pub next: Option<RowCursor>,
    /// Rows that may have been wanted but whose key is gone.
    pub unopened: u64,
}

impl AccessLog {
    /// Rows that the filter wants, newest first, at most `limit`.
    ///
    /// Looks at no more than [`SCAN_ROWS_MAX`] rows and [`SCAN_SEGMENTS_MAX`] segments. Errors: `Corrupt` naming the
    /// first row that is not as it was written; `Unavailable` when no sink can be read. Reading has no effect; that it
    /// was read is recorded by the caller as for any request.
    pub async fn query(&self, filter: &Filter, from: Option<RowCursor>, limit: usize) -> Result<RowPage, Refusal> {
        let limit = limit.clamp(1, QUERY_ROWS_MAX);
        let mut page = RowPage::default();
        let newest = self.inner.writer.lock().await.newest_number();
        let Some((oldest, _)) = self.range_with(newest).await? else { return Ok(page) };
        if from.is_some_and(|cursor| cursor.segment > newest) {
            return Err(Refusal::new(&CURSOR_INVALID, "the cursor is not one of the access log"));
        }
        let mut cursor = from.unwrap_or(RowCursor { segment: newest, before: u64::MAX });
        let (mut segments, mut seen) = (0_u64, 0_u64);
        while cursor.segment >= oldest {
            if segments >= SCAN_SEGMENTS_MAX || seen >= SCAN_ROWS_MAX {
                page.next = Some(cursor);
                return Ok(page);
            }
            segments = segments.saturating_add(1);
            let _whole = self.inner.removing.read().await;
            let Some(header) = self.head(cursor.segment).await? else {
                // Retention may have been faster: then this and all before it are gone, and the page is complete.
                if self.is_removed(cursor.segment).await? {
                    return Ok(page);
                }
                return Err(refusal(Bad { segment: cursor.segment, row: None, what: Wrong::Absent }));
            };
            let later = filter.until.is_some_and(|until| header.opened > until.saturating_add(CLOCK_SLACK));
            if !later {
                let bytes = self.segment(cursor.segment).await?.unwrap_or_default();
                let (rows, stop) = self.pick(filter, cursor, &bytes, limit, &mut page)?;
                seen = seen.saturating_add(rows);
                if let Some(stop) = stop {
                    page.next = Some(stop);
                    return Ok(page);
                }
            }
            if filter.since.is_some_and(|since| header.newest_before < since) {
                return Ok(page);
            }
            cursor = RowCursor { segment: cursor.segment.saturating_sub(1), before: header.first_row };
        }
        Ok(page)
    }

    /// The newest rows that the filter wants and that come after `after`, oldest first: one step of `tail`.
    pub async fn tail(&self, filter: &Filter, after: u64, limit: usize) -> Result<Vec<Numbered>, Refusal> {
        let mut rows = self.query(filter, None, limit).await?.rows;
        rows.retain(|row| row.sequence > after);
        rows.reverse();
        Ok(rows)
    }

    /// Adds the wanted rows of one segment to the page; answers how many were there, and where to go on if it is full.
    fn pick(
        &self,
        filter: &Filter,
        cursor: RowCursor,
        bytes: &Bytes,
        limit: usize,
        page: &mut RowPage,
    ) -> Result<(u64, Option<RowCursor>), Refusal> {
        let bad = |row, what| refusal(Bad { segment: cursor.segment, row, what });
        let mut walk = Walk::new(bytes).map_err(|damaged| bad(None, Wrong::Header(damaged.0)))?;
        let (frames, fault) = walk.run();
        if let Some(fault) = fault {
            return Err(bad(Some(walk.next_row()), Wrong::Row(fault)));
        }
        for frame in frames.iter().rev().filter(|frame| frame.sequence < cursor.before) {
            if filter.tenant.is_some_and(|tenant| tenant != frame.tenant) {
                continue;
            }
            match unseal::open(cursor.segment, frame, &*self.inner.parts.keys) {
                Ok(opened) if filter.wants(&opened.numbered.row) => page.rows.push(opened.numbered),
                Ok(_) => {}
                Err(Unopened::NoKey(refusal)) if is_passing(&refusal) => return Err(refusal),
                Err(Unopened::NoKey(_)) => page.unopened = page.unopened.saturating_add(1),
                Err(Unopened::Damaged) => return Err(bad(Some(frame.sequence), Wrong::Unopenable)),
            }
            if page.rows.len() >= limit {
                return Ok((walk.rows, Some(RowCursor { before: frame.sequence, ..cursor })));
            }
        }
        Ok((walk.rows, None))
    }

    /// A segment's header and frames as stored, for exports and offline checks. Sealed rows stay sealed.
    pub async fn export(&self, number: u64) -> Result<Option<Bytes>, Refusal> {
        self.segment(number).await
    }

    pub(super) fn shelves(&self) -> impl Iterator<Item = &dyn Shelf> {
        self.inner.parts.sinks.iter().chain(&self.inner.past).filter_map(|sink| sink.shelf())
    }

    /// Oldest and newest segment that any shelf has.
    pub(super) async fn range(&self) -> Result<Option<(u64, u64)>, Refusal> {
        let mut all: Option<(u64, u64)> = None;
        for shelf in self.shelves() {
            let range = answered(&*self.inner.parts.delay, async { shelf.range().await }).await;
            if let Some((oldest, newest)) = range.map_err(|error| named(0, &error))? {
                all = Some(all.map_or((oldest, newest), |(a, b)| (a.min(oldest), b.max(newest))));
            }
        }
        Ok(all)
    }

    async fn range_with(&self, newest: u64) -> Result<Option<(u64, u64)>, Refusal> {
        Ok(match self.range().await? {
            Some((oldest, _)) => Some((oldest, newest)),
            None if newest > 0 && self.inner.writer.lock().await.open().is_some() => Some((newest, newest)),
            None => None,
        })
    }

    /// Whether a segment is older than the oldest there is.
    pub(super) async fn is_removed(&self, number: u64) -> Result<bool, Refusal> {
        Ok(self.segments().await?.is_some_and(|(oldest, _)| number < oldest))
    }

    /// The header of a segment, if it is there and whole.
    pub(super) async fn head(&self, number: u64) -> Result<Option<Header>, Refusal> {
        if let Some(open) = self.inner.writer.lock().await.open()
            && open.header.number == number
        {
            return Ok(Some(open.header));
        }
        let mut found = None;
        for shelf in self.shelves() {
            let head = answered(&*self.inner.parts.delay, async { shelf.head(number).await }).await;
            match head {
                Ok(Some(bytes)) => match Header::take(&bytes) {
                    Ok((header, _, _)) => return Ok(Some(header)),
                    Err(damaged) => {
                        found = Some(refusal(Bad { segment: number, row: None, what: Wrong::Header(damaged.0) }));
                    }
                },
                Ok(None) => {}
                Err(error) => found = Some(named(number, &error)),
            }
        }
        found.map_or(Ok(None), Err)
    }

    /// A segment: the open one as far as it is written, a closed one from the shelf that has most of it undamaged.
    pub(super) async fn segment(&self, number: u64) -> Result<Option<Bytes>, Refusal> {
        if let Some(open) = self.inner.writer.lock().await.open()
            && open.header.number == number
        {
            return Ok(Some([open.header.encode().as_slice(), open.kept_frames()].concat().into()));
        }
        let (mut copies, mut error) = (Vec::new(), None);
        for shelf in self.shelves() {
            match answered(&*self.inner.parts.delay, async { shelf.read(number).await }).await {
                Ok(Some(bytes)) => copies.push(bytes),
                Ok(None) => {}
                Err(failed) => error = Some(named(number, &failed)),
            }
        }
        match (best_copy(copies), error) {
            (Some(bytes), _) => Ok(Some(bytes)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}

/// Of the copies that several sinks have of one segment, the one with most undamaged rows; the first among equals.
pub fn best_copy(copies: impl IntoIterator<Item = Bytes>) -> Option<Bytes> {
    let mut best: Option<(usize, Bytes)> = None;
    for bytes in copies {
        let good = Walk::new(&bytes).map_or(0, |mut walk| {
            walk.run();
            walk.size()
        });
        if best.as_ref().is_none_or(|(size, _)| good > *size) {
            best = Some((good, bytes));
        }
    }
    best.map(|(_, bytes)| bytes)
}

/// Whether the key is only out of reach, so that an answer without the row would mislead.
fn is_passing(refusal: &Refusal) -> bool {
    matches!(refusal.class(), Class::Sealed | Class::Unavailable | Class::Unknown)
}

pub(super) fn named(number: u64, error: &SinkError) -> Refusal {
    Refusal::new(&ACCESS_LOG_UNAVAILABLE, format!("access segment {number} cannot be read: {error}"))
}

pub(super) fn refusal(bad: Bad) -> Refusal {
    Refusal::new(&STORAGE_DAMAGED, bad.to_string())
}
