//! Runs the binary in a folder of its own and keeps what it wrote.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a command ended in.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.out).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The same, after checking that it went well.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The same, after checking exit code and error code.
    pub(crate) fn failed(self, code: i32, name: &str) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.contains(name), "{self:?}");
        self
    }

    /// Checks that something is in neither output.
    pub(crate) fn hides(self, canary: &str) -> Self {
        assert!(!String::from_utf8_lossy(&self.out).contains(canary) && !self.err.contains(canary), "{self:?}");
        self
    }
}

/// The binary with nothing of this process's environment but the path, at home in `home`.
pub(crate) fn aumbry(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aumbry"));
    command.env_clear().current_dir(home).env("HOME", home).env("XDG_CONFIG_HOME", home.join("config"));
    command.env("PATH", "/usr/bin:/bin");
    command
}

/// Runs a command with this on its standard input.
pub(crate) fn run(mut command: Command, input: &[u8]) -> Ended {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command may end without reading all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    ended(output)
}

/// Runs a command with these arguments and no input.
pub(crate) fn with<S: AsRef<OsStr>>(mut command: Command, args: &[S]) -> Ended {
    command.args(args);
    run(command, b"")
}

fn ended(output: Output) -> Ended {
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    Ended { code: output.status.code().unwrap_or(-1), out: output.stdout, err }
}
