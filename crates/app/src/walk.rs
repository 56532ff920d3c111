//! Walking through folders with a place that can be kept: secrets of a folder first, then its folders.

use crate::limits::{LIST_LOOKS_MAX, SORTED_CHILDREN_MAX};
use crypto::id::TenantId;
use ledger::code::REQUEST_INVALID;
use ledger::{Child, Ledger, Prefix, RecordKind, Refusal};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Children fetched at once in store order.
const FETCH: usize = 256;

/// In which order a folder is walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// As they are stored.
    Store,
    /// By name, bytewise.
    Name,
}

/// How far a folder is walked: after this child.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Mark {
    Start,
    Id([u8; 16]),
    Name(String),
    Done,
}

/// One folder on the way down, by its name in the one above.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Frame {
    name: String,
    secrets: Mark,
    folders: Mark,
}

impl Frame {
    /// The folder that is listed.
    pub(crate) fn top() -> Frame {
        Frame::of(String::new())
    }

    fn of(name: String) -> Frame {
        Frame { name, secrets: Mark::Start, folders: Mark::Start }
    }
}

/// Something met on the way.
pub(crate) enum Found {
    Secret(String, Arc<[u8]>),
    Folder(String),
}

/// Whether a folder may be shown and gone into.
pub(crate) type May<'a> = &'a (dyn Fn(&str) -> bool + Send + Sync);

/// A walk through a folder, and all below it if it is recursive.
pub(crate) struct Walk<'a> {
    ledger: &'a Ledger,
    tenant: TenantId,
    may: May<'a>,
    root: Prefix,
    order: Order,
    recursive: bool,
    frames: Vec<Frame>,
    /// Children already fetched for each frame, of its secrets or its folders.
    ahead: Vec<VecDeque<Child>>,
    looks: usize,
}

impl<'a> Walk<'a> {
    /// Goes on from kept frames; folders that may no longer be listed end the way there.
    pub(crate) fn resume(
        (ledger, tenant): (&'a Ledger, TenantId),
        may: May<'a>,
        root: Prefix,
        order: Order,
        recursive: bool,
        mut frames: Vec<Frame>,
    ) -> Walk<'a> {
        let mut path = root.as_str().to_owned();
        let mut depth = frames.len().min(1);
        for frame in frames.iter().skip(1) {
            path = below(&path, &frame.name);
            if !may(&path) {
                break;
            }
            depth = depth.saturating_add(1);
        }
        frames.truncate(depth);
        let ahead = frames.iter().map(|_| VecDeque::new()).collect();
        Walk { ledger, tenant, may, root, order, recursive, frames, ahead, looks: 0 }
    }

    /// The next thing the caller may see; `None` at the end or when enough was looked at.
    pub(crate) async fn next(&mut self) -> Result<Option<Found>, Refusal> {
        loop {
            let Some(frame) = self.frames.last() else { return Ok(None) };
            if frame.secrets != Mark::Done {
                if let Some(child) = self.step(RecordKind::SECRET).await? {
                    let path = below(&self.folder(), &child.name);
                    return Ok(Some(Found::Secret(path, child.body)));
                }
            } else if frame.folders != Mark::Done {
                if let Some(child) = self.step(RecordKind::FOLDER).await? {
                    let path = below(&self.folder(), &child.name);
                    if !(self.may)(&path) {
                        continue;
                    }
                    if !self.recursive {
                        return Ok(Some(Found::Folder(path)));
                    }
                    self.frames.push(Frame::of(child.name.into()));
                    self.ahead.push(VecDeque::new());
                }
            } else {
                self.frames.pop();
                self.ahead.pop();
            }
            if self.looks >= LIST_LOOKS_MAX {
                return Ok(None);
            }
        }
    }

    /// Where to go on, if there is anything left.
    pub(crate) fn rest(mut self) -> Option<Vec<Frame>> {
        while self.frames.last().is_some_and(|frame| frame.secrets == Mark::Done && frame.folders == Mark::Done) {
            self.frames.pop();
        }
        (!self.frames.is_empty()).then_some(self.frames)
    }

    /// The next child of this kind in the last frame, with the mark moved behind it.
    async fn step(&mut self, kind: RecordKind) -> Result<Option<Child>, Refusal> {
        if self.ahead.last().is_none_or(VecDeque::is_empty) {
            let fetched = self.fetch(kind).await?;
            if let Some(ahead) = self.ahead.last_mut() {
                *ahead = fetched;
            }
        }
        let order = self.order;
        let (Some(frame), Some(ahead)) = (self.frames.last_mut(), self.ahead.last_mut()) else { return Ok(None) };
        let child = ahead.pop_front();
        let mark = if kind == RecordKind::SECRET { &mut frame.secrets } else { &mut frame.folders };
        *mark = match (&child, order) {
            (None, _) => Mark::Done,
            (Some(child), Order::Store) => Mark::Id(child.id),
            // A sorted folder is fetched as a whole.
            (Some(_), Order::Name) if ahead.is_empty() => Mark::Done,
            (Some(child), Order::Name) => Mark::Name(child.name.to_string()),
        };
        self.looks = self.looks.saturating_add(1);
        Ok(child)
    }

    async fn fetch(&self, kind: RecordKind) -> Result<VecDeque<Child>, Refusal> {
        let Some(frame) = self.frames.last() else { return Ok(VecDeque::new()) };
        let mark = if kind == RecordKind::SECRET { &frame.secrets } else { &frame.folders };
        let folder = self.folder();
        let parent: Vec<Box<str>> = folder.split('/').filter(|name| !name.is_empty()).map(Into::into).collect();
        match (self.order, mark) {
            (_, Mark::Done) => Ok(VecDeque::new()),
            (Order::Store, mark) => {
                let after = if let Mark::Id(id) = mark { Some(*id) } else { None };
                let children = self.ledger.children(self.tenant, kind, &parent, after, FETCH).await?;
                Ok(children.into())
            }
            (Order::Name, mark) => {
                let after = if let Mark::Name(name) = mark { Some(name.as_str()) } else { None };
                self.sorted(kind, &parent, after).await
            }
        }
    }

    async fn sorted(
        &self,
        kind: RecordKind,
        parent: &[Box<str>],
        after: Option<&str>,
    ) -> Result<VecDeque<Child>, Refusal> {
        let mut all: Vec<Child> = Vec::new();
        loop {
            let last = all.last().map(|child| child.id);
            let page = self.ledger.children(self.tenant, kind, parent, last, FETCH).await?;
            let full = page.len() == FETCH;
            all.extend(page);
            if all.len() > SORTED_CHILDREN_MAX {
                let why = format!(
                    "a folder with more than {SORTED_CHILDREN_MAX} children cannot be sorted; list it as stored"
                );
                return Err(Refusal::new(&REQUEST_INVALID, why));
            }
            if !full {
                break;
            }
        }
        all.retain(|child| after.is_none_or(|after| &*child.name > after));
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(all.into())
    }

    /// Path of the folder walked now.
    fn folder(&self) -> String {
        let names = self.frames.iter().skip(1).map(|frame| frame.name.as_str());
        names.fold(self.root.as_str().to_owned(), |path, name| below(&path, name))
    }
}

fn below(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}
