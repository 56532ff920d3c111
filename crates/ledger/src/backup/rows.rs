//! Keys and values in append order, beside the batches they came with.

use super::item::{Row, place_of};
use crate::code::Refusal;
use crate::state::storage_refusal;
use bytes::Bytes;
use std::collections::VecDeque;
use storage::{BatchId, BatchNumber, Key, Kind, Place, Shard, Storage};

/// Rows read at once: few, because a value can have a megabyte.
const PAGE: usize = 64;

/// Walks the rows of one kind.
#[derive(Debug)]
pub(super) struct Rows {
    kind: Kind,
    shard: Shard,
    after: Option<Key>,
    ready: VecDeque<(Place, Bytes)>,
    /// Rows given.
    pub(super) count: u64,
}

impl Rows {
    pub(super) fn new(kind: Kind, shard: Shard) -> Rows {
        Rows { kind, shard, after: None, ready: VecDeque::new(), count: 0 }
    }

    /// Adds those that the batch still has. Ask for batches in order, each once, after it was committed.
    pub(super) async fn of(
        &mut self,
        storage: &dyn Storage,
        number: BatchNumber,
        id: BatchId,
        out: &mut Vec<Row>,
    ) -> Result<(), Refusal> {
        loop {
            while let Some((place, value)) = self.ready.pop_front_if(|(place, _)| place.number <= number) {
                // What another attempt at this number left behind is no part of the batch.
                if place.number == number && place.id == id {
                    out.push(Row { blob: self.kind == Kind::Blob, index: place.index, value: value.to_vec() });
                    self.count = self.count.saturating_add(1);
                }
            }
            if !self.ready.is_empty() || !self.page(storage).await? {
                return Ok(());
            }
        }
    }

    async fn page(&mut self, storage: &dyn Storage) -> Result<bool, Refusal> {
        let prefix = Key::new(self.kind, self.shard, Vec::new());
        let page = storage.scan(prefix, self.after.clone(), PAGE).await.map_err(storage_refusal)?;
        let Some((last, _)) = page.last() else { return Ok(false) };
        self.after = Some(last.clone());
        self.ready.extend(page.into_iter().filter_map(|(key, value)| Some((place_of(&key)?, value))));
        Ok(true)
    }
}
