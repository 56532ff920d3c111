//! Unauthenticated refusals in bulk share one row, so that nobody without a login can fill the disk.

use super::row::Row;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Unauthenticated refusals of one source that get a row of their own in a second; further ones share one.
pub const OWN_ROWS_PER_SECOND: u32 = 10;
/// Sources that are told apart; all others count as one.
pub const SOURCES_MAX: usize = 4096;

const WINDOW: Duration = Duration::from_secs(1);

/// An IPv4 address or an IPv6 /64, which is what one host commonly has to itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Source {
    Net(IpAddr),
    Others,
}

#[derive(Debug)]
struct Window {
    since: Duration,
    own: u32,
    shared: Option<Row>,
}

#[derive(Debug, Default)]
pub(super) struct Sources {
    swept: Duration,
    windows: BTreeMap<Source, Window>,
    over: Vec<Row>,
}

impl Sources {
    /// Gives the row back if it is to be written now. Otherwise it is counted, and the row it shares is written when
    /// its second is over.
    pub(super) fn admit(&mut self, row: Row, now: Duration) -> Option<Row> {
        let mut source = Source::of(&row.source);
        if !self.windows.contains_key(&source) && self.windows.len() >= SOURCES_MAX {
            if now.saturating_sub(self.swept) >= WINDOW {
                self.sweep(now);
            }
            if self.windows.len() >= SOURCES_MAX {
                source = Source::Others;
            }
        }
        let window = self.windows.entry(source).or_insert(Window { since: now, own: 0, shared: None });
        if now.saturating_sub(window.since) >= WINDOW {
            self.over.extend(window.shared.take());
            *window = Window { since: now, own: 0, shared: None };
        }
        if window.own < OWN_ROWS_PER_SECOND {
            window.own = window.own.saturating_add(1);
            return Some(row);
        }
        match &mut window.shared {
            Some(shared) => {
                shared.count = shared.count.saturating_add(row.count);
                shared.time = shared.time.max(row.time);
            }
            none => {
                let mut first = row.without_names();
                if source == Source::Others {
                    first.source = "others".into();
                }
                *none = Some(first);
            }
        }
        None
    }

    /// Shared rows whose second is over.
    pub(super) fn due(&mut self, now: Duration) -> Vec<Row> {
        if !self.windows.is_empty() {
            self.sweep(now);
        }
        std::mem::take(&mut self.over)
    }

    /// Whether [`Sources::due`] has something to give.
    pub(super) fn has_due(&mut self, now: Duration) -> bool {
        self.sweep(now);
        !self.over.is_empty()
    }

    /// Takes back what could not be written.
    pub(super) fn put_back(&mut self, row: Row) {
        let room = self.over.len() <= SOURCES_MAX;
        match self.over.iter_mut().find(|other| other.source == row.source) {
            Some(other) => other.count = other.count.saturating_add(row.count),
            None if room => self.over.push(row),
            None => {}
        }
    }

    fn sweep(&mut self, now: Duration) {
        self.swept = now;
        let over = &mut self.over;
        self.windows.retain(|_, window| {
            let open = now.saturating_sub(window.since) < WINDOW;
            if !open {
                over.extend(window.shared.take());
            }
            open
        });
    }
}

impl Source {
    fn of(text: &str) -> Source {
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
                Some(v4) => Source::Net(v4.into()),
                None => Source::Net(IpAddr::V6((u128::from(v6) >> 64 << 64).into())),
            },
            Ok(v4) => Source::Net(v4),
            Err(_) => Source::Others,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::WallMs;
    use crypto::id::TenantId;

    fn refusal(source: &str) -> Row {
        let mut row = Row::new(WallMs(1), [0; 16], TenantId::SYSTEM, source, "session.login", "auth.required");
        row.path = Some("named/by/nobody".into());
        row
    }

    fn own(sources: &mut Sources, source: &str, times: u32, now: Duration) -> usize {
        (0..times).filter(|_| sources.admit(refusal(source), now).is_some()).count()
    }

    #[test]
    fn log_16_the_eleventh_refusal_in_a_second_shares_a_row_without_names() {
        let (mut sources, at) = (Sources::default(), Duration::from_secs(5));
        assert_eq!(own(&mut sources, "10.0.0.1", 25, at), 10);
        assert_eq!(own(&mut sources, "10.0.0.2", 10, at), 10);
        assert!(sources.due(at + Duration::from_millis(999)).is_empty());
        let due = sources.due(at + WINDOW);
        assert_eq!(due.iter().map(|row| (row.count, row.path.clone())).collect::<Vec<_>>(), [(15, None)]);
        assert_eq!(own(&mut sources, "10.0.0.1", 11, at + WINDOW), 10);
    }

    #[test]
    fn one_ipv6_host_is_one_source_whatever_address_it_takes() {
        let (mut sources, at) = (Sources::default(), Duration::ZERO);
        let total: usize = (0..50).map(|n| own(&mut sources, &format!("2001:db8::{n:x}"), 1, at)).sum();
        assert_eq!(total, 10);
        assert_eq!(own(&mut sources, "::ffff:10.0.0.1", 6, at) + own(&mut sources, "10.0.0.1", 6, at), 10);
    }

    #[test]
    fn sources_past_the_bound_count_as_one() {
        let (mut sources, at) = (Sources::default(), Duration::ZERO);
        let each = |n: usize| format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255);
        let first: usize = (0..SOURCES_MAX).map(|n| own(&mut sources, &each(n), 1, at)).sum();
        assert_eq!(first, SOURCES_MAX);
        let further: usize = (SOURCES_MAX..2 * SOURCES_MAX).map(|n| own(&mut sources, &each(n), 1, at)).sum();
        assert_eq!(further, 10);
        assert!(sources.windows.len() <= SOURCES_MAX + 1);
        let shared: u32 = sources.due(at + WINDOW).iter().map(|row| row.count).sum();
        assert_eq!(shared as usize, SOURCES_MAX - 10);
    }
}
