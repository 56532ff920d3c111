//! `aumbry import`: writes many secrets from a file, all of them or none.

use std::path::PathBuf;

use api::secret::{Import as Message, ImportState, Imported, OnConflict};
use clap::{Args, ValueEnum};

use crate::connect::Global;
use crate::import_file::{self, Format};
use crate::{exit, fault, input};

/// Write many secrets from a file, all of them or none
#[derive(Debug, Args)]
#[command(after_help = "One import takes up to 1,000 secrets and 5 MiB of values.")]
pub(crate) struct Import {
    /// The file; `-` for standard input
    file: PathBuf,
    /// What the file holds [default: env for *.env, aumbry for an export, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What to put before every path, such as team/db/
    #[arg(long, default_value = "", hide_default_value = true)]
    prefix: String,
    /// What to do where a secret is there already
    #[arg(long, value_enum, default_value_t = Conflict::Fail)]
    on_conflict: Conflict,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Conflict {
    /// Write nothing at all
    Fail,
    /// Leave that secret as it is
    Skip,
    /// Write a new version of it
    Overwrite,
}

impl Import {
    /// Reads the file, then asks the server to write it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let client = global.client()?;
        let shown = self.file.display().to_string();
        let bytes = if self.file.as_os_str() == "-" {
            input::stdin(FILE_BYTES_MAX)?
        } else {
            input::file(&self.file, FILE_BYTES_MAX)?
        };
        let text = bytes.into_text().map_err(|_| fault::invalid(format!("`{shown}` is not UTF-8 text"), ""))?;
        let format = self.format.unwrap_or_else(|| guessed(&shown, text.expose()));
        let items = import_file::read(&text, format, &self.prefix, &shown)?;
        if items.is_empty() {
            return Err(fault::invalid(format!("`{shown}` holds no secret"), "`--format` says what it holds"));
        }
        let on_conflict = match self.on_conflict {
            Conflict::Fail => OnConflict::Fail,
            Conflict::Skip => OnConflict::Skip,
            Conflict::Overwrite => OnConflict::Overwrite,
        };
        let imported = client.secrets().import(&Message { items, on_conflict, dry_run: self.dry_run }).await?;
        global.output().rows(&imported, &["path", "state", "version"], rows)?;
        Ok(exit::OK)
    }
}

fn guessed(name: &str, text: &str) -> Format {
    if name == ".env" || name.ends_with(".env") {
        Format::Env
    } else if text.trim_start().trim_start_matches('{').trim_start().starts_with("\"aumbry_export\"") {
        Format::Aumbry
    } else {
        Format::Json
    }
}

fn rows(imported: &Imported) -> Vec<Vec<String>> {
    let state = |state| match state {
        ImportState::Written => "written",
        ImportState::Skipped => "skipped",
        ImportState::Conflict => "conflict",
    };
    let version = |version: Option<u64>| version.map(|version| version.to_string()).unwrap_or_default();
    imported
        .items
        .iter()
        .map(|item| vec![item.path.clone(), state(item.state).to_owned(), version(item.version)])
        .collect()
}

const FILE_BYTES_MAX: usize = 14 * 1024 * 1024;
