//! Listing folders, within what the caller may list.

use super::read::{Fate, Names, fate};
use crate::authenticate::damaged;
use crate::grant::Authorized;
use crate::limits;
use crate::reply::Page;
use crate::walk::{Found, Frame, Order, Walk};
use access::{Action, Resource};
use crypto::WallMs;
use ledger::{Path, Prefix, Refusal};
use secrets::{Labels, Secret};

/// Which page of which list.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ListQuery {
    /// Where an earlier page stopped.
    pub cursor: Option<String>,
    /// Items on the page, 1 to 1,000; the latter if absent.
    pub limit: Option<u64>,
    /// Secrets of all folders below too, and no folders.
    pub recursive: bool,
    /// By name within each folder, for folders up to 10,000 children; otherwise in store order.
    pub by_name: bool,
}

/// What an item of a list is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ItemKind {
    /// A folder.
    Folder,
    /// A secret.
    Secret {
        /// Its newest version.
        version: u64,
        /// What has become of that.
        fate: Fate,
        /// When it last changed.
        changed: WallMs,
        /// Its labels; none for who may see neither its metadata nor its value.
        labels: Labels,
        /// When its values stop being readable; as its labels.
        expires: Option<WallMs>,
        /// Who made it, by name or id; none for who may not see its metadata.
        owner: Option<String>,
    },
}

/// One item of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Full path, without a slash at its end.
    pub path: String,
    /// What it is.
    pub kind: ItemKind,
}

/// Lists the folder the act names.
///
/// A folder is shown or gone into only if the caller may list it; what is left out is not counted. A page may be
/// shorter than asked for and still have a next one: work per page is bounded.
/// Errors: `cursor.invalid`; `request.invalid` when a folder is too large to be sorted.
pub async fn list(grant: Authorized, query: ListQuery) -> Result<Page<Item>, Refusal> {
    let root = grant.folder()?.clone();
    let order = if query.by_name { Order::Name } else { Order::Store };
    let bound: [&[u8]; 4] =
        [b"secret.list", root.as_str().as_bytes(), &[u8::from(query.recursive)], &[u8::from(query.by_name)]];
    let cursors = grant.app.cursors();
    let frames: Vec<Frame> = match &query.cursor {
        Some(text) => cursors.read(grant.tenant(), &bound, text)?,
        None => vec![Frame::top()],
    };
    let may = |folder: &str| {
        Prefix::parse(folder).is_ok_and(|folder| grant.also(Action::SecretList, &Resource::Folder(folder)))
    };
    let mut walk = Walk::resume((grant.ledger(), grant.tenant()), &may, root.clone(), order, query.recursive, frames);
    let limit = limits::page(query.limit)?;
    let (mut items, mut names) = (Vec::new(), Names::of(&grant));
    while items.len() < limit {
        match walk.next().await? {
            Some(Found::Secret(path, body)) => {
                // The mark of a complete purge is nothing to show.
                if let Some(secret) = Secret::decode(&body).map_err(damaged)? {
                    let knows = Knows::of(&grant, &Path::parse(&path)?);
                    items.push(secret_item(path, secret, knows, grant.now(), &mut names).await?);
                }
            }
            Some(Found::Folder(path)) => items.push(Item { path, kind: ItemKind::Folder }),
            None => break,
        }
    }
    let next = match walk.rest() {
        Some(frames) => Some(cursors.write(grant.tenant(), &bound, &frames)?),
        None => None,
    };
    Ok(Page { items, next })
}

/// What of a secret besides its name is for the caller.
#[derive(Clone, Copy)]
pub(super) struct Knows {
    /// Labels and expiry: for who may see its metadata or its value.
    pub(super) labels: bool,
    /// Who made it: for who may see its metadata.
    pub(super) owner: bool,
}

impl Knows {
    pub(super) fn of(grant: &Authorized, path: &Path) -> Knows {
        let resource = Resource::Secret(path.clone());
        let owner = grant.also(Action::SecretMetadata, &resource);
        Knows { labels: owner || grant.also(Action::SecretRead, &resource), owner }
    }
}

pub(super) async fn secret_item(
    path: String,
    mut secret: Secret,
    knows: Knows,
    now: WallMs,
    names: &mut Names<'_>,
) -> Result<Item, Refusal> {
    let fate = secret.versions.last().map_or(Fate::Purged, |version| fate(&secret, version, now));
    if !knows.labels {
        secret.labels.clear();
    }
    let expires = secret.expires.filter(|_| knows.labels);
    let owner = if knows.owner { names.owner(&secret).await? } else { None };
    let (version, changed) = (secret.current(), secret.changed);
    let kind = ItemKind::Secret { version, fate, changed, labels: secret.labels, expires, owner };
    Ok(Item { path, kind })
}
