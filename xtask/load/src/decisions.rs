//! What a decision costs, measured inside the library by its own example program.

use std::process::Command;

use serde_json::Value;

use crate::report::{Bound, Report};
use crate::{Fail, Plan};

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let program = plan.binaries.join("examples/decide");
    let mut rounds: [(&str, Vec<f64>, Vec<f64>); 2] =
        [("first", Vec::new(), Vec::new()), ("same", Vec::new(), Vec::new())];
    for _ in 0..plan.rounds {
        let ended = Command::new(&program).arg("--crowded").output()?;
        let told: Value = serde_json::from_slice(&ended.stdout)?;
        for (which, median, slow) in &mut rounds {
            let micros = |field: &str| told[&*which][field].as_f64().map(|ns| ns / 1e3).ok_or("no such figure");
            median.push(micros("p50")?);
            slow.push(micros("p99")?);
        }
    }
    for ((_, median, slow), name) in rounds.iter().zip(["each path for the first time", "the same path"]) {
        let name = format!("decision, 1,000 policies of which 20 apply, {name}");
        report.figure(&format!("{name}: p50"), "us", Bound::None, median);
        report.figure(&format!("{name}: p99"), "us", Bound::AtMost(100.0), slow);
    }
    Ok(())
}
