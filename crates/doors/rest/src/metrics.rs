//! Counts for Prometheus, in its text form. Every label comes from a closed set: no path, name or address.

use crate::route::Route;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper edges of the latency buckets.
const EDGES: [(&str, Duration); 11] = [
    ("0.0005", Duration::from_micros(500)),
    ("0.001", Duration::from_millis(1)),
    ("0.0025", Duration::from_micros(2500)),
    ("0.005", Duration::from_millis(5)),
    ("0.01", Duration::from_millis(10)),
    ("0.025", Duration::from_millis(25)),
    ("0.1", Duration::from_millis(100)),
    ("0.5", Duration::from_millis(500)),
    ("1", Duration::from_secs(1)),
    ("5", Duration::from_secs(5)),
    ("30", Duration::from_secs(30)),
];

const STATUSES: [&str; 4] = ["2xx", "4xx", "5xx", "other"];

/// One route's counts.
#[derive(Debug, Default)]
struct Series {
    statuses: [AtomicU64; 4],
    buckets: [AtomicU64; 12],
    sum_us: AtomicU64,
}

/// Counts of all routes; the last series is for what matches none.
#[derive(Debug)]
pub(crate) struct Metrics {
    series: Vec<Series>,
    running: AtomicU64,
}

/// A value that somebody else keeps.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// Name, `aumbry_…`; unit last.
    pub name: &'static str,
    /// One sentence.
    pub about: &'static str,
    /// Whether it only grows.
    pub counter: bool,
    /// Label and its word from a closed set, if any.
    pub label: Option<(&'static str, &'static str)>,
    /// Now.
    pub value: u64,
}

impl Metrics {
    pub(crate) fn new(routes: usize) -> Metrics {
        Metrics { series: (0..=routes).map(|_| Series::default()).collect(), running: AtomicU64::new(0) }
    }

    /// Counts one answer; `route` is the index in the table, past its end for none.
    pub(crate) fn answered(&self, route: usize, status: u16, took: Duration) {
        let Some(series) = self.series.get(route).or(self.series.last()) else { return };
        let class = match status {
            200..=299 => 0,
            400..=499 => 1,
            500..=599 => 2,
            _ => 3,
        };
        let bucket = EDGES.iter().position(|(_, edge)| took <= *edge).unwrap_or(EDGES.len());
        for cell in series.statuses.get(class).into_iter().chain(series.buckets.get(bucket)) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
        series.sum_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A request began (`true`) or ended.
    pub(crate) fn running(&self, began: bool) {
        if began {
            self.running.fetch_add(1, Ordering::Relaxed);
        } else {
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// The page.
    pub(crate) fn page(&self, routes: &[Route], gauges: &[Gauge]) -> String {
        let mut out = String::with_capacity(16 << 10);
        let name = |at: usize| routes.get(at).map_or(("none", "none"), |route| (route.verb.as_str(), route.template));
        head(&mut out, "aumbry_requests_total", "Answered requests.", "counter");
        for (at, series) in self.series.iter().enumerate() {
            let (verb, route) = name(at);
            for (status, cell) in STATUSES.iter().zip(&series.statuses) {
                let value = cell.load(Ordering::Relaxed);
                if value > 0 {
                    let labels = format!("verb=\"{verb}\",route=\"{route}\",status=\"{status}\"");
                    let _ = writeln!(out, "aumbry_requests_total{{{labels}}} {value}");
                }
            }
        }
        head(&mut out, "aumbry_request_seconds", "Time to answer.", "histogram");
        for (at, series) in self.series.iter().enumerate() {
            let (verb, route) = name(at);
            histogram(&mut out, &format!("verb=\"{verb}\",route=\"{route}\""), series);
        }
        head(&mut out, "aumbry_requests_running", "Requests being answered.", "gauge");
        let _ = writeln!(out, "aumbry_requests_running {}", self.running.load(Ordering::Relaxed));
        let mut last = "";
        for gauge in gauges {
            if gauge.name != last {
                head(&mut out, gauge.name, gauge.about, if gauge.counter { "counter" } else { "gauge" });
                last = gauge.name;
            }
            let label = gauge.label.map(|(name, word)| format!("{{{name}=\"{word}\"}}")).unwrap_or_default();
            let _ = writeln!(out, "{}{label} {}", gauge.name, gauge.value);
        }
        out
    }
}

fn head(out: &mut String, name: &str, about: &str, kind: &str) {
    let _ = write!(out, "# HELP {name} {about}\n# TYPE {name} {kind}\n");
}

fn histogram(out: &mut String, labels: &str, series: &Series) {
    let counts: Vec<u64> = series.buckets.iter().map(|cell| cell.load(Ordering::Relaxed)).collect();
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return;
    }
    let mut below = 0u64;
    for ((edge, _), count) in EDGES.iter().zip(&counts) {
        below += count;
        let _ = writeln!(out, "aumbry_request_seconds_bucket{{{labels},le=\"{edge}\"}} {below}");
    }
    let sum = Duration::from_micros(series.sum_us.load(Ordering::Relaxed)).as_secs_f64();
    let _ = writeln!(out, "aumbry_request_seconds_bucket{{{labels},le=\"+Inf\"}} {total}");
    let _ =
        writeln!(out, "aumbry_request_seconds_sum{{{labels}}} {sum}\naumbry_request_seconds_count{{{labels}}} {total}");
}
