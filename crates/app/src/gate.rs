//! Bounds how much slow work is done at once; who comes when it is full is told so at once.

use ledger::Refusal;
use ledger::code::SERVER_BUSY;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A number of places and a bounded queue before them.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Semaphore,
    waiting: AtomicUsize,
    waiting_max: usize,
}

impl Gate {
    pub(crate) fn new(places: usize, waiting_max: usize) -> Gate {
        Gate { places: Semaphore::new(places), waiting: AtomicUsize::new(0), waiting_max }
    }

    /// A place, given back when dropped. Errors: `server.busy` when the queue is full; nothing happened.
    pub(crate) async fn enter(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let busy = || Refusal::new(&SERVER_BUSY, "too much of this is being done at once");
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _turn = Turn(&self.waiting);
        if before >= self.waiting_max {
            return Err(busy());
        }
        self.places.acquire().await.map_err(|_| busy())
    }
}

/// Counts a waiter until it is dropped, however its wait ends.
struct Turn<'a>(&'a AtomicUsize);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn one_past_the_queue_is_refused_at_once() {
        let gate = Gate::new(1, 1);
        let inside = gate.enter().now_or_never().unwrap().unwrap();
        let mut waits = Box::pin(gate.enter());
        assert!(waits.as_mut().now_or_never().is_none());
        let refused = gate.enter().now_or_never().unwrap();
        assert_eq!(refused.unwrap_err().code.name, "server.busy");
        drop(inside);
        assert!(waits.as_mut().now_or_never().unwrap().is_ok());
        assert!(gate.enter().now_or_never().unwrap().is_ok(), "who gave up no longer counts");
    }
}
