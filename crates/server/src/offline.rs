//! Work on a data folder while no server runs: verify it, make its records again.
//!
//! The store's lock keeps a server and this apart.

use crate::build::{SHARD, rules};
use crate::clock::SystemClock;
use crate::places::Places;
use crate::seal::KeyFileSeal;
use crate::sinks::sinks_at_rest;
use crate::tasks::TokioDelay;
use crypto::seam::{Seal, SystemEntropy};
use ledger::access_log::{Anchor, Header, LogId, RowKeys, Shelf, Verifier, best_copy};
use ledger::{Opened, Refusal, Verification};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use storage::{Sqlite, SqliteOptions, Storage};

/// What a check found. Not empty `bad` means damage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// What was checked, and how many of it.
    pub checked: Vec<(&'static str, u64)>,
    /// Size that the signed checkpoint speaks of.
    pub checkpoint: Option<u64>,
    /// Bad things by name, the first of each kind of storage.
    pub bad: Vec<String>,
}

/// Why offline work could not be done. Nothing was changed.
#[derive(Debug)]
pub struct OfflineError(String);

impl std::fmt::Display for OfflineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OfflineError {}

fn failed(error: impl std::fmt::Display) -> OfflineError {
    OfflineError(error.to_string())
}

/// Checks a data folder: without the seal file batches, entries, tree, checkpoint and the access log's chain; with it
/// also keys, records, values and each row's content. `key` is the verifier key the checkpoint must be signed with.
///
/// Reads only, but for finishing what a crash left of the store's own log. Needs a tokio runtime.
pub async fn verify_data_dir(data: &Path, seal: Option<&Path>, key: Option<&str>) -> Result<Findings, OfflineError> {
    let key = key.map(str::parse).transpose().map_err(|_bad| failed("the key is no verifier key"))?;
    let store = open(data).await?;
    let mut findings = Findings::default();
    let damaged = {
        let store = Arc::clone(&store);
        tokio::task::spawn_blocking(move || store.verify()).await
    };
    findings.bad.extend(damaged.map_err(failed)?.map_err(failed)?);
    let seal = seal.map(open_seal).transpose()?;
    let storage: Arc<dyn Storage> = store;
    let verification = Verification {
        storage: Arc::clone(&storage),
        shard: SHARD,
        key,
        seal: seal.clone().map(|seal| -> Arc<dyn Seal> { seal }),
        rules: rules(),
    };
    let report = ledger::verify(verification).await.map_err(failed)?;
    findings.bad.extend(report.bad.map(|bad| format!("{}: {}", bad.what, bad.why)));
    let checked = report.checked;
    findings.checkpoint = checked.checkpoint;
    findings.checked = vec![
        ("batches", checked.batches),
        ("entries", checked.entries),
        ("tiles", checked.tiles),
        ("keys", checked.ring_keys),
        ("records", checked.records),
        ("values", checked.values),
        ("intents", checked.intents),
        ("orphans", checked.orphans),
    ];
    let opened = match seal {
        Some(seal) if findings.bad.is_empty() => {
            Some(open_ledger(Arc::clone(&storage), seal).await.map_err(failed)?.ledger)
        }
        _ => None,
    };
    verify_rows(data, &storage, opened.as_ref(), &mut findings).await?;
    Ok(findings)
}

/// Makes every record again from the entries. Answers how many were removed first. Repeat it if it is cut off.
pub async fn rebuild(data: &Path, seal: &Path) -> Result<u64, OfflineError> {
    let storage: Arc<dyn Storage> = open(data).await?;
    let seal = open_seal(seal)?;
    let removed = ledger::forget_records(&*storage, SHARD).await.map_err(failed)?;
    let Opened { ledger, drivers, .. } = open_ledger(Arc::clone(&storage), seal).await.map_err(failed)?;
    let drivers: Vec<_> = drivers.into_iter().map(tokio::spawn).collect();
    let settled = ledger.settle().await;
    ledger.close();
    for driver in drivers {
        let _ = driver.await;
    }
    settled.map_err(failed)?;
    Ok(removed)
}

