//! A store of a million secrets: reads, writes, starts and memory, beside a store of a thousand.

use std::time::Duration;

use crate::aumbry::{self, Aumbry};
use crate::drive::{self, Load};
use crate::machine;
use crate::report::{Bound, Report};
use crate::{Fail, Plan, writes};

const SMALL: u64 = 1_000;
const CONNECTIONS: usize = 64;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let core = plan.split.map(|(server, _)| server);
    let large = Aumbry::start(plan, "large", None)?;
    let token = large.ordinary_token()?;
    let took = large.fill(&token, plan.secrets)?;
    report.figure("filling the large store", "s", Bound::None, &[took.as_secs_f64()]);
    large.stop()?;
    let disk = machine::folder_mib(&Aumbry::folder(plan, "large"))?;
    report.figure("large store on disk", "MiB", Bound::None, &[disk]);

    let mut server = Aumbry::start(plan, "large", core)?;
    let (mut clean, mut killed) = (vec![server.ready_after.as_secs_f64()], Vec::new());
    for _ in 0..plan.rounds {
        server.stop()?;
        server = Aumbry::start(plan, "large", core)?;
        clean.push(server.ready_after.as_secs_f64());
        server = killed_under_load(plan, server, &token)?;
        killed.push(server.ready_after.as_secs_f64());
    }
    report.figure("large store: start to ready", "s", Bound::AtMost(1.0), &clean);
    report.figure("large store: start to ready after kill -9 under load", "s", Bound::AtMost(1.0), &killed);

    let small = Aumbry::start(plan, "small", core)?;
    let small_token = small.ordinary_token()?;
    small.fill(&small_token, SMALL)?;
    reads(plan, report, (&small, &small_token), (&server, &token))?;
    report.figure("large store: anonymous memory", "MiB", Bound::AtMost(200.0), &[machine::rss_anon_mib(server.id())?]);
    small.stop()?;
    server.stop()?;

    let server = Aumbry::start(plan, "large", None)?;
    writes::sustained(plan, report, &server, &token, plan.secrets, "durable writes into the large store", 1.2)?;
    let memory = machine::rss_anon_mib(server.id())?;
    report.figure("large store: anonymous memory after the writes", "MiB", Bound::AtMost(200.0), &[memory]);
    server.stop()
}

/// Kills the server in the middle of writes and starts it again.
fn killed_under_load(plan: &Plan, server: Aumbry, token: &str) -> Result<Aumbry, Fail> {
    let load = Load {
        peer: server.peer.clone(),
        shape: aumbry::write_shape(token, plan.secrets),
        connections: CONNECTIONS,
        time: Duration::from_secs(30),
        warm_up: Duration::ZERO,
        core: None,
        process: None,
        seed: 5,
    };
    let running = std::thread::spawn(move || drive::run(&load));
    std::thread::sleep(Duration::from_secs(2));
    server.kill()?;
    // The load ends with the connection it lost, which is what was wanted.
    running.join().map_err(|_| "the load thread panicked")?.err().ok_or("the kill came too late")?;
    Aumbry::start(plan, "large", plan.split.map(|(core, _)| core))
}

fn reads(plan: &Plan, report: &mut Report, small: (&Aumbry, &str), large: (&Aumbry, &str)) -> Result<(), Fail> {
    let mut ratios = Vec::new();
    for round in 0..plan.rounds {
        let mut p50 = Vec::new();
        for ((server, token), count, name) in [(small, SMALL, "1,000"), (large, plan.secrets, "all")] {
            let sample = drive::run(&Load {
                peer: server.peer.clone(),
                shape: aumbry::read_shape(token, count),
                connections: CONNECTIONS,
                time: plan.read_time,
                warm_up: Duration::from_secs(1),
                core: plan.split.map(|(_, generator)| generator),
                process: Some(server.id()),
                seed: 31 + round as u64,
            })?;
            report.sample(&format!("read of 1 KiB out of {name} secrets"), &sample);
            p50.push(sample.p50_us);
        }
        if let [of_small, of_large] = p50.as_slice() {
            ratios.push(of_large / of_small);
        }
    }
    report.figure("large store: read p50 / with 1,000 secrets", "x", Bound::AtMost(1.3), &ratios);
    Ok(())
}
