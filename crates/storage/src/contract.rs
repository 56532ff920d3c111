//! The storage contract: the trait and the plain values that cross it.

use crate::key::{Key, Kind, Shard};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;

/// A boxed future that names no runtime.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Position of a batch in its shard; the first is 1, then without gaps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct BatchNumber(pub u64);

impl BatchNumber {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> BatchNumber {
        BatchNumber(self.0.saturating_add(1))
    }
}

/// Random id of a batch attempt: tells our commit from another's when the answer was lost.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BatchId(pub [u8; 16]);

/// Where a key, blob or ring row was written: append order, never reused, never overwritten.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Batch that wrote it.
    pub number: BatchNumber,
    /// Id of that batch.
    pub id: BatchId,
    /// Position among the rows of its kind in the batch, below 65,536.
    pub index: u32,
}

impl Place {
    /// Key of a `Key` or `Blob` row.
    pub fn key(&self, kind: Kind, shard: Shard) -> Key {
        Key::new(kind, shard, self.bytes().to_vec())
    }

    /// Key of a `Ring` row of one tenant.
    pub fn ring_key(&self, shard: Shard, tenant: [u8; 16]) -> Key {
        Key::new(Kind::Ring, shard, [tenant.as_slice(), self.bytes().as_slice()].concat())
    }

    /// Number, id and index as 28 big-endian bytes.
    pub fn bytes(&self) -> [u8; 28] {
        let mut out = [0; 28];
        let (number, rest) = out.split_at_mut(8);
        let (id, index) = rest.split_at_mut(16);
        number.copy_from_slice(&self.number.0.to_be_bytes());
        id.copy_from_slice(&self.id.0);
        index.copy_from_slice(&self.index.to_be_bytes());
        out
    }

    /// Reads what [`Place::bytes`] wrote.
    pub fn from_bytes(bytes: &[u8; 28]) -> Place {
        let (mut number, mut id, mut index) = ([0; 8], [0; 16], [0; 4]);
        let (head, tail) = bytes.split_at(24);
        let (first, second) = head.split_at(8);
        number.copy_from_slice(first);
        id.copy_from_slice(second);
        index.copy_from_slice(tail);
        Place { number: BatchNumber(u64::from_be_bytes(number)), id: BatchId(id), index: u32::from_be_bytes(index) }
    }
}

/// One row that travels with a batch: a `Key`, `Blob` or `Ring` row.
#[derive(Clone, Debug)]
pub struct Put {
    /// Full key, built from the batch's own [`Place`].
    pub key: Key,
    /// Sealed bytes.
    pub value: Bytes,
}

/// The unit of commitment: all of it or nothing.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The shard whose head it extends.
    pub shard: Shard,
    /// Head + 1 as the writer sees it.
    pub number: BatchNumber,
    /// Random, fresh for each attempt.
    pub id: BatchId,
    /// Kept for ever: sizes and sealed entries, opaque here.
    pub row: Bytes,
    /// Intents and volatile puts of this batch, opaque here; removed by the fold.
    pub side: Option<Bytes>,
    /// Keys, blobs and ring rows, in append order.
    pub puts: Vec<Put>,
}

/// A committed batch row as read back.
#[derive(Clone, Debug)]
pub struct StoredBatch {
    /// Its number.
    pub number: BatchNumber,
    /// Its id.
    pub id: BatchId,
    /// The row as committed.
    pub row: Bytes,
    /// The second row, while it is not folded.
    pub side: Option<Bytes>,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a commit that is not looked at loses or repeats a write"]
pub enum Commit {
    /// Durable: survives kill and power loss. Visible to every later call.
    Done,
    /// The number is taken; nothing of this batch is visible. The head is now this batch.
    Conflict(BatchNumber),
    /// Nothing happened, for this reason; may be tried again when the cause is gone.
    Refused(Cause),
    /// It may or may not have happened; ask `tail` for the id at that number.
    Unknown(Cause),
}

/// Why a store refused or failed, without any stored bytes in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No space left.
    Full,
    /// The batch or run breaks a limit of [`Limits`] or names a key it may not.
    Invalid(&'static str),
    /// The store cannot be reached or is overloaded.
    Unreachable(String),
    /// A failed flush or an input/output error: this handle must not be written again.
    Broken(String),
    /// A run of a later turn was carried out: whoever made this one has been succeeded. Nothing more of it will happen.
    Fenced,
}

/// Why a read failed. Reads have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// The store cannot be reached now.
    Unreachable(String),
    /// What was read is damaged; names the thing.
    Damaged(String),
    /// The handle was shut after a failed flush.
    Broken(String),
    /// The call breaks a limit of [`Limits`]; nothing was read.
    Invalid(&'static str),
}

impl std::fmt::Display for StorageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StorageError::Unreachable(why) => write!(f, "the store cannot be reached: {why}"),
            StorageError::Damaged(what) => write!(f, "stored bytes are damaged: {what}"),
            StorageError::Broken(why) => write!(f, "the store is shut after a failed write: {why}"),
            StorageError::Invalid(what) => write!(f, "the store was asked for what it may not give: {what}"),
        }
    }
}

