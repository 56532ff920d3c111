//! What the door shows of the server around it, and the one act that touches the key file.

use crate::backup;
use crate::clock::SystemClock;
use crate::household::Inside;
use crate::listener::Connections;
use crate::operator::{IDLE_MAX, UNBEGUN, gathered};
use crate::warden::{InForce, Now, Shut, Warden};
use api::operator::{
    Cancel, Cancelled, Ceremonies, Ceremony, Gathered, GiveShare, HandedOut, Rekey, Sealed, Split, Unsealed,
};
use api::status::Seal;
use app::code::{SEAL_INVALID, SEAL_KIND, SEAL_SEALED};
use app::{Arrival, Authorized, Refusal};
use crypto::id::BackupId;
use crypto::seam::Seal as _;
use futures::future::BoxFuture;
use ledger::access_log::AccessLog;
use ledger::{Class, Ledger};
use rest::{Backups, Gauge, ShownBackup, Surroundings};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The server as its doors see it.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) warden: Arc<Warden>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) clock: Option<Arc<SystemClock>>,
}

/// What is told while the store has no room.
pub(crate) const FULL: &str =
    "writes are unavailable: the store's disk is full; reads go on, and so does what takes rights away";

/// What is told while the server has no root key.
const SEALED: &str = "the server is sealed";

impl Surroundings for House {
    fn seal(&self) -> Seal {
        match &*self.warden.shut.lock() {
            None => Seal::Open,
            Some(Shut::Unbegun(_)) => Seal::Uninitialised,
            Some(Shut::Wanting(_) | Shut::Turning) => Seal::Sealed,
        }
    }

    fn wanted(&self) -> Option<Gathered> {
        let now = self.warden.ground.seams.clock.monotonic();
        let mut shut = self.warden.shut.lock();
        let gathering = match &mut *shut {
            Some(Shut::Unbegun(Some(handed))) => &mut handed.gathering,
            Some(Shut::Wanting(gathering)) => gathering,
            _ => return None,
        };
        gathering.expire(now, IDLE_MAX);
        Some(gathered(gathering))
    }

