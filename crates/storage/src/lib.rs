//! The one seam to disk: `get`, `scan`, `commit`, `apply`, `tail`.
//!
//! A store holds sealed bytes under ordered keys and knows nothing of what they mean. The batch is the
//! commit: it takes the next number of its shard under a unique key, which is the compare-and-set that
//! several nodes race on. Everything derived from batches is brought in afterwards with [`Storage::apply`],
//! in runs that may be repeated.

mod contract;
mod key;
mod limits;
mod memory;
mod remote;
mod sqlite;

pub use contract::{
    Batch, BatchId, BatchNumber, BoxFuture, Cause, Commit, Fence, LIMITS, Limits, Op, Page, Place, Put, Run, Storage,
    StorageError, StoredBatch,
};
pub use key::{Key, Kind, Shard};
pub use limits::{check_batch, check_page, check_run};
pub use memory::{Memory, Transactions};
pub use remote::{ConnectError, ConnectReason, RemoteOptions};
pub use sqlite::{FileOptions, OpenError, Sqlite, SqliteOptions};
