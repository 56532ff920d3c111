//! The access log while the server has no key: rows hold time, route, source and outcome in clear, in the same chain.

use crate::build::{Ground, SHARD};
use crate::config::AccessSync;
use crate::household::begin_log;
use crate::sinks::{FileSink, Names, SinkChoice, StreamSink, WhenSynced};
use crate::start_error::StartError;
use crate::tasks;
use app::Refusal;
use app::code::SEAL_SEALED;
use crypto::aead::{Key, LogKey};
use crypto::id::{KeyId, TenantId};
use ledger::access_log::{AccessLog, Role, RowKeys, Sink, StoreSink};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A log without keys, and the work that keeps it.
#[derive(Debug)]
pub(crate) struct SealedLog {
    pub(crate) log: AccessLog,
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Longest wait for what is still to be written.
const SETTLE_MAX: Duration = Duration::from_secs(10);

impl SealedLog {
    /// Goes on with the log. `None` where no sink keeps rows before the first start: then they stand in the server's log only.
    pub(crate) async fn open(ground: &Ground) -> Result<Option<SealedLog>, StartError> {
        let sinks = match &ground.seams.sinks {
            Some(sinks) => sinks.clone(),
            None => sinks(ground).await?,
        };
        if !sinks.iter().any(|sink| sink.role() == Role::Keeps) {
            return Ok(None);
        }
        let log = begin_log(ground, sinks, Arc::new(NoKeys)).await?;
        let (end, ending) = watch::channel(false);
        let task = tokio::spawn(tasks::keep_access_log(log.clone(), None, ending));
        Ok(Some(SealedLog { log, end, task }))
    }

    /// Writes what waits and lets go of the sinks.
    pub(crate) async fn close(self) {
        self.end.send_replace(true);
        let _ = tokio::time::timeout(SETTLE_MAX, self.task).await;
        let _ = tokio::time::timeout(SETTLE_MAX, self.log.tick(None)).await;
    }
}

async fn sinks(ground: &Ground) -> Result<Vec<Arc<dyn Sink>>, StartError> {
    let (config, places) = (&ground.config.access, &ground.places);
    let mut sinks: Vec<Arc<dyn Sink>> = Vec::new();
    for choice in &config.sinks.0 {
        match choice {
            SinkChoice::File => {
                let when = match config.sync {
                    AccessSync::Second => WhenSynced::EachSecond,
                    AccessSync::Always => WhenSynced::Always,
                };
                let file = FileSink::open(&places.access, when, Arc::clone(&ground.seams.clock));
                sinks.push(Arc::new(file.map_err(crate::sinks::refused)?));
            }
            SinkChoice::Store => {
                // Its owner is named in the ledger, which is shut; rows of before tell it.
                let owners = StoreSink::owners(&*ground.storage, SHARD).await;
                let owners = owners.map_err(|error| crate::sinks::unreadable("store", &error))?;
                if let [owner] = owners.as_slice() {
                    let durable = config.sync == AccessSync::Always;
                    sinks.push(Arc::new(StoreSink::new(Arc::clone(&ground.storage), SHARD, *owner, durable)));
                }
            }
            // Nothing in these rows is anybody's name.
            SinkChoice::Stream(target) => sinks.push(Arc::new(StreamSink::new(target.clone(), Names::InClear))),
        }
    }
    Ok(sinks)
}

#[derive(Debug)]
struct NoKeys;

impl RowKeys for NoKeys {
    fn current(&self, _tenant: TenantId) -> Result<Arc<Key<LogKey>>, Refusal> {
        Err(Refusal::new(&SEAL_SEALED, "the server is sealed"))
    }

    fn by_id(&self, _tenant: TenantId, _id: KeyId) -> Result<Arc<Key<LogKey>>, Refusal> {
        Err(Refusal::new(&SEAL_SEALED, "the server is sealed"))
    }
}
