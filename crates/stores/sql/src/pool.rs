//! A bounded set of connections, each used by one call at a time and kept only while nothing went wrong on it.
//!
//! A driver's own pool asks the server before or after each use whether it is still there, which costs a read half its
//! speed; here a broken connection is noticed by the call that meets it, which knows what that means for its outcome.

use crate::failure::Failure;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use storage::RemoteOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::{Instant, timeout_at};

/// A connection that lay idle for longer may have been forgotten on the way.
const IDLE_MAX: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Pool<L> {
    idle: Mutex<Vec<(Instant, L)>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
}

/// A connection in use, or the right to make one. Dropped, the connection is closed.
#[derive(Debug)]
pub(crate) struct Lease<L> {
    pub(crate) link: Option<L>,
    _permit: OwnedSemaphorePermit,
}

impl<L> Pool<L> {
    pub(crate) fn new(options: &RemoteOptions) -> Pool<L> {
        let connections = usize::try_from(options.connections_max).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS);
        Pool {
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(connections)),
            waiting: AtomicUsize::new(0),
            waiting_max: options.waiting_max,
        }
    }

    /// A connection that lies idle, the one used last first, or the right to make one.
    pub(crate) async fn lease(&self, deadline: Instant) -> Result<Lease<L>, Failure> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => self.wait(deadline).await?,
            Err(TryAcquireError::Closed) => return Err(Failure::Unreached("the store is closed".to_owned())),
        };
        let fresh = |(since, _): &(Instant, L)| since.elapsed() < IDLE_MAX;
        let link = {
            let mut idle = self.idle.lock();
            idle.retain(fresh);
            idle.pop().map(|(_, link)| link)
        };
        Ok(Lease { link, _permit: permit })
    }

    async fn wait(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, Failure> {
        let _place = Place::take(&self.waiting, self.waiting_max)
            .ok_or_else(|| Failure::Unreached("too many calls wait for the database".to_owned()))?;
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_closed)) => Err(Failure::Unreached("the store is closed".to_owned())),
            Err(_late) => {
                Err(Failure::Unreached("all connections to the database were busy until the deadline".into()))
            }
        }
    }

    /// Takes a connection back.
    pub(crate) fn give(&self, mut lease: Lease<L>) {
        self.idle.lock().extend(lease.link.take().map(|link| (Instant::now(), link)));
    }

    /// Closes what lies idle: the server behind it went away, or is another one now.
    pub(crate) fn clear(&self) {
        let closed = std::mem::take(&mut *self.idle.lock());
        drop(closed);
    }
}

/// One of the calls that may wait.
struct Place<'a>(&'a AtomicUsize);

impl Place<'_> {
    fn take(waiting: &AtomicUsize, most: usize) -> Option<Place<'_>> {
        let place = Place(waiting);
        (waiting.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
