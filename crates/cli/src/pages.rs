//! Lists in pages, to their end.

use api::secret::{Item, ListQuery};
use client::{Client, Error};

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

const PAGE: u32 = 1000;
