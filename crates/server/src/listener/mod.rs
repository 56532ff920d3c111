//! The listener: accepts, shakes hands, bounds what a connection may do, hands requests to a door.
//!
//! Nothing is parsed before its limit is known: handshake and headers have a deadline, headers a size and a
//! number, HTTP/2 its streams and resets. What was chosen in the handshake (ALPN) decides the protocol, so
//! that no byte is read without a deadline.

mod connection;
mod limits;
mod stall;

pub use limits::Limits;

use crate::tls::Identity;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// What answers requests: a door.
pub trait Answer: Clone + Send + Sync + 'static {
    /// Body of its answers.
    type Body: http_body::Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Send + 'static;

    /// Answers one request; never fails.
    fn answer(&self, request: Request<Incoming>, peer: SocketAddr)
    -> impl Future<Output = Response<Self::Body>> + Send;
}

/// A bound address that accepts nothing yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    limits: Limits,
    identity: Identity,
}

/// Counts of the listener, for metrics.
#[derive(Debug, Default)]
pub struct Connections {
    open: AtomicUsize,
    refused_handshakes: AtomicUsize,
}

impl Connections {
    /// Connections open now.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that ended before a request because the handshake failed or took too long.
    pub fn refused_handshakes(&self) -> usize {
        self.refused_handshakes.load(Ordering::Relaxed)
    }
}

/// Pause after the system had no handle or memory for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Listener {
    /// Binds an address; port 0 takes a free one. Errors: the system's; nothing was bound.
    pub async fn bind(address: SocketAddr, identity: Identity, limits: Limits) -> std::io::Result<Listener> {
        Ok(Listener { socket: TcpListener::bind(address).await?, limits, identity })
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` becomes true, then lets running requests end for at most `drain`.
    ///
    /// When it returns the address is free and each connection is closed. An error of one connection ends that
    /// connection only; a system without handles is waited for.
    pub async fn serve<A: Answer>(
        self,
        door: A,
        counts: Arc<Connections>,
        mut stop: watch::Receiver<bool>,
        drain: Duration,
    ) {
        let places = Arc::new(Semaphore::new(self.limits.connections_max));
        let (done, mut all_done) = watch::channel(());
        loop {
            let place = tokio::select! {
                place = Arc::clone(&places).acquire_owned() => place,
                () = stopped(&mut stop) => break,
            };
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                () = stopped(&mut stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let running = connection::Running {
                        door: door.clone(),
                        peer,
                        limits: self.limits.clone(),
                        tls: self.identity.current(),
                        stop: stop.clone(),
                        counts: Arc::clone(&counts),
                        held: (place, done.subscribe()),
                    };
                    tokio::spawn(running.run(stream));
                }
                Err(error) if of_the_peer(error.kind()) => {}
                Err(error) => {
                    tracing::warn!(error = %error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.socket);
        all_done.mark_unchanged();
        let _ = tokio::time::timeout(drain, done.closed_by_all(all_done)).await;
    }
}

/// Errors of a connection that was gone before it was accepted.
fn of_the_peer(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}

/// Waits until every connection has let go of its receiver.
trait ClosedByAll {
    async fn closed_by_all(self, own: watch::Receiver<()>);
}

impl ClosedByAll for watch::Sender<()> {
    async fn closed_by_all(self, own: watch::Receiver<()>) {
        drop(own);
        self.closed().await;
    }
}

/// Returns when told to stop, or when nobody is left to tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Prepares an accepted socket: answers are small and must not wait for each other.
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(error = %error, "no TCP_NODELAY");
    }
}

#[cfg(test)]
mod tests;
