//! What stands in for MongoDB: NX-27017, which speaks its protocol over SQLite.

use super::{Program, await_port, fail, free_port};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A running NX-27017. It has no replica set, and keeps what it acknowledged when it is killed, not when power is lost.
#[derive(Debug)]
pub struct MongoPeer {
    /// Its port.
    pub port: u16,
    program: Program,
    folder: TempDir,
}

impl MongoPeer {
    /// Starts one.
    pub fn start() -> MongoPeer {
        let folder = TempDir::new().unwrap_or_else(|error| fail(&format!("no folder: {error}")));
        let port = free_port();
        let program = run(&folder, port);
        MongoPeer { port, program, folder }
    }

    /// Connection string of one of its databases, by its own port or that of something before it.
    pub fn url(&self, port: u16, database: &str) -> String {
        format!("mongodb://127.0.0.1:{port}/{database}?directConnection=true")
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again over what it left.
    pub fn start_again(&mut self) {
        self.program = run(&self.folder, self.port);
    }

    /// Stops it where it is, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.program.signal(if paused { "STOP" } else { "CONT" });
    }
}

fn run(folder: &TempDir, port: u16) -> Program {
    let mut command = Command::new(installed());
    command.arg("--data-dir").arg(folder.path().join("data")).args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
    ]);
    command.arg("--log-file").arg(folder.path().join("log")).arg("--pid-file").arg(folder.path().join("pid"));
    let mut program = Program::start(command, "nx-27017");
    await_port(port, &mut program);
    program
}

/// Where `cargo xtask test` puts it: beside the build that this test is of.
fn installed() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_default();
    let found =
        test.ancestors().map(|folder| folder.join("peers/nx-27017-0.8.1/bin/nx-27017")).find(|path| path.exists());
    found.unwrap_or_else(|| fail("nx-27017 is missing; `cargo xtask test FILTER` installs it, once"))
}
