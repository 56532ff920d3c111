//! Failures of this program itself, and how every failure is shown.

use std::io::{ErrorKind, Write as _};

use api::Class;
use client::Error;
use serde_json::json;

use crate::escape;

/// What a verb ends in: an exit code, or an error that is shown and mapped to one.
pub(crate) type Outcome = Result<u8, Error>;

/// What the user asked for cannot be meant.
pub(crate) fn invalid(detail: impl Into<Box<str>>, hint: &str) -> Error {
    Error::local(Class::Invalid, "cli.invalid", detail, hint)
}

/// A file or stream of this machine failed; the cause is the system's own words.
pub(crate) fn local(what: &str, error: &std::io::Error) -> Error {
    let class = match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            Class::Invalid
        }
        _ => Class::Unavailable,
    };
    let detail = format!("{what}: {}", cause(error));
    Error::local(class, "cli.local", detail, "correct it and try again; nothing was left half-written")
}

/// The next step at this command line, where the server names one in terms of HTTP.
fn hint_here(code: &str) -> Option<&'static str> {
    Some(match code {
        "auth.required" => {
            "log in with `aumbry login`, or set AUMBRY_TOKEN to a session's token; a tenant that is named must be that session's"
        }
        "tenant.not_found" => {
            "name one you belong to with --tenant or AUMBRY_TENANT; the house's owner sees all with `aumbry tenant list`"
        }
        "request.limited" | "server.busy" | "ledger.busy" => "wait a moment and try again",
        "request.timeout" | "storage.unknown" => "read back whether the change was made before making it again",
        "request.headers_too_large" => "give fewer or shorter labels, or a shorter path",
        "route.not_found" | "request.method" | "request.media_type" => {
            "check AUMBRY_ADDR, and that server and command line are of one version"
        }
        "request.invalid" => "correct what is named; `aumbry <command> --help` shows what there is",
        "idempotency.reused" | "idempotency.required" => "try again",
        _ => return None,
    })
}

/// The next step, as it is taken here.
pub(crate) fn hint(error: &Error) -> &str {
    hint_here(&error.code).unwrap_or(&error.hint)
}

/// Shows an error on standard error: what happened, its code, the next step, the request.
pub(crate) fn show(error: &Error, as_json: bool) {
    let mut out = std::io::stderr().lock();
    let _ = if as_json { writeln!(out, "{}", as_problem(error)) } else { out.write_all(as_text(error).as_bytes()) };
}

fn as_problem(error: &Error) -> serde_json::Value {
    json!({
        "class": error.class,
        "code": &*error.code,
        "detail": &*error.detail,
        "hint": hint(error),
        "request_id": error.request_id.as_deref(),
        "operation_id": error.operation.as_deref(),
        "retry_after_s": error.retry_after.map(|wait| wait.as_secs()),
    })
}

fn as_text(error: &Error) -> String {
    let mut text = format!("error: {} ({})\n", escape::text(&error.detail), escape::text(&error.code));
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{label}: {}\n", escape::text(value)));
        }
    };
    line("  next", hint(error));
    line("  operation", error.operation.as_deref().unwrap_or_default());
    line("  request", error.request_id.as_deref().unwrap_or_default());
    text
}

/// The system's words for a cause, without Rust's own.
fn cause(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.clone(), |(words, _)| words.to_owned()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_happened_its_code_the_next_step_and_the_request() {
        let mut error = invalid("the cup is empty", "fill it");
        error.request_id = Some("req-1".into());
        error.operation = Some("evt_1".into());
        let shown = "error: the cup is empty (cli.invalid)\n  next: fill it\n  operation: evt_1\n  request: req-1\n";
        assert_eq!(as_text(&error), shown);
        assert_eq!(as_problem(&error)["class"], "invalid");
    }

    #[test]
    fn cli_02_a_server_cannot_write_to_the_terminal_through_an_error() {
        let shown = as_text(&invalid("a\u{1b}[2Jb", "c\nd"));
        assert_eq!(shown, "error: a\\u{1b}[2Jb (cli.invalid)\n  next: c\\nd\n");
    }
}
