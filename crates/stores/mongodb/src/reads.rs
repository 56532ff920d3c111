//! Reads, of a majority's data and from the primary.

use crate::fault::Fault;
use crate::names;
use crate::open::{BATCHES, ROWS};
use crate::store::Inner;
use bytes::Bytes;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use std::collections::HashMap;
use storage::{BatchId, BatchNumber, Key, Kind, Page, Shard, StoredBatch};

impl Inner {
    /// Batches first: what travels with a batch is there before it is.
    pub(crate) async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, Fault> {
        let (with_batches, others): (Vec<&Key>, Vec<&Key>) =
            keys.iter().partition(|key| matches!(key.kind(), Kind::Batch | Kind::Side));
        let mut found: HashMap<(Kind, String), Bytes> = HashMap::new();
        self.find_all(BATCHES, &with_batches, |document, id| {
            for kind in [Kind::Batch, Kind::Side] {
                if let Some(value) = value(document, field(kind))? {
                    found.insert((kind, id.to_owned()), value);
                }
            }
            Ok(())
        })
        .await?;
        self.find_all(ROWS, &others, |document, id| {
            if let Some(value) = value(document, field(Kind::Record))? {
                found.insert((Kind::Record, id.to_owned()), value);
            }
            Ok(())
        })
        .await?;
        let group = |kind| if matches!(kind, Kind::Batch | Kind::Side) { kind } else { Kind::Record };
        Ok(keys.iter().map(|key| found.get(&(group(key.kind()), names::id(key))).cloned()).collect())
    }

    async fn find_all(
        &self,
        collection: &str,
        keys: &[&Key],
        mut each: impl FnMut(&RawDocument, &str) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if keys.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = keys.iter().map(|key| names::id(key)).collect();
        let mut cursor = self.collection(collection).find(doc! { "_id": { "$in": ids } }).await?;
        while cursor.advance().await? {
            let document = cursor.current();
            each(document, text(document, "_id")?)?;
        }
        Ok(())
    }

    pub(crate) async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page, Fault> {
        let kind = prefix.kind();
        let (low, high) = names::bounds(prefix);
        let range = match after {
            Some(after) if after >= prefix => {
                if !after.starts_with(prefix) {
                    return Ok(Vec::new());
                }
                doc! { "$gt": names::id(after), "$lt": high }
            }
            _ => doc! { "$gte": low, "$lt": high },
        };
        if limit == 0 {
            return Ok(Vec::new());
        }
        let (collection, filter, order) = match kind {
            Kind::Batch => (BATCHES, doc! { "_id": range }, "_id"),
            Kind::Side => (BATCHES, doc! { "u": range }, "u"),
            _ => (ROWS, doc! { "_id": range, "v": { "$exists": true } }, "_id"),
        };
        let mut page = Vec::new();
        let mut cursor = self.sorted(collection, filter, order, limit).await?;
        while cursor.advance().await? {
            let document = cursor.current();
            let id = text(document, "_id")?;
            let key = names::key(kind, id).ok_or_else(|| Fault::Damaged("an _id that is no key".to_owned()))?;
            let value = value(document, field(kind))?.ok_or_else(|| Fault::Damaged(format!("{key:?} has no value")))?;
            page.push((key, value));
        }
        Ok(page)
    }

