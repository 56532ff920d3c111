//! A built server: running it, and ending it so that nothing that was answered is lost.

use crate::backup::Keeper;
use crate::listener::{Connections, Listener};
use crate::retention::Retention;
use crate::sinks::StreamSink;
use crate::tasks;
use crate::tls::Identity;
use app::App;
use ledger::Ledger;
use ledger::access_log::AccessLog;
use rest::Door;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use storage::Storage;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A server that is bound and opened and answers as soon as it runs.
#[derive(Debug)]
#[must_use = "a server answers nothing until it runs"]
pub struct Built {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its use cases, for what the server itself does.
    pub app: App,
    /// Its ledger.
    pub ledger: Ledger,
    /// Its access log.
    pub log: AccessLog,
    /// The certificate it shows.
    pub identity: Identity,
    /// Whether this was the first start on its data folder.
    pub begun: bool,
    pub(crate) listener: Listener,
    pub(crate) door: Door,
    pub(crate) connections: Arc<Connections>,
    pub(crate) drivers: Vec<JoinHandle<()>>,
    pub(crate) rotate_every: Duration,
    pub(crate) retention: Retention,
    pub(crate) backups: Keeper,
    pub(crate) streams: Vec<Arc<StreamSink>>,
    pub(crate) drain: Duration,
    pub(crate) storage: Arc<dyn Storage>,
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to, and everything answered is on stable storage.
    AsTold,
    /// The store broke: nothing more is written by this process, and the next start reads back what is there.
    Broken,
}

/// Longest wait for the log and the ledger to write what waits.
const SETTLE_MAX: Duration = Duration::from_secs(10);

/// Longest wait for streams to send what waits.
const STREAMS_MAX: Duration = Duration::from_secs(3);

impl Built {
    /// The routes it answers.
    #[must_use]
    pub fn routes(&self) -> &[rest::Route] {
        self.door.routes()
    }

    /// Answers requests until `stop` becomes true or the store breaks; then lets running ones end, writes what waits
    /// and frees the address and the data folder.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Ended {
        let Built { app, ledger, log, listener, door, connections, drivers, drain, storage, streams, .. } = self;
        let (end, ending) = watch::channel(false);
        let tasks = [
            tokio::spawn(tasks::keep_access_log(log.clone(), ledger.clone(), ending.clone())),
            tokio::spawn(tasks::watch_room(ledger.clone(), log.clone(), ending.clone())),
            tokio::spawn(tasks::keep_keys(app.clone(), self.rotate_every, ending.clone())),
            tokio::spawn(tasks::keep_uses(app.clone(), ending.clone())),
            tokio::spawn(tasks::give_notices(app.clone(), ending.clone())),
            tokio::spawn(tasks::sweep_tokens(app.clone(), ending.clone())),
            tokio::spawn(tasks::empty_tenants(app.clone(), ending.clone())),
            tokio::spawn(self.retention.run(log.clone(), ledger.clone(), ending.clone())),
            tokio::spawn(self.backups.run(ending.clone())),
            tokio::spawn(tasks::remake_rows(app.clone(), ledger.head().size)),
        ];
        let serving = tokio::spawn(listener.serve(door, connections, ending, drain));
        let ended = tokio::select! {
            _ = async { drop(stop.wait_for(|stop| *stop).await) } => Ended::AsTold,
            () = ledger.broken() => Ended::Broken,
        };
        if ended == Ended::Broken {
            tracing::error!("the store failed and takes no more writes; stopping");
        }
        end.send_replace(true);
        let _ = serving.await;
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
        drop((app, ledger, log));
        for driver in drivers {
            let _ = tokio::time::timeout(SETTLE_MAX, driver).await;
        }
        // Closing a store waits for its threads.
        let _ = tokio::task::spawn_blocking(move || drop(storage)).await;
        ended
    }
}
