//! `cargo xtask test`: every test of the workspace, on a machine that has Rust and a C compiler.

use crate::shell::{Outcome, cargo, must, present};

/// Documentation examples first, so that the run closes with the summary of the real tests.
pub(crate) fn run(filter: &[String]) -> Outcome {
    if !present("cc", &["--version"]) && !present("gcc", &["--version"]) {
        install("gcc", "a C compiler is needed")?;
    }
    for (place, package) in SERVERS {
        if !std::path::Path::new(place).exists() {
            install(package, "tests keep what Aumbry stores in it")?;
        }
    }
    for (program, asked, package) in PEERS {
        if !present(program, asked) {
            install(package, "tests hold what Aumbry makes against the programs that read or keep it")?;
        }
    }
    mongo_stand_in()?;
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

/// Servers whose programs are in no folder of `PATH`: what each has on disk, and its package.
const SERVERS: [(&str, &str); 2] = [("/usr/lib/postgresql", "postgresql"), ("/usr/sbin/mariadbd", "mariadb-server")];

/// Programs that read or keep what Aumbry makes, how each says that it is there, and its package.
const PEERS: [(&str, &[&str], &str); 4] = [
    ("openssl", &["version"], "openssl"),
    ("ssh", &["-V"], "openssh-client"),
    ("age", &["--version"], "age"),
    ("redis-server", &["--version"], "redis-server"),
];

/// What stands in for MongoDB, of which no server can be had as a package: pinned, in an environment beside the build.
const STAND_IN: &str = "nx-27017==0.8.1";

/// Makes the environment of [`STAND_IN`] where it is not there; tests look for it in the same place.
fn mongo_stand_in() -> Outcome {
    let built = std::env::current_exe().map_err(|e| format!("no path of this program: {e}"))?;
    let target = built.ancestors().nth(2).ok_or("this program is in no target folder")?;
    let folder = target.join("peers").join(STAND_IN.replace("==", "-"));
    if folder.join("bin/nx-27017").exists() {
        return Ok(());
    }
    if !present("python3", &["-m", "venv", "--help"]) || !present("python3", &["-c", "import ensurepip"]) {
        install("python3-venv", "what stands in for MongoDB in tests is a Python program")?;
    }
    let path = folder.to_str().ok_or("the target folder has a name that is no text")?;
    must(std::process::Command::new("python3"), &["-m", "venv", "--clear", path])?;
    must(std::process::Command::new(folder.join("bin/pip")), &["install", "--quiet", "--no-input", STAND_IN])
}

/// Installs a package of the system where that is possible without asking; `why` is for whoever has to do it by hand.
fn install(package: &str, why: &str) -> Outcome {
    let help = format!("{why}; install `{package}`");
    if !present("apt-get", &["--version"]) {
        return Err(help);
    }
    let apt = || std::process::Command::new("apt-get");
    must(apt(), &["update", "-q"]).map_err(|e| format!("{help} ({e})"))?;
    must(apt(), &["install", "-y", "-q", package]).map_err(|e| format!("{help} ({e})"))
}
