//! Answers: what a handler gives back, and how it becomes HTTP.

use app::Refusal;
use app::code::Class;
use bytes::Bytes;
use crypto::SecretBytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

/// Body of every answer: in memory, wiped when sent.
pub type Body = Full<Bytes>;

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    content: &'static str,
    body: Bytes,
    headers: Vec<(HeaderName, HeaderValue)>,
    close: bool,
}

/// Wiped memory as the owner of a body.
struct Wiped(SecretBytes);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

impl Answer {
    fn new(status: StatusCode, content: &'static str, body: Bytes) -> Answer {
        Answer { status, content, body, headers: Vec::new(), close: false }
    }

    /// 200 with a message; what it was written into is wiped after sending.
    pub(crate) fn json<T: Serialize>(message: &T) -> Answer {
        match api::encode(message) {
            Ok(body) => Answer::new(StatusCode::OK, api::JSON, Bytes::from_owner(Wiped(body))),
            Err(_unlikely) => Answer::new(StatusCode::INTERNAL_SERVER_ERROR, api::PROBLEM, Bytes::new()),
        }
    }

    /// 200 with bytes of this media type, wiped after sending.
    pub(crate) fn bytes(content: &'static str, body: SecretBytes) -> Answer {
        Answer::new(StatusCode::OK, content, Bytes::from_owner(Wiped(body)))
    }

    /// 200 with text of this media type.
    pub(crate) fn text(content: &'static str, body: String) -> Answer {
        Answer::new(StatusCode::OK, content, Bytes::from(body))
    }

    /// The refusal as a problem (RFC 9457): code, class, detail and hint, never a cause.
    ///
    /// `conditional`: the request came with `If-Match`, and a conflict is then a failed precondition.
    pub(crate) fn refused(refusal: &Refusal, request: &str, conditional: bool) -> Answer {
        let status = match refusal.code.class {
            Class::Conflict if conditional => StatusCode::PRECONDITION_FAILED,
            _ => StatusCode::from_u16(refusal.code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        let problem = api::Problem {
            kind: format!("urn:aumbry:error:{}", refusal.code.name),
            title: title(refusal.code.class).to_owned(),
            status: status.as_u16(),
            code: refusal.code.name.to_owned(),
            class: class(refusal.code.class),
            detail: refusal.detail.clone(),
            hint: refusal.code.hint.to_owned(),
            request_id: request.to_owned(),
            operation_id: refusal.operation.map(|operation| operation.to_string()),
        };
        let mut answer = Answer { content: api::PROBLEM, status, ..Answer::json(&problem) };
        match refusal.code.class {
            Class::Limited | Class::Sealed | Class::Unavailable | Class::Unknown => {
                answer = answer.with(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Class::Unauthenticated => {
                answer = answer.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"aumbry\""));
            }
            _ => {}
        }
        answer
    }

    /// 200 with nothing.
    pub(crate) fn empty() -> Answer {
        Answer::new(StatusCode::OK, "text/plain", Bytes::new())
    }

    /// Adds a header.
    #[must_use]
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Answer {
        self.headers.push((name, value));
        self
    }

    /// Adds an `Allow` header.
    #[must_use]
    pub(crate) fn allowing(self, verbs: &str) -> Answer {
        match HeaderValue::from_str(verbs) {
            Ok(verbs) => self.with(ALLOW, verbs),
            Err(_unlikely) => self,
        }
    }

    /// Sets another status.
    #[must_use]
    pub(crate) fn status(mut self, status: StatusCode) -> Answer {
        self.status = status;
        self
    }

    /// Ends the connection after the answer: what the peer still sends is not read.
    #[must_use]
    pub(crate) fn closing(mut self) -> Answer {
        self.close = true;
        self
    }

    /// Only the head, with the length the body would have.
    #[must_use]
    pub(crate) fn without_body(mut self) -> Answer {
        let length = HeaderValue::from(self.body.len());
        self.body = Bytes::new();
        self.with(CONTENT_LENGTH, length)
    }

    /// Its status.
    pub(crate) fn code_of_status(&self) -> StatusCode {
        self.status
    }

    /// As HTTP, with the headers that every answer has.
    pub(crate) fn into_response(self, request: &str, version: http::Version) -> Response<Body> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.reserve(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(request) {
            headers.insert(HeaderName::from_static(api::REQUEST_HEADER), id);
        }
        if self.close && version <= http::Version::HTTP_11 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        headers.extend(self.headers);
        response
    }
}

/// The class on the wire.
fn class(class: Class) -> api::Class {
    match class {
        Class::Invalid => api::Class::Invalid,
        Class::Unauthenticated => api::Class::Unauthenticated,
        Class::Denied => api::Class::Denied,
        Class::NotFound => api::Class::NotFound,
        Class::Conflict => api::Class::Conflict,
        Class::Limited => api::Class::Limited,
        Class::Sealed => api::Class::Sealed,
        Class::Unavailable => api::Class::Unavailable,
        Class::Unknown => api::Class::Unknown,
        Class::Corrupt => api::Class::Corrupt,
        Class::Bug => api::Class::Bug,
    }
}

/// The class in words.
fn title(class: Class) -> &'static str {
    match class {
        Class::Invalid => "The request cannot be taken",
        Class::Unauthenticated => "Nobody is logged in",
        Class::Denied => "Not permitted",
        Class::NotFound => "Not there",
        Class::Conflict => "Something else came first",
        Class::Limited => "Too much at once",
        Class::Sealed => "The server is sealed",
        Class::Unavailable => "Not available now",
        Class::Unknown => "The outcome is not known",
        Class::Corrupt => "Stored data is damaged",
        Class::Bug => "A fault of the server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::code::ALL;

    #[test]
    fn every_code_has_a_status_that_fits_its_class() {
        for code in ALL {
            let fits: &[u16] = match code.class {
                Class::Invalid => &[400, 405, 408, 413, 415, 422, 431],
                Class::Unauthenticated => &[401],
                Class::Denied => &[403],
                Class::NotFound => &[404],
                Class::Conflict => &[409, 412],
                Class::Limited => &[429],
                Class::Sealed | Class::Unavailable | Class::Unknown => &[503],
                Class::Corrupt | Class::Bug => &[500],
            };
            assert!(fits.contains(&code.status), "{}", code.name);
            let response =
                Answer::refused(&Refusal::new(code, "x"), "r", false).into_response("r", http::Version::HTTP_2);
            assert_eq!(response.status().as_u16(), code.status, "{}", code.name);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            let later = matches!(code.status, 429 | 503);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), later, "{}", code.name);
        }
    }
}
