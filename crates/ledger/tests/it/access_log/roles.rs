//! Sinks that keep, sinks that tell, sinks of earlier runs.

use super::{Desk, Fate, MemorySink, START, TestKeys, numbered};
use crate::house::Soon;
use bytes::Bytes;
use ledger::access_log::{AccessLog, Chunk, Filter, Parts, Role, Shelf, Sink, SinkError, StoreSink};
use parking_lot::Mutex;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use storage::{BoxFuture, Memory, Shard, Storage, Transactions};
use testkit::clock::ManualClock;
use testkit::entropy::Seeded;

/// Remembers the rows it was told.
#[derive(Debug, Default)]
struct Listener {
    heard: Mutex<Vec<(u64, String)>>,
    hangs: AtomicBool,
}

impl Sink for Listener {
    fn name(&self) -> &'static str {
        "stream"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        if self.hangs.load(SeqCst) {
            return Box::pin(std::future::pending());
        }
        let rows = chunk.rows.iter().map(|row| (row.sequence, row.row.path.clone().unwrap_or_default()));
        self.heard.lock().extend(rows);
        Box::pin(ready(Ok(())))
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(ready(if self.hangs.load(SeqCst) { Err(SinkError::Hung) } else { Ok(()) }))
    }
}

/// A sink of an earlier run, or one whose flushes fail.
#[derive(Debug)]
struct Wrapped {
    inner: Arc<MemorySink>,
    role: Role,
    breaks: AtomicBool,
}

impl Wrapped {
    fn new(inner: &Arc<MemorySink>, role: Role) -> Arc<Wrapped> {
        Arc::new(Wrapped { inner: Arc::clone(inner), role, breaks: AtomicBool::new(false) })
    }
}

impl Sink for Wrapped {
    fn name(&self) -> &'static str {
        "wrapped"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        match self.breaks.load(SeqCst) {
            true => Box::pin(ready(Err(SinkError::Broken("planned".into())))),
            false => self.inner.append(chunk),
        }
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        let breaks = self.breaks.load(SeqCst);
        Box::pin(ready(if breaks { Err(SinkError::Broken("planned".into())) } else { Ok(()) }))
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        self.inner.shelf()
    }

    fn role(&self) -> Role {
        self.role
    }
}

#[tokio::test]
async fn a_sink_that_tells_hears_exactly_the_rows_that_were_kept() {
    let (keeps, tells) = (MemorySink::new("keeps"), Arc::new(Listener::default()));
    let desk = Desk::over(vec![Arc::clone(&tells) as _, Arc::clone(&keeps) as _]).await;
    keeps.plan(|call| if call == 2 { Fate::WritesAndFails } else { Fate::Works });
    for path in ["a", "refused", "b"] {
        desk.write([path.to_owned()]).await;
        desk.pass(1);
    }
    let heard: Vec<_> = tells.heard.lock().iter().filter(|(_, path)| !path.is_empty()).cloned().collect();
    assert_eq!(heard.iter().map(|(_, path)| path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(heard.windows(2).all(|two| two[0].0 < two[1].0), "no number comes twice: {heard:?}");
}

#[tokio::test]
async fn a_sink_that_tells_is_not_enough_to_answer() {
    let desk = Desk::over(vec![Arc::new(Listener::default()) as _]).await;
    let refusal = desk.log.record(desk.row("x")).await.unwrap_err();
    assert_eq!(refusal.code.name, "access_log.unavailable");
}

#[tokio::test]
async fn log_04_a_sink_that_tells_and_hangs_costs_its_rows_and_no_answer() {
    let (keeps, tells) = (MemorySink::new("keeps"), Arc::new(Listener::default()));
    let desk = Desk::over(vec![Arc::clone(&keeps) as _, Arc::clone(&tells) as _]).await;
    tells.hangs.store(true, SeqCst);
    assert_eq!(desk.write(numbered(5)).await, 5);
    let missed = |desk: &Desk| desk.log.sinks().map(|(_, counters)| counters.missed_rows()).collect::<Vec<_>>();
    let failing = |desk: &Desk| desk.log.sinks().map(|(_, counters)| counters.failing()).collect::<Vec<_>>();
    assert_eq!((missed(&desk), failing(&desk)), (vec![0, 5], vec![false, true]));
    tells.hangs.store(false, SeqCst);
    desk.pass(2);
    desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    desk.write(["after".to_owned()]).await;
    assert_eq!((missed(&desk), failing(&desk)), (vec![0, 5], vec![false, false]));
    assert_eq!(tells.heard.lock().iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [6]);
    desk.log.close(&*desk.anchor).await.unwrap();
    assert_eq!(missed(&desk), [0, 5], "closing a segment gives it nothing and counts nothing twice");
}

#[tokio::test]
async fn ft_04_a_flush_that_failed_for_good_is_told_before_the_next_request() {
    let memory = MemorySink::new("memory");
    let sink = Wrapped::new(&memory, Role::Keeps);
    let second = MemorySink::new("second");
    let alone = Desk::over(vec![Arc::clone(&sink) as _]).await;
    let beside =
        Desk::over(vec![Arc::clone(&sink) as _, Arc::clone(&second) as _, Arc::new(Listener::default())]).await;
    sink.breaks.store(true, SeqCst);
    for desk in [&alone, &beside] {
        desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    }
    assert!(alone.log.is_failing() && alone.log.record(alone.row("x")).await.is_err());
    assert!(!beside.log.is_failing() && beside.log.record(beside.row("x")).await.is_ok());
}

#[tokio::test]
async fn a_log_goes_on_in_another_sink_and_its_earlier_rows_are_read_where_they_are() {
    let (old, new) = (MemorySink::new("old"), MemorySink::new("new"));
    let first = Desk::over(vec![Arc::clone(&old) as _]).await;
    first.write(numbered(4)).await;
    first.log.close(&*first.anchor).await.unwrap();
    let before = old.all();
    let sinks: Vec<Arc<dyn Sink>> = vec![Arc::clone(&new) as _, Wrapped::new(&old, Role::Past) as _];
    let desk = Desk::again(sinks, Arc::clone(&first.anchor), Arc::clone(&first.clock)).await;
    assert_eq!(desk.log.id(), first.log.id());
    desk.write(["new".to_owned()]).await;
    assert_eq!(desk.paths().await, ["db/0", "db/1", "db/2", "db/3", "new"]);
    desk.log.close(&*desk.anchor).await.unwrap();
    assert_eq!(desk.log.verify(1, 2, &*desk.anchor).await.unwrap().bad, []);
    assert_eq!(old.all(), before, "nothing is written to the old one");
    assert_eq!(desk.log.sinks().count(), 1);

    desk.pass(3600);
    desk.write(["newest".to_owned()]).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    desk.write(["open".to_owned()]).await;
    let removed = desk.log.retain(crypto::WallMs(START.0 + 1000), &*desk.anchor).await.unwrap();
    assert_eq!((removed, old.all().is_empty()), (2, true), "retention reaches the old one too");
    assert_eq!(desk.paths().await, ["newest", "open"]);
}

/// A sink whose three oldest segments are removed just after somebody asked for its range.
#[derive(Debug)]
struct Racing(Arc<MemorySink>, AtomicBool);

impl Sink for Racing {
    fn name(&self) -> &'static str {
        "racing"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        self.0.append(chunk)
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        self.0.sync()
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        Some(self)
    }
}

impl Shelf for Racing {
    fn range(&self) -> BoxFuture<'_, Result<Option<(u64, u64)>, SinkError>> {
        Box::pin(async {
            let range = self.0.range().await;
            if self.1.swap(false, SeqCst) {
                for number in 1..=3 {
                    self.0.remove(number).await?;
                }
            }
            range
        })
    }

    fn head(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        self.0.head(number)
    }

    fn read(&self, number: u64) -> BoxFuture<'_, Result<Option<Bytes>, SinkError>> {
        self.0.read(number)
    }

    fn cut(&self, number: u64, size: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        self.0.cut(number, size)
    }

    fn remove(&self, number: u64) -> BoxFuture<'_, Result<(), SinkError>> {
        self.0.remove(number)
    }
}

