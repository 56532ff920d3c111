//! The image and the systemd unit keep the promises the documentation makes of them.

use super::Findings;
use crate::shell::{Outcome, present, take};
use crate::tree::{read, target};

const IMAGE: &str = "deploy/Dockerfile";
const UNIT: &str = "deploy/aumbry.service";

/// Lines the unit must have, word for word.
const HARDENED: [&str; 17] = [
    "Type=notify",
    "User=aumbry",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectControlGroups=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictNamespaces=yes",
    "LockPersonality=yes",
    "CapabilityBoundingSet=",
    "UMask=0077",
    "LimitCORE=0",
    "StateDirectory=aumbry aumbry-config",
];

pub(super) fn check(found: &mut Findings) -> Outcome {
    image(&read(IMAGE)?, found);
    let unit = read(UNIT)?;
    for line in HARDENED.iter().filter(|line| !unit.lines().any(|l| l == **line)) {
        found.hard.push(format!("{UNIT}: `{line}` is missing"));
    }
    verify_unit(&unit, found)
}

fn image(text: &str, found: &mut Findings) {
    let mut wrong = |what: &str| found.hard.push(format!("{IMAGE}: {what}"));
    // The last stage is what ships.
    let last = text.rsplit_once("\nFROM ").map_or(text, |(_, last)| last);
    let users: Vec<&str> = last.lines().filter_map(|l| l.strip_prefix("USER ")).collect();
    let uid = users.last().and_then(|u| u.split(':').next()).and_then(|u| u.parse::<u32>().ok());
    if uid.is_none_or(|uid| uid == 0) {
        wrong("the last stage must end as a numeric user other than 0");
    }
    if last.lines().filter(|l| l.starts_with("VOLUME ")).collect::<Vec<_>>() != ["VOLUME [\"/var/lib/aumbry\"]"] {
        wrong("exactly one volume, /var/lib/aumbry");
    }
    if !last.contains("HEALTHCHECK ") || !last.contains("\"aumbry\", \"status\"") {
        wrong("a health check that asks `aumbry status`");
    }
    if text.lines().any(|l| l.starts_with("ADD ") || l.starts_with("FROM ") && l.contains(":latest")) {
        wrong("no ADD and no image named `latest`");
    }
}

/// Lets systemd judge the unit where it is installed, with a program that exists in place of ours.
fn verify_unit(unit: &str, found: &mut Findings) -> Outcome {
    if !present("systemd-analyze", &["--version"]) {
        found.facts.push(format!("{UNIT}: systemd-analyze is not here, only its lines were compared"));
        return Ok(());
    }
    let folder = target().join("tidy");
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let copy = folder.join("aumbry.service");
    let text = unit.replace("ExecStart=/usr/bin/aumbry", "ExecStart=/bin/true");
    std::fs::write(&copy, text).map_err(|e| format!("{}: {e}", copy.display()))?;
    let mut analyze = std::process::Command::new("systemd-analyze");
    analyze.args(["verify", "--man=no"]).arg(&copy);
    let done = take(analyze, &[] as &[&str])?;
    // A machine without a running systemd also complains about units that are not ours.
    let ours: Vec<&str> = done.err.lines().filter(|l| l.contains("aumbry.service")).collect();
    for line in ours {
        found.hard.push(format!("{UNIT}: {line}"));
    }
    found.facts.push(format!("{UNIT}: read by systemd-analyze"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Findings, image};

    fn wrong(text: &str) -> usize {
        let mut found = Findings::default();
        image(text, &mut found);
        found.hard.len()
    }

    #[test]
    fn an_image_that_runs_as_root_is_refused() {
        let good = "FROM a:1 AS b\n\nFROM c:1\nVOLUME [\"/var/lib/aumbry\"]\nHEALTHCHECK CMD [\"aumbry\", \"status\"]\nUSER 10001:10001\n";
        assert_eq!(wrong(good), 0);
        assert_eq!(wrong(&good.replace("10001:10001", "0")), 1);
        assert_eq!(wrong(&good.replace("10001:10001", "aumbry")), 1, "only a number can be checked by an orchestrator");
        assert_eq!(wrong(&good.replace("VOLUME", "LABEL")), 1);
        assert_eq!(wrong(&good.replace("c:1", "c:latest")), 1);
    }
}
