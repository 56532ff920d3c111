//! Counting requests in time.

use std::time::Duration;

/// A second's worth of requests, filled up again as time goes by.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// Requests still to be had, times [`WHOLE`]; unknown before the first.
    left: Option<u64>,
    seen: Duration,
}

/// Parts of one request.
const WHOLE: u64 = 1_000_000;

impl Bucket {
    /// Takes one request, if `rate` of them in a second are not exceeded.
    pub(crate) fn take(&mut self, rate: u32, now: Duration) -> bool {
        let full = u64::from(rate).saturating_mul(WHOLE);
        let passed = u64::try_from(now.saturating_sub(self.seen).as_micros()).unwrap_or(u64::MAX);
        let left = self.left.map_or(full, |left| left.saturating_add(passed.saturating_mul(u64::from(rate))).min(full));
        self.seen = self.seen.max(now);
        let after = left.checked_sub(WHOLE);
        self.left = Some(after.unwrap_or(left));
        after.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_burst_of_one_second_and_then_its_share_of_time() {
        let mut bucket = Bucket::default();
        let ms = Duration::from_millis;
        assert_eq!((0..15).filter(|_| bucket.take(10, ms(5_000))).count(), 10);
        assert!(!bucket.take(10, ms(5_099)) && bucket.take(10, ms(5_100)) && !bucket.take(10, ms(5_100)));
        assert_eq!((0..15).filter(|_| bucket.take(10, ms(60_000))).count(), 10);
        assert!(!bucket.take(10, ms(100)), "time that goes back gives nothing");
        assert!(!bucket.take(0, ms(90_000)));
    }
}
