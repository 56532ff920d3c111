//! `aumbry backup`: everything in one sealed file.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::Class;
use api::backup::{Backup as Shown, BackupState};
use clap::{Args, Subcommand};
use client::{Client, Error};
use serde::Serialize;
use server::backup::SealKey;

use crate::connect::Global;
use crate::shares::Source;
use crate::{exit, fault, input, output};

/// Make a backup, and bring it here where a file is named
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Backup {
    /// File that it is brought to; it must not exist yet
    file: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What else there is to do with backups.
#[derive(Debug, Subcommand)]
enum Verb {
    /// List the backups in the server's backup folder
    List,
    /// Bring a backup here
    Fetch {
        /// Its id
        id: String,
        /// The file; it must not exist yet
        file: PathBuf,
    },
    /// Remove a backup from the server's backup folder
    Remove {
        /// Its id
        id: String,
    },
    /// Check a file here: every byte, the entries against the signed checkpoint
    Verify {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        seal: SealArgs,
    },
}

/// What opens the seal
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SealArgs {
    /// The seal's key file that was in force when the backup was made
    #[arg(long, value_name = "FILE")]
    seal_file: Option<PathBuf>,
    /// File with a share of the seal's key, mode 0600; as many of them as it wants
    #[arg(long, value_name = "FILE")]
    share_file: Vec<PathBuf>,
}

impl SealArgs {
    /// Reads the shares, if it is shares.
    pub(crate) fn key(self) -> Result<SealKey, Error> {
        match self.seal_file {
            Some(file) => Ok(SealKey::File(file)),
            None => Ok(SealKey::Shares(Source::of(self.share_file).open()?.listed())),
        }
    }
}

/// A backup that was checked here.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) id: String,
    pub(crate) origin: String,
    pub(crate) entries: u64,
    pub(crate) values: u64,
    pub(crate) ended_at: String,
    pub(crate) verifier: String,
}

impl From<server::backup::Checked> for Report {
    fn from(checked: server::backup::Checked) -> Report {
        let ended = i64::try_from(checked.ended_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        let ended_at = ended.map(|time| format!("{time:.3}")).unwrap_or_default();
        let server::backup::Checked { id, origin, entries, values, verifier, .. } = checked;
        Report { id, origin, entries, values, ended_at, verifier }
    }
}

/// How often the server is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(250);

impl Backup {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        match self.verb {
            None => make(global, self.file.as_deref()).await?,
            Some(Verb::List) => list(global).await?,
            Some(Verb::Fetch { id, file }) => {
                let client = global.client()?;
                let shown = client.backups().show(&id).await?;
                fetch(&client, &shown, &file).await?;
                global.output().answer(&shown, |shown| format!("{} is in {}", shown.id, file.display()))?;
            }
            Some(Verb::Remove { id }) => {
                input::confirm("removing a backup", "remove", global.yes)?;
                let removed = global.client()?.backups().remove(&id).await?;
                global.output().answer(&removed, |removed| format!("{} removed", removed.id))?;
            }
            Some(Verb::Verify { file, seal }) => {
                let report = Report::from(server::backup::check(&file, &seal.key()?).map_err(|error| failed(&error))?);
                global.output().answer(&report, |report| {
                    format!(
                        "{} is sound: {} entries of {} up to {}, {} sealed values",
                        file.display(),
                        report.entries,
                        report.origin,
                        report.ended_at,
                        report.values
                    )
                })?;
            }
        }
        Ok(exit::OK)
    }
}

async fn make(global: &Global, file: Option<&Path>) -> Result<(), Error> {
    if let Some(file) = file.filter(|file| file.symlink_metadata().is_ok()) {
        return Err(fault::invalid(format!("`{}` exists", file.display()), "name a new file"));
    }
    let client = global.client()?;
    let mut shown = client.backups().create().await?;
    while matches!(shown.state, BackupState::Running | BackupState::Verifying) {
        tokio::time::sleep(ASK_EVERY).await;
        shown = client.backups().show(&shown.id).await?;
    }
    if let (BackupState::Failed, Some(why)) = (shown.state, &shown.failed) {
        let hint = "the server's log says more; do not rely on this backup";
        return Err(Error::local(Class::Unavailable, "backup.failed", why.as_str(), hint));
    }
    if let Some(file) = file {
        fetch(&client, &shown, file).await?;
    }
    let place = file.map(|file| format!(" and in {}", file.display())).unwrap_or_default();
    global.output().answer(&shown, |shown| {
        let entries = shown.entries.unwrap_or_default();
        format!("{} ({}): {entries} entries, {} bytes; on the server{place}", shown.id, shown.state.name(), shown.bytes)
    })
}

async fn list(global: &Global) -> Result<(), Error> {
    let found = global.client()?.backups().list().await?;
    for failed in found.items.iter().filter_map(|backup| backup.failed.as_ref()) {
        output::note(&format!("note: {failed}"));
    }
    global.output().rows(&found, &["id", "state", "begun", "entries", "bytes"], |found| {
        let row = |backup: &Shown| {
            let entries = backup.entries.map(|entries| entries.to_string()).unwrap_or_default();
            let (begun, bytes) = (backup.begun_at.to_string(), backup.bytes.to_string());
            vec![backup.id.clone(), backup.state.name().to_owned(), begun, entries, bytes]
        };
        found.items.iter().map(row).collect()
    })
}

/// Brings a backup to a new private file, under a passing name until it is whole.
async fn fetch(client: &Client, shown: &Shown, file: &Path) -> Result<(), Error> {
    let local = |error: &std::io::Error| fault::local(&format!("`{}` cannot be written", file.display()), error);
    if file.symlink_metadata().is_ok() {
        return Err(fault::invalid(format!("`{}` exists", file.display()), "name a new file"));
    }
    let mut name = file.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let out = options.open(&part).map_err(|error| local(&error))?;
    let brought = bring(client, shown, out, &local).await;
    let moved = brought.and_then(|()| std::fs::rename(&part, file).map_err(|error| local(&error)));
    if moved.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    moved
}

async fn bring(
    client: &Client,
    shown: &Shown,
    mut out: File,
    local: &impl Fn(&std::io::Error) -> Error,
) -> Result<(), Error> {
    let mut from = 0u64;
    while from < shown.bytes {
        let piece = client.backups().part(&shown.id, from).await?;
        let length = u64::try_from(piece.expose().len()).unwrap_or_default();
        if length == 0 {
            let detail = "the backup ended before its length";
            return Err(Error::local(Class::Unavailable, "backup.failed", detail, "fetch it again"));
        }
        out.write_all(piece.expose()).map_err(|error| local(&error))?;
        from = from.saturating_add(length);
    }
    out.sync_all().map_err(|error| local(&error))
}

/// What stands in the way of working on a backup here.
pub(crate) fn failed(error: &server::offline::OfflineError) -> Error {
    let (code, hint) = match error.class() {
        Class::Corrupt => ("backup.damaged", "use another backup; nothing was changed"),
        Class::Invalid => ("backup.refused", "put right what is named, or name something else; nothing was changed"),
        _ => ("backup.failed", "see to what the system refused, then try again; the data folder is as it was"),
    };
    Error::local(error.class(), code, error.to_string(), hint)
}
