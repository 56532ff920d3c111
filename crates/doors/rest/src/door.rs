//! The door itself: the order in which a request is bounded, found, read and answered. Never another order.

use crate::answer::{Answer, Body};
use crate::backup::Backups;
use crate::call::{Call, answered, request_text};
use crate::limits::{BATCHES_MAX, HEADERS_MAX, Limits, TARGET_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::metrics::{Gauge, Metrics};
use crate::opening::Opening;
use crate::rate::Rate;
use crate::route::{Finder, Found, Route, Takes};
use crate::source::source_of;
use crate::target::decoded;
use api::operator::{
    Cancel, Cancelled, Ceremonies, Ceremony, Gathered, GiveShare, HandedOut, Rekey, Sealed, Split, Unsealed,
};
use api::status::Seal;
use app::code::{
    BUG, Code, REQUEST_HEADERS_TOO_LARGE, REQUEST_INCOMPLETE, REQUEST_INVALID, REQUEST_LIMITED, REQUEST_MEDIA_TYPE,
    REQUEST_METHOD, REQUEST_TIMEOUT, REQUEST_TOO_LARGE, ROUTE_NOT_FOUND, SERVER_BUSY,
};
use app::{App, Arrival, Authorized, Refusal};
use bytes::{Buf, Bytes};
use crypto::{Clock, Entropy, SecretBytes, SecretText};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderValue, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, TRANSFER_ENCODING,
};
use http::request::Parts;
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What the door is told at the start.
#[derive(Debug)]
pub struct Settings {
    /// Networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<app::Net>,
    /// Networks that the metrics are shown to.
    pub metrics: Vec<app::Net>,
    /// Whether the routes of secrets are there.
    pub secrets: bool,
    /// Bounds that depend on the machine.
    pub limits: Limits,
}

/// What the server around the door knows: open routes show it.
pub trait Surroundings: Send + Sync + std::fmt::Debug {
    /// Whether the root key is there.
    fn seal(&self) -> Seal;
    /// The shares that are wanted, while it is not.
    fn wanted(&self) -> Option<Gathered>;
    /// Records a request that came while the server is sealed, and says why nothing is done. Nothing is looked up.
    fn turn_away(&self, arrival: Arrival) -> BoxFuture<'_, Refusal>;
    /// What keeps requests, or all changes, from being served now; names nothing that is anybody's.
    fn hindrance(&self) -> Option<&'static str>;
    /// What serves requests well and somebody should see to all the same.
    fn warning(&self) -> Option<&'static str>;
    /// Whether requests are served, those that change nothing at least: open, a sink writable, the store whole.
    fn is_ready(&self) -> bool;
    /// Values for the metrics page.
    fn gauges(&self) -> Vec<Gauge>;
    /// Its backups.
    fn backups(&self) -> Arc<dyn Backups>;
    /// Makes the shares of a store that is to begin. They count once enough of them were given back. Records the request.
    fn init(&self, arrival: Arrival, split: Split) -> BoxFuture<'_, Result<HandedOut, Refusal>>;
    /// Takes one share; with enough of them the server opens before it answers. Records the request.
    fn unseal(&self, arrival: Arrival, share: GiveShare) -> BoxFuture<'_, Result<Unsealed, Refusal>>;
    /// Records a refusal of one of these two.
    fn refuse(&self, arrival: Arrival, act: &'static str, refusal: Refusal) -> BoxFuture<'_, Refusal>;
    /// Lets no request begin from now on, and lets go of the root key once the running ones have ended.
    fn shut(&self, grant: Authorized) -> BoxFuture<'static, Result<Sealed, Refusal>>;
    /// Begins to replace the seal's key by a new set of shares or a file. What is in force stays so until all was given.
    fn begin_rekey(&self, grant: Authorized, rekey: Rekey) -> BoxFuture<'static, Result<Ceremony, Refusal>>;
    /// The ceremony that is under way, if one is.
    fn ceremonies(&self) -> Ceremonies;
    /// Gives a share to the ceremony. Took effect? As the refusal's class says.
    fn give(&self, grant: Authorized, share: GiveShare) -> BoxFuture<'static, Result<Ceremony, Refusal>>;
    /// Gives the ceremony up.
    fn cancel(&self, grant: Authorized, cancel: Cancel) -> BoxFuture<'static, Result<Cancelled, Refusal>>;
    /// Replaces the seal's key; answers the seal's name. Took effect? As the refusal's class says.
    fn rekey(&self, grant: Authorized) -> BoxFuture<'static, Result<String, Refusal>>;
}

/// The native REST door; cheap to clone.
#[derive(Clone, Debug)]
pub struct Door(Arc<House>);

/// What handlers may use.
#[derive(Debug)]
pub(crate) struct House {
    opening: Arc<Opening>,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: Metrics,
    pub(crate) routes: Vec<Route>,
    pub(crate) document: String,
    entropy: Arc<dyn Entropy>,
    finder: Finder,
    pub(crate) settings: Settings,
    running: Semaphore,
    batches: Semaphore,
    rate: Rate,
    /// Shares and beginnings, which anybody may send.
    pub(crate) shares_rate: Rate,
}

/// A request being answered: its id, and which line of the table it means once that is known.
struct Running {
    id: [u8; 16],
    route: usize,
}

impl Door {
    /// Puts the door together. It answers at once, with the use cases that `opening` leads to.
    pub fn new(
        opening: Arc<Opening>,
        surroundings: Arc<dyn Surroundings>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
    ) -> Door {
        let routes: Vec<Route> = crate::table::routes(settings.secrets);
        Door(Arc::new(House {
            document: crate::openapi::document(&routes),
            finder: Finder::new(&routes),
            metrics: Metrics::new(routes.len()),
            running: Semaphore::new(settings.limits.requests_max),
            batches: Semaphore::new(BATCHES_MAX),
            rate: Rate::new(settings.limits.source_rate_max),
            shares_rate: Rate::new(SHARES_RATE_MAX),
            opening,
            surroundings,
            clock,
            entropy,
            routes,
            settings,
        }))
    }

