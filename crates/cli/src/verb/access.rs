//! `aumbry access`: who asked for what.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use api::access::{AccessQuery, Row, Rows};
use clap::{Args, Subcommand};
use client::{Client, Error};
use serde::Serialize;

use crate::connect::Global;
use crate::pins::Pin;
use crate::{exit, fault, output};

/// Who asked for what
#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Show rows, newest first
    List {
        #[command(flatten)]
        filter: Filter,
        /// How many rows at most
        #[arg(long, short = 'n', default_value_t = 100)]
        limit: u32,
    },
    /// Check here that rows are in the ledger, against its pinned key
    Verify {
        #[command(flatten)]
        filter: Filter,
        /// How many rows at most, newest first
        #[arg(long, short = 'n', default_value_t = 1000)]
        limit: u32,
        /// The ledger's key [default: the one pinned at first use]
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
    /// Show new rows as they come, until interrupted
    Tail {
        #[command(flatten)]
        filter: Filter,
    },
}

/// Which rows
#[derive(Debug, Clone, Args)]
pub(crate) struct Filter {
    /// Only rows about this path, or below it with `/` at its end
    #[arg(long)]
    path: Option<String>,
    /// Only rows of this principal
    #[arg(long, value_name = "NAME")]
    principal: Option<String>,
    /// Only rows from this time on, RFC 3339, or this long ago, like 15m
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only rows with this outcome: ok, refused, or a code
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
}

impl Access {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::List { filter, limit } => {
                let items = rows(&client, filter.query()?, limit).await?;
                show(output, &Rows { items, next_cursor: None })?;
            }
            Self::Verify { filter, limit, key } => {
                let pin = Pin::of(&client, global.tenant(), key.as_deref()).await?;
                let report = verify(&client, &pin, filter.query()?, limit).await?;
                output.answer(&report, |report| {
                    let Report { rows, segments, size, .. } = report;
                    format!("{rows} rows of {segments} segments verified in a ledger of {size} entries")
                })?;
            }
            Self::Tail { filter } => tail(&client, output, filter.query()?).await?,
        }
        Ok(exit::OK)
    }
}

impl Filter {
    fn query(self) -> Result<AccessQuery, Error> {
        let since = self.since.map(|text| moment(&text)).transpose()?;
        let (path, principal, outcome) = (self.path, self.principal, self.outcome);
        Ok(AccessQuery { path, principal, since, outcome, ..AccessQuery::default() })
    }
}

/// What was verified.
#[derive(Debug, Serialize)]
struct Report {
    rows: usize,
    segments: usize,
    size: u64,
    key: String,
}

/// Checks each row against its proof, up to the entry that closes its segment, and those entries against a checkpoint that
/// the pinned key signed and that extends the one seen last.
async fn verify(client: &Client, pin: &Pin, query: AccessQuery, limit: u32) -> Result<Report, Error> {
    let items = rows(client, AccessQuery { proof: true, ..query }, limit).await?;
    // Asked for after the rows, so that it covers the entries their proofs lead to.
    let (checkpoint, _) = client::verify::newest_since(client, &pin.key, pin.seen.as_ref()).await?;
    let mut anchors = BTreeMap::new();
    for row in &items {
        let (position, leaf) = server::check_row(row).map_err(|_| unproven(row, "its proof does not show this row"))?;
        let segment = row.proof.as_ref().map(|proof| (proof.segment.log.clone(), proof.segment.segment));
        let anchor = (position.index, leaf);
        if anchors.insert(segment, anchor).is_some_and(|known| known != anchor) {
            return Err(unproven(row, "its segment has two entries"));
        }
    }
    for (index, leaf) in anchors.values() {
        client::verify::included(client, leaf, *index, &checkpoint).await?;
    }
    pin.remember(&checkpoint)?;
    let (rows, segments) = (items.len(), anchors.len());
    Ok(Report { rows, segments, size: checkpoint.size, key: pin.key.to_string() })
}

fn unproven(row: &Row, why: &str) -> Error {
    let hint = "do not trust this server's access log; compare with another copy";
    let detail = format!("the row of request {} at {}: {why}", row.request_id, row.time);
    Error::local(api::Class::Corrupt, "access.unproven", detail, hint)
}

