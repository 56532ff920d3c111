//! A real server behind the real binary, in a folder of its own.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::command::{Ended, aumbry, run};

/// A running `aumbry serve --dev`; killed when dropped.
pub(crate) struct House {
    server: Child,
    folder: tempfile::TempDir,
    exports: Vec<(String, String)>,
    flags: &'static [&'static str],
}

impl House {
    /// Starts a server with an empty store and waits for what it prints.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with further flags of `serve`, also whenever it is started again.
    pub(crate) fn start_with(flags: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (server, exports) = serve(folder.path(), flags);
        Self { server, folder, exports, flags }
    }

    /// The server's process id.
    pub(crate) fn pid(&self) -> String {
        self.server.id().to_string()
    }

    /// Kills the server as `kill -9` does and starts it again on the same data.
    pub(crate) fn kill_and_start(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills the server as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    /// Stops the server as a service manager does, and checks that it went well.
    pub(crate) fn stop(&mut self) {
        let pid = self.server.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(self.server.wait().unwrap().code(), Some(0));
    }

    /// Starts a server on the same data.
    pub(crate) fn start_again(&mut self) {
        (self.server, self.exports) = serve(self.folder.path(), self.flags);
    }

    /// The same with other flags of `serve`.
    pub(crate) fn start_again_with(&mut self, flags: &'static [&'static str]) {
        self.flags = flags;
        self.start_again();
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A value the server printed to be exported.
    pub(crate) fn export(&self, name: &str) -> &str {
        &self.exports.iter().find(|(found, _)| found == name).unwrap().1
    }

    /// The binary as the owner.
    pub(crate) fn owner(&self) -> Command {
        let mut command = aumbry(self.folder.path());
        command.envs(self.exports.iter().cloned());
        command
    }

    /// The binary as whoever has this token.
    pub(crate) fn with_token(&self, token: &str) -> Command {
        let mut command = self.owner();
        command.env("AUMBRY_TOKEN", token);
        command
    }

    /// Runs a command as the owner.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.run_with(args, b"")
    }

    /// The same with this on standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut command = self.owner();
        command.args(args);
        run(command, input)
    }

    /// Writes a secret.
    pub(crate) fn put(&self, path: &str, value: &[u8]) {
        self.run_with(&["put", path], value).ok();
    }

    /// Writes a secret and waits until its time is over.
    pub(crate) fn put_expired(&self, path: &str, value: &[u8]) {
        let ends = jiff::Timestamp::now() + std::time::Duration::from_secs(2);
        self.run_with(&["put", path, "--expires-at", &ends.to_string()], value).ok();
        while jiff::Timestamp::now() <= ends {
            assert!(Command::new("sleep").arg("0.05").status().unwrap().success());
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn serve(folder: &Path, flags: &[&str]) -> (Child, Vec<(String, String)>) {
    let mut command = aumbry(folder);
    command.args(["serve", "--dev", "--data-dir", "data", "--listen", "127.0.0.1:0"]).args(flags);
    let log = std::fs::File::create(folder.join("server.log")).unwrap();
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut exports = Vec::new();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    while exports.len() < 3
        && let Some(Ok(line)) = lines.next()
    {
        if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            exports.push((name.to_owned(), value.trim_matches(['"', '\'']).to_owned()));
        }
    }
    if exports.len() == 3 {
        return (server, exports);
    }
    let _ = server.kill();
    let _ = server.wait();
    panic!("the server did not start: {}", std::fs::read_to_string(folder.join("server.log")).unwrap());
}
