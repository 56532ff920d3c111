//! The figures of a run: a table for a person, JSON for a machine.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::drive::Sample;
use crate::{Fail, Plan};

/// Which side of its bound a figure should be on.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
    /// For comparison only.
    None,
}

#[derive(Clone, Debug, Serialize)]
struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    bound: Bound,
    /// One value per round.
    rounds: Vec<f64>,
}

/// Everything measured so far.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    started_unix_s: u64,
    quick: bool,
    rounds: usize,
    secrets: u64,
    figures: Vec<Figure>,
    samples: Vec<(String, Sample)>,
}

impl Report {
    pub(crate) fn new(plan: &Plan, quick: bool) -> Self {
        let started_unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs());
        let (figures, samples) = (Vec::new(), Vec::new());
        Self { started_unix_s, quick, rounds: plan.rounds, secrets: plan.secrets, figures, samples }
    }

    /// Adds a figure by the median of its rounds.
    pub(crate) fn figure(&mut self, name: &str, unit: &'static str, bound: Bound, rounds: &[f64]) {
        let value = median(rounds);
        eprintln!("bench:   {name}: {} {unit}", number(value));
        self.figures.push(Figure { name: name.to_owned(), value, unit, bound, rounds: rounds.to_vec() });
    }

    /// Keeps a sample for the JSON and shows it as progress.
    pub(crate) fn sample(&mut self, name: &str, sample: &Sample) {
        eprintln!(
            "bench:   {name}: {:.0}/s, p50 {:.0} us, p99 {:.0} us, server {:.1} us/request, generator {:.0} % busy",
            sample.rate,
            sample.p50_us,
            sample.p99_us,
            sample.server_cpu_us,
            sample.generator_busy * 100.0
        );
        self.samples.push((name.to_owned(), sample.clone()));
    }

    /// Name, value, bound and verdict of every figure.
    pub(crate) fn table(&self) -> String {
        let wide = self.figures.iter().map(|f| f.name.len()).max().unwrap_or_default();
        let mut text = String::new();
        for figure in &self.figures {
            let (bound, verdict) = match figure.bound {
                Bound::AtLeast(least) => (format!(">= {}", number(least)), verdict(figure.value >= least)),
                Bound::AtMost(most) => (format!("<= {}", number(most)), verdict(figure.value <= most)),
                Bound::None => (String::new(), ""),
            };
            let (name, value, unit) = (&figure.name, number(figure.value), figure.unit);
            writeln!(text, "{name:wide$}  {value:>10} {unit:<6} {bound:>10}  {verdict}").ok();
        }
        if self.quick {
            text.push_str("\na quick run: the figures show that it works, not how fast it is\n");
        }
        text
    }

    /// Writes the JSON and says where.
    pub(crate) fn keep(&self, folder: &Path) -> Result<PathBuf, Fail> {
        let place = folder.join(format!("{}.json", self.started_unix_s));
        std::fs::write(&place, serde_json::to_string_pretty(self)?)?;
        Ok(place)
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// The middle value; of an even number the lower of the two.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn one_bad_round_does_not_move_the_figure() {
        assert_eq!(median(&[1.0, 99.0, 1.1, 0.9, 1.2]), 1.1);
        assert!(median(&[]).is_nan());
    }
}
