//! The rows of a data folder: each segment's chain, the entry that closes it, and what is missing.

use super::{Findings, OfflineError, failed};
use crate::places::Places;
use crate::sinks::shelves_at_rest;
use api::Class;
use ledger::Anchors;
use ledger::access_log::{Header, LogId, RowKeys, Shelf, Verifier, best_copy};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use storage::Storage;

/// Checks every segment that is there, wherever it is, and that every one which the ledger says is closed is there.
///
/// Without `anchors`, because the ledger itself is damaged, only the chain is checked. With `keys` each row is opened.
pub(super) async fn verify(
    data: &Path,
    storage: &Arc<dyn Storage>,
    anchors: Option<&Anchors>,
    keys: Option<&dyn RowKeys>,
    (entries, shared): (u64, bool),
    findings: &mut Findings,
) -> Result<(), OfflineError> {
    let shelves = shelves_at_rest(&Places::access_of(data), storage).await;
    let shelves = shelves.map_err(|refused| OfflineError::new(Class::Invalid, refused))?;
    let mut logs: BTreeMap<Option<LogId>, Vec<&dyn Shelf>> = BTreeMap::new();
    for shelf in &shelves {
        if let Some((_, newest)) = shelf.range().await.map_err(failed)? {
            let header = shelf.head(newest).await.map_err(failed)?;
            let log = header.and_then(|bytes| Header::take(&bytes).ok().map(|(header, ..)| header.log));
            logs.entry(log).or_default().push(shelf.as_ref());
        }
    }
    let mut checked = Checked::default();
    for shelves in logs.values() {
        let verifier = if keys.is_some() { Verifier::new().within(entries) } else { Verifier::new() };
        verify_log(shelves, verifier, anchors, keys, &mut checked, findings).await?;
    }
    findings.checked.extend([
        ("segments", checked.segments),
        ("anchored segments", checked.anchored),
        ("rows", checked.rows),
    ]);
    let gone = |missing: &&ledger::access_log::Anchored| {
        !checked.seen.contains(&(missing.segment.log, missing.segment.number))
    };
    let gone: Vec<_> = anchors.into_iter().flat_map(|anchors| anchors.kept().filter(gone)).collect();
    let is_here = |missing: &&&ledger::access_log::Anchored| logs.contains_key(&Some(missing.segment.log));
    // Each server of a database keeps its rows itself.
    let wanted = |missing: &&&ledger::access_log::Anchored| !shared || is_here(missing);
    if let Some(missing) = gone.iter().find(wanted) {
        let (log, number) = (missing.segment.log, missing.segment.number);
        findings.bad.push(format!("access log: access segment {number} of log {log}: missing"));
    }
    let others = gone.iter().filter(|missing| !wanted(missing)).count();
    if others > 0 {
        let told = "access log: segments of other servers' logs, to be verified with their data folders";
        findings.notes.push(format!("{told}: {others}"));
    }
    Ok(())
}

#[derive(Default)]
struct Checked {
    segments: u64,
    anchored: u64,
    rows: u64,
    /// Segments that are there.
    seen: BTreeSet<(LogId, u64)>,
}

/// Checks one log; of each segment the best copy.
async fn verify_log(
    shelves: &[&dyn Shelf],
    mut verifier: Verifier,
    anchors: Option<&Anchors>,
    keys: Option<&dyn RowKeys>,
    checked: &mut Checked,
    findings: &mut Findings,
) -> Result<(), OfflineError> {
    let mut numbers = BTreeSet::new();
    for shelf in shelves {
        if let Some((oldest, newest)) = shelf.range().await.map_err(failed)? {
            numbers.extend([oldest, newest]);
        }
    }
    let (Some(oldest), Some(newest)) = (numbers.first(), numbers.last()) else { return Ok(()) };
    for number in *oldest..=*newest {
        let mut copies = Vec::new();
        for shelf in shelves {
            copies.push(shelf.read(number).await.map_err(failed)?);
        }
        let bytes = best_copy(copies.iter().flatten().cloned());
        for copy in copies.iter().filter(|copy| **copy != bytes) {
            compare(number, copy.as_deref(), bytes.as_deref().unwrap_or_default(), findings);
        }
        let header = bytes.as_deref().and_then(|bytes| Header::take(bytes).ok()).map(|(header, ..)| header);
        let entry = header.and_then(|header| anchors?.find(header.log, number));
        checked.anchored = checked.anchored.saturating_add(u64::from(entry.is_some()));
        checked.seen.extend(header.map(|header| (header.log, number)));
        verifier.segment(number, bytes.as_deref(), entry.map(|found| &found.segment), keys);
    }
    let report = verifier.finish();
    checked.segments = checked.segments.saturating_add(report.segments);
    checked.rows = checked.rows.saturating_add(report.rows);
    findings.bad.extend(report.bad.iter().map(|bad| format!("access log: {bad}")));
    Ok(())
}

/// What another sink has of a segment: less of it is what a sink that was away looks like, anything else is damage.
fn compare(number: u64, copy: Option<&[u8]>, best: &[u8], findings: &mut Findings) {
    match copy {
        None => findings.notes.push(format!("access log: segment {number} is in one sink only")),
        Some(copy) if best.starts_with(copy) => {
            findings.notes.push(format!("access log: one sink has segment {number} only in part"));
        }
        Some(_) => {
            findings.bad.push(format!("access log: access segment {number}: one sink's copy is not as it was written"))
        }
    }
}
