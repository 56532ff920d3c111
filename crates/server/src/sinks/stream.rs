//! The `stream` sink: one JSON line per row to standard output or a socket, without names unless told otherwise.
//!
//! Rows wait in memory for their peer and never hold up an answer. What does not fit while the peer is away is counted
//! and not sent; sequence numbers show the gap, and the sinks that keep rows have them.

mod line;
mod target;

pub use line::{HashedNames, Names};
pub use target::{BadTarget, StreamTarget};

use ledger::access_log::{Chunk, SINK_DEADLINE, Sink, SinkError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use storage::BoxFuture;
use target::Peer;
use tokio::sync::{Notify, mpsc};

/// Bytes of lines that may wait for the peer.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Groups of lines that may wait.
const WAITING_GROUPS_MAX: usize = 4096;
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Sends lines; must be made inside a tokio runtime.
///
/// Lines come in the order of their sequence numbers, each for a row that is kept. One may come twice after a
/// connection broke. Dropping the sink ends the sending.
#[derive(Debug)]
pub struct StreamSink {
    reader: String,
    names: Names,
    lines: mpsc::Sender<Vec<u8>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: AtomicUsize,
    is_away: AtomicBool,
    sent: Notify,
}

impl State {
    fn note_away(&self, why: &str, target: &StreamTarget) {
        if !self.is_away.swap(true, Ordering::AcqRel) {
            tracing::warn!(to = %target, why, "a stream of the access log does not reach its peer");
        }
    }
}

impl StreamSink {
    /// A sink to this target, connected when the first rows come.
    pub fn new(target: StreamTarget, names: Names) -> StreamSink {
        StreamSink::with_patience(target, names, SINK_DEADLINE)
    }

    fn with_patience(target: StreamTarget, names: Names, patience: Duration) -> StreamSink {
        let (lines, waiting) = mpsc::channel(WAITING_GROUPS_MAX);
        let (state, reader) = (Arc::new(State::default()), target.to_string());
        tokio::spawn(send_all(target, waiting, Arc::clone(&state), patience));
        StreamSink { reader, names, lines, state }
    }

    /// Waits until everything taken so far is sent.
    pub async fn sent(&self) {
        loop {
            let sent = self.state.sent.notified();
            if self.state.waiting.load(Ordering::Acquire) == 0 {
                return;
            }
            sent.await;
        }
    }

    fn take(&self, chunk: &Chunk<'_>) -> Result<(), SinkError> {
        let log = chunk.header.log.to_string();
        let mut lines = Vec::with_capacity(chunk.rows.len().saturating_mul(384));
        for numbered in chunk.rows {
            self.names.write(&mut lines, &log, &self.reader, numbered).map_err(SinkError::Unavailable)?;
        }
        let full = || SinkError::Unavailable("its peer takes fewer rows than there are".into());
        let size = lines.len();
        let before = self.state.waiting.fetch_add(size, Ordering::AcqRel);
        if before.saturating_add(size) > WAITING_BYTES_MAX || self.lines.try_send(lines).is_err() {
            self.state.waiting.fetch_sub(size, Ordering::AcqRel);
            return Err(full());
        }
        Ok(())
    }
}

impl Sink for StreamSink {
    fn name(&self) -> &'static str {
        "stream"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(std::future::ready(self.take(&chunk)))
    }

    /// Tells whether the peer is reached; waits for nothing.
    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        let away = self.state.is_away.load(Ordering::Acquire);
        let told = if away { Err(SinkError::Unavailable("its peer is not reached".into())) } else { Ok(()) };
        Box::pin(std::future::ready(told))
    }
}

/// Sends what comes, one group after another, until the sink is dropped and nothing waits or the peer is away.
async fn send_all(target: StreamTarget, mut waiting: mpsc::Receiver<Vec<u8>>, state: Arc<State>, patience: Duration) {
    let mut peer: Option<Peer> = None;
    while let Some(lines) = waiting.recv().await {
        let mut pause = RETRY_FIRST;
        while let Err(error) = send(&target, &mut peer, &lines, &state, patience).await {
            state.note_away(&error.to_string(), &target);
            if waiting.is_closed() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(RETRY_MAX);
        }
        if state.is_away.swap(false, Ordering::AcqRel) {
            tracing::info!(to = %target, "a stream of the access log reaches its peer again");
        }
        state.waiting.fetch_sub(lines.len(), Ordering::AcqRel);
        state.sent.notify_waiters();
    }
}

/// Sends one group over the connection there is, or a new one. A call that hangs is told as away while it does.
async fn send(
    target: &StreamTarget,
    peer: &mut Option<Peer>,
    lines: &[u8],
    state: &State,
    patience: Duration,
) -> std::io::Result<()> {
    let work = async {
        // Taken out while it is written to: after an error it is dropped, and nobody goes on from a half line.
        let mut held = match peer.take() {
            Some(held) => held,
            None => Peer::reach(target, patience).await?,
        };
        held.write(lines, patience).await?;
        *peer = Some(held);
        Ok(())
    };
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = tokio::time::sleep(patience) => {
            state.note_away("it gives no answer", target);
            work.await
        }
    }
}

#[cfg(test)]
mod tests;
