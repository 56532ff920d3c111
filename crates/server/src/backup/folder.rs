//! The backup folder: files named by id, nothing else touched.

use crate::files::{self, FileError};
use crypto::id::BackupId;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How a backup stands there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Being written, or left by a process that died.
    Part,
    /// Whole, not tried.
    Whole,
    /// A trial restore went well.
    Verified,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Kind::Part => ".part",
            Kind::Whole => ".backup",
            Kind::Verified => ".verified.backup",
        }
    }

    fn of(name: &str) -> Option<(BackupId, Kind)> {
        // The longest suffix first: it ends in another one.
        [Kind::Verified, Kind::Whole, Kind::Part]
            .into_iter()
            .find_map(|kind| Some((name.strip_suffix(kind.suffix())?.parse().ok()?, kind)))
    }
}

/// A backup that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    pub(crate) id: BackupId,
    pub(crate) kind: Kind,
    pub(crate) bytes: u64,
}

/// The folder; made when the first backup is.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: PathBuf) -> Folder {
        Folder(path)
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.is_dir()
    }

    pub(crate) fn file(&self, id: BackupId, kind: Kind) -> PathBuf {
        self.0.join(format!("{id}{}", kind.suffix()))
    }

    /// Where a trial restore goes.
    pub(crate) fn trial(&self) -> PathBuf {
        self.0.join("aumbry-trial")
    }

    /// Whole backups, oldest first. An absent folder has none.
    pub(crate) fn list(&self) -> Result<Vec<Found>, FileError> {
        let mut found: Vec<Found> = self.all()?.into_iter().filter(|found| found.kind != Kind::Part).collect();
        found.sort_by_key(|found| (found.id, found.kind));
        // After a crash within a rename on some file systems both names are there.
        found.dedup_by(|later, earlier| {
            later.id == earlier.id && {
                *earlier = later.clone();
                true
            }
        });
        Ok(found)
    }

    fn all(&self) -> Result<Vec<Found>, FileError> {
        let entries = match std::fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::io(&self.0, &error)),
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| FileError::io(&self.0, &error))?;
            let Some((id, kind)) = entry.file_name().to_str().and_then(Kind::of) else { continue };
            let found = entry.path().symlink_metadata().map_err(|error| FileError::io(&entry.path(), &error))?;
            if found.is_file() {
                all.push(Found { id, kind, bytes: found.len() });
            }
        }
        Ok(all)
    }

    /// Takes the folder for this process alone, until the file is dropped. Errors: another one has it.
    pub(crate) fn hold(&self) -> Result<File, FileError> {
        files::private_folder(&self.0)?;
        let path = self.0.join("lock");
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
        let lock = options.open(&path).map_err(|error| FileError::io(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(_) => Err(FileError::new(&self.0, "is used by another server; each needs a backup folder of its own")),
        }
    }

    /// Removes what a process that died left behind; hold the folder.
    pub(crate) fn sweep(&self) -> Result<(), FileError> {
        for left in self.all()?.into_iter().filter(|found| found.kind == Kind::Part) {
            self.remove(left.id, Kind::Part)?;
        }
        remove_folder(&self.trial())
    }

    /// Begins a file, private from its first moment.
    pub(crate) fn begin(&self, id: BackupId) -> Result<Writing, FileError> {
        files::private_folder(&self.0)?;
        let path = self.file(id, Kind::Part);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
        let file = options.open(&path).map_err(|error| FileError::io(&path, &error))?;
        Ok(Writing { file, unsynced: 0 })
    }

    /// Gives a backup its next name, on stable storage.
    pub(crate) fn becomes(&self, id: BackupId, from: Kind, to: Kind) -> Result<(), FileError> {
        files::rename(&self.file(id, from), &self.file(id, to))
    }

    pub(crate) fn remove(&self, id: BackupId, kind: Kind) -> Result<(), FileError> {
        let path = self.file(id, kind);
        std::fs::remove_file(&path).map_err(|error| FileError::io(&path, &error))
    }

    /// Opens one to be read, checked on the handle.
    pub(crate) fn open(&self, found: &Found) -> Result<File, FileError> {
        open(&self.file(found.id, found.kind))
    }

    /// Bytes of one from `from` on, at most so many.
    pub(crate) fn bytes(&self, found: &Found, from: u64, most: u64) -> Result<Vec<u8>, FileError> {
        let path = self.file(found.id, found.kind);
        let mut file = self.open(found)?;
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(from)).and_then(|_| file.take(most).read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(|error| FileError::io(&path, &error))
    }
}

/// Opens a file to be read, which is no link.
pub(crate) fn open(path: &Path) -> Result<File, FileError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = options.open(path).map_err(|error| FileError::io(path, &error))?;
    match file.metadata() {
        Ok(found) if found.is_file() => Ok(file),
        Ok(_) => Err(FileError::new(path, "is not a file")),
        Err(error) => Err(FileError::io(path, &error)),
    }
}

/// Removes a folder with all that is in it; an absent one is fine.
pub(crate) fn remove_folder(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::io(path, &error)),
        _ => Ok(()),
    }
}

/// A file being written. Brings what it has to the disk now and then, so that the last flush has little to do and others
/// need not wait for it.
#[derive(Debug)]
pub(crate) struct Writing {
    file: File,
    unsynced: usize,
}

/// Bytes between two flushes.
const SYNC_EVERY: usize = 4 << 20;

impl Writing {
    /// Brings all of it to stable storage.
    pub(crate) fn finish(self) -> std::io::Result<()> {
        self.file.sync_all()
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.unsynced = self.unsynced.saturating_add(count);
        if self.unsynced >= SYNC_EVERY {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_10_only_names_that_are_an_id_are_backups() {
        let id = "bak_01hz6yy082c5h66s35cskpgtba";
        assert_eq!(Kind::of(&format!("{id}.backup")), Some((id.parse().unwrap(), Kind::Whole)));
        assert_eq!(Kind::of(&format!("{id}.verified.backup")), Some((id.parse().unwrap(), Kind::Verified)));
        assert_eq!(Kind::of(&format!("{id}.part")), Some((id.parse().unwrap(), Kind::Part)));
        for other in ["aumbry-trial", "lock", "x.backup", "../x.backup", ".backup", "bak_.backup", "notes.txt"] {
            assert_eq!(Kind::of(other), None, "{other}");
        }
        assert_eq!(Kind::of(&format!("{}.backup", id.to_uppercase())), None);
    }

    #[test]
    fn cli_01_a_backup_is_private_from_its_first_moment_and_a_dead_one_is_swept() {
        use std::os::unix::fs::MetadataExt;
        let top = tempfile::tempdir().unwrap();
        let folder = Folder::new(top.path().join("backups"));
        let id: BackupId = "bak_01hz6yy082c5h66s35cskpgtba".parse().unwrap();
        assert!(folder.list().unwrap().is_empty());
        let mut writing = folder.begin(id).unwrap();
        writing.write_all(b"some").unwrap();
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(top.path().join("backups")), mode(folder.file(id, Kind::Part))), (0o700, 0o600));
        assert!(folder.list().unwrap().is_empty(), "a part never looks whole");
        folder.sweep().unwrap();
        assert!(!folder.file(id, Kind::Part).exists());
        folder.begin(id).unwrap().finish().unwrap();
        folder.becomes(id, Kind::Part, Kind::Whole).unwrap();
        folder.becomes(id, Kind::Whole, Kind::Verified).unwrap();
        assert_eq!(folder.list().unwrap(), [Found { id, kind: Kind::Verified, bytes: 0 }]);
    }
}