    /// The table it serves.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.0.routes
    }

    /// Answers one request. Never fails and never panics: a defect is answered with 500 and the request's id.
    pub async fn answer<B>(&self, request: Request<B>, peer: SocketAddr) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin,
    {
        let house = &self.0;
        let began = house.clock.monotonic();
        let mut running = Running { id: [0; 16], route: house.routes.len() };
        let (parts, body) = request.into_parts();
        let (version, headless) = (parts.version, parts.method == Method::HEAD);
        house.metrics.running(true);
        let answering = AssertUnwindSafe(house.answer(parts, body, peer, &mut running)).catch_unwind();
        let answer = answering.await;
        let id = request_text(&running.id);
        let answer = answer.unwrap_or_else(|_panic| {
            tracing::error!(request = id, "a request ran into a defect");
            Answer::refused(&Refusal::new(&BUG, "the request ran into a defect"), &id, false)
        });
        house.metrics.running(false);
        let took = house.clock.monotonic().saturating_sub(began);
        house.metrics.answered(running.route, answer.code_of_status().as_u16(), took);
        let answer = if headless { answer.without_body() } else { answer };
        answer.into_response(&id, version)
    }
}

impl House {
    /// Headers, rate and load, then the route, then the body, then the use case.
    async fn answer<B>(self: &Arc<House>, parts: Parts, body: B, peer: SocketAddr, running: &mut Running) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin,
    {
        let refuse = |code: &'static Code, why: &str, id: &[u8; 16]| {
            Answer::refused(&Refusal::new(code, why), &request_text(id), false).closing()
        };
        if self.entropy.fill_public(&mut running.id).is_err() {
            return refuse(&SERVER_BUSY, "no randomness was to be had", &running.id);
        }
        let source = source_of(peer.ip(), &parts.headers, &self.settings.trusted_proxies);
        if let Err((code, why)) = head_fits(&parts) {
            return refuse(code, why, &running.id);
        }
        if !self.rate.take(source, self.clock.monotonic()) {
            return refuse(&REQUEST_LIMITED, "too many requests from one address", &running.id);
        }
        let Ok(_place) = self.running.try_acquire() else {
            return refuse(&SERVER_BUSY, "too many requests are being answered", &running.id);
        };
        // On the heap, or every future around it is moved with it.
        let work = self.found(parts, body, source, running).boxed();
        let longest = self.settings.limits.request_time_max.saturating_add(RECORDING_TIME_MAX);
        match tokio::time::timeout(longest, work).await {
            Ok(answer) => answer,
            Err(_late) => {
                let why = "the request took too long; send it again with the same Idempotency-Key";
                refuse(&REQUEST_TIMEOUT, why, &running.id)
            }
        }
    }

    /// Finds the route, reads the body, calls the handler.
    async fn found<B>(
        self: &Arc<House>,
        parts: Parts,
        body: B,
        source: std::net::IpAddr,
        running: &mut Running,
    ) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin,
    {
        let app = self.opening.app();
        let mut arrival = arrival(&parts, running.id, source);
        // A HEAD is its GET in everything but the body of the answer, the access row included.
        let verb = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let (at, rest) = match self.finder.find(verb, parts.uri.path()) {
            Found::Route(at, rest) => (at, rest),
            Found::OtherVerbs(verbs) => {
                let refusal = Refusal::new(&REQUEST_METHOD, "this path does not have that verb");
                return self.turned_away(app, arrival, refusal).await.allowing(&verbs);
            }
            Found::Nothing => {
                let refusal = Refusal::new(&ROUTE_NOT_FOUND, "there is no such path in this API");
                return self.turned_away(app, arrival, refusal).await;
            }
        };
        let Some(route) = self.routes.get(at) else { return Answer::empty() };
        running.route = at;
        arrival.route = route.pattern;
        if app.is_none() && !route.sealed {
            return self.sealed(arrival).await.closing();
        }
        if let Err(refusal) = heard(route, &parts) {
            return self.turned_away(app, arrival, refusal).await.closing();
        }
        let name = match decoded(rest) {
            Ok(name) => name.into_owned(),
            Err(refusal) => return self.turned_away(app, arrival, refusal).await,
        };
        let place = (route.takes == Takes::Batch).then(|| self.batches.try_acquire());
        if matches!(place, Some(Err(_))) {
            let refusal = Refusal::new(&SERVER_BUSY, "too many requests with many secrets are being answered");
            return self.turned_away(app, arrival, refusal).await.closing();
        }
        let reading = self.body(route, &arrival, &parts, body);
        let read = tokio::time::timeout(self.settings.limits.request_time_max, reading).await;
        let late = |_late| Err(Refusal::new(&REQUEST_INCOMPLETE, "the body did not come whole in time"));
        let body = match read.unwrap_or_else(late) {
            Ok(body) => body,
            Err(refusal) => return self.turned_away(app, arrival, refusal).await.closing(),
        };
        if arrival.idempotency.is_some() {
            arrival.body_digest = digest(&parts, body.expose());
        }
        let query = parts.uri.query().unwrap_or_default().to_owned();
        if route.doc.query.is_none() && !query.is_empty() {
            let refusal = Refusal::new(&REQUEST_INVALID, "this route takes no query");
            return self.turned_away(app, arrival, refusal).await;
        }
        let call = Call { house: Arc::clone(self), app, arrival, name, query, headers: parts.headers, body };
        let answer = (route.run)(Box::new(call)).await;
        drop(place);
        answer
    }

    /// The whole body, bounded before and while it is read. Who is certainly not logged in sends it in vain.
    async fn body<B>(&self, route: &Route, arrival: &Arrival, parts: &Parts, body: B) -> Result<SecretBytes, Refusal>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin,
    {
        if let Some(encoding) = parts.headers.get(CONTENT_ENCODING)
            && encoding != "identity"
        {
            return Err(Refusal::new(&REQUEST_MEDIA_TYPE, "encoded bodies are not taken"));
        }
        let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let most = route.takes.bytes_max();
        let too_large = || Refusal::new(&REQUEST_TOO_LARGE, format!("the body is longer than {most} bytes"));
        if length.is_some_and(|length| length > most as u64) {
            return Err(too_large());
        }
        if route.takes == Takes::Nothing {
            let none = body.is_end_stream() || length == Some(0);
            let why = "this route takes no body";
            return if none { Ok(SecretBytes::default()) } else { Err(Refusal::new(&REQUEST_INVALID, why)) };
        }
        if !route.open && arrival.token.is_none() {
            return Err(Refusal::new(&REQUEST_INVALID, "no session came with the request"));
        }
        collect(body, length.and_then(|length| usize::try_from(length).ok()), most).await?.ok_or_else(too_large)
    }

    /// The answer to what cannot be made an act of; who is not logged in learns only that.
    fn turned_away(&self, app: Option<Arc<App>>, arrival: Arrival, refusal: Refusal) -> BoxFuture<'_, Answer> {
        let Some(app) = app else { return self.sealed(arrival) };
        let turning = async move { answered::<()>(app.turn_away(arrival, refusal).await, false, |()| Answer::empty()) };
        turning.boxed()
    }

    /// The answer of a sealed server to whatever needs a key.
    pub(crate) fn sealed(&self, arrival: Arrival) -> BoxFuture<'_, Answer> {
        let id = request_text(&arrival.request);
        let turning = async move { Answer::refused(&self.surroundings.turn_away(arrival).await, &id, false) };
        turning.boxed()
    }
}

