//! How keys and values of the contract stand in the table.

use bytes::Bytes;
use std::collections::BTreeMap;
use storage::{Batch, BatchId, BatchNumber, Key, Kind, Op, Run, Shard, StoredBatch};

use crate::failure::Failure;

/// A row to be written: kind, rest of the key, value.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) shard: i64,
    pub(crate) kind: i16,
    pub(crate) rest: Vec<u8>,
    pub(crate) value: Bytes,
}

/// The shard as a column.
pub(crate) fn shard(shard: Shard) -> i64 {
    i64::from(shard.0)
}

/// The kind as a column.
pub(crate) fn kind(kind: Kind) -> i16 {
    i16::from(kind as u8)
}

/// Rows of a batch, its own first: there a lost race shows before the rest is written. A batch row is its id and its bytes.
pub(crate) fn batch(batch: Batch) -> Vec<Row> {
    let Batch { shard, number, id, row, side, puts } = batch;
    let of = |key: &Key, value| Row {
        shard: self::shard(key.shard()),
        kind: kind(key.kind()),
        rest: key.rest().to_vec(),
        value,
    };
    let mut rows = Vec::with_capacity(puts.len().saturating_add(2));
    rows.push(of(&Key::numbered(Kind::Batch, shard, number), [id.0.as_slice(), row.as_ref()].concat().into()));
    rows.extend(side.map(|side| of(&Key::numbered(Kind::Side, shard, number), side)));
    rows.extend(puts.into_iter().map(|put| of(&put.key, put.value)));
    rows
}

/// A value as the contract gives it: the id in front of a batch row is not part of it.
pub(crate) fn value(kind: Kind, mut stored: Bytes) -> Result<Bytes, Failure> {
    if kind != Kind::Batch {
        return Ok(stored);
    }
    if stored.len() < ID_BYTES {
        return Err(Failure::Damaged("a batch row is too short for its id".to_owned()));
    }
    Ok(stored.split_off(ID_BYTES))
}

/// A batch as it was read: the rest of its key, its value, its side.
pub(crate) fn stored(rest: &[u8], value: Bytes, side: Option<Bytes>) -> Result<StoredBatch, Failure> {
    let number = number(rest)?;
    let id = value.first_chunk::<ID_BYTES>().copied();
    let id = id.ok_or_else(|| Failure::Damaged(format!("batch {} has no id", number.0)))?;
    Ok(StoredBatch { number, id: BatchId(id), row: value.slice(ID_BYTES..), side })
}

/// The number in the key of a batch.
pub(crate) fn number(rest: &[u8]) -> Result<BatchNumber, Failure> {
    let bytes = <[u8; 8]>::try_from(rest).map_err(|_bad| Failure::Damaged("a batch has no number".to_owned()))?;
    Ok(BatchNumber(u64::from_be_bytes(bytes)))
}

const ID_BYTES: usize = 16;

/// What a run comes to: the last operation on each key, in the order of keys.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) puts: Vec<Row>,
    pub(crate) deletes: Vec<Row>,
    pub(crate) durable: bool,
    /// The shard and the turn.
    pub(crate) fence: Option<(i64, i64)>,
}

impl Changes {
    pub(crate) fn of(run: Run) -> Changes {
        let mut last: BTreeMap<Key, Option<Bytes>> = BTreeMap::new();
        for op in run.ops {
            match op {
                Op::Put(key, value) => last.insert(key, Some(value)),
                Op::Delete(key) => last.insert(key, None),
            };
        }
        let fence = run.fence.map(|fence| (shard(fence.shard), i64::try_from(fence.turn).unwrap_or(i64::MAX)));
        let mut changes = Changes { durable: run.durable, fence, ..Changes::default() };
        for (key, value) in last {
            let to = if value.is_some() { &mut changes.puts } else { &mut changes.deletes };
            let (shard, kind) = (shard(key.shard()), kind(key.kind()));
            to.push(Row { shard, kind, rest: key.rest().to_vec(), value: value.unwrap_or_default() });
        }
        changes
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.deletes.is_empty() && self.fence.is_none()
    }
}

/// Rows cut into parts of at most `rows` rows and about `bytes` bytes, at least one row each.
pub(crate) fn parts(all: &[Row], rows: usize, bytes: usize) -> Vec<&[Row]> {
    let mut parts = Vec::new();
    let (mut start, mut held) = (0, 0usize);
    for (at, row) in all.iter().enumerate() {
        let size = row.rest.len().saturating_add(row.value.len()).saturating_add(32);
        if at > start && (at - start >= rows || held.saturating_add(size) > bytes) {
            parts.extend(all.get(start..at));
            (start, held) = (at, 0);
        }
        held = held.saturating_add(size);
    }
    parts.extend(all.get(start..).filter(|rest| !rest.is_empty()));
    parts
}

/// Bounds of a scan: keys of one shard and kind from a first one on, below an end if there is one.
#[derive(Debug)]
pub(crate) struct Range {
    pub(crate) shard: Shard,
    pub(crate) kind: Kind,
    pub(crate) from: Vec<u8>,
    pub(crate) below: Option<Vec<u8>>,
    pub(crate) limit: i64,
}

impl Range {
    /// Entries below `prefix` after `after`; `None` where there can be none.
    pub(crate) fn of(prefix: &Key, after: Option<&Key>, limit: usize) -> Option<Range> {
        let from = match after {
            Some(after) if after < prefix => prefix.rest().to_vec(),
            Some(after) if !after.starts_with(prefix) => return None,
            // The least key behind another is that one and a zero byte.
            Some(after) => [after.rest(), &[0]].concat(),
            None => prefix.rest().to_vec(),
        };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let below = successor(prefix.rest());
        (limit > 0).then(|| Range { shard: prefix.shard(), kind: prefix.kind(), from, below, limit })
    }
}

/// The least bytes above everything that begins with `prefix`; `None` where nothing is.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut above = prefix.get(..=last)?.to_vec();
    if let Some(byte) = above.last_mut() {
        *byte = byte.saturating_add(1);
    }
    Some(above)
}
