//! The ledger of a store at rest, entry by entry, for an export.

use super::{OfflineError, SHARD, Site, failed, verify_ledger};
use crate::store::{Purpose, Store};
use api::Class;
use api::ledger::Entry;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::merkle::leaf_hash;
use ledger::entry::BatchRow;
use std::sync::Arc;
use storage::{BatchNumber, Storage, StoredBatch};

/// A ledger that was verified without its seal and holds still while this is kept.
#[derive(Debug)]
pub struct LedgerAtRest {
    storage: Arc<dyn Storage>,
    /// Keeps servers away.
    _store: Store,
    key: String,
    checkpoint: String,
    /// Batches in order, those before `next` given already.
    next: BatchNumber,
    ready: std::collections::VecDeque<Entry>,
}

impl LedgerAtRest {
    /// Opens and verifies a store. Leaves every byte of files as it is; needs a tokio runtime.
    ///
    /// Errors: class `Corrupt` naming the first bad thing; `Invalid` for what was named; a ledger that has no checkpoint yet.
    pub async fn open(site: &Site) -> Result<LedgerAtRest, OfflineError> {
        let store = site.open(Purpose::Look).await?;
        let storage = store.storage();
        let report = verify_ledger(&storage, None, None).await?;
        if let Some(bad) = report.bad {
            return Err(OfflineError::new(Class::Corrupt, format!("{}: {}", bad.what, bad.why)));
        }
        let (checkpoint, key) =
            report.checkpoint.ok_or_else(|| failed("the ledger has no checkpoint yet; start its server"))?;
        let (next, ready) = (BatchNumber(1), std::collections::VecDeque::new());
        Ok(LedgerAtRest { storage, _store: store, key, checkpoint, next, ready })
    }

    /// The key that stands beside the checkpoint.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The newest signed checkpoint; the store may hold entries past it.
    #[must_use]
    pub fn checkpoint(&self) -> &str {
        &self.checkpoint
    }

    /// The next entries, at most so many; none at the end.
    pub async fn entries(&mut self, limit: usize) -> Result<Vec<Entry>, OfflineError> {
        while self.ready.len() < limit {
            let batches = self.storage.tail(SHARD, self.next, BATCHES).await.map_err(failed)?;
            if batches.is_empty() {
                break;
            }
            for batch in batches {
                self.next = batch.number.next();
                self.ready.extend(entries(&batch)?);
            }
        }
        Ok(self.ready.drain(..limit.min(self.ready.len())).collect())
    }
}

fn entries(batch: &StoredBatch) -> Result<Vec<Entry>, OfflineError> {
    let row = BatchRow::decode(&batch.row);
    let row = row.map_err(|why| OfflineError::new(Class::Corrupt, format!("batch {}: {}", batch.number.0, why.0)))?;
    let numbered = row.entries.iter().zip(row.first..);
    Ok(numbered
        .map(|(entry, index)| Entry {
            index,
            leaf_hash: STANDARD.encode(leaf_hash(entry)),
            sealed: Some(STANDARD.encode(entry)),
            time: None,
            kind: None,
        })
        .collect())
}

/// Batches read at once.
const BATCHES: usize = 64;
