//! Answers: none without the proof that the request stands in the access log.

use ledger::access_log::Recorded;
use ledger::{Position, Refusal};

/// What a request is answered with.
///
/// Made only with the log's proof; when no sink took the row, it holds a refusal and nothing else.
#[derive(Debug)]
#[must_use = "a reply is what the caller gets"]
pub struct Reply<T> {
    outcome: Result<T, Refusal>,
    request: [u8; 16],
    recorded: bool,
}

impl<T> Reply<T> {
    /// An answer whose row was taken.
    pub(crate) fn new(request: [u8; 16], outcome: Result<T, Refusal>, recorded: Recorded) -> Reply<T> {
        drop(recorded);
        Reply { outcome, request, recorded: true }
    }

    /// A refusal that no sink took; says so and nothing else.
    pub(crate) fn unrecorded(request: [u8; 16], refusal: Refusal) -> Reply<T> {
        Reply { outcome: Err(refusal), request, recorded: false }
    }

    /// The answer or why there is none.
    pub fn outcome(&self) -> Result<&T, &Refusal> {
        self.outcome.as_ref()
    }

    /// Takes the answer out.
    pub fn into_outcome(self) -> Result<T, Refusal> {
        self.outcome
    }

    /// Id of the request.
    pub fn request(&self) -> [u8; 16] {
        self.request
    }

    /// Whether its row was taken; if not, it is a refusal.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// The same reply about something else.
    pub fn map<U>(self, into: impl FnOnce(T) -> U) -> Reply<U> {
        Reply { outcome: self.outcome.map(into), request: self.request, recorded: self.recorded }
    }
}

/// A page of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The items the caller may see.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<String>,
}

/// Answer to a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changed<T> {
    /// What came of it.
    pub what: T,
    /// Its entry.
    pub position: Position,
    /// Whether this is the kept answer to an earlier request with the same idempotency key.
    pub replayed: bool,
}
