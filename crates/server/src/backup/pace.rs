//! Work that costs others little: a thread of low priority that rests as long as it worked.

use super::system;
use crypto::seam::Clock;
use ledger::Refusal;
use ledger::backup::Pace;
use ledger::code::SERVER_STOPPING;
use parking_lot::Mutex;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use storage::BoxFuture;

/// Longest rest after one piece of work.
const REST_MAX: Duration = Duration::from_millis(200);
/// Shortest, so that a wait for something else does not spin.
const REST_MIN: Duration = Duration::from_millis(1);

/// Rests after each piece of work as long as it took, until told to stop.
pub(crate) struct Gentle {
    clock: Arc<dyn Clock>,
    stop: Arc<AtomicBool>,
    since: Mutex<Duration>,
}

impl Gentle {
    pub(crate) fn new(clock: Arc<dyn Clock>, stop: Arc<AtomicBool>) -> Gentle {
        let since = Mutex::new(clock.monotonic());
        Gentle { clock, stop, since }
    }
}

impl Pace for Gentle {
    fn step(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(async move {
            if self.stop.load(Ordering::Acquire) {
                return Err(Refusal::new(&SERVER_STOPPING, "the server stops before the backup is made"));
            }
            let worked = self.clock.monotonic().saturating_sub(*self.since.lock());
            tokio::time::sleep(worked.clamp(REST_MIN, REST_MAX)).await;
            *self.since.lock() = self.clock.monotonic();
            Ok(())
        })
    }
}

/// Goes on at once: nobody else is there.
pub(crate) struct Quick;

impl Pace for Quick {
    fn step(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Runs work on a thread of its own with low priority, which threads made there inherit.
pub(crate) fn apart<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("backup".into()).spawn(move || {
        system::stand_back();
        match tokio::runtime::Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime.block_on(work()),
            Err(error) => tracing::error!(%error, "no backup: the system gives no runtime"),
        }
    })
}