/// Shares a second from one source, in bursts of ten: more than hands can type, too few to flood with.
const SHARES_RATE_MAX: u32 = 1;

/// What a request that used up its time, for instance by a stalled body, has left to be recorded and refused.
const RECORDING_TIME_MAX: Duration = Duration::from_secs(1);

/// Bounds of the head, and what HTTP/1.1 asks of it.
fn head_fits(parts: &Parts) -> Result<(), (&'static Code, &'static str)> {
    if parts.headers.len() > HEADERS_MAX {
        return Err((&REQUEST_HEADERS_TOO_LARGE, "the request has too many headers"));
    }
    // RFC 9112, 3.2: exactly one, or the peer and a proxy before us may not mean the same.
    if parts.version == Version::HTTP_11 && parts.headers.get_all(HOST).iter().count() != 1 {
        return Err((&REQUEST_INVALID, "the request needs one Host header"));
    }
    if parts.headers.get_all(AUTHORIZATION).iter().any(|token| token.len() > TOKEN_BYTES_MAX) {
        return Err((&REQUEST_HEADERS_TOO_LARGE, "the Authorization header is too long"));
    }
    if parts.uri.path_and_query().is_some_and(|target| target.as_str().len() > TARGET_BYTES_MAX) {
        return Err((&REQUEST_INVALID, "path and query are too long"));
    }
    Ok(())
}