impl std::error::Error for StorageError {}

/// One step of a run.
#[derive(Clone, Debug)]
pub enum Op {
    /// Sets a key.
    Put(Key, Bytes),
    /// Removes a key; absent is fine.
    Delete(Key),
}

impl Op {
    /// The key it sets or removes.
    pub fn key(&self) -> &Key {
        match self {
            Op::Put(key, _) | Op::Delete(key) => key,
        }
    }
}

/// Idempotent changes applied in order; may be repeated after a crash from the start.
#[derive(Clone, Debug)]
pub struct Run {
    /// Sets and removals; [`crate::Kind::Batch`] keys are never among them, `Side`, `Key`, `Blob` and `Ring` keys only as
    /// deletes. What says how far records are folded must be a `Record` itself, the last operation of its run: an
    /// engine may keep records in a place of their own, lose them as a whole, and flush them later than the rest.
    pub ops: Vec<Op>,
    /// Whether the answer waits for stable storage. Deletes of `Key`, `Blob` and `Ring` rows are
    /// always erased from live files (secure delete, log truncated) before the answer when set.
    pub durable: bool,
    /// Whose turn it is, where several nodes may think that it is theirs; runs without one are always carried out.
    pub fence: Option<Fence>,
}

impl Run {
    /// A run that is carried out whoever's turn it is.
    pub fn new(ops: Vec<Op>, durable: bool) -> Run {
        Run { ops, durable, fence: None }
    }
}

/// A turn at carrying out runs: once one of a later turn was begun, those of earlier turns are [`Cause::Fenced`].
///
/// With transactions the comparison and the run are one. Without, a run that was under way stops before its next operation,
/// and no operation of an earlier turn replaces, or brings back, what one of a later turn wrote or removed within the last hour.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fence {
    /// The shard it is about.
    pub shard: Shard,
    /// The turn; later ones are higher.
    pub turn: u64,
}

/// One page of a scan.
pub type Page = Vec<(Key, Bytes)>;

/// Bounds that every engine keeps.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All bytes of one batch.
    pub batch_bytes_max: usize,
    /// Bytes of a key after kind and shard.
    pub key_bytes_max: usize,
    /// Keys in one `get`, entries in one scan page.
    pub page_max: usize,
}

/// The bounds.
pub const LIMITS: Limits = Limits { batch_bytes_max: 8 << 20, key_bytes_max: 1024, page_max: 4096 };

/// Where sealed bytes rest.
///
/// Ordering: `commit` of number n is accepted only when n - 1 is the head. After `Done` each later
/// `get`, `scan` and `tail` on any handle of the same store sees the whole batch; before it, nothing.
/// `apply` is not a transaction on every engine: its operations are carried out in order, and a crash
/// leaves a prefix, so the last operation should be the one that says the others happened.
/// Futures may be polled on any executor; dropping one does not undo what it began.
///
/// `get` and `scan` give the row of a `Batch` key and the side of a `Side` key, both under the batch number as
/// eight big-endian bytes. Several keys of one `get`, and all entries of one page, are seen at one moment as far as
/// they are committed with batches. More than [`Limits::page_max`] keys, entries or batches at once:
/// [`StorageError::Invalid`].
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Values of the keys, in their order; `None` where there is none. At most [`Limits::page_max`] keys.
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>>;

    /// Up to `limit` entries below the prefix in key order, after `after` (exclusive) if given.
    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>>;

    /// Appends one batch; see [`Commit`].
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit>;

    /// Applies a run; see [`Run`]. `Done`, `Refused` (nothing or a prefix happened, repeat it) or `Unknown`; never `Conflict`.
    fn apply(&self, run: Run) -> BoxFuture<'_, Commit>;

    /// Batches from `from` on, oldest first, at most `limit`; fewer than `limit` means the head is reached.
    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>>;

    /// Number of the newest batch; 0 when there is none.
    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>>;

    /// Gives up space kept back for a full disk, so that what takes rights away still finds room; whether there was any.
    ///
    /// A store cannot tell such a write from another: the caller holds others back until [`Storage::has_room`].
    fn release_reserve(&self) -> bool {
        false
    }

    /// Whether there is room again after [`Cause::Full`]; first takes back what [`Storage::release_reserve`] gave up.
    fn has_room(&self) -> BoxFuture<'_, bool> {
        Box::pin(std::future::ready(true))
    }
}
