//! `cargo xtask bench`: builds for release and hands over to the `load` program.

use std::process::Command;

use crate::shell::{Outcome, cargo, must};
use crate::tree::{root, target};

/// Builds the server, the bare handler and the generator, then runs the generator with the flags given.
pub(crate) fn run(flags: &[String]) -> Outcome {
    must(cargo(), &["build", "--release", "--package", "aumbry", "--package", "bare", "--package", "load"])?;
    must(cargo(), &["build", "--release", "--package", "access", "--example", "decide"])?;
    let built = target().join("release");
    let mut load = Command::new(built.join("load"));
    load.current_dir(root());
    load.arg("--binaries").arg(&built).arg("--out").arg(target().join("bench"));
    must(load, flags)
}
