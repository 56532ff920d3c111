//! Servers of others, started for a test on a free port of the loopback and ended with it.
//!
//! Where a program is missing the test fails and says how to install it; `cargo xtask test` does so by itself.

mod authority;
mod mariadb;
mod mongo;
mod mongo_wire;
mod owner;
mod postgres;
mod proxy;
mod redis;

pub use authority::Authority;
pub use mariadb::MariaDbPeer;
pub use mongo::MongoPeer;
pub use mongo_wire::{Mishap, MongoWire};
pub use postgres::PostgresPeer;
pub use proxy::{Answers, Proxy};
pub use redis::RedisPeer;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A child process, killed by its id when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
}

impl Program {
    /// Starts a program without input or output; `package` is what has it.
    pub fn start(mut command: Command, package: &str) -> Program {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => Program { child },
            Err(error) => fail(&format!("{command:?}: {error}; install `{package}`")),
        }
    }

    /// Sends a signal by its name, as `STOP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "no signal {name}");
    }

    /// Sends a signal to it and to the processes it made.
    pub fn signal_all(&self, name: &str) {
        let parents = parents();
        let mut all = vec![self.child.id()];
        let mut seen = 0;
        while let Some(parent) = all.get(seen).copied() {
            all.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(process, _)| *process));
            seen += 1;
        }
        // One of them may have ended in the meantime.
        let numbers = all.iter().map(ToString::to_string);
        let _sent = Command::new("kill").arg(format!("-{name}")).args(numbers).stderr(Stdio::null()).status();
    }

    /// Kills it and waits for its end.
    pub fn kill(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Each process and its parent.
fn parents() -> Vec<(u32, u32)> {
    let parent = |entry: std::fs::DirEntry| {
        let process: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in brackets, may hold anything.
        let (_, behind_name) = stat.rsplit_once(')')?;
        Some((process, behind_name.split_whitespace().nth(1)?.parse().ok()?))
    };
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(parent).collect()
}

/// Where a program is: in the first of `places` that has it, else somewhere in `PATH`; `package` is what has it.
pub fn find(name: &str, places: &[&str], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(name));
    let mut all = places.iter().map(|place| Path::new(place).join(name)).chain(in_path);
    all.find(|file| file.is_file()).unwrap_or_else(|| {
        fail(&format!("the program `{name}` is missing; install `{package}`, as `cargo xtask test` does"))
    })
}

/// A port of the loopback that nobody listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    listener.map_or_else(|error| fail(&format!("no free port: {error}")), |address| address.port())
}

/// Waits until something listens on a port of the loopback, for 60 s at most.
pub fn await_port(port: u16, what: &mut Program) {
    for _ in 0..1200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return;
        }
        assert!(!what.ended(), "the server for the test ended before it listened");
        pause(50);
    }
    fail("the server for the test does not listen")
}

/// Waits for so many milliseconds of real time.
#[expect(clippy::disallowed_methods, reason = "waits for another process")]
pub fn pause(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[expect(clippy::panic, reason = "fails the test that asked for a server")]
fn fail(why: &str) -> ! {
    panic!("{why}")
}
