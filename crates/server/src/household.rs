//! What is there only while the server has its root key: ledger, access log, use cases, and the work beside requests.

use crate::backup;
use crate::build::{Ground, SHARD, rules};
use crate::config::{BackupSection, Config, Keep};
use crate::retention::Retention;
use crate::run::Ended;
use crate::sinks::{Opening, StreamSink};
use crate::start_error::StartError;
use crate::tasks::{self, TokioDelay, TokioTasks};
use crate::witness::Witnesses;
use app::App;
use crypto::seam::Seal;
use ledger::access_log::{AccessLog, RowKeys, Sink};
use ledger::{Ledger, Opened};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What requests are answered with. Whoever holds a clone holds the keys.
#[derive(Clone, Debug)]
pub struct Inside {
    /// The use cases.
    pub app: App,
    /// The ledger.
    pub ledger: Ledger,
    /// The access log.
    pub log: AccessLog,
}

/// An opened server without its listener.
#[derive(Debug)]
pub(crate) struct Household {
    pub(crate) inside: Inside,
    pub(crate) backups: backup::Keeper,
    pub(crate) witnesses: Arc<Witnesses>,
    streams: Vec<Arc<StreamSink>>,
    drivers: Vec<JoinHandle<()>>,
    tasks: Vec<JoinHandle<()>>,
    end: watch::Sender<bool>,
}

/// Longest wait for the log and the ledger to write what waits.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// Time between two looks whether requests still run.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Longest wait for streams to send what waits.
const STREAMS_MAX: Duration = Duration::from_secs(3);

impl Household {
    /// Opens ledger and log. Errors: what is in the way, by name; nothing is left open then.
    ///
    /// `seal` opens; `current` is the one in force then and after later rekeys.
    pub(crate) async fn open(
        ground: &Ground,
        seal: Arc<dyn Seal>,
        current: Arc<dyn Seal>,
    ) -> Result<Household, StartError> {
        let witnesses = Witnesses::new(&ground.config.witness)?;
        let opened = open_ledger(ground, seal).await;
        let Opened { ledger, drivers, .. } =
            opened.map_err(|refusal| StartError::ledger(&refusal, &ground.places.seal))?;
        let drivers: Vec<JoinHandle<()>> = drivers.into_iter().map(tokio::spawn).collect();
        let witnesses = Arc::new(witnesses);
        if let Err(error) = witnesses.check(&ledger).await {
            ledger.close();
            futures::future::join_all(drivers).await;
            return Err(error);
        }
        let (log, streams) = match open_log(ground, &ledger).await {
            Ok(opened) => opened,
            Err(error) => {
                ledger.close();
                return Err(error);
            }
        };
        let home = app::bootstrap::home(&ledger).await?;
        let app = App::new(app::Parts {
            ledger: ledger.clone(),
            access_log: log.clone(),
            anchor: Arc::new(ledger.clone()),
            decider: Arc::new(access::Decider::new()),
            clock: Arc::clone(&ground.seams.clock),
            entropy: Arc::clone(&ground.seams.entropy),
            tasks: Arc::new(TokioTasks),
            home,
        });
        let backups = keep_backups(ground, &ledger, current);
        let inside = Inside { app, ledger, log };
        Ok(Household { inside, backups, witnesses, streams, drivers, tasks: Vec::new(), end: watch::channel(false).0 })
    }

    /// Begins the work beside requests. `broken` becomes true when the store breaks.
    pub(crate) fn work(&mut self, ground: &Ground, broken: watch::Sender<bool>) {
        let Inside { app, ledger, log } = &self.inside;
        let (config, end) = (&ground.config, &self.end);
        let retention = Retention { keep: config.access.keep, clock: Arc::clone(&ground.seams.clock) };
        self.tasks = vec![
            tokio::spawn(tasks::keep_access_log(log.clone(), Some(ledger.clone()), end.subscribe())),
            tokio::spawn(tasks::watch_room(ledger.clone(), log.clone(), end.subscribe())),
            tokio::spawn(tasks::keep_keys(app.clone(), config.keys.rotate_every.0, end.subscribe())),
            tokio::spawn(tasks::keep_uses(app.clone(), end.subscribe())),
            tokio::spawn(tasks::give_notices(app.clone(), end.subscribe())),
            tokio::spawn(tasks::sweep_tokens(app.clone(), end.subscribe())),
            tokio::spawn(tasks::empty_tenants(app.clone(), end.subscribe())),
            tokio::spawn(retention.run(log.clone(), ledger.clone(), end.subscribe())),
            tokio::spawn(self.backups.clone().run(end.subscribe())),
            tokio::spawn(Arc::clone(&self.witnesses).run(ledger.clone(), end.subscribe())),
            tokio::spawn(tasks::remake_rows(app.clone(), ledger.head().size, ledger.is_shared())),
            tokio::spawn(tasks::watch_store(ledger.clone(), broken, end.subscribe())),
        ];
    }

