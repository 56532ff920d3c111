//! The access log over sinks that fail on demand.

mod faults;
mod leaks;
mod proofs;
mod reading;
mod restart;
mod roles;
mod rows;
mod store;
mod tamper;

use crate::house::Soon;
use bytes::Bytes;
use crypto::WallMs;
use crypto::aead::{Key, LogKey};
use crypto::id::{EntityId, KeyId, TenantId};
use crypto::secret::SecretBytes;
use ledger::access_log::{
    AccessLog, Anchor, Anchored, Chunk, ClosedSegment, HEADER_BYTES, LogId, OK, Parts, Recovery, RemovedSegments, Row,
    RowKeys, Shelf, Sink, SinkError,
};
use ledger::code::{KEY_BUSY, SEAL_SEALED, STORAGE_UNAVAILABLE};
use ledger::{Position, Refusal};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use storage::BoxFuture;
use testkit::clock::ManualClock;
use testkit::entropy::Seeded;

/// What a call to a sink comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    Works,
    Fails,
    /// The rows are there, and the answer is an error.
    WritesAndFails,
    /// Half of the rows are there, and the answer is an error.
    Tears,
    Full,
    Hangs,
    Panics,
}

/// A sink in memory. `plan` says what becomes of the n-th append, from 1.
pub(crate) struct MemorySink {
    name: String,
    segments: Mutex<BTreeMap<u64, Vec<u8>>>,
    plan: Mutex<Box<dyn Fn(u64) -> Fate + Send>>,
    pub(crate) calls: AtomicU64,
    reserve: AtomicU64,
}

impl std::fmt::Debug for MemorySink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl MemorySink {
    pub(crate) fn new(name: &str) -> Arc<MemorySink> {
        Arc::new(MemorySink {
            name: name.into(),
            segments: Mutex::default(),
            plan: Mutex::new(Box::new(|_| Fate::Works)),
            calls: AtomicU64::new(0),
            reserve: AtomicU64::new(0),
        })
    }

    pub(crate) fn plan(&self, plan: impl Fn(u64) -> Fate + Send + 'static) {
        *self.plan.lock() = Box::new(plan);
    }

    pub(crate) fn always(&self, fate: Fate) {
        self.plan(move |_| fate);
    }

    pub(crate) fn reserve(&self, bytes: u64) {
        self.reserve.store(bytes, SeqCst);
    }

    pub(crate) fn bytes(&self, number: u64) -> Vec<u8> {
        self.segments.lock().get(&number).cloned().unwrap_or_default()
    }

    pub(crate) fn set(&self, number: u64, bytes: Vec<u8>) {
        self.segments.lock().insert(number, bytes);
    }

    pub(crate) fn all(&self) -> Vec<u8> {
        self.segments.lock().values().flatten().copied().collect()
    }

    /// What a restart finds.
    pub(crate) fn copy(&self) -> Arc<MemorySink> {
        let copy = MemorySink::new(&self.name);
        copy.segments.lock().clone_from(&self.segments.lock());
        copy
    }

    fn write(&self, chunk: Chunk<'_>, part: usize) {
        let mut segments = self.segments.lock();
        let segment = segments.entry(chunk.header.number).or_default();
        if chunk.offset == 0 {
            segment.clear();
            segment.extend_from_slice(&chunk.header.encode());
        }
        let at = HEADER_BYTES + usize::try_from(chunk.offset).unwrap();
        assert!(segment.len() >= at, "a chunk never leaves a hole");
        segment.truncate(at);
        segment.extend_from_slice(&chunk.frames[..chunk.frames.len() / part]);
    }
}

impl Sink for MemorySink {
    fn name(&self) -> &str {
        &self.name
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        let call = self.calls.fetch_add(1, SeqCst) + 1;
        let fate = (self.plan.lock())(call);
        let failed = || Err(SinkError::Unavailable("planned".into()));
        Box::pin(ready(match fate {
            Fate::Works => {
                self.write(chunk, 1);
                Ok(())
            }
            Fate::Fails => failed(),
            Fate::WritesAndFails => {
                self.write(chunk, 1);
                failed()
            }
            Fate::Tears => {
                self.write(chunk, 2);
                failed()
            }
            Fate::Full if chunk.urgent && self.reserve.load(SeqCst) > 0 => {
                self.write(chunk, 1);
                Ok(())
            }
            Fate::Full => Err(SinkError::Full),
            Fate::Hangs => return Box::pin(std::future::pending()),
            Fate::Panics => std::panic::resume_unwind(Box::new("planned")),
        }))
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(ready(Ok(())))
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(self)
    }

    fn reserve_left(&self) -> u64 {
        self.reserve.load(SeqCst)
    }
}

impl Shelf for MemorySink {
    fn range(&self) -> BoxFuture<'_, Result<Option<(u64, u64)>, SinkError>> {
        let segments = self.segments.lock();
        let range = segments.keys().next().zip(segments.keys().next_back()).map(|(first, last)| (*first, *last));
        Box::pin(ready(Ok(range)))
    }

    fn head(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        let head =
            self.segments.lock().get(&number).map(|bytes| bytes[..bytes.len().min(HEADER_BYTES)].to_vec().into());
        Box::pin(ready(Ok(head)))
    }

    fn read(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        Box::pin(ready(Ok(self.segments.lock().get(&number).cloned().map(Bytes::from))))
    }

    fn cut(&self, number: u64, size: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        self.segments.lock().entry(number).or_default().truncate(usize::try_from(size).unwrap());
        Box::pin(ready(Ok(())))
    }

    fn remove(&self, number: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        self.segments.lock().remove(&number);
        Box::pin(ready(Ok(())))
    }
}

