//! The system's clocks: the only place that asks the operating system for the time.

use crypto::seam::{Clock, WallMs};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// Wall and monotonic time of the operating system.
///
/// The wall clock never steps back by less than [`SystemClock::STEP_MAX`]: small corrections show as
/// standing still, so that times in one process do not run backwards. A larger step back is shown as it
/// is and counted; deadlines are kept by the monotonic clock, which only rises.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
    newest: AtomicU64,
    steps_back: AtomicU64,
}

impl SystemClock {
    /// Steps back below this are smoothed.
    pub const STEP_MAX: Duration = Duration::from_secs(2);

    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the implementation of the clock seam")]
    pub fn new() -> SystemClock {
        SystemClock { start: Instant::now(), newest: AtomicU64::new(0), steps_back: AtomicU64::new(0) }
    }

    /// How often the wall clock went back by more than [`SystemClock::STEP_MAX`].
    pub fn steps_back(&self) -> u64 {
        self.steps_back.load(Ordering::Relaxed)
    }

    fn settle(&self, now: u64) -> u64 {
        let newest = self.newest.fetch_max(now, Ordering::Relaxed);
        let back = newest.saturating_sub(now);
        if back <= u64::try_from(Self::STEP_MAX.as_millis()).unwrap_or(u64::MAX) {
            return now.max(newest);
        }
        if self.newest.compare_exchange(newest, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.steps_back.fetch_add(1, Ordering::Relaxed);
        }
        now
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the implementation of the clock seam")]
    fn wall(&self) -> WallMs {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        WallMs(self.settle(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ft_29_a_small_step_back_stands_still_and_a_large_one_is_shown_and_counted() {
        let clock = SystemClock::new();
        assert_eq!(
            [100_000, 99_000, 98_000, 100_001].map(|now| clock.settle(now)),
            [100_000, 100_000, 100_000, 100_001]
        );
        assert_eq!((clock.settle(50_000), clock.steps_back()), (50_000, 1));
        assert_eq!((clock.settle(49_500), clock.steps_back()), (50_000, 1));
    }
}
