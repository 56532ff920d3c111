//! A clock that moves only when told to.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crypto::seam::{Clock, WallMs};

/// A simulated clock. [`ManualClock::advance`] moves both times; [`ManualClock::jump_wall`] moves the civil time alone,
/// either way, as an operator or NTP does.
#[derive(Debug)]
pub struct ManualClock {
    start: WallMs,
    passed_ms: AtomicU64,
    jumped_ms: AtomicI64,
}

impl ManualClock {
    /// Stands still at `start`, monotonic time zero.
    #[must_use]
    pub const fn at(start: WallMs) -> Self {
        Self { start, passed_ms: AtomicU64::new(0), jumped_ms: AtomicI64::new(0) }
    }

    /// Lets `span` pass, in whole milliseconds.
    pub fn advance(&self, span: Duration) {
        let ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.passed_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Shifts the wall clock by `ms`, backwards when negative; no time passes.
    pub fn jump_wall(&self, ms: i64) {
        self.jumped_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// 2025-01-01T00:00:00Z.
    fn default() -> Self {
        Self::at(WallMs(1_735_689_600_000))
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> WallMs {
        let passed = self.start.0.saturating_add(self.passed_ms.load(Ordering::SeqCst));
        WallMs(passed.saturating_add_signed(self.jumped_ms.load(Ordering::SeqCst)))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_move_wall_time_only() {
        let clock = ManualClock::at(WallMs(1_000));
        clock.advance(Duration::from_secs(1));
        clock.jump_wall(-500);
        assert_eq!((clock.wall(), clock.monotonic()), (WallMs(1_500), Duration::from_secs(1)));
        clock.jump_wall(-5_000);
        assert_eq!(clock.wall(), WallMs(0));
    }
}
