//! A witness that is a file, on another disk or machine than the store.

use super::Objection;
use crate::files::{self, FileError, beside, rename};
use crypto::merkle::verify_consistency;
use crypto::note::{Checkpoint, NOTE_BYTES_MAX, NoteError};
use ledger::Ledger;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The file.
#[derive(Clone, Debug)]
pub(crate) struct FileWitness {
    path: PathBuf,
}

impl FileWitness {
    pub(crate) fn new(path: PathBuf) -> FileWitness {
        FileWitness { path }
    }

    /// Compares a checkpoint of the ledger with what the file holds, and puts it in its place; gives its size. Waits for the
    /// file's disk on a thread that may wait.
    pub(crate) async fn show(&self, ledger: &Ledger, checkpoint: &str) -> Result<u64, Objection> {
        let unable = |why: &dyn std::fmt::Display| Objection::Unable(format!("{}: {why}", self.path.display()));
        let key = ledger.verifier_key().map_err(|refusal| unable(&refusal.detail))?;
        let new = Checkpoint::open(checkpoint, &key).map_err(|error| unable(&error))?;
        let path = self.path.clone();
        let found = blocking(move || read(&path)).await.map_err(|error| unable(&error))?;
        if let Some(found) = found {
            let old = Checkpoint::open(&found, &key).map_err(|error| self.foreign(error))?;
            self.compare(ledger, &old, &new).await?;
            if old.size == new.size && found == checkpoint {
                return Ok(new.size);
            }
        }
        let (path, text) = (self.path.clone(), checkpoint.to_owned());
        let written =
            blocking(move || files::replace_private(&path, text.as_bytes()).map_err(std::io::Error::other)).await;
        written.map(|()| new.size).map_err(|error| unable(&error))
    }

    async fn compare(&self, ledger: &Ledger, old: &Checkpoint, new: &Checkpoint) -> Result<(), Objection> {
        let (file, was, is) = (self.path.display(), old.size, new.size);
        if was > is {
            let what = format!("the store has {is} entries, and {file} has seen {was}: the store came back older");
            return Err(Objection::RolledBack(what));
        }
        let unable = |refusal: ledger::Refusal| Objection::Unable(refusal.detail.to_string());
        let proof =
            if was == 0 || was == is { Vec::new() } else { ledger.consistency(was, is).await.map_err(unable)? };
        verify_consistency(was, &old.root, is, &new.root, &proof).map_err(|_| {
            Objection::RolledBack(format!(
                "the first {was} entries of the store are not those that {file} has seen: the store came back older and \
                 went on, or is another"
            ))
        })
    }

    fn foreign(&self, error: NoteError) -> Objection {
        Objection::RolledBack(format!("{}: {error}: the file is of another store", self.path.display()))
    }

    /// Moves the file aside, to be looked at later.
    pub(crate) fn put_aside(&self) -> Result<(), FileError> {
        let aside = (1..).map(|number| beside(&self.path, &format!(".before-{number}"))).find(|path| !path.exists());
        let aside = aside.unwrap_or_else(|| beside(&self.path, ".before"));
        tracing::warn!(file = %aside.display(), "what the witness file had seen was put aside");
        rename(&self.path, &aside)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// The note in the file; nothing where there is none yet.
fn read(path: &Path) -> std::io::Result<Option<String>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(NOTE_BYTES_MAX as u64 + 1).read_to_string(&mut text)?;
    Ok(Some(text))
}
