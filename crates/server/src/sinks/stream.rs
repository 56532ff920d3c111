//! The `stream` sink: one JSON line per row to standard output or a socket, without names.

use crypto::id::TenantId;
use ledger::access_log::{Chunk, Numbered, Sink, SinkError, shown};
use serde::Serialize;
use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use storage::BoxFuture;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Mutex;

/// Where a stream goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamTarget {
    /// Standard output.
    Stdout,
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP peer, as `host:port`.
    Tcp(String),
}

/// A text that names no target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadTarget;

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be `stdout`, `unix:/path` or `tcp:host:port`")
    }
}

impl std::error::Error for BadTarget {}

impl FromStr for StreamTarget {
    type Err = BadTarget;

    fn from_str(text: &str) -> Result<StreamTarget, BadTarget> {
        match text.split_once(':') {
            None if text == "stdout" => Ok(StreamTarget::Stdout),
            Some(("unix", path)) if path.starts_with('/') => Ok(StreamTarget::Unix(path.into())),
            Some(("tcp", peer)) if has_port(peer) => Ok(StreamTarget::Tcp(peer.to_owned())),
            _ => Err(BadTarget),
        }
    }
}

fn has_port(peer: &str) -> bool {
    peer.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Gives names a keyed hash, so that lines of one name can be found together by who may ask for the hash.
pub trait HashedNames: Send + Sync + fmt::Debug {
    /// The hash of a name, another one per tenant and sink; `None` while there is no key.
    fn hashed(&self, tenant: TenantId, sink: &str, name: &str) -> Option<[u8; 16]>;
}

/// Sends lines; must run inside a tokio runtime.
///
/// Paths are hashed and policy names left out. A sequence number that comes again replaces the line before: that one's
/// request was refused. A line may come twice after a connection broke.
#[derive(Debug)]
pub struct StreamSink {
    target: StreamTarget,
    names: Arc<dyn HashedNames>,
    peer: Mutex<Option<Peer>>,
    is_printing: Arc<AtomicBool>,
}

struct Peer(Box<dyn AsyncWrite + Send + Unpin>);

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peer")
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time_ms: u64,
    log: String,
    segment: u64,
    sequence: u64,
    tenant: TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<crypto::id::EntityId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<crypto::id::SessionId>,
    source: String,
    act: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<ledger::Position>,
    count: u32,
    request: String,
}

impl StreamSink {
    /// A sink to this target, connected when the first rows come.
    pub fn new(target: StreamTarget, names: Arc<dyn HashedNames>) -> StreamSink {
        StreamSink { target, names, peer: Mutex::new(None), is_printing: Arc::default() }
    }

    fn lines(&self, chunk: &Chunk<'_>) -> Result<Vec<u8>, SinkError> {
        let mut out = Vec::with_capacity(chunk.rows.len().saturating_mul(320));
        for numbered in chunk.rows {
            let line = self.line(&chunk.header.log.to_string(), numbered);
            serde_json::to_writer(&mut out, &line).map_err(|error| SinkError::Unavailable(error.to_string()))?;
            out.push(b'\n');
        }
        Ok(out)
    }

    fn line<'a>(&self, log: &str, numbered: &'a Numbered) -> Line<'a> {
        let row = &numbered.row;
        let hashed = |path: &String| self.names.hashed(row.tenant, self.name(), path);
        Line {
            time_ms: row.time.0,
            log: log.to_owned(),
            segment: numbered.segment,
            sequence: numbered.sequence,
            tenant: row.tenant,
            entity: row.entity,
            session: row.session,
            source: shown(&row.source),
            act: shown(&row.act),
            path_hash: row.path.as_ref().and_then(hashed).map(|hash| hex(&hash)),
            version: row.version,
            outcome: &row.outcome,
            position: row.position,
            count: row.count,
            request: hex(&row.request),
        }
    }

    async fn send(&self, lines: Vec<u8>) -> std::io::Result<()> {
        let mut held = self.peer.lock().await;
        // Taken out while it is written to: a write that is given up leaves no half line to go on from.
        let mut peer = match (held.take(), &self.target) {
            (Some(peer), _) => peer,
            (None, StreamTarget::Stdout) => return self.print(lines).await,
            (None, StreamTarget::Unix(path)) => Peer(Box::new(UnixStream::connect(path).await?)),
            (None, StreamTarget::Tcp(peer)) => Peer(Box::new(TcpStream::connect(peer).await?)),
        };
        peer.0.write_all(&lines).await?;
        peer.0.flush().await?;
        *held = Some(peer);
        Ok(())
    }

    /// Standard output may hang for as long as nobody reads it, so at most one thread waits for it.
    async fn print(&self, lines: Vec<u8>) -> std::io::Result<()> {
        let busy = Arc::clone(&self.is_printing);
        if busy.swap(true, Ordering::AcqRel) {
            return Err(std::io::Error::new(ErrorKind::WouldBlock, "nobody reads standard output"));
        }
        let printed = tokio::task::spawn_blocking(move || {
            let mut out = std::io::stdout().lock();
            let written = out.write_all(&lines).and_then(|()| out.flush());
            busy.store(false, Ordering::Release);
            written
        });
        printed.await.map_err(std::io::Error::other)?
    }
}

impl Sink for StreamSink {
    fn name(&self) -> &'static str {
        "stream"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(async move {
            let lines = self.lines(&chunk)?;
            self.send(lines).await.map_err(|error| SinkError::Unavailable(error.to_string()))
        })
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests;
