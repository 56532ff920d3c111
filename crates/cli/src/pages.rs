//! Lists in pages, to their end.

use api::secret::{Item, ItemKind, ListQuery, VersionState};
use client::{Client, Error};

use crate::output;

/// All items below a prefix, sorted by path.
pub(crate) async fn secrets(client: &Client, prefix: Option<&str>, recursive: bool) -> Result<Vec<Item>, Error> {
    let mut query = ListQuery { limit: Some(PAGE), recursive, ..ListQuery::default() };
    query.prefix = prefix.map(str::to_owned).filter(|prefix| !prefix.is_empty());
    let mut items = Vec::new();
    loop {
        let page = client.secrets().list(&query).await?;
        items.extend(page.items);
        if page.next_cursor.is_none() || page.next_cursor == query.cursor {
            break;
        }
        query.cursor = page.next_cursor;
    }
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
