//! The `store` sink: rows in the database, for servers whose folder does not last.

use super::segment::{HEADER_BYTES, Header};
use super::sink::{Chunk, Shelf, Sink, SinkError};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use storage::{BoxFuture, Cause, Commit, Key, Kind, LIMITS, Op, Run, Shard, Storage, StorageError};

/// Keeps rows under `Kind::Access`: owner (8), segment (8), offset in the segment (8).
///
/// One key per group that was written together; the header stands at offset 0. The owner is the server's own id, so
/// that several servers on one database keep their logs apart.
#[derive(Debug)]
pub struct StoreSink {
    storage: Arc<dyn Storage>,
    shard: Shard,
    owner: [u8; 8],
    durable: bool,
    /// Header of the newest segment with rows that were not flushed yet.
    unflushed: Mutex<Option<Header>>,
}

impl StoreSink {
    /// A sink of this server in this shard; `durable` waits for stable storage before each answer (`access.sync =
    /// "always"`).
    pub fn new(storage: Arc<dyn Storage>, shard: Shard, owner: [u8; 8], durable: bool) -> StoreSink {
        StoreSink { storage, shard, owner, durable, unflushed: Mutex::default() }
    }

    /// Every owner that has rows in this shard, for checks that know none.
    pub async fn owners(storage: &dyn Storage, shard: Shard) -> Result<Vec<[u8; 8]>, SinkError> {
        let (mut owners, mut after): (Vec<[u8; 8]>, _) = (Vec::new(), None);
        loop {
            let prefix = Key::new(Kind::Access, shard, Vec::new());
            let page = storage.scan(prefix, after.take(), 1).await.map_err(unreadable)?;
            let Some((key, _)) = page.first() else { return Ok(owners) };
            let owner = *key.rest().first_chunk::<8>().ok_or_else(|| damaged("a key of an access segment"))?;
            owners.push(owner);
            after = Some(Key::new(Kind::Access, shard, [owner.as_slice(), &[0xff; 17]].concat()));
        }
    }

    fn key(&self, parts: &[u64]) -> Key {
        let mut rest = self.owner.to_vec();
        parts.iter().for_each(|part| rest.extend_from_slice(&part.to_be_bytes()));
        Key::new(Kind::Access, self.shard, rest)
    }

    async fn apply(&self, ops: Vec<Op>, durable: bool) -> Result<(), SinkError> {
        match self.storage.apply(Run::new(ops, durable)).await {
            Commit::Done => Ok(()),
            Commit::Refused(cause) | Commit::Unknown(cause) => Err(match cause {
                Cause::Full => SinkError::Full,
                Cause::Broken(why) => SinkError::Broken(why),
                Cause::Unreachable(why) => SinkError::Unavailable(why),
                Cause::Invalid(why) => SinkError::Unavailable(why.to_owned()),
                Cause::Fenced => SinkError::Unavailable("another node has taken over".into()),
            }),
            Commit::Conflict(_) => Err(SinkError::Unavailable("the store answered out of turn".into())),
        }
    }

    /// All parts of a segment with their offsets.
    async fn parts(&self, number: u64) -> Result<Vec<(Key, u64, Bytes)>, SinkError> {
        let prefix = self.key(&[number]);
        let (mut parts, mut after) = (Vec::new(), None);
        loop {
            let page = self.storage.scan(prefix.clone(), after, LIMITS.page_max).await.map_err(unreadable)?;
            let full = page.len() >= LIMITS.page_max;
            after = page.last().map(|(key, _)| key.clone());
            for (key, bytes) in page {
                let offset = third(&key).ok_or_else(|| damaged("a key of an access segment"))?;
                parts.push((key, offset, bytes));
            }
            if !full {
                return Ok(parts);
            }
        }
    }
}