    fn turn_away(&self, arrival: Arrival) -> BoxFuture<'_, Refusal> {
        let why = match (self.seal(), self.wanted()) {
            (Seal::Uninitialised, None) => UNBEGUN.to_owned(),
            (_, Some(wanted)) => format!(
                "the server is sealed; {} of {} shares of set {} were given",
                wanted.given, wanted.threshold, wanted.set
            ),
            _ => SEALED.to_owned(),
        };
        let route = arrival.route;
        self.refuse(arrival, route, Refusal::new(&SEAL_SEALED, why))
    }

    fn refuse(&self, arrival: Arrival, act: &'static str, refusal: Refusal) -> BoxFuture<'_, Refusal> {
        Box::pin(async move {
            match self.warden.record(&arrival, act, Some(&refusal)).await {
                Ok(()) => refusal,
                Err(unrecorded) => unrecorded,
            }
        })
    }

    fn init(&self, arrival: Arrival, split: Split) -> BoxFuture<'_, Result<HandedOut, Refusal>> {
        Box::pin(async move {
            let outcome = self.warden.init(&split);
            self.warden.record(&arrival, "operator.init", outcome.as_ref().err()).await?;
            outcome
        })
    }

    fn unseal(&self, arrival: Arrival, share: GiveShare) -> BoxFuture<'_, Result<Unsealed, Refusal>> {
        Box::pin(async move {
            let outcome = self.warden.unseal(share).await;
            self.warden.record(&arrival, "operator.unseal", outcome.as_ref().err()).await?;
            outcome
        })
    }

    fn shut(&self, grant: Authorized) -> BoxFuture<'static, Result<Sealed, Refusal>> {
        let warden = Arc::clone(&self.warden);
        Box::pin(async move {
            let sealed = warden.seal();
            drop(grant);
            sealed
        })
    }

    fn is_ready(&self) -> bool {
        self.warden.now().is_some_and(|now| !now.inside.ledger.is_broken() && !now.inside.log.is_failing())
    }

    fn hindrance(&self) -> Option<&'static str> {
        let Some(Now { inside: Inside { ledger, log, .. }, .. }) = self.warden.now() else {
            return Some(if self.seal() == Seal::Uninitialised { UNBEGUN } else { SEALED });
        };
        if ledger.is_broken() {
            Some("the store failed while writing; the server stops")
        } else if log.is_failing() {
            Some("nothing is answered: no sink of the access log takes rows")
        } else if ledger.is_full() || log.is_tapped() {
            Some(FULL)
        } else {
            None
        }
    }

    fn warning(&self) -> Option<&'static str> {
        self.warden.now().is_some_and(|now| now.backups.is_failing()).then_some(backup::FAILED)
    }

    fn backups(&self) -> Arc<dyn Backups> {
        match self.warden.now() {
            Some(Now { backups, .. }) => Arc::new(backups),
            None => Arc::new(Closed),
        }
    }

    fn gauges(&self) -> Vec<Gauge> {
        let mut all = vec![
            now("aumbry_sealed", "Whether the server lacks its root key.", u64::from(self.seal() != Seal::Open)),
            now(
                "aumbry_ready",
                "Whether requests are served; on a full disk they are, but for changes.",
                u64::from(self.is_ready()),
            ),
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
        if let Some(Now { inside: Inside { ledger, log, .. }, backups, witnesses, .. }) = self.warden.now() {
            all.extend(backups.gauges());
            all.extend(witnesses.gauges(&ledger));
            all.extend(of_ledger(&ledger, log.is_tapped()));
            all.extend(of_log(&log));
            all.extend(of_sinks(&log));
        }
        all
    }

    fn begin_rekey(&self, grant: Authorized, rekey: Rekey) -> BoxFuture<'static, Result<Ceremony, Refusal>> {
        let warden = Arc::clone(&self.warden);
        Box::pin(async move { warden.begin_rekey(grant.facts().entity, rekey) })
    }

    fn ceremonies(&self) -> Ceremonies {
        Ceremonies { items: self.warden.under_way().into_iter().collect() }
    }

    fn give(&self, grant: Authorized, share: GiveShare) -> BoxFuture<'static, Result<Ceremony, Refusal>> {
        Box::pin(Arc::clone(&self.warden).give(grant, share))
    }

    fn cancel(&self, _grant: Authorized, cancel: Cancel) -> BoxFuture<'static, Result<Cancelled, Refusal>> {
        let warden = Arc::clone(&self.warden);
        Box::pin(async move { warden.cancel(cancel) })
    }

    fn rekey(&self, grant: Authorized) -> BoxFuture<'static, Result<String, Refusal>> {
        let (now, entropy) = (self.warden.now(), Arc::clone(&self.warden.ground.seams.entropy));
        Box::pin(async move {
            let Some(Now { seal, .. }) = now else { return Err(Refusal::new(&SEAL_SEALED, SEALED)) };
            let InForce::File(seal) = seal.get() else {
                let why = "the key of this server's seal is in shares; `aumbry operator rekey` replaces it";
                return Err(Refusal::new(&SEAL_KIND, why));
            };
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

/// The backups of a sealed server.
#[derive(Debug)]
struct Closed;

fn closed<T: Send + 'static>() -> BoxFuture<'static, Result<T, Refusal>> {
    Box::pin(std::future::ready(Err(Refusal::new(&SEAL_SEALED, SEALED))))
}

impl Backups for Closed {
    fn list(&self, _grant: Authorized) -> BoxFuture<'static, Result<Vec<ShownBackup>, Refusal>> {
        closed()
    }

    fn begin(&self, _grant: Authorized) -> BoxFuture<'static, Result<ShownBackup, Refusal>> {
        closed()
    }

    fn part(&self, _grant: Authorized, _id: BackupId, _from: u64) -> BoxFuture<'static, Result<Vec<u8>, Refusal>> {
        closed()
    }

    fn remove(&self, _grant: Authorized, _id: BackupId) -> BoxFuture<'static, Result<(), Refusal>> {
        closed()
    }
}

fn now(name: &'static str, about: &'static str, value: u64) -> Gauge {
    Gauge { name, about, counter: false, label: None, value }
}

fn count(name: &'static str, about: &'static str, value: u64) -> Gauge {
    Gauge { name, about, counter: true, label: None, value }
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn of_ledger(ledger: &Ledger, is_tapped: bool) -> [Gauge; 4] {
    let head = ledger.head();
    [
        now(
            "aumbry_storage_full",
            "Whether the store has no room for changes.",
            u64::from(ledger.is_full() || is_tapped),
        ),
        now("aumbry_ledger_batch", "Number of the newest batch.", head.batch.0),
        now("aumbry_ledger_size", "Entries in the ledger.", head.size),
        now("aumbry_ledger_unfolded", "Batches not folded into records yet.", number(ledger.unfolded())),
    ]
}

fn of_log(log: &AccessLog) -> [Gauge; 6] {
    let counters = log.counters();
    [
        count("aumbry_access_rows_total", "Rows written to the access log.", counters.rows()),
        count("aumbry_access_groups_total", "Writes that brought them.", counters.groups()),
        count("aumbry_access_refused_total", "Requests refused because no sink took their row.", counters.refused()),
        now("aumbry_access_failing", "Whether no sink that keeps rows takes them.", u64::from(log.is_failing())),
        count("aumbry_access_shared_total", "Unauthenticated refusals that share a row.", counters.shared()),
        now("aumbry_access_unanchored", "Closed segments without an entry.", number(log.unanchored())),
    ]
}

/// Sums over sinks of one kind, so that each series stands there once.
fn of_sinks(log: &AccessLog) -> Vec<Gauge> {
    let mut kinds: BTreeMap<&'static str, [u64; 3]> = BTreeMap::new();
    for (name, sink) in log.sinks() {
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

/// Labels come from a closed set.
fn known_sink(name: &str) -> &'static str {
    ["file", "store", "stream"].into_iter().find(|known| *known == name).unwrap_or("other")
}
