//! Batches, keys and a way to wait, for tests.

use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use storage::{
    Batch, BatchId, BatchNumber, Commit, Fence, Key, Kind, Op, Page, Place, Put, Run, Shard, Storage, StorageError,
    StoredBatch,
};

/// Polls a future on this thread until it ends; there is no runtime around it.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// A store whose calls are driven to their end.
#[derive(Clone, Copy, Debug)]
pub struct Driver<'a>(pub &'a dyn Storage);

impl Driver<'_> {
    /// See [`Storage::get`].
    pub fn get(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, StorageError> {
        block_on(self.0.get(keys.to_vec()))
    }

    /// The value of one key; a failed read fails the test.
    pub fn one(&self, key: &Key) -> Option<Bytes> {
        let read = self.get(std::slice::from_ref(key));
        assert!(read.is_ok(), "{key:?}: {read:?}");
        read.ok().and_then(|values| values.into_iter().next().flatten())
    }

    /// See [`Storage::scan`].
    pub fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        block_on(self.0.scan(prefix.clone(), after.cloned(), limit))
    }

    /// Keys of a page; a failed read fails the test.
    pub fn keys(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Vec<Key> {
        let read = self.scan(prefix, after, limit);
        assert!(read.is_ok(), "{prefix:?}: {read:?}");
        read.unwrap_or_default().into_iter().map(|(key, _)| key).collect()
    }

    /// See [`Storage::commit`].
    pub fn commit(&self, batch: Batch) -> Commit {
        block_on(self.0.commit(batch))
    }

    /// See [`Storage::apply`].
    pub fn apply(&self, ops: Vec<Op>, durable: bool) -> Commit {
        block_on(self.0.apply(Run::new(ops, durable)))
    }

    /// The same as one whose turn it may be in shard 0.
    pub fn apply_in_turn(&self, ops: Vec<Op>, turn: u64) -> Commit {
        let fence = Some(Fence { shard: Shard(0), turn });
        block_on(self.0.apply(Run { fence, ..Run::new(ops, false) }))
    }

    /// Puts rows that a run may write; a refusal fails the test.
    pub fn fill(&self, rows: impl IntoIterator<Item = (Key, Bytes)>) {
        let ops = rows.into_iter().map(|(key, value)| Op::Put(key, value)).collect();
        assert_eq!(self.apply(ops, false), Commit::Done);
    }

    /// See [`Storage::tail`]; a failed read fails the test.
    pub fn tail(&self, shard: Shard, from: u64, limit: usize) -> Vec<StoredBatch> {
        let read = block_on(self.0.tail(shard, BatchNumber(from), limit));
        assert!(read.is_ok(), "tail of {shard:?} from {from}: {read:?}");
        read.unwrap_or_default()
    }

    /// See [`Storage::head`]; a failed read fails the test.
    pub fn head(&self, shard: Shard) -> u64 {
        let read = block_on(self.0.head(shard));
        assert!(read.is_ok(), "head of {shard:?}: {read:?}");
        read.map_or(0, |number| number.0)
    }
}

/// A plain batch: shard, number and a byte that makes its id and contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain {
    /// Its shard.
    pub shard: Shard,
    /// Its number.
    pub number: u64,
    /// Seed of id and values.
    pub seed: u8,
}

impl Plain {
    /// A batch of shard 0.
    pub fn new(number: u64, seed: u8) -> Plain {
        Plain { shard: Shard(0), number, seed }
    }

    /// Place of its `index`-th row of a kind.
    pub fn place(&self, index: u32) -> Place {
        Place { number: BatchNumber(self.number), id: BatchId([self.seed; 16]), index }
    }

    /// Key of its `index`-th key or blob row.
    pub fn key(&self, kind: Kind, index: u32) -> Key {
        self.place(index).key(kind, self.shard)
    }

    /// Key of its ring row.
    pub fn ring(&self) -> Key {
        self.place(0).ring_key(self.shard, [9; 16])
    }

    /// Key of its batch or side row.
    pub fn numbered(&self, kind: Kind) -> Key {
        Key::numbered(kind, self.shard, BatchNumber(self.number))
    }

    /// Keys of all its rows.
    pub fn keys(&self) -> Vec<Key> {
        let mut keys = vec![self.numbered(Kind::Batch), self.numbered(Kind::Side), self.ring()];
        keys.extend((0..3).flat_map(|index| [self.key(Kind::Key, index), self.key(Kind::Blob, index)]));
        keys
    }

    /// What a row holds.
    pub fn value(&self, what: &str) -> Bytes {
        Bytes::from(format!("{what} {} of {} seed {}", self.number, self.shard.0, self.seed))
    }

    /// The batch: a row, a side, three keys and blobs, one ring row.
    pub fn batch(&self) -> Batch {
        let mut batch = self.bare();
        batch.side = Some(self.value("side"));
        batch.puts.push(Put { key: self.ring(), value: self.value("ring") });
        for index in 0..3 {
            batch.puts.push(Put { key: self.key(Kind::Key, index), value: self.value("key") });
            batch.puts.push(Put { key: self.key(Kind::Blob, index), value: self.value("blob") });
        }
        batch
    }

    /// The batch row alone.
    pub fn bare(&self) -> Batch {
        Batch {
            shard: self.shard,
            number: BatchNumber(self.number),
            id: BatchId([self.seed; 16]),
            row: self.value("row"),
            side: None,
            puts: Vec::new(),
        }
    }
}

/// A record key of shard 0.
pub(super) fn record(rest: &[u8]) -> Key {
    Key::new(Kind::Record, Shard(0), rest)
}

/// A short value.
pub(super) fn value(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}
