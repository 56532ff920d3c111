//! One way out: builds a request, sends it, tries again where that is safe.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use api::Class;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use crypto::seam::{Entropy, SystemEntropy};
use crypto::secret::{SecretBytes, SecretText};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Certificate, Method, Url, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answer::{self, Answer};
use crate::{Error, address};

/// How to reach a server and who to be there.
#[derive(Debug)]
pub struct Options {
    /// Address: `https://host:port`, or `http://` to a loopback address.
    pub addr: String,
    /// Session token; without one only the open routes answer.
    pub token: Option<SecretText>,
    /// Tenant, for principals of several.
    pub tenant: Option<String>,
    /// Certificates (PEM) that the server's must lead to; without any, the system's.
    pub cacert_pem: Option<Vec<u8>>,
    /// How long one attempt may take, answer included.
    pub timeout: Duration,
    /// How often a call is tried at most.
    pub attempts_max: u32,
    /// How large an answer may be.
    pub answer_bytes_max: usize,
    /// Where idempotency keys come from.
    pub entropy: Arc<dyn Entropy>,
}

impl Options {
    /// The defaults for this address: no token, 30 s an attempt, 4 attempts, answers up to 32 MiB.
    pub fn new(addr: &str) -> Self {
        Self {
            addr: addr.to_owned(),
            token: None,
            tenant: None,
            cacert_pem: None,
            timeout: Duration::from_secs(30),
            attempts_max: 4,
            answer_bytes_max: 32 * 1024 * 1024,
            entropy: Arc::new(SystemEntropy::new()),
        }
    }
}

/// A connection to one server as one principal. Cheap to share by reference; keeps connections open.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    attempts_max: u32,
    answer_bytes_max: usize,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares a client; sends nothing.
    ///
    /// Errors: `Invalid` for an address, token, tenant or certificate that cannot be used, or when the process
    /// has no TLS provider installed.
    pub fn new(options: Options) -> Result<Self, Error> {
        let base = address::parse(&options.addr)?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(bad("no TLS provider is installed", "install rustls's aws-lc-rs provider first"));
        }
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .tls_version_min(reqwest::tls::Version::TLS_1_3)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(options.timeout);
        if let Some(pem) = &options.cacert_pem {
            builder = builder.tls_certs_only(certificates(pem)?);
        } else if base.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|_| bad("no trusted certificates are found", CACERT_HINT))?;
        Ok(Self {
            http,
            headers: headers(options.token.as_ref(), options.tenant.as_deref())?,
            base,
            attempts_max: options.attempts_max.max(1),
            answer_bytes_max: options.answer_bytes_max,
            entropy: options.entropy,
        })
    }

    /// The server's address, without a slash at its end.
    pub fn addr(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Reads: safe to repeat.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, target: Target<'_>) -> Result<T, Error> {
        self.send(Call::new(Method::GET, target)).await?.json()
    }

    /// Reads with a JSON body: safe to repeat, without an idempotency key.
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        target: Target<'_>,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Error> {
        let call = Call { mutation: false, ..Call::new(Method::POST, target).json(body)? };
        self.send(call).await?.json()
    }

    /// Changes something with a JSON body, or none.
    pub(crate) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        target: Target<'_>,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<T, Error> {
        let mut call = Call::new(method, target);
        if let Some(message) = body {
            call = call.json(message)?;
        }
        self.send(call).await?.json()
    }

    /// Sends a call, again where the class says so; every attempt of a mutation has the same idempotency key.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer, Error> {
        let url = self.url(&call.target)?;
        let mut headers = self.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static(call.accept));
        let mutation = call.mutation;
        if mutation {
            headers.insert(api::IDEMPOTENCY_HEADER, self.idempotency_key()?);
        }
        let body = call.body.map(|(kind, bytes)| {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            Bytes::from_owner(Held(bytes))
        });
        let mut perhaps_applied = false;
        let mut attempt = 1_u32;
        loop {
            let mut request = self.http.request(call.method.clone(), url.clone()).headers(headers.clone());
            if let Some(bytes) = &body {
                request = request.body(bytes.clone());
            }
            let error = match request.send().await {
                Ok(response) => match answer::read(response, self.answer_bytes_max).await {
                    Ok(answer) => return Ok(answer),
                    Err(Some(error)) => error,
                    Err(None) => broken(mutation),
                },
                Err(error) => unreachable_server(&error, mutation),
            };
            perhaps_applied |= mutation && error.class == Class::Unknown;
            match self.pause(&error, attempt) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(settle(error, perhaps_applied)),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// How long to wait before the next attempt; nothing when there shall be none.
    fn pause(&self, error: &Error, attempt: u32) -> Option<Duration> {
        let again = matches!(error.class, Class::Unavailable | Class::Limited) || &*error.code == "client.broken";
        if !again || attempt >= self.attempts_max {
            return None;
        }
        let backoff = BACKOFF.saturating_mul(1 << attempt.min(6));
        Some(error.retry_after.unwrap_or(backoff)).filter(|pause| *pause <= PAUSE_MAX)
    }

    fn idempotency_key(&self) -> Result<HeaderValue, Error> {
        let mut random = [0; 16];
        self.entropy.fill_public(&mut random).map_err(|_| {
            Error::local(
                Class::Unavailable,
                "client.entropy",
                "the random source failed; nothing was sent",
                "try again",
            )
        })?;
        HeaderValue::from_str(&URL_SAFE_NO_PAD.encode(random)).map_err(|_| bad("the idempotency key is not text", ""))
    }

    fn url(&self, target: &Target<'_>) -> Result<Url, Error> {
        let mut url = self.base.clone();
        let mut segments = url.path_segments_mut().map_err(|()| bad("the server's address has no path", ""))?;
        segments.clear().extend(["api", "v1", target.noun]).extend(target.path.split('/').filter(|s| !s.is_empty()));
        drop(segments);
        if !target.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&target.query);
        }
        Ok(url)
    }
}

