//! A stream that fails when the peer takes nothing for too long, and closes so that the peer can read the last answer.

use std::future::Future;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Passes everything on; a write or flush that makes no progress for `limit` ends with `TimedOut`.
#[derive(Debug)]
pub(super) struct Stall<S> {
    inner: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
    closing: Closing,
}

/// How far a shutdown has come.
#[derive(Debug)]
enum Closing {
    /// Our side is open.
    Not,
    /// Our side is closed; what the peer still sends is read away, so many bytes of it yet, until this time.
    Lingering { end: Instant, left: usize, quiet: Pin<Box<Sleep>> },
}

/// Time and bytes for what a peer sends after our last answer, more than a body may have; and how long it may be silent.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
const LINGER_QUIET_MAX: Duration = Duration::from_millis(200);
const LINGER_BYTES_MAX: usize = 8 << 20;

impl<S> Stall<S> {
    pub(super) fn new(inner: S, limit: Duration) -> Stall<S> {
        Stall { inner, limit, waiting: None, closing: Closing::Not }
    }

    /// Starts, keeps or ends the wait that goes with the answer of the inner stream.
    fn judge<T>(&mut self, cx: &mut Context<'_>, answer: Poll<Result<T>>) -> Poll<Result<T>> {
        if answer.is_ready() {
            self.waiting = None;
            return answer;
        }
        let limit = self.limit;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        match waiting.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(Error::from(ErrorKind::TimedOut))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> Stall<S> {
    /// Reads away what the peer is sending: with bytes unread, the kernel would reset the connection and take the answer back
    /// (RFC 9112, 9.6).
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingering { end, left, quiet } = &mut self.closing else { return Poll::Ready(()) };
        let mut scratch = [0; 16 << 10];
        loop {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Pending => return quiet.as_mut().poll(cx),
                Poll::Ready(Err(_gone)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => {}
            }
            let (count, now) = (buffer.filled().len(), Instant::now());
            if count == 0 || count >= *left || now >= *end {
                return Poll::Ready(());
            }
            *left = left.saturating_sub(count);
            quiet.as_mut().reset(now + LINGER_QUIET_MAX);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stall<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stall<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let answer = Pin::new(&mut this.inner).poll_write(cx, buf);
        this.judge(cx, answer)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let answer = Pin::new(&mut this.inner).poll_write_vectored(cx, bufs);
        this.judge(cx, answer)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        let answer = Pin::new(&mut this.inner).poll_flush(cx);
        this.judge(cx, answer)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        if matches!(this.closing, Closing::Not) {
            let answer = Pin::new(&mut this.inner).poll_shutdown(cx);
            ready!(this.judge(cx, answer))?;
            let now = Instant::now();
            let quiet = Box::pin(tokio::time::sleep_until(now + LINGER_QUIET_MAX));
            this.closing = Closing::Lingering { end: now + LINGER_TIME_MAX, left: LINGER_BYTES_MAX, quiet };
        }
        this.linger(cx).map(Ok)
    }
}
