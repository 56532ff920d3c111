//! Lists in pages, to their end.

use api::policy::PageQuery;
use api::secret::{Item, ItemKind, ListQuery, VersionState};
use client::{Client, Error};

use crate::output;

/// Everything that a list holds: `page` fetches what comes after a cursor, with the cursor of what follows.
pub(crate) async fn all<T>(
    mut page: impl AsyncFnMut(Option<String>) -> Result<(Vec<T>, Option<String>), Error>,
) -> Result<Vec<T>, Error> {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let (more, next) = page(cursor.clone()).await?;
        items.extend(more);
        // A cursor that leads to itself would never end.
        if next.is_none() || next == cursor {
            return Ok(items);
        }
        cursor = next;
    }
}

/// Asks for a whole page of a list of policies, principals, sessions or tenants.
pub(crate) fn query(cursor: Option<String>) -> PageQuery {
    PageQuery { cursor, limit: Some(PAGE) }
}

/// All items below a prefix, sorted by path.
pub(crate) async fn secrets(client: &Client, prefix: Option<&str>, recursive: bool) -> Result<Vec<Item>, Error> {
    let mut query = ListQuery { limit: Some(PAGE), recursive, ..ListQuery::default() };
    query.prefix = prefix.map(str::to_owned).filter(|prefix| !prefix.is_empty());
    let mut items = all(async |cursor| {
        query.cursor = cursor;
        let page = client.secrets().list(&query).await?;
        Ok((page.items, page.next_cursor))
    })
    .await?;
    items.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    Ok(items)
}

/// What there is to read below a prefix.
#[derive(Debug, Default)]
pub(crate) struct Readable {
    /// Paths of the secrets whose current version can be read, sorted.
    pub(crate) paths: Vec<String>,
    /// How many cannot, each named on standard error.
    pub(crate) left_out: usize,
}

/// The secrets below a prefix that can be read; those deleted, expired or purged are left out and said so.
pub(crate) async fn readable(client: &Client, prefix: &str) -> Result<Readable, Error> {
    let mut found = Readable::default();
    for item in secrets(client, Some(prefix), true).await? {
        match (item.kind, item.state) {
            (ItemKind::Folder, _) => {}
            (ItemKind::Secret, None | Some(VersionState::Live)) => found.paths.push(item.path),
            (ItemKind::Secret, Some(state)) => {
                output::note(&format!("note: `{}` is {}: left out", item.path, state.word()));
                found.left_out = found.left_out.saturating_add(1);
            }
        }
    }
    Ok(found)
}

const PAGE: u32 = 1000;
