//! `aumbry ledger`: what happened, and the proof of it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use client::Error;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::connect::Global;
use crate::pins::{self, Pin};
use crate::verb::offline;
use crate::{exit, export, fault, output};

/// What happened, and the proof of it
#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Check the ledger here, against a pinned key
    Verify(Verify),
    /// Make all records again from the entries; the server must not run
    Rebuild(offline::Rebuild),
    /// Write the ledger to a file that can be verified without the server
    Export {
        /// The file; it must not exist yet
        file: PathBuf,
        #[command(flatten)]
        at: offline::At,
    },
    /// Print the newest checkpoint, a signed note
    Checkpoint,
    /// Print the key that checkpoints are signed with
    Key,
}

/// Without arguments the server's ledger is fetched and checked here
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The ledger's key [default: the one pinned at first use]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Check an export instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_dir", "config"])]
    export: Option<PathBuf>,
    #[command(flatten)]
    at: offline::At,
    /// With it keys, records and values are opened too; for --data-dir and --config
    #[arg(long, value_name = "FILE", conflicts_with = "export")]
    seal_file: Option<PathBuf>,
}

/// What was verified, for people and scripts.
#[derive(Debug, Serialize)]
struct Report {
    origin: String,
    size: u64,
    whole_entries: u64,
    extends: Option<u64>,
    access_segments: Option<u64>,
    key: String,
    key_from: KeyFrom,
}

/// Where the key comes from that the checkpoint was held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum KeyFrom {
    /// It was named on the command line.
    Given,
    /// It was pinned at an earlier use, or is from now on.
    Pinned,
    /// It stands in the export itself.
    Export,
}

#[derive(Debug, Serialize)]
struct Written {
    entries: u64,
    file: String,
}

#[derive(Debug, Serialize)]
struct Note {
    checkpoint: String,
}

impl Ledger {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        match self {
            Self::Verify(verify) => verify.run(global).await?,
            Self::Rebuild(rebuild) => return rebuild.run(global).await,
            Self::Export { file, at } => {
                let bar = bar();
                let source = match at.is_named() {
                    true => export::Source::AtRest(offline::open(&at.site()?).await?),
                    false => export::Source::Server(global.client()?),
                };
                let count = export::write(source, &file, |done, all| step(&bar, done, all)).await?;
                bar.finish_and_clear();
                let written = Written { entries: count, file: file.display().to_string() };
                global
                    .output()
                    .answer(&written, |written| format!("{} entries written to {}", written.entries, written.file))?;
            }
            Self::Checkpoint => {
                let checkpoint = global.client()?.ledger().checkpoint().await?;
                global.output().answer(&Note { checkpoint }, |note| {
                    note.checkpoint.lines().map(crate::escape::text).collect::<Vec<_>>().join("\n")
                })?;
            }
            Self::Key => {
                let key = global.client()?.ledger().key().await?;
                global.output().answer(&key, |key| crate::escape::text(&key.key).into_owned())?;
            }
        }
        Ok(exit::OK)
    }
}

impl Verify {
    async fn run(self, global: &Global) -> Result<(), Error> {
        if self.at.is_named() || self.seal_file.is_some() {
            return offline::verify(global, &self.at.site()?, self.seal_file.as_deref(), self.key.as_deref()).await;
        }
        let report = match &self.export {
            Some(file) => self.file(file)?,
            None => self.server(global).await?,
        };
        global.output().answer(&report, |report| {
            let whole = format!("{} of {} entries were whole and hashed here", report.whole_entries, report.size);
            let extends = report.extends.map(|size| format!("; it extends the {size} entries verified before"));
            let segments =
                report.access_segments.map(|count| format!("; {count} access log segments follow each other"));
            let origin = crate::escape::text(&report.origin).into_owned();
            let key = match report.key_from {
                KeyFrom::Export => format!("; with the export's own key {}", report.key),
                KeyFrom::Pinned if report.access_segments.is_some() => format!("; with the pinned key {}", report.key),
                _ => String::new(),
            };
            let (extends, segments) = (extends.unwrap_or_default(), segments.unwrap_or_default());
            format!("ledger {origin} verified: {whole}{extends}{segments}{key}")
        })
    }

    async fn server(&self, global: &Global) -> Result<Report, Error> {
        let client = global.client()?;
        let pin = Pin::of(&client, global.tenant(), self.key.as_deref()).await?;
        let bar = bar();
        let progress = |done, all| step(&bar, done, all);
        let verified = client::verify::ledger(&client, &pin.key, pin.seen.as_ref(), progress).await?;
        bar.finish_and_clear();
        pin.remember(&verified.checkpoint)?;
        Ok(Report {
            origin: verified.checkpoint.origin.to_string(),
            size: verified.checkpoint.size,
            whole_entries: verified.whole_entries,
            extends: verified.extends,
            access_segments: None,
            key: pin.key.to_string(),
            key_from: if self.key.is_some() { KeyFrom::Given } else { KeyFrom::Pinned },
        })
    }

    fn file(&self, file: &std::path::Path) -> Result<Report, Error> {
        let given = self.key.as_deref().map(pins::parse).transpose()?;
        let (mut from, mut before) = (KeyFrom::Given, 0);
        let checked = export::check(file, |own| {
            if let Some(key) = given {
                return Ok((key, None));
            }
            let Some((key, seen)) = pins::of_ledger(own, "the export")? else {
                from = KeyFrom::Export;
                return Ok((own.clone(), None));
            };
            (from, before) = (KeyFrom::Pinned, seen.size);
            Ok((key, Some(seen)))
        })?;
        if from == KeyFrom::Export {
            output::note(&pins::unpinned("the export"));
        }
        pins::note_age(checked.checkpoint.size, before);
        Ok(Report {
            origin: checked.checkpoint.origin.to_string(),
            size: checked.checkpoint.size,
            whole_entries: checked.whole_entries,
            extends: checked.extends,
            access_segments: Some(checked.segments),
            key: checked.key.to_string(),
            key_from: from,
        })
    }
}

/// A bar on standard error, drawn only for people.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} entries") {
        bar.set_style(style);
    }
    bar
}

fn step(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
}
