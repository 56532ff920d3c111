//! `cargo xtask test`: every test of the workspace, on a machine that has Rust and a C compiler.

use crate::shell::{Outcome, cargo, must, present};

/// Documentation examples first, so that the run closes with the summary of the real tests.
pub(crate) fn run(filter: &[String]) -> Outcome {
    if !present("cc", &["--version"]) && !present("gcc", &["--version"]) {
        install("gcc")?;
    }
    if filter.is_empty() {
        must(cargo(), &["test", "--workspace", "--doc"])?;
    }
    let mut args: Vec<&str> = if present("cargo", &["nextest", "--version"]) {
        vec!["nextest", "run", "--workspace", "--no-tests=pass", "--no-fail-fast"]
    } else {
        vec!["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"]
    };
    args.extend(filter.iter().map(String::as_str));
    must(cargo(), &args)
}

/// Installs a package of the system where that is possible without asking.
fn install(package: &str) -> Outcome {
    let help = format!("a C compiler is needed; install `{package}`");
    if !present("apt-get", &["--version"]) {
        return Err(help);
    }
    let apt = || std::process::Command::new("apt-get");
    must(apt(), &["update", "-q"]).map_err(|e| format!("{help} ({e})"))?;
    must(apt(), &["install", "-y", "-q", package]).map_err(|e| format!("{help} ({e})"))
}
