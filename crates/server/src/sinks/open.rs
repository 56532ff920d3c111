//! From the configuration to the sinks of a running log, and to the shelves of one at rest.

use super::folder::Refused;
use super::past::PastSink;
use super::shelf::FileShelf;
use super::stream::{Names, StreamSink, StreamTarget};
use super::{FileSink, SinkChoice, WhenSynced};
use crate::build::SHARD;
use crate::config::{AccessSection, AccessSync};
use crate::places::Places;
use crate::start_error::StartError;
use api::Class;
use crypto::seam::Clock;
use ledger::Ledger;
use ledger::access_log::{Shelf, Sink, SinkError, StoreSink};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use storage::Storage;

/// What sinks are opened with.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) config: &'a AccessSection,
    pub(crate) places: &'a Places,
    pub(crate) ledger: &'a Ledger,
    pub(crate) storage: &'a Arc<dyn Storage>,
    pub(crate) clock: &'a Arc<dyn Clock>,
}

impl Opening<'_> {
    /// The sinks that are named, and those that have rows of before. Streams are given once more by their own type.
    ///
    /// Errors: a folder or store that cannot be used, by name.
    pub(crate) async fn sinks(self) -> Result<(Vec<Arc<dyn Sink>>, Vec<Arc<StreamSink>>), StartError> {
        let (mut sinks, mut streams): (Vec<Arc<dyn Sink>>, _) = (Vec::new(), Vec::new());
        for choice in &self.config.sinks.0 {
            match choice {
                SinkChoice::File => sinks.push(Arc::new(self.file()?)),
                SinkChoice::Store if self.ledger.is_shared() => {
                    let what = "`access.sinks` names `store`, and other servers may share this database";
                    let hint =
                        "use `file`: each server keeps the rows of its own requests, and anchors them in the ledger";
                    return Err(StartError::new(Class::Invalid, "serve.config", what, hint));
                }
                SinkChoice::Store => sinks.push(Arc::new(self.store()?)),
                SinkChoice::Stream(target) => streams.push(Arc::new(self.stream(target))),
            }
        }
        sinks.extend(self.past().await?);
        sinks.extend(streams.iter().map(|stream| -> Arc<dyn Sink> { Arc::clone(stream) as _ }));
        Ok((sinks, streams))
    }

    fn file(&self) -> Result<FileSink, StartError> {
        let when = match self.config.sync {
            AccessSync::Second => WhenSynced::EachSecond,
            AccessSync::Always => WhenSynced::Always,
        };
        let opened = FileSink::open(&self.places.access, when, Arc::clone(self.clock));
        opened.map_err(refused)
    }

    fn store(&self) -> Result<StoreSink, StartError> {
        let durable = self.config.sync == AccessSync::Always;
        Ok(StoreSink::new(Arc::clone(self.storage), SHARD, self.ledger.access_owner()?, durable))
    }

    fn stream(&self, target: &StreamTarget) -> StreamSink {
        if self.config.danger_stream_names {
            tracing::warn!(to = %target, "danger_stream_names is on: a stream of the access log shows names");
            if leaves_the_host(target) {
                tracing::warn!(to = %target, "these names cross the network unencrypted");
            }
            return StreamSink::new(target.clone(), Names::InClear);
        }
        StreamSink::new(target.clone(), Names::Hashed(Arc::new(self.ledger.clone())))
    }

    /// Sinks that are not named and have rows: the log goes on from them, and they are read.
    async fn past(&self) -> Result<Vec<Arc<dyn Sink>>, StartError> {
        let named = |wanted: &SinkChoice| self.config.sinks.0.contains(wanted);
        let mut past: Vec<Arc<dyn Sink>> = Vec::new();
        if !named(&SinkChoice::File) && self.places.access.exists() {
            let file = FileSink::at_rest(&self.places.access, Arc::clone(self.clock));
            past.push(Arc::new(file.map_err(refused)?));
        }
        if !named(&SinkChoice::Store) {
            past.push(Arc::new(self.store()?));
        }
        let mut found: Vec<Arc<dyn Sink>> = Vec::new();
        for sink in past {
            if has_rows(&*sink).await.map_err(|error| unreadable(sink.name(), &error))? {
                tracing::info!(sink = sink.name(), "earlier rows of the access log are read where they are");
                found.push(Arc::new(PastSink(sink)));
            }
        }
        Ok(found)
    }
}

async fn has_rows(sink: &dyn Sink) -> Result<bool, SinkError> {
    match sink.shelf() {
        Some(shelf) => Ok(shelf.range().await?.is_some()),
        None => Ok(false),
    }
}

pub(crate) fn refused(error: Refused) -> StartError {
    StartError::new(Class::Invalid, SINK, error, "put right what it names, then start again")
}

pub(crate) fn unreadable(sink: &str, error: &SinkError) -> StartError {
    let what = format!("the access log's `{sink}` sink {error}");
    StartError::new(Class::Unavailable, SINK, what, "put right what it names, then start again")
}

const SINK: &str = "serve.access_log";

/// Every place with rows of a server that does not run: the folder, and one for each owner in the store. Nothing in them
/// is changed.
pub(crate) async fn shelves_at_rest(
    folder: &Path,
    storage: &Arc<dyn Storage>,
) -> Result<Vec<Box<dyn Shelf>>, StartError> {
    let failed = |error: SinkError| unreadable("store", &error);
    let file = FileShelf::open(folder).map_err(refused)?;
    let mut shelves: Vec<Box<dyn Shelf>> = Vec::new();
    shelves.extend(file.map(|file| -> Box<dyn Shelf> { Box::new(file) }));
    for owner in StoreSink::owners(&**storage, SHARD).await.map_err(failed)? {
        shelves.push(Box::new(StoreSink::new(Arc::clone(storage), SHARD, owner, false)));
    }
    Ok(shelves)
}

/// Whether lines go to another host, as far as the address tells.
fn leaves_the_host(target: &StreamTarget) -> bool {
    let StreamTarget::Tcp(peer) = target else { return false };
    let host = peer.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
    host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
