//! One data folder in the place of another, in one step.

use super::folder::remove_folder;
use super::restore::refused;
use super::system::exchange;
use crate::files::{self, FileError};
use crate::offline::OfflineError;
use api::Class;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Stands in a folder that a restore is making, so that no other is ever taken for one and removed.
const MARK: &str = "restoring";
/// What goes on from an old data folder: the certificate, which clients trust.
const CARRIED: &str = "tls";

/// Whether a store stands in the folder's place. Errors: something else does, or a store that may not be replaced.
pub(super) fn look(data: &Path, replace: bool) -> Result<bool, OfflineError> {
    let refuse = |problem: &str| Err(refused(FileError::new(data, problem)));
    match std::fs::symlink_metadata(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(refused(FileError::io(data, &error))),
        Ok(found) if !found.is_dir() => return refuse("is not a folder"),
        Ok(_) => files::private_folder(data).map_err(refused)?,
    }
    let mut names = std::fs::read_dir(data).map_err(|error| refused(FileError::io(data, &error)))?;
    match (names.next().is_some(), data.join("ledger.db").exists(), replace) {
        (false, ..) => Ok(false),
        (true, true, true) => Ok(true),
        (true, true, false) => refuse("holds a store; --replace moves it aside"),
        (true, false, _) => refuse("is not empty and holds no store; name another folder"),
    }
}

/// The folder beside, empty: what an interrupted restore left there is removed.
pub(super) fn staging(data: &Path) -> Result<PathBuf, OfflineError> {
    let staging = files::beside(data, ".restoring");
    match std::fs::symlink_metadata(&staging) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused(FileError::io(&staging, &error))),
        Ok(_) if staging.join(MARK).is_file() => {
            // Whoever holds its lock is making it now.
            let lock = File::open(staging.join("lock")).ok();
            if lock.as_ref().is_some_and(|lock| lock.try_lock().is_err()) {
                return Err(OfflineError::new(Class::Unavailable, "another restore is at work there"));
            }
            remove_folder(&staging).map_err(refused)?;
        }
        // Killed before it could mark it: nothing is in it. Removing refuses a folder that is not empty.
        Ok(_) if std::fs::remove_dir(&staging).is_ok() => {}
        // Killed between the two steps of a replacement: the mark is in the new store's folder, and here is the old one.
        Ok(_) if data.join(MARK).is_file() && staging.join("ledger.db").is_file() => {
            files::rename(&staging, &aside(data)).map_err(refused)?;
            unmark(data)?;
        }
        Ok(_) => return Err(refused(FileError::new(&staging, "is in the way and was not made by a restore"))),
    }
    files::private_folder(&staging).map_err(refused)?;
    files::create_private(&staging.join(MARK), b"").map_err(refused)?;
    Ok(staging)
}

/// Copies what goes on from the old folder.
pub(super) fn carry(data: &Path, staging: &Path) -> Result<(), OfflineError> {
    let (from, to) = (data.join(CARRIED), staging.join(CARRIED));
    let entries = match std::fs::read_dir(&from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| refused(FileError::io(&from, &error)))?,
    };
    files::private_folder(&to).map_err(refused)?;
    for entry in entries {
        let entry = entry.map_err(|error| refused(FileError::io(&from, &error)))?;
        if let Some(content) = files::read_private(&entry.path(), CARRIED_BYTES_MAX).map_err(refused)? {
            let content = crypto::secret::SecretBytes::new(content);
            files::create_private(&to.join(entry.file_name()), content.expose()).map_err(refused)?;
        }
    }
    Ok(())
}

const CARRIED_BYTES_MAX: u64 = 1 << 20;

/// Brings everything in the folder to stable storage; its store was made without waiting for that.
pub(super) fn settle(staging: &Path) -> Result<(), OfflineError> {
    sync_all(staging).map_err(|error| refused(FileError::io(staging, &error)))
}

fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_all(&entry.path())?,
            false => File::open(entry.path())?.sync_all()?,
        }
    }
    File::open(folder)?.sync_all()
}

/// Puts the new folder in its place; gives where the old one is.
pub(super) fn switch(staging: &Path, data: &Path, old: bool) -> Result<Option<PathBuf>, OfflineError> {
    let failed = |error: &io::Error| refused(FileError::io(data, error));
    // A store in use must never bear the mark: it would be removed as left over.
    unmark(data)?;
    if !old {
        // An empty folder may stand there; renaming replaces it.
        files::rename(staging, data).map_err(refused)?;
        unmark(data)?;
        return Ok(None);
    }
    let aside = aside(data);
    exchange(staging, data).map_err(|error| failed(&error))?;
    files::rename(staging, &aside).map_err(refused)?;
    unmark(data)?;
    Ok(Some(aside))
}

/// Where a store goes that another takes the place of.
fn aside(data: &Path) -> PathBuf {
    let free = (1u32..).map(|n| files::beside(data, &format!(".replaced-{n}"))).find(|path| !path.exists());
    free.unwrap_or_else(|| files::beside(data, ".replaced"))
}

fn unmark(folder: &Path) -> Result<(), OfflineError> {
    let mark = folder.join(MARK);
    match std::fs::remove_file(&mark) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(refused(FileError::io(&mark, &error))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_the_place_of_another_and_the_old_one_is_kept() {
        let top = tempfile::tempdir().unwrap();
        let data = top.path().join("data");
        files::private_folder(&data).unwrap();
        assert!(!look(&data, false).unwrap(), "an empty folder is no store");
        std::fs::write(data.join("notes"), "mine").unwrap();
        assert!(look(&data, true).is_err(), "what is no store is never replaced");
        std::fs::write(data.join("ledger.db"), "old").unwrap();
        assert!(look(&data, false).is_err());
        assert!(look(&data, true).unwrap());
        for round in 1..3 {
            let made = staging(&data).unwrap();
            std::fs::write(made.join("ledger.db"), "half").unwrap();
            let made = staging(&data).unwrap();
            assert!(!made.join("ledger.db").exists(), "what a dead restore left is not taken");
            std::fs::write(made.join("ledger.db"), "new").unwrap();
            settle(&made).unwrap();
            let aside = switch(&made, &data, true).unwrap().unwrap();
            assert!(aside.ends_with(format!("data.replaced-{round}")));
            assert_eq!(std::fs::read(data.join("ledger.db")).unwrap(), b"new");
            assert!(!data.join(MARK).exists());
        }
        let passing = top.path().join("data.restoring");
        // As a crash leaves it before the mark is made.
        std::fs::create_dir(&passing).unwrap();
        remove_folder(&staging(&data).unwrap()).unwrap();
        // As a crash between the two steps of a replacement leaves it: the old store stands there.
        std::fs::create_dir(&passing).unwrap();
        std::fs::write(passing.join("ledger.db"), "older").unwrap();
        assert!(staging(&data).is_err(), "a folder that no restore is making is left alone");
        std::fs::write(data.join(MARK), "").unwrap();
        staging(&data).unwrap();
        assert_eq!(std::fs::read(top.path().join("data.replaced-3/ledger.db")).unwrap(), b"older");
        assert!(!data.join(MARK).exists());
        assert_eq!(std::fs::read(top.path().join("data.replaced-1/notes")).unwrap(), b"mine");
    }
}
