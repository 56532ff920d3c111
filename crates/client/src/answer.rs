//! Reads answers: bounded, into wiped memory, refusals into [`Error`].

use std::time::Duration;

use api::{Class, Problem};
use crypto::secret::SecretBytes;
use reqwest::Response;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use serde::de::DeserializeOwned;

use crate::Error;

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer {
    content_type: String,
    body: SecretBytes,
    request_id: Option<Box<str>>,
}

impl Answer {
    /// Reads a JSON answer.
    ///
    /// Errors: `Bug`, code `client.answer`, without any of the content.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.body.expose()).map_err(|_| Error::unreadable("is not what this version expects"))
    }

    /// Whether the answer is of this media type.
    pub(crate) fn is(&self, media: &str) -> bool {
        self.content_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case(media))
    }

    /// Id of the request, when the server named it.
    pub(crate) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The body as it came.
    pub(crate) fn into_body(self) -> SecretBytes {
        self.body
    }
}

/// Reads a response to its end, up to `bytes_max`.
///
/// Errors: the server's problem; `client.answer` for anything that is neither success nor a problem;
/// `None` inside when the connection broke while reading.
pub(crate) async fn read(response: Response, bytes_max: usize) -> Result<Answer, Option<Error>> {
    let status = response.status();
    let headers = response.headers().clone();
    let body = match collect(response, bytes_max).await {
        Ok(body) => body,
        Err(Some(_)) if !status.is_success() => SecretBytes::default(),
        Err(error) => return Err(error),
    };
    let content_type = text(&headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    if status.is_success() {
        let request_id = text(&headers, api::REQUEST_HEADER).map(Into::into);
        return Ok(Answer { content_type, body, request_id });
    }
    if status.is_redirection() {
        let detail = "the server answered with a redirect, which is never followed";
        let hint = "set AUMBRY_ADDR to the server itself";
        return Err(Some(Error::local(Class::Invalid, "client.redirected", detail, hint)));
    }
    let mut error = match serde_json::from_slice::<Problem>(body.expose()) {
        Ok(problem) => Error::refused(problem),
        Err(_) => foreign(status.as_u16()),
    };
    error.retry_after = text(&headers, RETRY_AFTER.as_str()).and_then(|s| s.parse().ok()).map(Duration::from_secs);
    error.request_id = error.request_id.or_else(|| text(&headers, api::REQUEST_HEADER).map(Into::into));
    Err(Some(error))
}

/// A status without a problem: something between us and the server answered.
fn foreign(status: u16) -> Error {
    let class = match status {
        429 => Class::Limited,
        502 | 503 => Class::Unavailable,
        504 => Class::Unknown,
        _ => return Error::unreadable(&format!("has status {status} and no problem details")),
    };
    let detail = format!("something before the server answered with status {status}");
    Error::local(class, "client.gateway", detail, "look at what stands between you and the server")
}

async fn collect(mut response: Response, bytes_max: usize) -> Result<SecretBytes, Option<Error>> {
    let told = response.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let told: usize = told.unwrap_or(0);
    if told > bytes_max {
        return Err(Some(Error::unreadable("is larger than this side takes")));
    }
    let mut body = Vec::with_capacity(told.max(FIRST_BYTES));
    while let Some(chunk) = response.chunk().await.map_err(|_| None)? {
        let wanted = body.len().saturating_add(chunk.len());
        if wanted > bytes_max {
            drop(SecretBytes::new(body));
            return Err(Some(Error::unreadable("is larger than this side takes")));
        }
        if wanted > body.capacity() {
            let mut larger = Vec::with_capacity(wanted.saturating_mul(2));
            larger.extend_from_slice(&body);
            drop(SecretBytes::new(std::mem::replace(&mut body, larger)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(SecretBytes::new(body))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

const FIRST_BYTES: usize = 4096;
