//! `cargo xtask nightly`: what is too slow for each change; run it before a release.

use crate::layers::released;
use crate::shell::{Outcome, cargo, must, present};
use crate::tree::members;

/// Seeds of one nightly run, first to last; `AUMBRY_SIM_SEEDS` overrides it, a failing seed alone is enough.
const SEEDS: &str = "0..5000";

type Part = fn() -> Outcome;

/// Runs every part, then names those that failed.
pub(crate) fn run() -> Outcome {
    let parts: [(&str, Part); 5] = [
        ("features", features),
        ("release", release),
        ("simulation", simulation),
        ("policies", policies),
        ("licences", licences),
    ];
    let mut failed = Vec::new();
    for (name, part) in parts {
        println!("nightly: {name}");
        if let Err(why) = part() {
            eprintln!("nightly: {name}: {why}");
            failed.push(name);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

/// Each crate builds with no features, with its defaults and with all.
fn features() -> Outcome {
    for member in members()? {
        for choice in ["--no-default-features", "--all-features", ""] {
            let mut args = vec!["check", "--quiet", "--package", &member.name, "--lib", "--bins"];
            args.extend(Some(choice).filter(|c| !c.is_empty()));
            must(cargo(), &args)?;
        }
    }
    Ok(())
}

/// The released binary carries no test-only power, and builds.
fn release() -> Outcome {
    match released()?.first() {
        Some(line) => Err(line.clone()),
        None => must(cargo(), &["build", "--release", "--package", "aumbry"]),
    }
}

/// The seeded simulations with many seeds.
fn simulation() -> Outcome {
    let seeds = std::env::var("AUMBRY_SIM_SEEDS").unwrap_or_else(|_| SEEDS.into());
    let mut tests = cargo();
    tests.env("AUMBRY_SIM_SEEDS", seeds);
    if present("cargo", &["nextest", "--version"]) {
        must(tests, &["nextest", "run", "--workspace", "--no-tests=pass", "--no-fail-fast", "sim::"])
    } else {
        must(tests, &["test", "--workspace", "--", "sim::"])
    }
}

/// A million random requests, decided with index, split and memory as by Cedar over everything.
fn policies() -> Outcome {
    let mut tests = cargo();
    tests.env("AUMBRY_POLICY_SEEDS", "667");
    must(tests, &["test", "--release", "--package", "access", "--test", "it", "--", "--nocapture", "pol_16_"])
}

/// Licences, advisories and sources by `cargo deny`, where it is installed.
fn licences() -> Outcome {
    if present("cargo", &["deny", "--version"]) {
        must(cargo(), &["deny", "check", "licenses", "bans", "sources"])
    } else {
        println!("nightly: cargo-deny is not installed: licences not checked (`cargo install cargo-deny`)");
        Ok(())
    }
}