    /// Waits until nothing but the household itself holds its keys: no request runs, no work goes on beside them.
    ///
    /// Nothing new may begin any more. Answers whether that was reached in time.
    pub(crate) async fn drained(&mut self, longest: Duration) -> bool {
        self.end.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            let _ = tokio::time::timeout(SETTLE_MAX, task).await;
        }
        let waiting = async {
            while self.inside.app.holders() > 1 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(longest, waiting).await.is_ok()
    }

    /// Ends the work, writes what waits and lets go of every key. Requests have ended before.
    pub(crate) async fn close(self, ended: Ended) {
        let Household { inside: Inside { app, ledger, log }, backups, streams, drivers, tasks, end, .. } = self;
        end.send_replace(true);
        for task in tasks {
            let _ = tokio::time::timeout(SETTLE_MAX, task).await;
        }
        if ended == Ended::AsTold
            && let Err(refusal) = log.close(&ledger).await
        {
            tracing::warn!(code = refusal.code.name, "the last segment of the access log has no entry yet");
        }
        let _ = tokio::time::timeout(SETTLE_MAX, log.tick(None)).await;
        let sent = futures::future::join_all(streams.iter().map(|stream| stream.sent()));
        if tokio::time::timeout(STREAMS_MAX, sent).await.is_err() {
            tracing::warn!("a stream of the access log did not get its last rows; the sinks that keep rows have them");
        }
        drop(streams);
        ledger.close();
        drop((app, ledger, log, backups));
        for driver in drivers {
            let _ = tokio::time::timeout(SETTLE_MAX, driver).await;
        }
    }
}

fn keep_backups(ground: &Ground, ledger: &Ledger, seal: Arc<dyn Seal>) -> backup::Keeper {
    let config = &ground.config.backup;
    // A folder on the same disk is no place to fill by itself.
    let every = if config.folder.0.is_some() { config.every } else { Keep::Always };
    let BackupSection { keep, keep_for, verify, .. } = *config;
    let settings = backup::Settings { every, keep, keep_for, verify };
    let (clock, entropy) = (Arc::clone(&ground.seams.clock), Arc::clone(&ground.seams.entropy));
    backup::Keeper::new(ground.places.backups.clone(), settings, ledger.clone(), seal, clock, entropy)
}

async fn open_ledger(ground: &Ground, seal: Arc<dyn Seal>) -> Result<Opened, ledger::Refusal> {
    let parts = ledger::Parts {
        storage: Arc::clone(&ground.storage),
        shard: SHARD,
        seal,
        clock: Arc::clone(&ground.seams.clock),
        entropy: Arc::clone(&ground.seams.entropy),
        delay: Arc::new(TokioDelay),
        rules: rules(),
        cluster: ground.config.ledger.cluster.clone(),
        // The ledger takes this much for records and as much again for values.
        cache_bytes: ground.config.cache.bytes.0 / 2,
        sharing: ground.shared.then(|| sharing(&ground.config)),
    };
    ledger::open(parts).await
}

/// What the server is among others on its database.
fn sharing(config: &Config) -> ledger::Sharing {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    ledger::Sharing {
        name: given(&config.cluster.node).or_else(|| host().ok()).unwrap_or_default(),
        address: given(&config.cluster.address).unwrap_or_else(|| config.rest.listen.to_string()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        max_stale: config.cache.max_stale.0,
    }
}

async fn open_log(ground: &Ground, ledger: &Ledger) -> Result<(AccessLog, Vec<Arc<StreamSink>>), StartError> {
    let Ground { config, places, seams, storage, .. } = ground;
    let (sinks, streams) = match &seams.sinks {
        Some(sinks) => (sinks.clone(), Vec::new()),
        None => Opening { config: &config.access, places, ledger, storage, clock: &seams.clock }.sinks().await?,
    };
    Ok((begin_log(ground, sinks, Arc::new(ledger.clone())).await?, streams))
}

/// Goes on with the log that the sinks hold.
pub(crate) async fn begin_log(
    ground: &Ground,
    sinks: Vec<Arc<dyn Sink>>,
    keys: Arc<dyn RowKeys>,
) -> Result<AccessLog, StartError> {
    let parts = ledger::access_log::Parts {
        sinks,
        keys,
        clock: Arc::clone(&ground.seams.clock),
        entropy: Arc::clone(&ground.seams.entropy),
        delay: Arc::new(TokioDelay),
    };
    let (log, recovery) = AccessLog::open(parts).await?;
    if let Some(torn) = recovery.torn {
        tracing::warn!(segment = torn.segment, bytes = torn.bytes, "a torn tail of the access log was cut off");
    }
    for bad in recovery.damaged {
        tracing::error!(?bad, "the access log is damaged; `aumbry access verify` names it");
    }
    Ok(log)
}
