//! What can go wrong in one conversation with a server, and what that says about what was asked for.

use storage::{Cause, StorageError};

/// Why one attempt failed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// Undone for the sake of another transaction; the same again may succeed.
    Again(String),
    /// The conversation broke off: what was asked for may have happened.
    Lost(String),
    /// Nothing was asked: no connection was to be had.
    Unreached(String),
    /// The server carries out no writes, as a replica does not; nothing happened.
    ReadOnly,
    /// The server said no; nothing happened.
    Refused(Cause),
    /// What is stored is damaged.
    Damaged(String),
}

impl Failure {
    /// Whether the connection it happened on can be used again.
    pub(crate) fn spares_connection(&self) -> bool {
        matches!(self, Failure::Again(_) | Failure::Refused(_) | Failure::Damaged(_))
    }

    /// As the reason of a write that did not happen, or did not for all one knows.
    pub(crate) fn cause(self) -> Cause {
        match self {
            Failure::Again(why) | Failure::Lost(why) | Failure::Unreached(why) => Cause::Unreachable(why),
            Failure::ReadOnly => Cause::Unreachable(READ_ONLY.to_owned()),
            Failure::Refused(cause) => cause,
            Failure::Damaged(what) => Cause::Broken(what),
        }
    }

    /// As the reason of a read without an answer.
    pub(crate) fn read(self) -> StorageError {
        match self {
            Failure::Damaged(what) | Failure::Refused(Cause::Broken(what)) => StorageError::Damaged(what),
            Failure::Refused(Cause::Invalid(what)) => StorageError::Invalid(what),
            Failure::Refused(Cause::Full) => {
                StorageError::Unreachable("the database has no memory or space".to_owned())
            }
            Failure::Refused(Cause::Fenced) => StorageError::Unreachable("another's turn has begun".to_owned()),
            Failure::Refused(Cause::Unreachable(why))
            | Failure::Again(why)
            | Failure::Lost(why)
            | Failure::Unreached(why) => StorageError::Unreachable(why),
            Failure::ReadOnly => StorageError::Unreachable(READ_ONLY.to_owned()),
        }
    }
}

const READ_ONLY: &str = "the database takes no writes: it is a replica, or was made read-only";
