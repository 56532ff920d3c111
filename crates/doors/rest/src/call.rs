//! One request on its way to a use case: what handlers read from, and the one way they answer.

use crate::answer::Answer;
use crate::door::House;
use crate::{json, query};
use api::OCTETS;
use app::code::{REQUEST_INVALID, REQUEST_MEDIA_TYPE};
use app::{Act, App, Arrival, Authorized, Path, Prefix, Refusal, Reply};
use crypto::SecretBytes;
use http::HeaderMap;
use http::header::{ACCEPT, CONTENT_TYPE, IF_MATCH, IF_NONE_MATCH};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::sync::Arc;

/// A request whose bounds were checked and whose body, if its route takes one, is here.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) house: Arc<House>,
    /// The use cases; none while the server is sealed.
    pub(crate) app: Option<Arc<App>>,
    pub(crate) arrival: Arrival,
    /// What stands for the parameter of the route's template, decoded.
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: SecretBytes,
}

/// What a handler's first part gives: the act and what else its use case needs.
pub(crate) type Parsed<I> = Result<(Act, I), Refusal>;

impl Call {
    /// Names the act, runs the use case, shows its answer. Nothing else answers a request that is not open.
    pub(crate) async fn act<I, T, Fut>(
        mut self: Box<Self>,
        parse: impl FnOnce(&mut Call) -> Parsed<I>,
        run: impl FnOnce(Authorized, I) -> Fut + Send + 'static,
        show: impl FnOnce(T) -> Answer,
    ) -> Answer
    where
        I: Send + 'static,
        T: Send + 'static,
        Fut: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let conditional = self.headers.contains_key(IF_MATCH) || self.headers.contains_key(IF_NONE_MATCH);
        let parsed = parse(&mut self);
        let Call { house, app, arrival, .. } = *self;
        let Some(app) = app else { return house.sealed(arrival).await };
        let reply = match parsed {
            Ok((act, input)) => app.act(arrival, act, move |grant| run(grant, input)).await,
            Err(refusal) => app.turn_away(arrival, refusal).await,
        };
        answered(reply, conditional, show)
    }

    /// The query in its typed form.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        query::read(&self.query)
    }

    /// The JSON body in its typed form. Errors: another media type, or a body that does not fit.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        match self.media() {
            Some(api::JSON) => json::read(self.body.expose()),
            _ => Err(Refusal::new(&REQUEST_MEDIA_TYPE, "this route takes application/json")),
        }
    }

    /// As [`Call::json`], of a route that takes many secrets.
    pub(crate) fn batch<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Refusal> {
        match self.media() {
            Some(api::JSON) => json::read_batch(self.body.expose()),
            _ => Err(Refusal::new(&REQUEST_MEDIA_TYPE, "this route takes application/json")),
        }
    }

    /// The merge patch in the body. Errors: another media type, or a body that is no JSON object.
    pub(crate) fn patch(&self) -> Result<api::secret::Patch, Refusal> {
        match self.media() {
            Some(api::MERGE_PATCH) => json::read(self.body.expose()),
            _ => Err(Refusal::new(&REQUEST_MEDIA_TYPE, "a patch is application/merge-patch+json")),
        }
    }

    /// Whether the body is raw bytes.
    pub(crate) fn is_raw(&self) -> bool {
        self.media() == Some(OCTETS)
    }

    /// Whether the caller wants raw bytes back.
    pub(crate) fn wants_raw(&self) -> bool {
        self.headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == OCTETS.as_bytes())
    }

    /// The version of `If-Match: "N"`.
    pub(crate) fn if_match(&self) -> Result<Option<u64>, Refusal> {
        let wrong = || Refusal::new(&REQUEST_INVALID, "If-Match wants one version in quotes, such as \"3\"");
        let mut all = self.headers.get_all(IF_MATCH).iter();
        let (Some(value), None) = (all.next(), all.next()) else {
            return if self.headers.contains_key(IF_MATCH) { Err(wrong()) } else { Ok(None) };
        };
        let text = value.to_str().map_err(|_bad| wrong())?;
        let digits = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(wrong)?;
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if plain { digits.parse().map(Some).map_err(|_bad| wrong()) } else { Err(wrong()) }
    }

    /// Version 0 for `If-None-Match: *`: nothing may be there yet.
    fn if_none_match(&self) -> Result<Option<u64>, Refusal> {
        match self.headers.get(IF_NONE_MATCH) {
            None => Ok(None),
            Some(any) if any == "*" && self.headers.get_all(IF_NONE_MATCH).iter().count() == 1 => Ok(Some(0)),
            Some(_) => Err(Refusal::new(&REQUEST_INVALID, "If-None-Match wants `*`: nothing may be there yet")),
        }
    }

    /// The version a change insists on: of the body or query, of `If-Match` or of `If-None-Match`, which may not differ.
    pub(crate) fn cas(&self, named: Option<u64>) -> Result<Option<u64>, Refusal> {
        let told = [named, self.if_match()?, self.if_none_match()?];
        let mut told = told.into_iter().flatten();
        let first = told.next();
        match told.all(|other| Some(other) == first) {
            true => Ok(first),
            false => Err(Refusal::new(&REQUEST_INVALID, "`cas` and the headers name different versions")),
        }
    }

    /// Refuses a query where the route takes none with this body.
    pub(crate) fn no_query(&self) -> Result<(), Refusal> {
        if self.query.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(&REQUEST_INVALID, "the query goes with raw bytes only"))
    }

    /// The secret that the route names.
    pub(crate) fn path(&self) -> Result<Path, Refusal> {
        Path::parse(&self.name)
    }

    fn media(&self) -> Option<&str> {
        let value = self.headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let kind = value.split(';').next()?.trim();
        [api::JSON, OCTETS, api::MERGE_PATCH].into_iter().find(|known| known.eq_ignore_ascii_case(kind))
    }
}

/// Reads a folder as a query names it; absent is the top.
pub(crate) fn folder(text: Option<&str>) -> Result<Prefix, Refusal> {
    Prefix::parse(text.unwrap_or_default())
}

/// Turns a reply into an answer; with `If-Match` a conflict is a failed precondition.
pub(crate) fn answered<T>(reply: Reply<T>, conditional: bool, show: impl FnOnce(T) -> Answer) -> Answer {
    let request = reply.request();
    match reply.into_outcome() {
        Ok(outcome) => show(outcome),
        Err(refusal) => Answer::refused(&refusal, &request_text(&request), conditional),
    }
}

/// The request's id as headers and rows show it.
pub(crate) fn request_text(id: &[u8; 16]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
    let mut text = String::with_capacity(32);
    for byte in id {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}
