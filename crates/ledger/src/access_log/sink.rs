//! What the log needs from outside: sinks that take rows, shelves that give them back, keys, a timer, an anchor.

use super::row::Row;
use super::segment::{ClosedSegment, Header, RemovedSegments};
use crate::code::Refusal;
use crate::unit::Position;
use bytes::Bytes;
use crypto::aead::{Key, LogKey};
use crypto::id::{KeyId, TenantId};
use std::fmt;
use std::sync::Arc;
use storage::BoxFuture;

/// Why a sink did not take rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SinkError {
    /// No space left; urgent rows may still fit.
    Full,
    /// It cannot be written or read now.
    Unavailable(String),
    /// It gave no answer in time.
    Hung,
    /// Its code panicked.
    Panicked,
    /// What it was given of the open segment is gone; it is given all of it again.
    Lost,
    /// A failed flush: it takes nothing more until the server starts again.
    Broken(String),
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkError::Full => f.write_str("no space left"),
            SinkError::Unavailable(why) => write!(f, "cannot be used now: {why}"),
            SinkError::Hung => f.write_str("gave no answer in time"),
            SinkError::Panicked => f.write_str("panicked"),
            SinkError::Lost => f.write_str("lost the rows of the open segment"),
            SinkError::Broken(why) => write!(f, "is shut after a failed flush: {why}"),
        }
    }
}

impl std::error::Error for SinkError {}

/// Rows on their way to a sink.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The segment they belong to.
    pub header: &'a Header,
    /// Where they stand among the segment's frames, in bytes. 0 begins the segment.
    pub offset: u64,
    /// The frames, whole ones.
    pub frames: &'a [u8],
    /// The rows of the newest group in clear, for sinks that tell.
    pub rows: &'a [Numbered],
    /// Whether reserved space may be used.
    pub urgent: bool,
}

/// A row with its place in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Numbered {
    /// Number of its segment.
    pub segment: u64,
    /// Its sequence number: strictly rising and without gaps in a log, whatever the clock does.
    pub sequence: u64,
    /// Whether it was taken while the server was sealed and holds no name.
    pub clear: bool,
    /// The row.
    pub row: Row,
}

/// What a sink is to the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It keeps rows and gives them back: a request is answered once one of these has its row.
    Keeps,
    /// It passes rows on to somebody else. It gets those that a keeping sink has, and no request waits for its peer.
    Tells,
    /// It was written to by an earlier run and is only read.
    Past,
}

/// Takes rows.
///
/// A chunk that was answered with an error, or not at all, never happened: the next one stands at the same offset or
/// begins another segment, and replaces whatever was left at and after its offset. One call at a time. What was
/// answered `Ok` survives a kill of the process; power loss is what [`Sink::sync`] is for.
pub trait Sink: Send + Sync + fmt::Debug {
    /// Name for metrics and messages; holds no secret.
    fn name(&self) -> &str;
    /// Takes one chunk.
    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>>;
    /// Called every second and when a segment closed: flushes to stable storage and keeps house. May run beside
    /// `append`.
    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>>;
    /// The way to read rows back, if there is one.
    fn shelf(&self) -> Option<&dyn Shelf> {
        None
    }
    /// What it is to the log; without a shelf it only tells.
    fn role(&self) -> Role {
        if self.shelf().is_some() { Role::Keeps } else { Role::Tells }
    }
    /// Bytes kept back for urgent rows.
    fn reserve_left(&self) -> u64 {
        0
    }
    /// Whether it lives on what it kept back, for want of space.
    fn is_tapped(&self) -> bool {
        false
    }
}

/// Gives segments back.
pub trait Shelf: Send + Sync {
    /// Numbers of the oldest and the newest segment.
    fn range(&self) -> BoxFuture<'_, Result<Option<(u64, u64)>, SinkError>>;
    /// The first [`super::HEADER_BYTES`] bytes of a segment, or fewer if it is shorter.
    fn head(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>>;
    /// A whole segment: header and frames.
    fn read(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>>;
    /// Cuts a torn tail off: keeps the first `size` bytes.
    fn cut(&self, number: u64, size: u64) -> BoxFuture<'_, Result<(), SinkError>>;
    /// Removes a segment; absent is fine.
    fn remove(&self, number: u64) -> BoxFuture<'_, Result<(), SinkError>>;
}

/// Gives the keys that rows are sealed with.
pub trait RowKeys: Send + Sync + fmt::Debug {
    /// The tenant's key for new rows. Errors: class `Sealed` makes the log keep a row without names; others refuse.
    fn current(&self, tenant: TenantId) -> Result<Arc<Key<LogKey>>, Refusal>;
    /// The tenant's key with this id.
    fn by_id(&self, tenant: TenantId, id: KeyId) -> Result<Arc<Key<LogKey>>, Refusal>;
}

/// Makes entries of what happens to segments.
pub trait Anchor: Send + Sync + fmt::Debug {
    /// Commits the entry of a closed segment. A segment that already has one is answered with that.
    fn anchor(&self, segment: ClosedSegment) -> BoxFuture<'_, Result<Position, Refusal>>;
    /// Commits the entry that says which segments are removed.
    fn removed(&self, segments: RemovedSegments) -> BoxFuture<'_, Result<Position, Refusal>>;
    /// The entry of a closed segment, if it was anchored.
    fn find(&self, log: super::LogId, number: u64) -> BoxFuture<'_, Result<Option<Anchored>, Refusal>>;
}

/// A closed segment and its entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Anchored {
    /// As committed.
    pub segment: ClosedSegment,
    /// Where.
    pub position: Position,
}
