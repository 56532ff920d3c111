//! What a route is, and finding the one that a request means.

use crate::answer::Answer;
use crate::call::Call;
use crate::limits::{BATCH_BODY_BYTES_MAX, BODY_BYTES_MAX};
use crate::openapi::Doc;
use http::Method;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

/// A handler. Call and future are boxed once per request: what moves through the futures around them is small.
pub(crate) type Handler = fn(Box<Call>) -> Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Which body a route takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// None: one that is sent is refused.
    Nothing,
    /// JSON.
    Json,
    /// JSON, or raw bytes as `application/octet-stream`.
    JsonOrBytes,
    /// A JSON merge patch.
    MergePatch,
    /// JSON with many secrets, which may be larger.
    Batch,
}

impl Takes {
    /// Bytes of the body at most.
    pub(crate) fn bytes_max(self) -> usize {
        if self == Takes::Batch { BATCH_BODY_BYTES_MAX } else { BODY_BYTES_MAX }
    }
}

/// A line of the route table. Router, `Allow`, OpenAPI, metrics labels and tests are made from it.
#[derive(Debug)]
pub struct Route {
    /// HTTP verb.
    pub verb: Method,
    /// Path; a parameter, if any, is its last part and takes everything.
    pub template: &'static str,
    /// Verb and template, as bound into idempotency and shown in rows.
    pub pattern: &'static str,
    /// Name of the act in the access log; routes with several views name the first.
    pub act: &'static str,
    /// Whether it answers without a session.
    pub open: bool,
    /// Whether it answers while the server is sealed.
    pub sealed: bool,
    /// Which body it takes.
    pub takes: Takes,
    pub(crate) run: Handler,
    pub(crate) doc: Doc,
}

impl Route {
    /// The template before its parameter, and the parameter's name.
    pub(crate) fn parameter(&self) -> Option<(&'static str, &'static str)> {
        let (before, name) = self.template.split_once('{')?;
        Some((before, name.strip_suffix('}')?))
    }
}

/// What a verb and path mean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// The route at this index of the table, and what stands for its parameter, still encoded.
    Route(usize, &'a str),
    /// The path is there with these verbs only.
    OtherVerbs(String),
    /// No such path.
    Nothing,
}

/// Finds routes: by whole path, else by what stands before a parameter.
#[derive(Debug)]
pub(crate) struct Finder {
    whole: HashMap<&'static str, Vec<(Method, usize)>>,
    before: Vec<(&'static str, Vec<(Method, usize)>)>,
}

impl Finder {
    pub(crate) fn new(routes: &[Route]) -> Finder {
        let mut finder = Finder { whole: HashMap::new(), before: Vec::new() };
        for (at, route) in routes.iter().enumerate() {
            let line = (route.verb.clone(), at);
            match route.parameter() {
                None => finder.whole.entry(route.template).or_default().push(line),
                Some((before, _)) => match finder.before.iter_mut().find(|(known, _)| *known == before) {
                    Some((_, lines)) => lines.push(line),
                    None => finder.before.push((before, vec![line])),
                },
            }
        }
        finder.before.sort_by_key(|(before, _)| std::cmp::Reverse(before.len()));
        finder
    }

    /// The one spelling of a path leads to its route; nothing is decoded, trimmed or folded here.
    pub(crate) fn find<'a>(&self, verb: &Method, path: &'a str) -> Found<'a> {
        let whole = self.whole.get(path).map(Vec::as_slice).unwrap_or_default();
        let tail = self.before.iter().find_map(|(before, lines)| Some((path.strip_prefix(before)?, lines.as_slice())));
        let (rest, tailed) = tail.unwrap_or_default();
        let of = |lines: &[(Method, usize)]| lines.iter().find(|(known, _)| known == verb).map(|(_, at)| *at);
        if let Some(at) = of(whole) {
            return Found::Route(at, "");
        }
        if let Some(at) = of(tailed) {
            return Found::Route(at, rest);
        }
        let mut verbs: Vec<&str> = whole.iter().chain(tailed).map(|(known, _)| known.as_str()).collect();
        if verbs.contains(&"GET") {
            verbs.push("HEAD");
        }
        verbs.sort_unstable();
        verbs.dedup();
        if verbs.is_empty() { Found::Nothing } else { Found::OtherVerbs(verbs.join(", ")) }
    }
}