#[derive(Debug, Default)]
pub(crate) struct TestKeys {
    pub(crate) sealed: AtomicBool,
    pub(crate) lost: AtomicBool,
}

impl RowKeys for TestKeys {
    fn current(&self, tenant: TenantId) -> Result<Arc<Key<LogKey>>, Refusal> {
        if self.sealed.load(SeqCst) {
            return Err(Refusal::new(&SEAL_SEALED, "sealed"));
        }
        let byte = tenant.as_bytes()[0] | 0x80;
        Ok(Arc::new(Key::from_secret(KeyId::from_bytes([byte; 8]), SecretBytes::new(vec![byte; 32])).unwrap()))
    }

    fn by_id(&self, tenant: TenantId, id: KeyId) -> Result<Arc<Key<LogKey>>, Refusal> {
        let key = self.current(tenant)?;
        if self.lost.load(SeqCst) || key.id() != id {
            return Err(Refusal::new(&KEY_BUSY, "no such key"));
        }
        Ok(key)
    }
}

#[derive(Debug, Default)]
pub(crate) struct TestAnchor {
    pub(crate) entries: Mutex<Vec<Anchored>>,
    pub(crate) removals: Mutex<Vec<RemovedSegments>>,
    pub(crate) down: AtomicBool,
}

impl TestAnchor {
    pub(crate) fn segment(&self, number: u64) -> ClosedSegment {
        self.entries.lock().iter().find(|entry| entry.segment.number == number).unwrap().segment.clone()
    }
}

impl Anchor for TestAnchor {
    fn anchor(&self, segment: ClosedSegment) -> BoxFuture<'_, Result<Position, Refusal>> {
        if self.down.load(SeqCst) {
            return Box::pin(ready(Err(Refusal::new(&STORAGE_UNAVAILABLE, "planned"))));
        }
        let body = segment.encode().unwrap();
        assert_eq!(ClosedSegment::decode(&body).unwrap(), segment);
        let mut entries = self.entries.lock();
        let position = Position { shard: 0, index: 1000 + entries.len() as u64 };
        assert!(entries.iter().all(|entry| entry.segment.number < segment.number), "anchored in order, once");
        entries.push(Anchored { segment, position });
        Box::pin(ready(Ok(position)))
    }

    fn removed(&self, segments: RemovedSegments) -> BoxFuture<'_, Result<Position, Refusal>> {
        assert_eq!(RemovedSegments::decode(&segments.encode().unwrap()).unwrap(), segments);
        self.removals.lock().push(segments);
        Box::pin(ready(Ok(Position { shard: 0, index: 9999 })))
    }

    fn find(&self, _: LogId, number: u64) -> BoxFuture<'_, Result<Option<Anchored>, Refusal>> {
        Box::pin(ready(Ok(self.entries.lock().iter().find(|entry| entry.segment.number == number).cloned())))
    }
}

/// A log with everything around it.
pub(crate) struct Desk {
    pub(crate) log: AccessLog,
    pub(crate) recovery: Recovery,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: Arc<TestKeys>,
    pub(crate) anchor: Arc<TestAnchor>,
}

pub(crate) const START: WallMs = WallMs(1_700_000_000_000);

impl Desk {
    pub(crate) async fn over(sinks: Vec<Arc<dyn Sink>>) -> Desk {
        Desk::again(sinks, Arc::default(), Arc::new(ManualClock::at(START))).await
    }

    pub(crate) async fn again(sinks: Vec<Arc<dyn Sink>>, anchor: Arc<TestAnchor>, clock: Arc<ManualClock>) -> Desk {
        let keys = Arc::new(TestKeys::default());
        let parts = Parts {
            sinks,
            keys: Arc::clone(&keys) as _,
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(Seeded::new(7)),
            delay: Arc::new(Soon),
        };
        let (log, recovery) = AccessLog::open(parts).await.unwrap();
        Desk { log, recovery, clock, keys, anchor }
    }

    pub(crate) fn row(&self, path: &str) -> Row {
        use crypto::seam::Clock;
        let mut row = Row::new(self.clock.wall(), [7; 16], tenant(1), "192.0.2.1", "secret.read", OK);
        row.entity = Some(EntityId::from_bytes([5; 16]));
        row.path = Some(path.into());
        row
    }

    /// Writes rows one after another and answers how many were taken.
    pub(crate) async fn write(&self, paths: impl IntoIterator<Item = String>) -> u64 {
        let mut taken = 0;
        for path in paths {
            taken += u64::from(self.log.record(self.row(&path)).await.is_ok());
        }
        taken
    }

    /// Every path in the log, oldest first.
    pub(crate) async fn paths(&self) -> Vec<String> {
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.log.query(&Default::default(), cursor, 1000).await.unwrap();
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        rows.reverse();
        let dense: Vec<u64> = rows.iter().map(|row| row.sequence).collect();
        let first = dense.first().copied().unwrap_or(1);
        assert_eq!(dense, (first..first + dense.len() as u64).collect::<Vec<_>>(), "sequence numbers are dense");
        rows.into_iter().filter_map(|row| row.row.path).collect()
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

pub(crate) fn tenant(byte: u8) -> TenantId {
    TenantId::from_bytes([byte; 16])
}

pub(crate) fn numbered(count: u64) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("db/{n}"))
}

pub(crate) async fn one() -> (Arc<MemorySink>, Desk) {
    let sink = MemorySink::new("memory");
    let desk = Desk::over(vec![Arc::clone(&sink) as _]).await;
    (sink, desk)
}