/// Headers that would change what a request means are followed or refused, never passed over.
fn heard(route: &Route, parts: &Parts) -> Result<(), Refusal> {
    let wrong = |why: String| Err(Refusal::new(&REQUEST_INVALID, why));
    let single = [
        api::IDEMPOTENCY_HEADER,
        api::TENANT_HEADER,
        api::POSITION_HEADER,
        CONTENT_TYPE.as_str(),
        CONTENT_ENCODING.as_str(),
    ];
    if let Some(name) = single.into_iter().find(|name| parts.headers.get_all(*name).iter().count() > 1) {
        return wrong(format!("the request has more than one `{name}` header"));
    }
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !parts.headers.get_all(TRANSFER_ENCODING).iter().all(chunked) {
        return Err(Refusal::new(&REQUEST_MEDIA_TYPE, "encoded bodies are not taken"));
    }
    // What a cache asks of a read changes nothing: it gets the whole answer.
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let never = [IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, CONTENT_RANGE];
    let here =
        [(IF_MATCH, TAKE_IF_MATCH.contains(&route.act)), (IF_NONE_MATCH, TAKE_IF_NONE_MATCH.contains(&route.act))];
    let refused = never
        .into_iter()
        .map(|name| (name, false))
        .chain(here)
        .find(|(name, taken)| !taken && parts.headers.contains_key(name));
    refused.map_or(Ok(()), |(name, _)| wrong(format!("this route takes no `{name}` header")))
}

/// Acts that can insist on the version they replace.
const TAKE_IF_MATCH: [&str; 6] =
    ["secret.write", "secret.patch", "secret.generate", "secret.rollback", "secret.delete", "secret.annotate"];
/// Acts that can insist on making something new.
const TAKE_IF_NONE_MATCH: [&str; 2] = ["secret.write", "secret.generate"];

fn arrival(parts: &Parts, request: [u8; 16], source: std::net::IpAddr) -> Arrival {
    let header =
        |name: &str| parts.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    Arrival {
        request,
        source,
        tls: true,
        token: token(parts),
        tenant: header(api::TENANT_HEADER),
        after: header(api::POSITION_HEADER),
        idempotency: header(api::IDEMPOTENCY_HEADER),
        body_digest: [0; 32],
        route: "-",
    }
}

/// The bearer token, if there is exactly one `Authorization` header and it holds one.
fn token(parts: &Parts) -> Option<SecretText> {
    let mut all = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| SecretText::new(token.trim().to_owned()))
}

/// Digest over verb, target and body: what makes a repeated request the same one.
fn digest(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let target = parts.uri.path_and_query().map(http::uri::PathAndQuery::as_str).unwrap_or_default();
    let head = crypto::sha256(format!("{} {target} ", parts.method).as_bytes());
    let body = crypto::sha256(body);
    crypto::sha256(&[head, body].concat())
}

/// Reads a body to its end; `None` as soon as it passes the limit. Copies once, into memory that is wiped.
async fn collect<B>(mut body: B, length: Option<usize>, most: usize) -> Result<Option<SecretBytes>, Refusal>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin,
{
    const FIRST_BYTES: usize = 16 << 10;
    let mut all = Vec::with_capacity(length.unwrap_or(FIRST_BYTES).min(most));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_cut| Refusal::new(&REQUEST_INVALID, "the body ended before its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        let wanted = all.len().saturating_add(data.remaining());
        if wanted > most {
            drop(SecretBytes::new(all));
            return Ok(None);
        }
        if wanted > all.capacity() {
            let mut larger = Vec::with_capacity(wanted.saturating_mul(2).min(most));
            larger.extend_from_slice(&all);
            drop(SecretBytes::new(std::mem::replace(&mut all, larger)));
        }
        all.extend_from_slice(&data);
    }
    Ok(Some(SecretBytes::new(all)))
}
