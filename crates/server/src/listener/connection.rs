//! One connection from accept to close.

use super::stall::Stall;
use super::{Answer, Connections, Limits};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A connection and everything it may use. `held` is let go when it ends.
pub(super) struct Running<A, H> {
    pub(super) door: A,
    pub(super) peer: SocketAddr,
    pub(super) limits: Limits,
    pub(super) tls: Arc<ServerConfig>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) counts: Arc<Connections>,
    pub(super) held: H,
}

type Io = TokioIo<Stall<TlsStream<TcpStream>>>;

impl<A: Answer, H: Send + 'static> Running<A, H> {
    /// Shakes hands and serves until either side closes.
    pub(super) async fn run(self, stream: TcpStream) {
        let _open = Counted::new(&self.counts);
        super::prepare(&stream);
        let shaking = TlsAcceptor::from(Arc::clone(&self.tls)).accept(stream);
        let Ok(Ok(stream)) = tokio::time::timeout(self.limits.handshake_max, shaking).await else {
            self.counts.refused_handshakes.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let two = stream.get_ref().1.alpn_protocol() == Some(b"h2".as_slice());
        let io = TokioIo::new(Stall::new(stream, self.limits.stall_max));
        if two { self.http2(io).await } else { self.http1(io).await }
    }

    async fn http1(self, io: Io) {
        const BUFFER_BYTES_MAX: usize = 64 << 10;
        let Running { door, peer, limits, mut stop, held, .. } = self;
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_max)
            .max_header_size(limits.header_bytes_max)
            .max_buf_size(BUFFER_BYTES_MAX.max(limits.header_bytes_max));
        let service = service_fn(|request| answered(&door, request, peer));
        let mut serving = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = serving.as_mut() => {}
            () = super::stopped(&mut stop) => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
        drop(held);
    }

    async fn http2(self, io: Io) {
        const WINDOW_BYTES: u32 = 256 << 10;
        let Running { door, peer, limits, mut stop, held, .. } = self;
        let header_bytes_max = u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams_max)
            .max_pending_accept_reset_streams(limits.pending_resets_max)
            .max_local_error_reset_streams(limits.local_resets_max)
            .max_header_list_size(header_bytes_max)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES * 4)
            .keep_alive_interval(limits.ping_every)
            .keep_alive_timeout(limits.header_max);
        let use_of = Arc::new(Use::default());
        let service = service_fn(|request| {
            let (door, used) = (door.clone(), InUse::new(&use_of));
            async move {
                let response = answered(&door, request, peer).await;
                drop(used);
                response
            }
        });
        let mut serving = pin!(builder.serve_connection(io, service));
        tokio::select! {
            _ = serving.as_mut() => {}
            () = use_of.idle(&limits) => {
                serving.as_mut().graceful_shutdown();
                let _ = tokio::time::timeout(limits.header_max, serving).await;
            }
            () = super::stopped(&mut stop) => {
                serving.as_mut().graceful_shutdown();
                let _ = serving.await;
            }
        }
        drop(held);
    }
}

/// The door never fails; hyper wants to know by type.
async fn answered<A: Answer>(
    door: &A,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<A::Body>, Infallible> {
    Ok(door.answer(request, peer).await)
}

/// How much an HTTP/2 connection is used: it has no deadline of its own for silence.
#[derive(Debug, Default)]
struct Use {
    running: AtomicUsize,
    changed: Notify,
}

impl Use {
    /// Returns when no request came in time: the first within the header time, later ones within the idle time.
    async fn idle(&self, limits: &Limits) {
        let mut wait = limits.header_max;
        loop {
            let changed = self.changed.notified();
            if self.running.load(Ordering::Acquire) > 0 {
                changed.await;
                wait = limits.idle_max;
            } else if tokio::time::timeout(wait, changed).await.is_err() {
                return;
            }
        }
    }
}

/// One running request.
struct InUse(Arc<Use>);

impl InUse {
    fn new(of: &Arc<Use>) -> InUse {
        of.running.fetch_add(1, Ordering::Release);
        of.changed.notify_one();
        InUse(Arc::clone(of))
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Release);
        self.0.changed.notify_one();
    }
}

/// One open connection in the counts.
struct Counted(Arc<Connections>);

impl Counted {
    fn new(counts: &Arc<Connections>) -> Counted {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Counted(Arc::clone(counts))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
