//! Why a server does not start: the class decides the exit code, the hint names the next step.

use crate::files::FileError;
use api::Class;
use std::borrow::Cow;
use std::path::Path;
use storage::{OpenError, StorageError};

/// Why a server does not start. Nothing was changed but what a first start makes.
#[derive(Debug)]
pub struct StartError {
    what: String,
    class: Class,
    code: &'static str,
    hint: Cow<'static, str>,
}

impl StartError {
    pub(crate) fn new(
        class: Class,
        code: &'static str,
        what: impl std::fmt::Display,
        hint: impl Into<Cow<'static, str>>,
    ) -> StartError {
        StartError { what: what.to_string(), class, code, hint: hint.into() }
    }

    /// Something that works wherever a server can work at all.
    pub(crate) fn system(what: impl std::fmt::Display) -> StartError {
        StartError::new(
            Class::Unavailable,
            "serve.system",
            what,
            "the system refused what every start needs; look at its limits",
        )
    }

    /// The key file that protects the root key, by name.
    pub(crate) fn seal(error: FileError) -> StartError {
        let class = if error.class() == Class::Unavailable { Class::Unavailable } else { Class::Sealed };
        StartError::new(class, SEAL, error, SEAL_HINT)
    }

    /// A ledger that does not open; `seal` is the key file that was tried.
    pub(crate) fn ledger(refusal: &ledger::Refusal, seal: &Path) -> StartError {
        match refusal.class() {
            ledger::Class::Sealed => {
                StartError::new(Class::Sealed, SEAL, format!("{}: {}", seal.display(), refusal.detail), SEAL_HINT)
            }
            _ => refusal.clone().into(),
        }
    }

    /// An address that cannot be listened on.
    pub(crate) fn address(address: std::net::SocketAddr, error: &std::io::Error) -> StartError {
        use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, PermissionDenied};
        let (class, hint) = match error.kind() {
            AddrInUse => (Class::Unavailable, "choose another address with --listen, or stop what listens there"),
            AddrNotAvailable => (Class::Invalid, "this machine has no such address; name one of its own with --listen"),
            PermissionDenied => (Class::Invalid, "ports below 1024 need a right; choose a higher one with --listen"),
            _ => (Class::Unavailable, "choose another address with --listen"),
        };
        StartError::new(class, "serve.address", format!("{address}: {error}"), hint)
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Stable name, `serve.<reason>` or a code of the ledger.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What to do about it; empty when that is in the message.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for StartError {}

impl From<ledger::Refusal> for StartError {
    fn from(refusal: ledger::Refusal) -> StartError {
        let class = match refusal.class() {
            ledger::Class::Corrupt => Class::Corrupt,
            ledger::Class::Sealed => Class::Sealed,
            ledger::Class::Invalid => Class::Invalid,
            ledger::Class::Bug => Class::Bug,
            _ => Class::Unavailable,
        };
        StartError::new(class, refusal.code.name, &refusal.detail, refusal.code.hint)
    }
}

impl From<FileError> for StartError {
    fn from(error: FileError) -> StartError {
        let hint = match error.class() {
            Class::Unavailable => "put right what the system refused, then start again",
            Class::Corrupt => "put right the file that is named, or restore it from a backup",
            _ => "put right the file or folder that is named, or name another one, then start again",
        };
        StartError::new(error.class(), "serve.file", error, hint)
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> StartError {
        let (class, code, hint) = match &error {
            OpenError::Locked(_) => (Class::Unavailable, "serve.locked", LOCKED),
            OpenError::Exposed(_) | OpenError::Absent(_) => {
                (Class::Invalid, "serve.data", "put it right, or name another folder with --data-dir")
            }
            OpenError::Missing(_) | OpenError::Damaged(_) => (Class::Corrupt, "serve.damaged", DAMAGED),
            OpenError::Foreign(_) => (Class::Corrupt, "serve.foreign", FOREIGN),
            OpenError::Newer(_) => (Class::Corrupt, "serve.newer", "start the version that wrote it, or a later one"),
            OpenError::Unreachable(_) => {
                (Class::Unavailable, "serve.data", "see to space and rights of the data folder, then start again")
            }
        };
        StartError::new(class, code, error, hint)
    }
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> StartError {
        match &error {
            StorageError::Damaged(_) => StartError::new(Class::Corrupt, "serve.damaged", error, DAMAGED),
            _ => StartError::new(
                Class::Unavailable,
                "serve.data",
                error,
                "look at the disk or the database, then start again",
            ),
        }
    }
}

const SEAL: &str = "serve.seal";
const SEAL_HINT: &str =
    "put this store's own key file there, mode 0600, from its backup, or name it with `--set seal.file=FILE`";
const LOCKED: &str = "stop the server that uses the folder, or name another one with --data-dir";
const DAMAGED: &str = "restore the folder from a backup; `aumbry ledger verify --data-dir DIR` names what is damaged";
const FOREIGN: &str =
    "move away what does not belong there and restore the folder, or name another one with --data-dir";