/// Checks the segments of the access log wherever they are, with their entries and keys if the ledger is open.
async fn verify_rows(
    data: &Path,
    storage: &Arc<dyn Storage>,
    ledger: Option<&ledger::Ledger>,
    findings: &mut Findings,
) -> Result<(), OfflineError> {
    let sinks = sinks_at_rest(&Places::access_of(data), storage, Arc::new(SystemClock::new())).await.map_err(failed)?;
    let mut logs: BTreeMap<Option<LogId>, Vec<&dyn Shelf>> = BTreeMap::new();
    for shelf in sinks.iter().filter_map(|sink| sink.shelf()) {
        if let Some((_, newest)) = shelf.range().await.map_err(failed)? {
            let header = shelf.head(newest).await.map_err(failed)?;
            let log = header.and_then(|bytes| Header::take(&bytes).ok().map(|(header, ..)| header.log));
            logs.entry(log).or_default().push(shelf);
        }
    }
    if logs.is_empty() {
        findings.checked.extend([("segments", 0), ("rows", 0)]);
    }
    for shelves in logs.values() {
        verify_log(shelves, ledger, findings).await?;
    }
    Ok(())
}

/// Checks one log; of each segment the best copy.
async fn verify_log(
    shelves: &[&dyn Shelf],
    ledger: Option<&ledger::Ledger>,
    findings: &mut Findings,
) -> Result<(), OfflineError> {
    let mut numbers = BTreeSet::new();
    for shelf in shelves {
        if let Some((oldest, newest)) = shelf.range().await.map_err(failed)? {
            numbers.extend([oldest, newest]);
        }
    }
    let (Some(oldest), Some(newest)) = (numbers.first(), numbers.last()) else { return Ok(()) };
    let mut verifier = Verifier::new();
    for number in *oldest..=*newest {
        let mut copies = Vec::new();
        for shelf in shelves {
            copies.extend(shelf.read(number).await.map_err(failed)?);
        }
        let bytes = best_copy(copies);
        let log = bytes.as_deref().and_then(|bytes| Header::take(bytes).ok());
        let entry = match (ledger, log) {
            (Some(ledger), Some((header, ..))) => ledger.find(header.log, number).await.map_err(failed)?,
            _ => None,
        };
        let keys = ledger.map(|ledger| -> &dyn RowKeys { ledger });
        verifier.segment(number, bytes.as_deref(), entry.as_ref().map(|found| &found.segment), keys);
    }
    let report = verifier.finish();
    findings.checked.extend([("segments", report.segments), ("rows", report.rows)]);
    findings.bad.extend(report.bad.iter().map(|bad| format!("access log: {bad}")));
    Ok(())
}

async fn open(data: &Path) -> Result<Arc<Sqlite>, OfflineError> {
    let options = SqliteOptions { create: false, ..SqliteOptions::new(data) };
    let opened = tokio::task::spawn_blocking(move || Sqlite::open(options)).await.map_err(failed)?;
    opened.map(Arc::new).map_err(failed)
}

fn open_seal(path: &Path) -> Result<Arc<KeyFileSeal>, OfflineError> {
    KeyFileSeal::open(path, &SystemEntropy::new(), false).map(|(seal, _)| Arc::new(seal)).map_err(failed)
}

async fn open_ledger(storage: Arc<dyn Storage>, seal: Arc<KeyFileSeal>) -> Result<Opened, Refusal> {
    let parts = ledger::Parts {
        storage,
        shard: SHARD,
        seal,
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy::new()),
        delay: Arc::new(TokioDelay),
        rules: rules(),
        cluster: String::new(),
        cache_bytes: 8 << 20,
    };
    ledger::open(parts).await
}
