//! Closed-loop load: each connection sends its next request when the last one was answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::Fail;
use crate::link::{Link, Peer};
use crate::machine::{self, Core};

/// Small seeded generator for paths; nothing secret depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit.max(1)
    }
}

/// Writes the bytes of the next whole request.
pub(crate) type Shape = Arc<dyn Fn(&mut Dice, &mut Vec<u8>) + Send + Sync>;

/// What to send, how, and for how long.
#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) peer: Peer,
    pub(crate) shape: Shape,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// Not counted, at the head.
    pub(crate) warm_up: Duration,
    /// Where the generator runs; anywhere when absent.
    pub(crate) core: Option<Core>,
    /// The server, for its CPU time.
    pub(crate) process: Option<u32>,
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// Answered requests per second.
    pub(crate) rate: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) requests: u64,
    /// Server CPU time per request.
    pub(crate) server_cpu_us: f64,
    /// Share of one core the generator was busy; near 1 the generator is the limit, not the server.
    pub(crate) generator_busy: f64,
}

/// Runs the load on a thread of its own; any answer outside 2xx ends it with that answer.
pub(crate) fn run(load: &Load) -> Result<Sample, Fail> {
    let load = load.clone();
    let thread = std::thread::spawn(move || -> Result<Sample, Fail> {
        if let Some(core) = load.core {
            machine::pin(core)?;
        }
        Builder::new_current_thread().enable_all().build()?.block_on(drive(load))
    });
    thread.join().map_err(|_| "the load thread panicked")?
}

async fn drive(load: Load) -> Result<Sample, Fail> {
    let mut tasks = JoinSet::new();
    let mut links = Vec::new();
    for _ in 0..load.connections {
        links.push(Link::open(&load.peer).await?);
    }
    let start = Instant::now() + load.warm_up;
    let end = start + load.time;
    for (number, link) in links.into_iter().enumerate() {
        let shape = Arc::clone(&load.shape);
        let dice = Dice::new(load.seed.wrapping_mul(1_000).wrapping_add(number as u64 + 1));
        tasks.spawn(one(link, shape, dice, start, end));
    }
    tokio::time::sleep_until(start.into()).await;
    let (server, own) = (machine::cpu(load.process)?, machine::own_thread_cpu()?);
    let mut micros: Vec<u32> = Vec::new();
    tokio::time::sleep_until(end.into()).await;
    let (server_end, own_end) = (machine::cpu(load.process)?, machine::own_thread_cpu()?);
    while let Some(done) = tasks.join_next().await {
        micros.extend(done??);
    }
    micros.sort_unstable();
    let at = |share: f64| micros.get((micros.len() as f64 * share) as usize).copied().map_or(0.0, f64::from);
    let seconds = load.time.as_secs_f64();
    let requests = micros.len() as f64;
    Ok(Sample {
        rate: requests / seconds,
        p50_us: at(0.50),
        p99_us: at(0.99),
        requests: micros.len() as u64,
        server_cpu_us: (server_end - server).as_secs_f64() * 1e6 / requests.max(1.0),
        generator_busy: (own_end - own).as_secs_f64() / seconds,
    })
}

/// One connection until the time is over; latencies in microseconds of the answers that came inside the counted time.
async fn one(mut link: Link, shape: Shape, mut dice: Dice, start: Instant, end: Instant) -> Result<Vec<u32>, Fail> {
    let mut request = Vec::with_capacity(4096);
    let mut micros = Vec::with_capacity(1 << 16);
    loop {
        request.clear();
        shape(&mut dice, &mut request);
        let sent = Instant::now();
        let answer = link.ask(&request).await?;
        let got = Instant::now();
        if !(200..300).contains(&answer.status) {
            let body = String::from_utf8_lossy(link.body(answer)).into_owned();
            return Err(format!("the server answered {}: {body}", answer.status).into());
        }
        if got >= end {
            return Ok(micros);
        }
        if got >= start {
            micros.push(u32::try_from((got - sent).as_micros()).unwrap_or(u32::MAX));
        }
    }
}

/// Sends each request of a list once, over many connections, as fast as they are answered.
pub(crate) fn each(peer: &Peer, count: u64, connections: usize, make: &Each) -> Result<Duration, Fail> {
    let began = Instant::now();
    Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut tasks: JoinSet<Result<(), Fail>> = JoinSet::new();
        for first in 0..connections as u64 {
            let (peer, make) = (peer.clone(), Arc::clone(make));
            tasks.spawn(async move {
                let mut link = Link::open(&peer).await?;
                let mut request = Vec::with_capacity(4096);
                let mut number = first;
                while number < count {
                    request.clear();
                    make(number, &mut request);
                    let answer = link.ask(&request).await?;
                    if !(200..300).contains(&answer.status) {
                        let body = String::from_utf8_lossy(link.body(answer)).into_owned();
                        return Err(format!("loading: the server answered {}: {body}", answer.status).into());
                    }
                    number += connections as u64;
                }
                Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok::<(), Fail>(())
    })?;
    Ok(began.elapsed())
}

/// Writes the whole request with this number.
pub(crate) type Each = Arc<dyn Fn(u64, &mut Vec<u8>) + Send + Sync>;
