//! `aumbry import`: writes many secrets from a file, all of them or none.

use std::collections::HashSet;
use std::path::PathBuf;

use api::secret::{Import as Message, ImportItem, ImportState, Imported, OnConflict};
use clap::{Args, ValueEnum};
use client::Error;

use crate::connect::Global;
use crate::import_file::{self, Format};
use crate::{exit, fault, input};

/// Write many secrets from a file, all of them or none
#[derive(Debug, Args)]
#[command(after_help = "One import takes up to 1,000 secrets and 5 MiB of values; --in-parts takes more.")]
pub(crate) struct Import {
    /// The file; `-` for standard input
    file: PathBuf,
    /// What the file holds [default: env for *.env, aumbry for an export, vault for an answer of it, else json]
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
    /// Write more than one import takes, one part after the other: all are checked first, and each is whole or not at all
    #[arg(long)]
    in_parts: bool,
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
            input::stdin(INPUT_BYTES_MAX)?
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
        let mut parts = parts(items, &shown, self.in_parts)?;
        if parts.len() > 1 && !self.in_parts {
            let hint =
                "import it with --in-parts: each part is written whole or not at all, all of it is checked before";
            let why = format!("`{shown}` holds more than one import takes, {ITEMS_MAX} secrets and 5 MiB of values");
            return Err(fault::invalid(why, hint));
        }
        // What would not be taken is found before anything is written.
        let check_first = parts.len() > 1 || self.dry_run;
        let mut imported = Imported { items: Vec::new(), position: None, replayed: false };
        if check_first {
            for part in &mut parts {
                *part = Message { dry_run: true, on_conflict, ..std::mem::take(part) };
                imported.items.extend(client.secrets().import(part).await?.items);
            }
            let conflict = imported.items.iter().find(|item| item.state == ImportState::Conflict);
            if let Some(item) = conflict.filter(|_| !self.dry_run) {
                let why = format!("`{}`: there is a secret already; nothing was written", item.path);
                return Err(fault::invalid(why, "say --on-conflict skip or overwrite"));
            }
        }
        if !self.dry_run {
            imported.items.clear();
            for part in parts {
                let written = client.secrets().import(&Message { dry_run: false, on_conflict, ..part }).await;
                let written = written.map_err(|error| after(imported.items.len(), error))?;
                imported.items.extend(written.items);
                imported.position = written.position;
            }
        }
        global.output().rows(&imported, &["path", "state", "version"], rows)?;
        Ok(exit::OK)
    }
}

/// What one request takes of the items each. Errors: a path that stands there twice.
///
/// One commit takes so many secrets and folders together; which folders are new is not known here, so in parts all count.
fn parts(items: Vec<ImportItem>, file: &str, in_parts: bool) -> Result<Vec<Message>, Error> {
    let mut seen = HashSet::new();
    if let Some(item) = items.iter().find(|item| !seen.insert(&item.path)).filter(|_| in_parts) {
        let why = format!("`{}` stands in `{file}` twice", item.path);
        return Err(fault::invalid(why, "leave one of them out"));
    }
    let mut parts: Vec<Message> = Vec::new();
    let (mut bytes, mut folders) = (0usize, HashSet::<String>::new());
    for item in items {
        let encoded = api::encode(&item).map_err(|_| fault::invalid(format!("`{file}` cannot be sent"), ""))?;
        // A value in Base64 is a quarter shorter where it is kept.
        let shrinks = if item.encoding == Some(api::Encoding::Base64) { 4 } else { 3 };
        let size = encoded.expose().len().saturating_mul(3) / shrinks;
        let above: Vec<String> = if in_parts { folders_of(&item.path) } else { Vec::new() };
        bytes = bytes.saturating_add(size);
        folders.extend(above.iter().cloned());
        let room =
            |part: &&mut Message| part.items.len().saturating_add(folders.len()) < ITEMS_MAX && bytes < PART_BYTES;
        match parts.last_mut().filter(room) {
            Some(part) => part.items.push(item),
            None => {
                (bytes, folders) = (size, above.into_iter().collect());
                parts.push(Message { items: vec![item], ..Message::default() });
            }
        }
    }
    Ok(parts)
}

/// The folders above a path.
fn folders_of(path: &str) -> Vec<String> {
    path.match_indices('/').filter_map(|(at, _)| path.get(..at)).map(str::to_owned).collect()
}

/// Says what stands already when a part was refused.
fn after(written: usize, error: Error) -> Error {
    if written == 0 {
        return error;
    }
    let detail = format!("{}; {written} secrets of earlier parts are written", error.detail);
    let hint = "put it right and import again with --on-conflict skip";
    Error { detail: detail.into(), hint: hint.into(), ..error }
}

/// Most secrets of one request, and about how many bytes.
const ITEMS_MAX: usize = 1_000;
const PART_BYTES: usize = 5 * 1024 * 1024;

fn guessed(name: &str, text: &str) -> Format {
    if name == ".env" || name.ends_with(".env") {
        Format::Env
    } else if text.trim_start().trim_start_matches('{').trim_start().starts_with("\"aumbry_export\"") {
        Format::Aumbry
    } else if text.trim_start().trim_start_matches('{').trim_start().starts_with("\"request_id\"") {
        // What `vault kv get -format=json` begins with.
        Format::Vault
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

const FILE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Of standard input, whose length is not known before.
const INPUT_BYTES_MAX: usize = 14 * 1024 * 1024;
