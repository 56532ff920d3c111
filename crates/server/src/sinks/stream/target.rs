//! Where a stream goes.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

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
        f.write_str("a stream goes to `stdout`, `unix:/path` or `tcp:host:port`")
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

impl fmt::Display for StreamTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StreamTarget::Stdout => f.write_str("stdout"),
            StreamTarget::Unix(path) => write!(f, "unix:{}", path.display()),
            StreamTarget::Tcp(peer) => write!(f, "tcp:{peer}"),
        }
    }
}

fn has_port(peer: &str) -> bool {
    peer.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// An open way to the target.
pub(super) struct Peer(Option<Box<dyn AsyncWrite + Send + Unpin>>);

impl Peer {
    /// Connects within `patience`.
    pub(super) async fn reach(target: &StreamTarget, patience: Duration) -> io::Result<Peer> {
        let socket: Box<dyn AsyncWrite + Send + Unpin> = match target {
            StreamTarget::Stdout => return Ok(Peer(None)),
            StreamTarget::Unix(path) => Box::new(in_time(patience, UnixStream::connect(path)).await?),
            StreamTarget::Tcp(peer) => {
                let stream = in_time(patience, TcpStream::connect(peer)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        };
        Ok(Peer(Some(socket)))
    }

    /// Writes all of it. After an error the peer must be dropped, so that no half line is gone on from.
    pub(super) async fn write(&mut self, lines: &[u8], patience: Duration) -> io::Result<()> {
        let Some(socket) = &mut self.0 else { return print(lines.to_vec()).await };
        let written = async {
            socket.write_all(lines).await?;
            socket.flush().await
        };
        in_time(patience, written).await
    }
}

async fn in_time<T>(patience: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, work).await.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

/// Standard output hangs for as long as nobody reads it, and cannot be given up without leaving half a line.
async fn print(lines: Vec<u8>) -> io::Result<()> {
    let printed = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(&lines).and_then(|()| out.flush())
    });
    printed.await.map_err(io::Error::other)?
}