    async fn sorted(
        &self,
        collection: &str,
        filter: Document,
        order: &str,
        limit: usize,
    ) -> Result<mongodb::Cursor<RawDocumentBuf>, Fault> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Ok(self.collection(collection).find(filter).sort(doc! { order: 1 }).limit(limit).await?)
    }

    pub(crate) async fn tail(&self, shard: Shard, from: BatchNumber, limit: usize) -> Result<Vec<StoredBatch>, Fault> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let before = self.seen(shard);
        let mut next = from.0.max(1);
        let (_, high) = names::bounds(&Key::new(Kind::Batch, shard, []));
        let low = names::id(&Key::numbered(Kind::Batch, shard, BatchNumber(next)));
        let filter = doc! { "_id": { "$gte": low, "$lt": high } };
        let mut cursor = self.sorted(BATCHES, filter, "_id", limit).await?;
        let mut batches = Vec::new();
        while cursor.advance().await? {
            let batch = stored(cursor.current())?;
            if batch.number.0 != next {
                return Err(Fault::Damaged(format!("batch {next} is missing before batch {}", batch.number.0)));
            }
            next = next.saturating_add(1);
            batches.push(batch);
        }
        match batches.last() {
            Some(last) => self.note_head(shard, 0, last.number.0)?,
            // Nothing from here on: then the head cannot have been here.
            None if from.0 <= before => self.note_head(shard, before, from.0.saturating_sub(1))?,
            None => {}
        }
        Ok(batches)
    }

    pub(crate) async fn head(&self, shard: Shard) -> Result<BatchNumber, Fault> {
        let before = self.seen(shard);
        let (low, high) = names::bounds(&Key::new(Kind::Batch, shard, []));
        let batches = self.collection(BATCHES);
        let find = batches.find_one(doc! { "_id": { "$gte": low, "$lt": high } });
        let last = find.sort(doc! { "_id": -1 }).projection(doc! { "_id": 1 }).await?;
        let head = last.as_deref().map(batch_number).transpose()?.unwrap_or_default();
        self.note_head(shard, before, head.0)?;
        Ok(head)
    }

    /// The id of the batch that has a number, if one has.
    pub(crate) async fn holder(&self, shard: Shard, number: BatchNumber) -> Result<Option<BatchId>, Fault> {
        let id = names::id(&Key::numbered(Kind::Batch, shard, number));
        let found = self.collection(BATCHES).find_one(doc! { "_id": id }).projection(doc! { "i": 1 }).await?;
        found.as_deref().map(batch_id).transpose()
    }
}

/// Name of the field that holds a value of this kind.
pub(crate) fn field(kind: Kind) -> &'static str {
    match kind {
        Kind::Batch => "r",
        Kind::Side => "s",
        _ => "v",
    }
}

fn text<'a>(document: &'a RawDocument, name: &str) -> Result<&'a str, Fault> {
    document.get_str(name).map_err(|_| Fault::Damaged(format!("a document without {name}")))
}

fn value(document: &RawDocument, name: &str) -> Result<Option<Bytes>, Fault> {
    let damaged = || Fault::Damaged(format!("a document whose {name} is not binary"));
    let Some(value) = document.get(name).map_err(|_| damaged())? else { return Ok(None) };
    let binary = value.as_binary().filter(|binary| binary.subtype == BinarySubtype::Generic).ok_or_else(damaged)?;
    Ok(Some(Bytes::copy_from_slice(binary.bytes)))
}

fn batch_number(document: &RawDocument) -> Result<BatchNumber, Fault> {
    let damaged = || Fault::Damaged("a batch without a number".to_owned());
    let key = names::key(Kind::Batch, text(document, "_id")?).ok_or_else(damaged)?;
    let number: [u8; 8] = key.rest().try_into().map_err(|_| damaged())?;
    Ok(BatchNumber(u64::from_be_bytes(number)))
}

fn batch_id(document: &RawDocument) -> Result<BatchId, Fault> {
    let damaged = || Fault::Damaged("a batch without its id".to_owned());
    let id = value(document, "i")?.ok_or_else(damaged)?;
    Ok(BatchId(id.as_ref().try_into().map_err(|_| damaged())?))
}

fn stored(document: &RawDocument) -> Result<StoredBatch, Fault> {
    let (number, id) = (batch_number(document)?, batch_id(document)?);
    let row = value(document, field(Kind::Batch))?;
    let row = row.ok_or_else(|| Fault::Damaged(format!("batch {} has no row", number.0)))?;
    Ok(StoredBatch { number, id, row, side: value(document, field(Kind::Side))? })
}
