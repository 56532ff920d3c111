//! Durable writes beside a loop that appends 4 KiB and flushes: server and generator share the cores.

use std::time::{Duration, Instant};

use crate::aumbry::{self, Aumbry};
use crate::drive::{self, Load, Sample};
use crate::report::{Bound, Report};
use crate::{Fail, Plan, machine};

/// Secrets that get new versions.
const SECRETS: u64 = 10_000;
/// Name of the gauge that tells how much is committed and not yet folded into records.
const TAIL: &str = "aumbry_ledger_unfolded";

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let server = Aumbry::start(plan, "writes", None)?;
    let token = server.ordinary_token()?;
    server.fill(&token, SECRETS)?;
    sustained(plan, report, &server, &token, SECRETS, "durable writes, 64 connections", 1.8)?;
    let mut single = Vec::new();
    for round in 0..plan.rounds {
        let flushes = machine::flushes(&plan.folder, plan.flush_time / 2)?;
        let load = load(&server, &token, SECRETS, 1, plan.write_time.min(Duration::from_secs(10)), round);
        let sample = drive::run(&load)?;
        report.sample("durable writes, 1 connection", &sample);
        single.push(sample.rate / flushes);
    }
    report.figure("durable writes, 1 connection / bare flushes", "x", Bound::AtLeast(0.2), &single);
    server.stop()
}

/// Rounds of writes at 64 connections; the unfolded tail must not grow while they last.
pub(crate) fn sustained(
    plan: &Plan,
    report: &mut Report,
    server: &Aumbry,
    token: &str,
    secrets: u64,
    name: &str,
    least: f64,
) -> Result<(), Fail> {
    let (mut ratios, mut flushes, mut tails) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let ruler = machine::flushes(&plan.folder, plan.flush_time)?;
        let load = load(server, token, secrets, 64, plan.write_time, round);
        let (sample, early, late) = watched(server, load)?;
        report.sample(name, &sample);
        ratios.push(sample.rate / ruler);
        flushes.push(ruler);
        tails.push(late.max(TAIL_STEP) / early.max(TAIL_STEP));
        eprintln!("bench:   peak of the unfolded tail: {early:.0} early, {late:.0} at the end");
    }
    report.figure("bare flushes of 4 KiB", "/s", Bound::None, &flushes);
    report.figure(&format!("{name} / bare flushes"), "x", Bound::AtLeast(least), &ratios);
    report.figure(&format!("{name}: tail at the end / early"), "x", Bound::AtMost(TAIL_GROWTH), &tails);
    Ok(())
}

/// Batches that one step of the fold takes at once; below it a tail is no tail.
const TAIL_STEP: f64 = 100.0;
/// A tail that stays bounded has equal peaks; this much is noise.
const TAIL_GROWTH: f64 = 1.2;

fn load(server: &Aumbry, token: &str, secrets: u64, connections: usize, time: Duration, round: usize) -> Load {
    Load {
        peer: server.peer.clone(),
        shape: aumbry::write_shape(token, secrets),
        connections,
        time,
        warm_up: Duration::from_secs(1),
        core: None,
        process: Some(server.id()),
        seed: 77 + round as u64,
    }
}

/// Runs a load and watches the tail: its highest between a twelfth and a sixth of the time, and in the last twelfth.
/// The fold works in steps, so the tail is a saw; its peaks are what must not grow.
fn watched(server: &Aumbry, load: Load) -> Result<(Sample, f64, f64), Fail> {
    let part = load.time / 12;
    let (early, late) = (load.warm_up + part, load.warm_up + part * 11);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let running = scope.spawn(move || drive::run(&load));
        let first = peak(server, began + early, part)?;
        let last = peak(server, began + late, part)?;
        let sample = running.join().map_err(|_| "the load thread panicked")??;
        Ok((sample, first, last))
    })
}

/// The highest tail seen from `start` on for this long.
fn peak(server: &Aumbry, start: Instant, time: Duration) -> Result<f64, Fail> {
    std::thread::sleep(start.saturating_duration_since(Instant::now()));
    let mut highest = 0.0_f64;
    while start.elapsed() < time {
        highest = highest.max(server.metric(TAIL)?);
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(highest)
}
