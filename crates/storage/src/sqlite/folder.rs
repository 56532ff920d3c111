//! The data folder: private, locked by one process, and never mistaken for an empty one.

use super::fault::OpenError;
use super::layout::DbFile;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What was found in the folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// Nothing of a store.
    Nothing,
    /// A whole ledger file; the records file may be missing.
    Store,
}

/// A private folder, locked until this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder if it may, checks its owner and mode, takes the lock.
    ///
    /// The lock is the operating system's: it goes with the process, so a stale file locks nobody out.
    pub(super) fn hold(path: &Path, create: bool) -> Result<Folder, OpenError> {
        match fs::symlink_metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => {
                DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(|error| unusable(path, &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(OpenError::Absent(format!("`{}` does not exist", path.display())));
            }
            Err(error) => return Err(unusable(path, &error)),
        }
        check_private(path, true)?;
        let path = fs::canonicalize(path).map_err(|error| unusable(path, &error))?;
        for name in FILES {
            check_private(&path.join(name), false)?;
        }
        let lock = private_file(&path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Folder { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::Locked(format!("another process holds `{}`", path.display())))
            }
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }

    /// Checks owner and mode and keeps servers out, without making or changing anything. A copy that nobody may write can
    /// be anybody's and open to all.
    pub(super) fn visit(path: &Path) -> Result<Folder, OpenError> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(OpenError::Absent(format!("`{}` does not exist", path.display())));
            }
            Err(error) => return Err(unusable(path, &error)),
            Ok(_) => check_still(path, true)?,
        }
        let path = fs::canonicalize(path).map_err(|error| unusable(path, &error))?;
        for name in FILES {
            check_still(&path.join(name), false)?;
        }
        // Where no server ever ran, or a copy has no lock file, the folder itself is held.
        let lock = match File::open(path.join("lock")) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::open(&path),
            opened => opened,
        };
        let lock = lock.map_err(|error| unusable(&path, &error))?;
        match lock.try_lock_shared() {
            Ok(()) => Ok(Folder { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                Err(OpenError::Locked(format!("another process holds `{}`", path.display())))
            }
            Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn file(&self, file: DbFile) -> PathBuf {
        self.path.join(file.name())
    }

    /// Whether the file is there with anything in it.
    pub(super) fn has(&self, file: DbFile) -> bool {
        size(&self.file(file)).is_some_and(|size| size > 0)
    }

    /// Tells a store from an empty folder and from what is left of a store.
    pub(super) fn look(&self) -> Result<Found, OpenError> {
        let [ledger, log, records, marker] =
            ["ledger.db", "ledger.db-wal", "records.db", MARKER].map(|name| size(&self.path.join(name)));
        match ledger {
            Some(0) => Err(OpenError::Missing("`ledger.db` is empty; restore it from a backup".into())),
            Some(_) => Ok(Found::Store),
            None => {
                let rest = [("ledger.db-wal", log), ("records.db", records), (MARKER, marker)];
                match rest.into_iter().find(|(_, size)| size.is_some_and(|size| size > 0)) {
                    Some((name, _)) => Err(OpenError::Missing(format!(
                        "`{name}` is there but `ledger.db` is not; restore it from a backup"
                    ))),
                    None => Ok(Found::Nothing),
                }
            }
        }
    }

    /// Store id in the marker; `None` when there is no marker.
    pub(super) fn marker(&self) -> Result<Option<String>, OpenError> {
        let path = self.path.join(MARKER);
        if size(&path).is_none() {
            return Ok(None);
        }
        let mut text = String::new();
        let mut file = File::open(&path).map_err(|error| unusable(&path, &error))?.take(4096);
        let read = file.read_to_string(&mut text);
        let id = text.strip_prefix(MARKER_HEAD).and_then(|rest| rest.strip_suffix('\n'));
        match (read, id) {
            (Ok(_), Some(id)) if id.len() == 32 => Ok(Some(id.to_owned())),
            _ => Err(OpenError::Damaged(format!("`{MARKER}` is not what was written"))),
        }
    }

    /// Writes the marker that says a store is here: from now on a missing ledger file is a loss.
    pub(super) fn mark(&self, id: &str) -> Result<(), OpenError> {
        let (new, path) = (self.path.join("store.new"), self.path.join(MARKER));
        let _absent_is_fine = fs::remove_file(&new);
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            file.write_all(format!("{MARKER_HEAD}{id}\n").as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| unusable(&path, &error))?;
        self.sync()
    }

    /// Moves a finished file to its place, durably. A log left there by a lost file would be played into the new one,
    /// so it goes first.
    pub(super) fn place(&self, new: &Path, file: DbFile) -> Result<(), OpenError> {
        let place = self.file(file);
        for end in ["-wal", "-shm"] {
            let _absent_is_fine = fs::remove_file(self.path.join(format!("{}{end}", file.name())));
        }
        let moved = File::open(new).and_then(|file| file.sync_all()).and_then(|()| fs::rename(new, &place));
        moved.map_err(|error| unusable(&place, &error))?;
        self.sync()
    }

    /// A new name for a file being made; what a crash left of an earlier attempt is removed.
    pub(super) fn fresh(&self, file: DbFile) -> Result<PathBuf, OpenError> {
        let base = format!("{}.new", file.name());
        for end in ["", "-wal", "-shm", "-journal"] {
            let _absent_is_fine = fs::remove_file(self.path.join(format!("{base}{end}")));
        }
        let path = self.path.join(base);
        private_file(&path)?;
        Ok(path)
    }

    fn sync(&self) -> Result<(), OpenError> {
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(|error| unusable(&self.path, &error))
    }
}

/// Opens or makes a file that only this user can use.
pub(super) fn private_file(path: &Path) -> Result<File, OpenError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| unusable(path, &error))
}

