//! What a call may end in.

use std::fmt;
use std::time::Duration;

use api::{Class, Problem};

/// A call that did not succeed: the server's refusal, or a failure on this side (codes `client.…`).
///
/// Whether it took effect follows from the class alone: `Unknown` may have, everything else has not.
/// Never holds a secret, nor any part of an answer's body but the problem's own fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub class: Class,
    /// Stable code, `<noun>.<reason>`.
    pub code: Box<str>,
    /// What happened.
    pub detail: Box<str>,
    /// What to do next; may be empty.
    pub hint: Box<str>,
    /// Id of the request, when the server answered.
    pub request_id: Option<Box<str>>,
    /// The operation to ask about, when the outcome is not known.
    pub operation: Option<Box<str>>,
    /// How long to wait before trying again, when the server said so.
    pub retry_after: Option<Duration>,
}

impl Error {
    /// A failure on this side.
    pub fn local(class: Class, code: &str, detail: impl Into<Box<str>>, hint: &str) -> Self {
        Self {
            class,
            code: code.into(),
            detail: detail.into(),
            hint: hint.into(),
            request_id: None,
            operation: None,
            retry_after: None,
        }
    }

    /// The server's refusal.
    pub fn refused(problem: Problem) -> Self {
        Self {
            class: problem.class,
            code: problem.code.into(),
            detail: problem.detail.into(),
            hint: problem.hint.into(),
            request_id: Some(problem.request_id.into()),
            operation: problem.operation_id.map(Into::into),
            retry_after: None,
        }
    }

    /// An answer that cannot be what the server meant; its content is not shown.
    pub(crate) fn unreadable(what: &str) -> Self {
        let hint = "check that AUMBRY_ADDR is an Aumbry server of this version";
        Self::local(Class::Bug, "client.answer", format!("the server's answer {what}"), hint)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.detail, self.code)
    }
}

impl std::error::Error for Error {}