/// Reads a time, or a span that ends now.
fn moment(text: &str) -> Result<api::Timestamp, Error> {
    let hint = "write 2026-03-01T09:30:00Z, or a span like 15m, 24h, 30d";
    let bad = || fault::invalid("the time cannot be read", hint);
    if text.parse::<jiff::Timestamp>().is_ok() {
        return Ok(api::Timestamp(text.to_owned()));
    }
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
    let count: i64 = digits.parse().ok().filter(|count| *count >= 0).ok_or_else(bad)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(bad()),
    };
    let span = jiff::SignedDuration::from_secs(count.checked_mul(seconds).ok_or_else(bad)?);
    let then = jiff::Timestamp::now().checked_sub(span).map_err(|_| bad())?;
    Ok(api::Timestamp(format!("{then:.3}")))
}

/// Rows up to a limit, newest first.
async fn rows(client: &Client, query: AccessQuery, limit: u32) -> Result<Vec<Row>, Error> {
    pages(client, query, limit, |_| ()).await
}

/// The same, page by page; `asked` hears the id of each request it took.
async fn pages(
    client: &Client,
    mut query: AccessQuery,
    limit: u32,
    mut asked: impl FnMut(Option<String>),
) -> Result<Vec<Row>, Error> {
    let mut items = Vec::new();
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    while items.len() < wanted {
        let rest = u32::try_from(wanted.saturating_sub(items.len())).unwrap_or(PAGE).min(PAGE);
        query.limit = Some(rest);
        let (page, request) = client.access().rows_and_request(&query).await?;
        asked(request);
        items.extend(page.items);
        if page.next_cursor.is_none() || page.next_cursor == query.cursor {
            break;
        }
        query.cursor = page.next_cursor;
    }
    items.truncate(wanted);
    Ok(items)
}

/// Asks again each second for rows since the last one shown. Its own questions are recorded like all, and not shown.
async fn tail(client: &Client, output: output::Output, mut query: AccessQuery) -> Result<(), Error> {
    query.since = query.since.or_else(|| Some(api::Timestamp(format!("{:.3}", jiff::Timestamp::now()))));
    let (mut shown, mut own) = (Vec::new(), VecDeque::new());
    loop {
        let mut fresh = pages(client, query.clone(), TAIL_ROWS_MAX, |request| own.extend(request)).await?;
        own.drain(..own.len().saturating_sub(OWN_MAX));
        fresh.reverse();
        if let Some(last) = fresh.last() {
            query.since = Some(last.time.clone());
        }
        let newest = query.since.clone();
        for row in fresh.iter().filter(|row| !shown.contains(&row.request_id) && !own.contains(&row.request_id)) {
            if output.json {
                let line = serde_json::to_string(row).map_err(|_| fault::invalid("the row is no JSON", ""))?;
                output::write((line + "\n").as_bytes())?;
            } else {
                output::write((cells(row).join("  ") + "\n").as_bytes())?;
            }
        }
        // Rows of the newest moment come again with the next question.
        shown = fresh.into_iter().filter(|row| Some(&row.time) == newest.as_ref()).map(|row| row.request_id).collect();
        tokio::time::sleep(TAIL_PAUSE).await;
    }
}

fn show(output: output::Output, rows: &Rows) -> Result<(), Error> {
    let head = ["time", "who", "from", "act", "path", "version", "outcome", "entry"];
    output.rows(rows, &head, |rows| rows.items.iter().map(row).collect())
}

fn row(row: &Row) -> Vec<String> {
    let who = row.principal.clone().or_else(|| row.entity.clone()).unwrap_or_else(|| "-".to_owned());
    let version = row.version.map(|version| version.to_string()).unwrap_or_default();
    let outcome = if row.count > 1 { format!("{} ×{}", row.outcome, row.count) } else { row.outcome.clone() };
    let entry = row.position.map(|position| position.to_string()).unwrap_or_default();
    let path = row.path.clone().unwrap_or_default();
    vec![row.time.to_string(), who, row.source.clone(), row.act.clone(), path, version, outcome, entry]
}

fn cells(shown: &Row) -> Vec<String> {
    row(shown).iter().filter(|cell| !cell.is_empty()).map(|cell| crate::escape::text(cell).into_owned()).collect()
}

const PAGE: u32 = 1000;
const TAIL_ROWS_MAX: u32 = 10_000;
/// Own requests that are remembered: those of several rounds, each of which asks for its predecessors' rows.
const OWN_MAX: usize = 1000;
const TAIL_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_span_with_its_unit() {
        assert_eq!(moment("2026-03-01T09:30:00Z").unwrap().0, "2026-03-01T09:30:00Z");
        for good in ["90s", "15m", "24h", "30d", "0s"] {
            assert!(moment(good).unwrap().0.ends_with('Z'), "{good}");
        }
        for bad in ["", "15", "m", "-5m", "1w", "99999999999999999999d", "9223372036854775807d", "é"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
