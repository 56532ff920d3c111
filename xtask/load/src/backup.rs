//! Backups of a large store while it is written: what they cost the writers, and how long they and a restore take.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::aumbry::{self, Aumbry};
use crate::drive::{self, Load};
use crate::machine;
use crate::report::{Bound, Report};
use crate::{Fail, Plan};

const CONNECTIONS: usize = 64;
const DATA: &str = "backup";

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let server = Aumbry::start(plan, DATA, None)?;
    let token = server.ordinary_token()?;
    server.fill(&token, plan.secrets)?;
    server.stop()?;
    for (verify, name) in [(false, "copying alone"), (true, "with its trial restore")] {
        let server = Aumbry::start_with(plan, DATA, None, &[&format!("backup.verify={verify}"), "backup.keep=1"])?;
        let (mut ratios, mut took) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds {
            let alone = drive::run(&writes(plan, &server, &token, round))?;
            report.sample("durable writes, no backup", &alone);
            let (beside, spans) = backed_up(&server, &writes(plan, &server, &token, round))?;
            report.sample(&format!("durable writes, backup: {name}"), &beside);
            ratios.push(beside.rate / alone.rate);
            took.extend(spans);
        }
        report.figure(&format!("writers' rate while backed up, {name}"), "x", Bound::AtLeast(0.7), &ratios);
        report.figure(&format!("time of a backup, {name}"), "s", Bound::None, &took);
        let memory = machine::rss_anon_mib(server.id())?;
        report.figure(&format!("anonymous memory after backups, {name}"), "MiB", Bound::None, &[memory]);
        server.stop()?;
    }
    restore(plan, report)
}

fn writes(plan: &Plan, server: &Aumbry, token: &str, round: usize) -> Load {
    Load {
        peer: server.peer.clone(),
        shape: aumbry::write_shape(token, plan.secrets),
        connections: CONNECTIONS,
        time: plan.write_time,
        warm_up: Duration::from_secs(1),
        core: None,
        process: Some(server.id()),
        seed: 177 + round as u64,
    }
}

/// Runs the load with one backup after another beside it; gives how long each whole one took.
fn backed_up(server: &Aumbry, load: &Load) -> Result<(drive::Sample, Vec<f64>), Fail> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let backups = scope.spawn(|| -> Result<Vec<f64>, Fail> {
            let mut spans = Vec::new();
            while !done.load(Ordering::Acquire) {
                let began = Instant::now();
                one(server)?;
                spans.push(began.elapsed().as_secs_f64());
            }
            Ok(spans)
        });
        let sample = drive::run(load);
        done.store(true, Ordering::Release);
        let spans = backups.join().map_err(|_| "the backup thread panicked")??;
        Ok((sample?, spans))
    })
}

/// Makes a backup and waits for its end.
fn one(server: &Aumbry) -> Result<(), Fail> {
    let begun = server.once("POST", "/api/v1/backups")?;
    let id = begun["id"].as_str().ok_or("a backup without an id")?.to_owned();
    loop {
        let shown: Value = server.once("GET", &format!("/api/v1/backups/{id}"))?;
        match shown["state"].as_str() {
            Some("running" | "verifying") => std::thread::sleep(Duration::from_millis(100)),
            Some("whole" | "verified") => return Ok(()),
            _ => return Err(format!("a backup failed: {shown}").into()),
        }
    }
}

/// The newest backup into a folder of its own.
fn restore(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let data = Aumbry::folder(plan, DATA);
    let newest = std::fs::read_dir(data.join("backups"))?.filter_map(Result::ok).map(|entry| entry.path());
    let newest = newest.filter(|path| path.extension().is_some_and(|end| end == "backup")).max();
    let file = newest.ok_or("there is no backup to restore")?;
    let mebibytes = std::fs::metadata(&file)?.len() as f64 / 1_048_576.0;
    report.figure("length of a backup", "MiB", Bound::None, &[mebibytes]);
    let mut command = Command::new(plan.binaries.join("aumbry"));
    command.arg("restore").arg(file).arg("--data-dir").arg(Aumbry::folder(plan, "restored"));
    command.arg("--seal-file").arg(Aumbry::folder(plan, "backup.seal.key"));
    let began = Instant::now();
    let ended = command.output()?;
    if !ended.status.success() {
        return Err(format!("the restore failed: {}", String::from_utf8_lossy(&ended.stderr)).into());
    }
    report.figure("time of a restore", "s", Bound::None, &[began.elapsed().as_secs_f64()]);
    Ok(())
}
