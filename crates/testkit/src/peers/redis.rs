//! Redis, from the package `redis-server`.

use super::{Authority, Program, await_port, fail, free_port};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use tempfile::TempDir;

/// A Redis server that flushes each write, on a plain port and one with TLS.
#[derive(Debug)]
pub struct RedisPeer {
    /// Its plain port.
    pub port: u16,
    /// Its port with TLS.
    pub tls_port: u16,
    /// The authority of its certificate.
    pub authority: Authority,
    more: Vec<String>,
    program: Program,
    folder: TempDir,
}

impl RedisPeer {
    /// Starts one; `more` are further arguments, and win.
    pub fn start(more: &[&str]) -> RedisPeer {
        let folder = TempDir::new().unwrap_or_else(|error| fail(&format!("no folder: {error}")));
        let authority = Authority::make(folder.path());
        let (port, tls_port) = (free_port(), free_port());
        let more: Vec<String> = more.iter().map(|argument| (*argument).to_owned()).collect();
        let program = run(&folder, &authority, [port, tls_port], &more);
        RedisPeer { port, tls_port, authority, more, program, folder }
    }

    /// Connection string of its plain port, with this prefix of keys.
    pub fn url(&self, prefix: &str) -> String {
        format!("redis://127.0.0.1:{}?prefix={prefix}", self.port)
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again over what it left.
    pub fn start_again(&mut self) {
        self.program = run(&self.folder, &self.authority, [self.port, self.tls_port], &self.more);
    }

    /// Removes what it has on disk; for one that is not running.
    pub fn empty(&self) {
        let _gone = std::fs::remove_dir_all(self.folder.path().join("appendonlydir"));
    }

    /// Stops it where it is, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.program.signal(if paused { "STOP" } else { "CONT" });
    }

    /// Sends one command as a line of words, and gives the head of the answer as text.
    pub fn ask(&self, line: &str) -> String {
        let asked = || {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.write_all(format!("{line}\r\n").as_bytes())?;
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer)?;
            std::io::Result::Ok(String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()).into_owned())
        };
        asked().unwrap_or_else(|error| fail(&format!("{line}: {error}")))
    }
}

fn run(folder: &TempDir, authority: &Authority, [port, tls_port]: [u16; 2], more: &[String]) -> Program {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
    command.args(["--port", &port.to_string(), "--tls-port", &tls_port.to_string(), "--tls-auth-clients", "no"]);
    command.arg("--dir").arg(folder.path()).arg("--logfile").arg(folder.path().join("log"));
    command.arg("--tls-cert-file").arg(&authority.certificate).arg("--tls-key-file").arg(&authority.key);
    command.arg("--tls-ca-cert-file").arg(&authority.authority).args(more);
    let mut program = Program::start(command, "redis-server");
    await_port(port, &mut program);
    program
}
