//! What the door shows of the server around it, and the one act that touches the key file.

use crate::backup::{self, Keeper};
use crate::clock::SystemClock;
use crate::listener::Connections;
use crate::seal::KeyFileSeal;
use app::{Authorized, Refusal};
use crypto::seam::{Entropy, Seal};
use futures::future::BoxFuture;
use ledger::Class;
use ledger::access_log::AccessLog;
use ledger::code::SEAL_INVALID;
use rest::{Backups, Gauge, Surroundings};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The server as its doors see it.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) ledger: ledger::Ledger,
    pub(crate) log: AccessLog,
    pub(crate) seal: Arc<KeyFileSeal>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) clock: Option<Arc<SystemClock>>,
    pub(crate) backups: Keeper,
}

/// What is told while the store has no room.
pub(crate) const FULL: &str =
    "writes are unavailable: the store's disk is full; reads go on, and so does what takes rights away";

impl Surroundings for House {
    fn is_open(&self) -> bool {
        // A server with a key file opens at start or does not start.
        true
    }

    fn is_ready(&self) -> bool {
        !self.ledger.is_broken() && !self.log.is_failing()
    }

    fn hindrance(&self) -> Option<&'static str> {
        if self.ledger.is_broken() {
            Some("the store failed while writing; the server stops")
        } else if self.log.is_failing() {
            Some("nothing is answered: no sink of the access log takes rows")
        } else if self.ledger.is_full() || self.log.is_tapped() {
            Some(FULL)
        } else {
            None
        }
    }

    fn warning(&self) -> Option<&'static str> {
        self.backups.is_failing().then_some(backup::FAILED)
    }

    fn gauges(&self) -> Vec<Gauge> {
        let head = self.ledger.head();
        let log = self.log.counters();
        let now = |name, about, value| Gauge { name, about, counter: false, label: None, value };
        let count = |name, about, value| Gauge { name, about, counter: true, label: None, value };
        let number = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        let mut all = vec![
            now("aumbry_sealed", "Whether the server lacks its root key.", u64::from(!self.is_open())),
            now(
                "aumbry_ready",
                "Whether requests are served; on a full disk they are, but for changes.",
                u64::from(self.is_ready()),
            ),
            now(
                "aumbry_storage_full",
                "Whether the store has no room for changes.",
                u64::from(self.ledger.is_full() || self.log.is_tapped()),
            ),
            now("aumbry_ledger_batch", "Number of the newest batch.", head.batch.0),
            now("aumbry_ledger_size", "Entries in the ledger.", head.size),
            now("aumbry_ledger_unfolded", "Batches not folded into records yet.", number(self.ledger.unfolded())),
            count("aumbry_access_rows_total", "Rows written to the access log.", log.rows()),
            count("aumbry_access_groups_total", "Writes that brought them.", log.groups()),
            count("aumbry_access_refused_total", "Requests refused because no sink took their row.", log.refused()),
            now(
                "aumbry_access_failing",
                "Whether no sink that keeps rows takes them.",
                u64::from(self.log.is_failing()),
            ),
            count("aumbry_access_shared_total", "Unauthenticated refusals that share a row.", log.shared()),
            now("aumbry_access_unanchored", "Closed segments without an entry.", number(self.log.unanchored())),
            now("aumbry_connections", "Open connections.", number(self.connections.open())),
            count(
                "aumbry_handshakes_refused_total",
                "Connections that ended in the handshake.",
                number(self.connections.refused_handshakes()),
            ),
            count("aumbry_lock_failures_total", "Keys that could not be locked.", crypto::secret::lock_failures()),
        ];
        if let Some(clock) = &self.clock {
            all.push(count("aumbry_clock_steps_back_total", "Steps back of the wall clock.", clock.steps_back()));
        }
        all.extend(self.sink_gauges());
        all.extend(self.backups.gauges());
        all
    }

    fn backups(&self) -> Arc<dyn Backups> {
        Arc::new(self.backups.clone())
    }

    fn rekey(&self, grant: Authorized) -> BoxFuture<'static, Result<String, Refusal>> {
        let (seal, entropy) = (Arc::clone(&self.seal), Arc::clone(&self.entropy));
        Box::pin(async move {
            let failed = |error: crate::files::FileError| {
                tracing::error!(%error, "the key file cannot be replaced");
                Refusal::new(&SEAL_INVALID, "the key file cannot be replaced; the server's log says why")
            };
            let successor = seal.successor(&*entropy).map_err(failed)?;
            match app::keys::rekey_seal(grant, Arc::new(successor)).await {
                Ok(changed) if changed.replayed => seal.abandon().map_err(failed)?,
                Ok(_) => seal.adopt().map_err(failed)?,
                // Both files stay: the next start finds out.
                Err(refusal) if refusal.class() == Class::Unknown => return Err(refusal),
                Err(refusal) => {
                    seal.abandon().map_err(failed)?;
                    return Err(refusal);
                }
            }
            Ok(seal.name())
        })
    }
}

impl House {
    /// Sums over sinks of one kind, so that each series stands there once.
    fn sink_gauges(&self) -> Vec<Gauge> {
        let mut kinds: BTreeMap<&'static str, [u64; 3]> = BTreeMap::new();
        for (name, sink) in self.log.sinks() {
            let [failures, missed, failing] = kinds.entry(known_sink(name)).or_default();
            *failures = failures.saturating_add(sink.failures());
            *missed = missed.saturating_add(sink.missed_rows());
            *failing = failing.saturating_add(u64::from(sink.failing()));
        }
        let columns = [
            ("aumbry_sink_failures_total", "Writes that a sink of the access log did not take.", true),
            ("aumbry_sink_missed_rows_total", "Rows that other sinks have and this one does not.", true),
            ("aumbry_sink_failing", "Sinks of this kind that fail now.", false),
        ];
        let mut all = Vec::new();
        for (column, (name, about, counter)) in columns.into_iter().enumerate() {
            let of = |(sink, values): (&&'static str, &[u64; 3])| {
                let value = values.get(column).copied().unwrap_or_default();
                Gauge { name, about, counter, label: Some(("sink", *sink)), value }
            };
            all.extend(kinds.iter().map(of));
        }
        all
    }
}

/// Labels come from a closed set.
fn known_sink(name: &str) -> &'static str {
    ["file", "store", "stream"].into_iter().find(|known| *known == name).unwrap_or("other")
}
