//! `cargo xtask bench`: measures Aumbry against rulers taken in the same run, and prints ratios.
//!
//! Absolute figures of one machine say little about another; so reads are compared with a bare handler behind the same TLS,
//! and durable writes with a loop that only appends and flushes. Candidates take turns (A/B/A/B), each figure is the median of
//! its rounds. See `cargo xtask bench --help`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark tells its figures on the terminal")]
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod aumbry;
mod backup;
mod bao;
mod bare;
mod decisions;
mod drive;
mod idle;
mod link;
mod machine;
mod reads;
mod report;
mod scale;
mod tenants;
mod writes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::machine::Core;
use crate::report::Report;

/// Why a run ended early; the text is for a person.
pub(crate) type Fail = Box<dyn std::error::Error + Send + Sync>;

/// A part of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Binary size and memory of an idle server.
    Idle,
    /// The bare handler beside itself: how far noise alone moves a ratio here.
    Noise,
    /// Reads beside the bare handler.
    Reads,
    /// Durable writes beside the bare flush loop.
    Writes,
    /// Reads and durable writes beside OpenBao, where `bao` is installed.
    Bao,
    /// A store of a million secrets: reads, writes, starts, memory.
    Scale,
    /// Decisions under a thousand policies.
    Decisions,
    /// Ten thousand tenants: memory, and what they cost a neighbour.
    Tenants,
    /// Backups of that many secrets while they are written, and a restore.
    Backup,
}

/// What to measure and for how long.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo xtask bench", about = "Measures ratios against a bare handler and a bare flush loop")]
struct Flags {
    /// Only these parts, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// A smoke run of about a minute; its figures mean little.
    #[arg(long)]
    quick: bool,
    /// Rounds of each comparison; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of one round of reads.
    #[arg(long)]
    read_seconds: Option<u64>,
    /// Seconds of one round of writes.
    #[arg(long)]
    write_seconds: Option<u64>,
    /// Secrets of the large store.
    #[arg(long)]
    secrets: Option<u64>,
    /// Tenants of the crowded server.
    #[arg(long)]
    tenants: Option<u64>,
    /// Folder of the built programs.
    #[arg(long, hide = true, default_value = "target/release")]
    binaries: PathBuf,
    /// Folder for the stores under test and for the figures.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
}

/// The flags with everything decided.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) binaries: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) read_time: Duration,
    pub(crate) write_time: Duration,
    pub(crate) flush_time: Duration,
    pub(crate) secrets: u64,
    pub(crate) tenants: u64,
    /// Where a pinned server runs, and where its generator does.
    pub(crate) split: Option<(Core, Core)>,
}

impl Plan {
    fn new(flags: &Flags, folder: &Path) -> Result<Self, Fail> {
        let choose =
            |given: Option<u64>, quick: u64, full: u64| given.unwrap_or(if flags.quick { quick } else { full });
        let cores = machine::cores()?;
        let split = match cores.as_slice() {
            [server, generator, ..] => Some((*server, *generator)),
            _ => None,
        };
        Ok(Self {
            binaries: flags.binaries.clone(),
            folder: folder.to_path_buf(),
            rounds: flags.rounds.unwrap_or(if flags.quick { 1 } else { 5 }),
            read_time: Duration::from_secs(choose(flags.read_seconds, 2, 5)),
            write_time: Duration::from_secs(choose(flags.write_seconds, 5, 60)),
            flush_time: Duration::from_secs(choose(None, 2, 10)),
            secrets: choose(flags.secrets, 20_000, 1_000_000),
            tenants: choose(flags.tenants, 500, 10_000),
            split,
        })
    }
}

/// What a part does.
type Measure = fn(&Plan, &mut Report) -> Result<(), Fail>;

fn main() -> ExitCode {
    match run(&Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<(), Fail> {
    std::fs::create_dir_all(&flags.out)?;
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&flags.out)?;
    let plan = Plan::new(flags, folder.path())?;
    let mut report = Report::new(&plan, flags.quick);
    let wanted = |part: Part| flags.only.is_empty() || flags.only.contains(&part);
    let parts: [(Part, Measure); 9] = [
        (Part::Idle, idle::measure),
        (Part::Noise, reads::noise),
        (Part::Reads, reads::measure),
        (Part::Writes, writes::measure),
        (Part::Decisions, decisions::measure),
        (Part::Tenants, tenants::measure),
        (Part::Bao, bao::measure),
        (Part::Backup, backup::measure),
        (Part::Scale, scale::measure),
    ];
    for (part, measure) in parts.into_iter().filter(|(part, _)| wanted(*part)) {
        eprintln!("bench: {part:?}");
        measure(&plan, &mut report).map_err(|e| format!("{part:?}: {e}"))?;
    }
    print!("{}", report.table());
    let place = report.keep(&flags.out)?;
    println!("\nfigures of this run: {}", place.display());
    Ok(())
}
