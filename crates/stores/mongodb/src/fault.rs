//! What went wrong with a call, and what is known of its effect.

use mongodb::bson::{Bson, Document};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use std::io;
use storage::{Cause, Commit, StorageError};

/// A unique key that was there already.
pub(crate) const DUPLICATE: i32 = 11000;
/// The server answers no writes, or no reads of this sort, and has not begun.
const NOT_PRIMARY: [i32; 3] = [10107, 13435, 13436];
const OUT_OF_SPACE: i32 = 14031;
const UNAUTHORIZED: [i32; 3] = [13, 18, 8000];
/// The server stopped or stepped down in the middle, or a majority did not confirm.
const HALF_WAY: [i32; 9] = [64, 79, 91, 100, 189, 11600, 11602, 50, 262];

/// Why a call failed. Texts name what the server answered by its code only: its sentences may repeat documents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Nothing was sent.
    Unsent(String),
    /// It was sent, or may have been, and what became of it is not known.
    Lost(String),
    /// The server refused it, and nothing of it is visible.
    Refused(Cause),
    /// The unique key was there already.
    Duplicate,
    /// What was read cannot be.
    Damaged(String),
    /// The store is not what it was.
    Broken(String),
}

impl Fault {
    /// By the code of an answer.
    pub(crate) fn of_code(code: i32) -> Fault {
        let refused = |what: &str| Fault::Refused(Cause::Unreachable(what.to_owned()));
        match code {
            DUPLICATE => Fault::Duplicate,
            OUT_OF_SPACE => Fault::Refused(Cause::Full),
            code if NOT_PRIMARY.contains(&code) => refused("the MongoDB server is not the primary"),
            code if UNAUTHORIZED.contains(&code) => refused("the user may not do this on the MongoDB server"),
            code if HALF_WAY.contains(&code) => Fault::Lost(format!("no majority confirmed it (code {code})")),
            code => Fault::Lost(format!("the MongoDB server answers with code {code}")),
        }
    }

    /// By what a write command answered, if it says that something failed; a key that was there already comes last.
    pub(crate) fn of_answer(answer: &Document) -> Option<Fault> {
        let errors = answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
        let codes: Vec<i64> = errors.map(|error| number(error, "code").unwrap_or_default()).collect();
        if let Some(code) = codes.iter().find(|code| **code != i64::from(DUPLICATE)) {
            return Some(Fault::of_code(i32::try_from(*code).unwrap_or_default()));
        }
        if let Ok(concern) = answer.get_document("writeConcernError") {
            let code = number(concern, "code").unwrap_or_default();
            return Some(Fault::Lost(format!("no majority confirmed it (code {code})")));
        }
        (!codes.is_empty()).then_some(Fault::Duplicate)
    }

    pub(crate) fn read(self) -> StorageError {
        match self {
            Fault::Unsent(what) | Fault::Lost(what) | Fault::Refused(Cause::Unreachable(what)) => {
                StorageError::Unreachable(what)
            }
            Fault::Refused(_) | Fault::Duplicate => StorageError::Unreachable("the MongoDB server refuses".to_owned()),
            Fault::Damaged(what) => StorageError::Damaged(what),
            Fault::Broken(what) => StorageError::Broken(what),
        }
    }

    pub(crate) fn write(self) -> Commit {
        match self {
            Fault::Unsent(what) => Commit::Refused(Cause::Unreachable(what)),
            Fault::Refused(cause) => Commit::Refused(cause),
            Fault::Lost(what) | Fault::Damaged(what) => Commit::Unknown(Cause::Unreachable(what)),
            Fault::Duplicate => Commit::Unknown(Cause::Unreachable("a key was there already".to_owned())),
            Fault::Broken(what) => Commit::Refused(Cause::Broken(what)),
        }
    }
}

/// An integer of an answer: servers send them in any width.
pub(crate) fn number(document: &Document, name: &str) -> Option<i64> {
    let value = document.get(name)?;
    value.as_i64().or_else(|| value.as_i32().map(i64::from)).or_else(|| value.as_f64().map(|value| value as i64))
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let unsent = |what: &str| Fault::Unsent(what.to_owned());
        match error.kind.as_ref() {
            ErrorKind::Command(command) => Fault::of_code(command.code),
            ErrorKind::Write(WriteFailure::WriteError(write)) => Fault::of_code(write.code),
            ErrorKind::ServerSelection { .. } | ErrorKind::ConnectionPoolCleared { .. } => {
                unsent("no MongoDB server is there that takes writes")
            }
            ErrorKind::DnsResolve { .. } => unsent("the name of the MongoDB server is not known"),
            ErrorKind::Authentication { .. } => unsent("the MongoDB server refuses the login"),
            ErrorKind::InvalidTlsConfig { .. } => unsent("TLS to the MongoDB server cannot be set up"),
            ErrorKind::Shutdown => unsent("the connections to the MongoDB server are closed"),
            ErrorKind::Io(error) if never_connected(error) => unsent("the MongoDB server takes no connections"),
            ErrorKind::Io(_) => Fault::Lost("the connection to the MongoDB server broke".to_owned()),
            _ => Fault::Lost("the MongoDB server gave an answer that is not one of its protocol".to_owned()),
        }
    }
}

fn never_connected(error: &io::Error) -> bool {
    use io::ErrorKind::{AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable)
}