/// What a request is about.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    noun: &'a str,
    path: &'a str,
    query: Vec<(&'static str, String)>,
}

impl<'a> Target<'a> {
    /// A noun, or `<noun>:<verb>`.
    pub(crate) fn noun(noun: &'a str) -> Self {
        Self { noun, path: "", query: Vec::new() }
    }

    /// One thing of a noun; the path is checked by the caller.
    pub(crate) fn at(noun: &'a str, path: &'a str) -> Self {
        Self { noun, path, query: Vec::new() }
    }

    /// Adds a query parameter, unless there is none to add.
    pub(crate) fn with(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_string())));
        self
    }
}

/// One request before it is sent.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// HTTP method.
    pub(crate) method: Method,
    /// Whether it changes something: everything but `GET`, unless said otherwise.
    pub(crate) mutation: bool,
    /// What it is about.
    pub(crate) target: Target<'a>,
    /// Media type and bytes of the body.
    pub(crate) body: Option<(&'static str, SecretBytes)>,
    /// Media type to answer in.
    pub(crate) accept: &'static str,
}

impl<'a> Call<'a> {
    /// A call without body that wants JSON.
    pub(crate) fn new(method: Method, target: Target<'a>) -> Self {
        Self { mutation: method != Method::GET, method, target, body: None, accept: api::JSON }
    }

    /// The same with a JSON body.
    fn json(self, message: &impl Serialize) -> Result<Self, Error> {
        let bytes = api::encode(message).map_err(|_| bad("the request cannot be written", ""))?;
        Ok(Self { body: Some((api::JSON, bytes)), ..self })
    }
}

/// A body that is wiped when the last attempt let go of it.
struct Held(SecretBytes);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.0.expose()
    }
}

fn headers(token: Option<&SecretText>, tenant: Option<&str>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("aumbry/", env!("CARGO_PKG_VERSION"))));
    if let Some(token) = token {
        let text = SecretText::new(["Bearer ", token.expose()].concat());
        let mut value = HeaderValue::from_str(text.expose())
            .map_err(|_| bad("the token holds characters that no token has", "log in again"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(tenant) = tenant {
        let value = HeaderValue::from_str(tenant).map_err(|_| bad("the tenant's name is not plain text", ""))?;
        headers.insert(api::TENANT_HEADER, value);
    }
    Ok(headers)
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, Error> {
    match Certificate::from_pem_bundle(pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(bad("the file of trusted certificates holds none", CACERT_HINT)),
    }
}

fn unreachable_server(error: &reqwest::Error, mutation: bool) -> Error {
    if !error.is_connect() {
        return broken(mutation);
    }
    if distrusted(error) {
        let detail = "the server's certificate is not one to trust here";
        return Error::local(Class::Invalid, "client.certificate", detail, CACERT_HINT);
    }
    Error::local(
        Class::Unavailable,
        "client.unreachable",
        "no server answers at this address",
        "check AUMBRY_ADDR and that `aumbry serve` runs there",
    )
}

/// Whether the certificate is what a connection failed of.
fn distrusted(error: &reqwest::Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if let Some(rustls::Error::InvalidCertificate(_)) = inner.downcast_ref() {
            return true;
        }
        // An I/O error names the source of what it wraps, and skips what it wraps.
        source = match inner.downcast_ref::<std::io::Error>() {
            Some(io) => io.get_ref().map(|wrapped| wrapped as &(dyn std::error::Error + 'static)),
            None => inner.source(),
        };
    }
    false
}

/// The connection broke after the request may have arrived.
fn broken(mutation: bool) -> Error {
    let (class, hint) = if mutation {
        (Class::Unknown, "read back whether the change was made before making it again")
    } else {
        (Class::Unavailable, "try again")
    };
    Error::local(class, "client.broken", "the connection broke or timed out before the answer was complete", hint)
}

/// A refusal that only says "later" does not undo an earlier attempt that may have been applied.
fn settle(error: Error, perhaps_applied: bool) -> Error {
    match error.class {
        Class::Unavailable | Class::Limited | Class::Sealed if perhaps_applied => broken(true),
        _ => error,
    }
}

fn bad(detail: &str, hint: &str) -> Error {
    Error::local(Class::Invalid, "client.invalid", detail, hint)
}

const CACERT_HINT: &str = "set AUMBRY_CACERT or --cacert to the PEM file that `aumbry serve` names";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// First pause is twice this; it doubles with each attempt.
const BACKOFF: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);
