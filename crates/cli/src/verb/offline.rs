//! `aumbry ledger verify --data-dir`, `aumbry ledger export --data-dir` and `aumbry ledger rebuild`: a data folder without
//! its server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use api::Class;
use clap::Args;
use client::Error;
use serde::Serialize;
use server::offline::{LedgerAtRest, OfflineError, Site};

use crate::connect::Global;
use crate::{exit, fault, input, pins};

/// Make all records again from the entries; the server must not run
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    at: At,
    /// The seal's key file
    #[arg(long, value_name = "FILE")]
    seal_file: PathBuf,
}

/// Where a server keeps its things
#[derive(Debug, Default, Args)]
pub(crate) struct At {
    /// The data folder
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The server's configuration, where its store is not in the data folder
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

impl At {
    /// Whether something was named.
    pub(crate) fn is_named(&self) -> bool {
        self.data_dir.is_some() || self.config.is_some()
    }

    /// What was named. Errors: nothing was, or the configuration is wrong.
    pub(crate) fn site(&self) -> Result<Site, Error> {
        match (&self.config, &self.data_dir) {
            (Some(config), data) => Site::configured(config, data.as_deref()).map_err(failed),
            (None, Some(data)) => Ok(Site::folder(data)),
            (None, None) => Err(fault::invalid("nothing was named", "name --data-dir or --config")),
        }
    }
}

/// What was found in a data folder.
#[derive(Debug, Serialize)]
struct Report {
    data_dir: String,
    checkpoint: Option<u64>,
    checked: BTreeMap<&'static str, u64>,
    with_seal: bool,
}

#[derive(Debug, Serialize)]
struct Rebuilt {
    removed: u64,
}

/// Checks a data folder; every bad thing is named, the first one in the error.
pub(crate) async fn verify(global: &Global, site: &Site, seal: Option<&Path>, key: Option<&str>) -> Result<(), Error> {
    let findings = server::offline::verify(site, seal, key).await.map_err(failed)?;
    if let Some((first, rest)) = findings.bad.split_first() {
        for bad in rest {
            crate::output::note(&format!("also bad: {bad}"));
        }
        return Err(Error::local(Class::Corrupt, "ledger.damaged", first.as_str(), DAMAGED));
    }
    findings.notes.iter().for_each(|note| crate::output::note(&format!("note: {note}")));
    if findings.checkpoint.is_none() {
        crate::output::note("note: no checkpoint is signed yet, so nothing says where the ledger ends");
    }
    let own = findings.key.as_deref().filter(|_| key.is_none()).map(pins::parse).transpose()?;
    if let Some(own) = own {
        match pins::of_ledger(&own, "the data folder")? {
            Some((_, seen)) => pins::note_age(findings.checkpoint.unwrap_or(0), seen.size),
            None => crate::output::note(&pins::unpinned("the data folder")),
        }
    }
    let checked = findings.checked.into_iter().collect();
    let data_dir = site.data().display().to_string();
    let report = Report { data_dir, checkpoint: findings.checkpoint, checked, with_seal: seal.is_some() };
    global.output().answer(&report, |report| {
        let counts: Vec<_> = report.checked.iter().filter(|(_, count)| **count > 0).collect();
        let counts: Vec<_> = counts.into_iter().map(|(what, count)| format!("{count} {what}")).collect();
        let depth = if report.with_seal { "" } else { "; --seal-file opens keys, records and values too" };
        format!("{} is sound: {}{depth}", crate::escape::text(&report.data_dir), counts.join(", "))
    })
}

impl Rebuild {
    /// Asks the person, then makes the records again.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        input::confirm("removing all records before they are made again", "rebuild", global.yes)?;
        let removed = server::offline::rebuild(&self.at.site()?, &self.seal_file).await.map_err(failed)?;
        let rebuilt = Rebuilt { removed };
        global
            .output()
            .answer(&rebuilt, |rebuilt| format!("{} records removed; all are made again", rebuilt.removed))?;
        Ok(exit::OK)
    }
}

/// Opens and verifies the ledger of a store at rest, to be exported.
pub(crate) async fn open(site: &Site) -> Result<LedgerAtRest, Error> {
    LedgerAtRest::open(site).await.map_err(failed)
}

pub(crate) fn failed(error: OfflineError) -> Error {
    let (code, hint) = match error.class() {
        Class::Corrupt => ("ledger.damaged", DAMAGED),
        Class::Invalid => ("ledger.offline", "put right what is named, or name something else"),
        _ => (
            "ledger.offline",
            "stop the server that uses it, or see to what the system or the database refused, then try again",
        ),
    };
    Error::local(error.class(), code, error.to_string(), hint)
}

const DAMAGED: &str = "restore what is named from a backup; do not start a server on it before";
