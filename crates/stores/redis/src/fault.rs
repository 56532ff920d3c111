//! What went wrong with a call, and what is known of its effect.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use storage::{Cause, Commit, StorageError};

const REPLICA: &str = "the Redis server is a read-only replica; connect to its primary";

/// Why a call failed. Texts name what the server answered by its code only: its sentences may repeat arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nothing was sent.
    Unsent(String),
    /// It was sent, or may have been, and no answer came.
    Lost(String),
    /// The server refused it, and nothing of it is visible.
    Refused(Cause),
    /// The server takes no writes; its name may lead to another one next time.
    Replica,
    /// What was read cannot be.
    Damaged(String),
    /// The store is not what it was: nothing read from it counts.
    Broken(String),
}

impl Fault {
    pub(crate) fn of(error: &RedisError) -> Fault {
        let refused = |what: &str| Fault::Refused(Cause::Unreachable(what.to_owned()));
        match (error.kind(), error.code()) {
            (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => Fault::Replica,
            (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => refused("the server is reading its files"),
            (ErrorKind::Server(ServerErrorKind::NoPerm), _) => {
                refused("the user may not do this on the server (it needs +@all on the keys of the prefix)")
            }
            (_, Some("OOM")) => Fault::Refused(Cause::Full),
            (_, Some("MISCONF")) => refused("the server takes no writes since it failed to write its files (MISCONF)"),
            (_, Some(code)) => {
                let known = code.bytes().all(|byte| byte.is_ascii_uppercase()) && code.len() <= 32;
                refused(&format!("the server refuses ({})", if known { code } else { "ERR" }))
            }
            (ErrorKind::Io, None) if error.is_timeout() => Fault::Lost("no answer in time".to_owned()),
            (ErrorKind::Io, None) => Fault::Lost("the connection broke".to_owned()),
            (ErrorKind::AuthenticationFailed, None) => refused("the server refuses the login"),
            _ => Fault::Lost("the answer is not one of this protocol".to_owned()),
        }
    }

    pub(crate) fn read(self) -> StorageError {
        match self {
            Fault::Unsent(what) | Fault::Lost(what) | Fault::Refused(Cause::Unreachable(what)) => {
                StorageError::Unreachable(what)
            }
            Fault::Refused(_) => StorageError::Unreachable("the server refuses".to_owned()),
            Fault::Replica => StorageError::Unreachable(REPLICA.to_owned()),
            Fault::Damaged(what) => StorageError::Damaged(what),
            Fault::Broken(what) => StorageError::Broken(what),
        }
    }

    pub(crate) fn write(self) -> Commit {
        match self {
            Fault::Unsent(what) => Commit::Refused(Cause::Unreachable(what)),
            Fault::Lost(what) => Commit::Unknown(Cause::Unreachable(what)),
            Fault::Refused(cause) => Commit::Refused(cause),
            Fault::Replica => Commit::Refused(Cause::Unreachable(REPLICA.to_owned())),
            Fault::Damaged(what) => Commit::Unknown(Cause::Unreachable(what)),
            Fault::Broken(what) => Commit::Refused(Cause::Broken(what)),
        }
    }
}

impl From<RedisError> for Fault {
    fn from(error: RedisError) -> Fault {
        Fault::of(&error)
    }
}
