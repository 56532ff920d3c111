//! The access log: one row for every request, reads and denials included, before the request is answered.
//!
//! Rows are taken by [`AccessLog::record`], which gives the [`Recorded`] that an answer is built from. They are
//! numbered without gaps, sealed with their tenant's log key, chained, and written to every [`Sink`] together with
//! those of other requests. Segments close by size, age or on demand; the entry of a closed segment in the ledger
//! makes its rows provable ([`RowProof`]). Without a sink that keeps rows nothing is served; sinks that tell rows to
//! others come after those and hold nothing up.

mod frame;
mod keep;
mod log;
mod open;
mod outlet;
mod proof;
mod read;
mod recover;
mod row;
mod segment;
mod sink;
mod sources;
mod store;
mod text;
mod unseal;
mod verify;
mod walk;
mod writer;

pub use log::{AccessLog, GROUP_ROWS_MAX, LogCounters, OUTAGE, OWED_ROWS_MAX, Parts, Recorded};
pub use outlet::{SINK_DEADLINE, SinkCounters};
pub use proof::{NotProven, RowProof};
pub use read::{Filter, OutcomeIs, QUERY_ROWS_MAX, RowCursor, RowPage, SCAN_ROWS_MAX, SCAN_SEGMENTS_MAX, best_copy};
pub use recover::{Change, REMADE, REMAKE_SEGMENTS, Recovery, Torn};
pub use row::{OK, ROW_LIMITS, Row, RowLimits};
pub use segment::{
    ClosedSegment, HEADER_BYTES, Header, LogId, RemovedSegments, SEGMENT_CLOSED, SEGMENT_LIMITS, SEGMENTS_REMOVED,
    SegmentLimits, Statement,
};
pub use sink::{Anchor, Anchored, Chunk, Numbered, Role, RowKeys, Shelf, Sink, SinkError};
pub use sources::{OWN_ROWS_PER_SECOND, SOURCES_MAX};
pub use store::StoreSink;
pub use text::shown;
pub use verify::{Bad, Report, Verifier, Wrong};
pub use walk::Fault;
