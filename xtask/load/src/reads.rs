//! Reads beside the bare handler: server on one core, generator on the other.

use std::time::Duration;

use crate::aumbry::{self, Aumbry};
use crate::bare::Bare;
use crate::drive::{self, Load};
use crate::report::{Bound, Report};
use crate::{Fail, Plan};

/// Secrets that are read.
const SECRETS: u64 = 10_000;
const CONNECTIONS: usize = 64;

/// Reads of 1 KiB by an ordinary principal beside a bare handler that answers as many bytes.
pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let core = plan.split.map(|(server, _)| server);
    let server = Aumbry::start(plan, "reads", core)?;
    let token = server.ordinary_token()?;
    server.fill(&token, SECRETS)?;
    let bare = Bare::start(plan, server.read_bytes(&token)?, core)?;

    let (mut rate, mut tail, mut cost) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let load = ruler(plan, &bare, round);
        let ruler = drive::run(&load)?;
        report.sample("bare handler, 64 connections", &ruler);
        let shape = aumbry::read_shape(&token, SECRETS);
        let ours = drive::run(&Load { peer: server.peer.clone(), shape, process: Some(server.id()), ..load })?;
        report.sample("read of 1 KiB, 64 connections", &ours);
        rate.push(ours.rate / ruler.rate);
        tail.push(ours.p99_us / ruler.p99_us);
        cost.push(ours.server_cpu_us / ruler.server_cpu_us);
    }
    report.figure("read rate / bare handler", "x", Bound::AtLeast(0.40), &rate);
    report.figure("read p99 / bare handler", "x", Bound::AtMost(3.0), &tail);
    report.figure("read server CPU / bare handler", "x", Bound::None, &cost);
    server.stop()
}

/// Two bare handlers beside each other: what a ratio of 1 looks like on this machine.
pub(crate) fn noise(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let core = plan.split.map(|(server, _)| server);
    let (first, second) = (Bare::start(plan, 1400, core)?, Bare::start(plan, 1400, core)?);
    let mut ratios = Vec::new();
    for round in 0..plan.rounds {
        let one = drive::run(&ruler(plan, &first, round))?;
        report.sample("bare handler", &one);
        let other = drive::run(&ruler(plan, &second, round))?;
        report.sample("another bare handler", &other);
        ratios.push(other.rate / one.rate);
    }
    report.figure("bare handler / another one (noise)", "x", Bound::None, &ratios);
    Ok(())
}

fn ruler(plan: &Plan, bare: &Bare, round: usize) -> Load {
    Load {
        peer: bare.peer.clone(),
        shape: Bare::shape(),
        connections: CONNECTIONS,
        time: plan.read_time,
        warm_up: Duration::from_secs(1),
        core: plan.split.map(|(_, generator)| generator),
        process: Some(bare.id()),
        seed: round as u64,
    }
}