/// The operating system's refusal, without a stored byte.
pub(super) fn unusable(path: &Path, error: &std::io::Error) -> OpenError {
    OpenError::Unreachable(format!("`{}`: {error}", path.display()))
}

/// Refuses links, other owners and modes that let others in. An absent file is fine.
fn check_private(path: &Path, folder: bool) -> Result<(), OpenError> {
    let shown = path.display();
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(path, &error)),
    };
    if meta.is_symlink() {
        return Err(OpenError::Exposed(format!("`{shown}` is a symbolic link; name the real place")));
    }
    if meta.is_dir() != folder || !(folder || meta.is_file()) {
        return Err(OpenError::Exposed(format!("`{shown}` is not a {}", if folder { "folder" } else { "file" })));
    }
    // SAFETY: geteuid has no preconditions and cannot fail.
    let user = unsafe { libc::geteuid() };
    if meta.uid() != user {
        return Err(OpenError::Exposed(format!("`{shown}` belongs to user {}, not to user {user}", meta.uid())));
    }
    if meta.mode() & 0o077 != 0 {
        let wanted = if folder { "700" } else { "600" };
        return Err(OpenError::Exposed(format!(
            "`{shown}` has mode {:o}; run `chmod {wanted} {shown}`",
            meta.mode() & 0o777
        )));
    }
    Ok(())
}

/// The same for what is only read: what nobody may write cannot be changed under the reader.
fn check_still(path: &Path, folder: bool) -> Result<(), OpenError> {
    let writable = |meta: &fs::Metadata| meta.is_symlink() || meta.is_dir() != folder || meta.mode() & 0o222 != 0;
    match fs::symlink_metadata(path) {
        Ok(meta) if !writable(&meta) => Ok(()),
        _ => check_private(path, folder),
    }
}

fn size(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|meta| meta.len())
}

const MARKER: &str = "store";
const MARKER_HEAD: &str = "aumbry data folder, format 1\nstore ";

/// Every name that is used in the folder.
const FILES: [&str; 9] = [
    "lock",
    MARKER,
    "reserve",
    "ledger.db",
    "ledger.db-wal",
    "ledger.db-shm",
    "records.db",
    "records.db-wal",
    "records.db-shm",
];