impl Sink for StoreSink {
    fn name(&self) -> &'static str {
        "store"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        let number = chunk.header.number;
        let head = u64::try_from(HEADER_BYTES).unwrap_or(u64::MAX);
        let mut ops = Vec::with_capacity(2);
        if chunk.offset == 0 {
            ops.push(Op::Put(self.key(&[number, 0]), Bytes::copy_from_slice(&chunk.header.encode())));
        }
        let at = self.key(&[number, head.saturating_add(chunk.offset)]);
        ops.push(Op::Put(at, Bytes::copy_from_slice(chunk.frames)));
        Box::pin(async move {
            self.apply(ops, self.durable).await?;
            if !self.durable {
                *self.unflushed.lock() = Some(*chunk.header);
            }
            Ok(())
        })
    }

    /// Writes the newest header once more and waits for stable storage, which what came before it has reached then too:
    /// runs are carried out in order.
    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let Some(header) = self.unflushed.lock().take() else { return Ok(()) };
            let put = Op::Put(self.key(&[header.number, 0]), Bytes::copy_from_slice(&header.encode()));
            let flushed = self.apply(vec![put], true).await;
            if flushed.is_err() {
                self.unflushed.lock().get_or_insert(header);
            }
            flushed
        })
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(self)
    }
}

impl Shelf for StoreSink {
    fn range(&self) -> BoxFuture<'_, Result<Option<(u64, u64)>, SinkError>> {
        Box::pin(async move {
            let first = self.storage.scan(self.key(&[]), None, 1).await.map_err(unreadable)?;
            let Some(oldest) = first.first().and_then(|(key, _)| second(key)) else { return Ok(None) };
            // Keys can only be scanned upwards: double the step while there is more, then halve it.
            let (mut newest, mut step) = (oldest, 1_u64);
            while step > 0 {
                let from = self.key(&[newest.saturating_add(step), 0]);
                let beyond = self.storage.scan(self.key(&[]), Some(from), 1).await.map_err(unreadable)?;
                match beyond.first().and_then(|(key, _)| second(key)) {
                    Some(found) => {
                        newest = newest.max(found);
                        step = step.saturating_mul(2);
                    }
                    None => step /= 2,
                }
            }
            Ok(Some((oldest, newest)))
        })
    }

    fn head(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        Box::pin(async move {
            let found = self.storage.get(vec![self.key(&[number, 0])]).await.map_err(unreadable)?;
            Ok(found.into_iter().next().flatten())
        })
    }

    fn read(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        Box::pin(async move {
            let mut whole: Vec<u8> = Vec::new();
            let parts = self.parts(number).await?;
            if parts.is_empty() {
                return Ok(None);
            }
            for (_, offset, bytes) in parts {
                // A part at an offset that was reached before replaces what stands there; a hole shows in the chain.
                whole.truncate(usize::try_from(offset).unwrap_or(usize::MAX));
                whole.extend_from_slice(&bytes);
            }
            Ok(Some(whole.into()))
        })
    }

    fn cut(&self, number: u64, size: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let mut ops = Vec::new();
            for (key, offset, bytes) in self.parts(number).await? {
                let keep = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
                if offset >= size {
                    ops.push(Op::Delete(key));
                } else if keep < bytes.len() {
                    ops.push(Op::Put(key, bytes.slice(..keep)));
                }
            }
            self.apply(ops, true).await
        })
    }

    fn remove(&self, number: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(async move {
            let parts = self.parts(number).await?;
            // The header goes last: as long as it is there, a removal that was cut short is done again.
            let ops = parts.into_iter().rev().map(|(key, _, _)| Op::Delete(key)).collect();
            self.apply(ops, false).await
        })
    }
}

fn second(key: &Key) -> Option<u64> {
    number_at(key, 8)
}

fn third(key: &Key) -> Option<u64> {
    number_at(key, 16)
}

fn number_at(key: &Key, at: usize) -> Option<u64> {
    key.rest().get(at..)?.first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes))
}

fn damaged(what: &str) -> SinkError {
    SinkError::Unavailable(format!("{what} is damaged"))
}

fn unreadable(error: StorageError) -> SinkError {
    SinkError::Unavailable(error.to_string())
}
