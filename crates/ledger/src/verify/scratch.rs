//! A store without records: what is replayed over it comes from entries alone.

use bytes::Bytes;
use std::sync::Arc;
use storage::{
    Batch, BatchNumber, BoxFuture, Cause, Commit, Key, Kind, Page, Run, Shard, Storage, StorageError, StoredBatch,
};

/// Reads everything but records from another store; takes no writes.
#[derive(Debug)]
pub(crate) struct WithoutRecords(pub(crate) Arc<dyn Storage>);

const READ_ONLY: Cause = Cause::Invalid("a verification changes nothing");

impl Storage for WithoutRecords {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        Box::pin(async move {
            let records: Vec<bool> = keys.iter().map(|key| key.kind() == Kind::Record).collect();
            let found = self.0.get(keys).await?;
            Ok(found.into_iter().zip(records).map(|(value, record)| value.filter(|_| !record)).collect())
        })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        if prefix.kind() == Kind::Record {
            return Box::pin(async { Ok(Page::new()) });
        }
        self.0.scan(prefix, after, limit)
    }

    fn commit(&self, _: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async { Commit::Refused(READ_ONLY) })
    }

    fn apply(&self, _: Run) -> BoxFuture<'_, Commit> {
        Box::pin(async { Commit::Refused(READ_ONLY) })
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        self.0.tail(shard, from, limit)
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        self.0.head(shard)
    }
}
