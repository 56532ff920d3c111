//! Requests per second and source, checked before anything of a request is parsed.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Sources remembered; when there are more, the fullest buckets are forgotten: they lose nothing.
const SOURCES_MAX: usize = 16_384;
/// A burst is this many seconds' worth.
const BURST_S: u64 = 10;

/// One bucket of tokens per source address.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u64,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    buckets: HashMap<IpAddr, Bucket>,
    /// When full buckets were last forgotten: at most once a second, since it looks at all of them.
    swept: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// Thousandths of a request that may still come.
    left: u64,
    at: Duration,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Rate {
        Rate { per_second: u64::from(per_second), known: Mutex::default() }
    }

    /// Takes one request; `false` when the source has used up its burst. An IPv6 source is its /64.
    pub(crate) fn take(&self, source: IpAddr, now: Duration) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let full = self.per_second * BURST_S * 1000;
        let (mut known, source) = (self.known.lock(), network(source));
        if known.buckets.len() >= SOURCES_MAX && !known.buckets.contains_key(&source) {
            if now.saturating_sub(known.swept) >= Duration::from_secs(1) {
                known.buckets.retain(|_, bucket| self.refilled(bucket, now) < full);
                known.swept = now;
            }
            if known.buckets.len() >= SOURCES_MAX {
                return false;
            }
        }
        let bucket = known.buckets.entry(source).or_insert(Bucket { left: full, at: now });
        let left = self.refilled(bucket, now);
        *bucket = Bucket { left: left.saturating_sub(1000), at: now };
        left >= 1000
    }

    fn refilled(&self, bucket: &Bucket, now: Duration) -> u64 {
        let waited = u64::try_from(now.saturating_sub(bucket.at).as_millis()).unwrap_or(u64::MAX);
        let full = self.per_second * BURST_S * 1000;
        bucket.left.saturating_add(waited.saturating_mul(self.per_second)).min(full)
    }
}

fn network(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => IpAddr::from((v6.to_bits() & !u128::from(u64::MAX)).to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_its_burst_then_its_rate_and_others_are_not_touched() {
        let rate = Rate::new(2);
        let (one, two) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let at = Duration::from_millis;
        assert!((0..20).all(|_| rate.take(one, at(0))));
        assert!(!rate.take(one, at(0)) && rate.take(two, at(0)));
        assert!(rate.take(one, at(500)) && !rate.take(one, at(500)));
        assert!((0..20).all(|_| rate.take(one, at(1_000_000))) && !rate.take(one, at(1_000_000)));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket_and_memory_is_bounded() {
        let rate = Rate::new(1);
        let address = |net: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 0, net, 0, 0, 0, host]);
        assert_eq!((0..100).filter(|host| rate.take(address(0, *host), Duration::ZERO)).count(), 10);
        for net in 0..u16::MAX {
            rate.take(address(net, 0), Duration::ZERO);
        }
        assert!(rate.known.lock().buckets.len() <= SOURCES_MAX);
    }
}
