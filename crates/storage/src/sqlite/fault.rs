//! What an error of SQLite means for a write and for a read.

use super::layout::DbFile;
use crate::contract::{Cause, StorageError};
use rusqlite::{ErrorCode, ffi};

/// What went wrong below a statement.
#[derive(Debug)]
pub(super) enum Fault {
    /// No space; nothing is spoilt.
    Full,
    /// Another connection or process is in the way, or memory or handles ran out; may pass.
    Passing(String),
    /// Input or output failed: nothing on this handle can be relied on any more.
    Broken(String),
    /// Bytes of the file are not what was written.
    Damaged(String),
}

impl Fault {
    /// Sorts an error; names the file, never a stored byte.
    pub(super) fn of(file: DbFile, error: &rusqlite::Error) -> Fault {
        let name = file.name();
        let rusqlite::Error::SqliteFailure(failure, _) = error else {
            return Fault::Damaged(format!("{name} answered out of form"));
        };
        let why = format!("{name}: {failure} (code {})", failure.extended_code);
        match (failure.code, failure.extended_code) {
            (ErrorCode::DiskFull, _) | (ErrorCode::SystemIoFailure, ffi::SQLITE_IOERR_SHMSIZE) => Fault::Full,
            (ErrorCode::SystemIoFailure, ffi::SQLITE_IOERR_NOMEM) => Fault::Passing(why),
            (ErrorCode::SystemIoFailure, ffi::SQLITE_IOERR_CORRUPTFS) => Fault::Damaged(why),
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => Fault::Passing(why),
            (ErrorCode::OutOfMemory | ErrorCode::CannotOpen, _) => Fault::Passing(why),
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => Fault::Damaged(why),
            // Every statement is fixed: one that does not compile met a schema that is not ours.
            (ErrorCode::ConstraintViolation | ErrorCode::Unknown, _) => Fault::Damaged(why),
            _ => Fault::Broken(why),
        }
    }

    /// The same for an error of `COMMIT`. There a full disk has left the commit out, unless it was the index beside the
    /// log that had no room: then the log already holds the commit, and a restart may find it.
    pub(super) fn of_commit(file: DbFile, error: &rusqlite::Error) -> Fault {
        match error.sqlite_error().map(|failure| failure.extended_code) {
            Some(ffi::SQLITE_IOERR_SHMSIZE) => Fault::Broken(format!("{}: no space for the log's index", file.name())),
            _ => Fault::of(file, error),
        }
    }

    /// Why a write was refused. Damage met by a write shuts the handle like a failed flush.
    pub(super) fn cause(self) -> Cause {
        match self {
            Fault::Full => Cause::Full,
            Fault::Passing(why) => Cause::Unreachable(why),
            Fault::Broken(why) | Fault::Damaged(why) => Cause::Broken(why),
        }
    }

    /// Why a read failed. A sector that cannot be read is damage; it does not shut the handle.
    pub(super) fn read(self) -> StorageError {
        match self {
            Fault::Full => StorageError::Unreachable("no space left for the read".into()),
            Fault::Passing(why) => StorageError::Unreachable(why),
            Fault::Broken(why) | Fault::Damaged(why) => StorageError::Damaged(why),
        }
    }
}

/// Why a store was not opened. Nothing in the folder was changed, unless it is `Unreachable`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Another process, or another handle of this one, has the folder.
    Locked(String),
    /// A file or the folder can be used by others than this user, or is a symbolic link; says which and what to do.
    Exposed(String),
    /// A file that must be there is missing or empty: lost, not new.
    Missing(String),
    /// There is no store, and the options do not allow to make one.
    Absent(String),
    /// A file is not what this program wrote; names it.
    Damaged(String),
    /// A file belongs to another program or another store.
    Foreign(String),
    /// A newer version of this program wrote the file.
    Newer(String),
    /// The operating system refused: no space, no right, no handle, no such folder.
    Unreachable(String),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (what, why) = match self {
            OpenError::Locked(why) => ("the data folder is in use", why),
            OpenError::Exposed(why) => ("the data folder is not private", why),
            OpenError::Missing(why) => ("the data folder has lost a file", why),
            OpenError::Absent(why) => ("there is no store", why),
            OpenError::Damaged(why) => ("the store is damaged", why),
            OpenError::Foreign(why) => ("the file is not of this store", why),
            OpenError::Newer(why) => ("the store was written by a newer version", why),
            OpenError::Unreachable(why) => ("the data folder cannot be used", why),
        };
        write!(f, "{what}: {why}")
    }
}

impl std::error::Error for OpenError {}