#[tokio::test]
async fn rows_that_retention_removes_while_they_are_read_are_gone_and_not_damaged() {
    let memory = MemorySink::new("memory");
    let sink = Arc::new(Racing(Arc::clone(&memory), AtomicBool::new(false)));
    let desk = Desk::over(vec![Arc::clone(&sink) as _]).await;
    for number in 1..=5 {
        desk.write([format!("db/{number}")]).await;
        desk.log.close(&*desk.anchor).await.unwrap();
    }
    let before = desk.log.query(&Filter::default(), None, 10).await.unwrap().rows;
    assert_eq!(before.len(), 5);
    sink.1.store(true, SeqCst);
    assert_eq!(desk.paths().await, ["db/4", "db/5"]);
    assert!(memory.bytes(3).is_empty() && desk.log.prove(&before[..2], &*desk.anchor).await.is_ok());
    let told = desk.log.prove(&before, &*desk.anchor).await.unwrap_err();
    assert_eq!(told.code.name, "access_log.unavailable");
    assert!(told.detail.contains("removed by age"), "{told}");
    memory.remove(4).await.unwrap();
    desk.write(["db/6".to_owned()]).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    memory.remove(5).await.unwrap();
    memory.set(2, b"a stray one keeps the range wide".to_vec());
    let told = desk.log.query(&Filter::default(), None, 10).await.unwrap_err();
    assert_eq!(told.code.name, "storage.damaged", "a hole is damage: {told}");
}

#[tokio::test]
async fn two_sinks_with_two_logs_are_not_mixed() {
    let (one, other) = (MemorySink::new("one"), MemorySink::new("other"));
    Desk::over(vec![Arc::clone(&one) as _]).await.write(numbered(1)).await;
    let parts = |sinks: Vec<Arc<dyn Sink>>, seed| Parts {
        sinks,
        keys: Arc::new(TestKeys::default()),
        clock: Arc::new(ManualClock::at(START)),
        entropy: Arc::new(Seeded::new(seed)),
        delay: Arc::new(Soon),
    };
    let (log, _) = AccessLog::open(parts(vec![Arc::clone(&other) as _], 8)).await.unwrap();
    let _recorded = log.record(Desk::over(vec![MemorySink::new("any") as _]).await.row("x")).await.unwrap();
    let told = AccessLog::open(parts(vec![one, other], 9)).await.unwrap_err();
    assert!(told.detail.contains("`one` and `other` hold two different access logs"), "{told}");
}

#[tokio::test]
async fn the_store_names_everyone_whose_rows_it_has() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new(Transactions::Yes));
    assert_eq!(StoreSink::owners(&*storage, Shard(0)).await.unwrap(), Vec::<[u8; 8]>::new());
    for owner in [9, 1, 0xff] {
        let sink = StoreSink::new(Arc::clone(&storage), Shard(0), [owner; 8], false);
        let desk = Desk::over(vec![Arc::new(sink) as _]).await;
        desk.write(numbered(3)).await;
        desk.log.tick(Some(&*desk.anchor)).await.unwrap();
    }
    assert_eq!(StoreSink::owners(&*storage, Shard(0)).await.unwrap(), [[1; 8], [9; 8], [0xff; 8]]);
}
