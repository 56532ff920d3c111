//! What the operating system says: cores, CPU time, memory, and the speed of a flush.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Fail;

/// A core by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Core(usize);

/// Cores this process may use.
pub(crate) fn cores() -> Result<Vec<Core>, Fail> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|n| set.is_set(*n)).map(Core).collect())
}

/// Keeps the calling thread, and what it starts, on one core.
pub(crate) fn pin(core: Core) -> Result<(), Fail> {
    let mut set = CpuSet::new();
    set.set(core.0);
    Ok(sched_setaffinity(None, &set)?)
}

/// Starts a program, on one core if one is given. The thread that starts it is pinned while it does so.
pub(crate) fn start(mut command: Command, core: Option<Core>) -> Result<Child, Fail> {
    let before = sched_getaffinity(None)?;
    if let Some(core) = core {
        pin(core)?;
    }
    let child = command.spawn();
    sched_setaffinity(None, &before)?;
    child.map_err(|e| format!("{} did not start: {e}", command.get_program().to_string_lossy()).into())
}

/// Kernel clock ticks per second in `/proc`, the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// CPU time a process has used, user and system.
pub(crate) fn cpu(process: Option<u32>) -> Result<Duration, Fail> {
    let Some(id) = process else { return Ok(Duration::ZERO) };
    ticks(&fs::read_to_string(format!("/proc/{id}/stat"))?)
}

/// CPU time of the calling thread.
pub(crate) fn own_thread_cpu() -> Result<Duration, Fail> {
    ticks(&fs::read_to_string("/proc/thread-self/stat")?)
}

fn ticks(stat: &str) -> Result<Duration, Fail> {
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).ok_or("/proc stat has no name")?;
    let fields: Vec<&str> = after_name.split(' ').collect();
    let field = |n: usize| fields.get(n).and_then(|f| f.parse::<f64>().ok()).ok_or("/proc stat is short");
    Ok(Duration::from_secs_f64((field(11)? + field(12)?) / TICKS))
}

/// Anonymous resident memory of a process, in MiB.
pub(crate) fn rss_anon_mib(process: u32) -> Result<f64, Fail> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).ok_or("no RssAnon")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// Appends of 4 KiB, each made durable before the next: how many per second.
pub(crate) fn flushes(folder: &Path, time: Duration) -> Result<f64, Fail> {
    let place = folder.join("flush-probe");
    let mut file = fs::OpenOptions::new().create(true).append(true).open(&place)?;
    let block = [0x5A_u8; 4096];
    let began = Instant::now();
    let mut done = 0_u32;
    while began.elapsed() < time {
        file.write_all(&block)?;
        file.sync_data()?;
        done += 1;
    }
    let rate = f64::from(done) / began.elapsed().as_secs_f64();
    fs::remove_file(place)?;
    Ok(rate)
}

/// Size of everything under a folder, in MiB.
pub(crate) fn folder_mib(folder: &Path) -> Result<f64, Fail> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { (folder_mib(&entry.path())? * 1048576.0) as u64 } else { about.len() };
    }
    Ok(bytes as f64 / 1_048_576.0)
}

/// A child that is killed, not asked, when it is dropped.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> Result<(), Fail> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits until it is gone; killed after 30 s.
    pub(crate) fn stop(&mut self) -> Result<(), Fail> {
        let id = self.0.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        for _ in 0..300 {
            if self.0.try_wait()?.is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.kill()?;
        Err("the server did not end within 30 s of SIGTERM".into())
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
