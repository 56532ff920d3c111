//! Several nodes on one store: what each commits all know, one folds, and the pen goes on when its holder is gone.
//!
//! Time is the runtime's, which jumps to the next thing due as soon as nobody has anything to do.

use crate::house::{BoxRules, House, TestSeal};
use crypto::WallMs;
use crypto::id::TenantId;
use crypto::seam::Clock;
use ledger::{Delay, Opened, Parts, Refusal, Sharing, Verification};
use std::sync::Arc;
use std::time::Duration;
use storage::{
    Batch, BatchNumber, BoxFuture, Commit, Key, Kind, Memory, Page, Run, Shard, Storage, StorageError, StoredBatch,
    Transactions,
};
use testkit::clock::ManualClock;
use testkit::entropy::Seeded;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

const MAX_STALE: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct RuntimeClock(Instant);

impl Clock for RuntimeClock {
    fn wall(&self) -> WallMs {
        WallMs(1_700_000_000_000 + u64::try_from(self.monotonic().as_millis()).unwrap())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[derive(Debug)]
struct Sleep;

impl Delay for Sleep {
    fn wait(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(sleep(span))
    }
}

/// A node's way to the store, which can be cut: calls wait until it is mended, as those of a paused process do.
#[derive(Debug, Clone)]
struct Road {
    to: Arc<dyn Storage>,
    open: watch::Receiver<bool>,
}

impl Road {
    async fn passable(&self) -> &Arc<dyn Storage> {
        // The sender lives as long as the test.
        drop(self.open.clone().wait_for(|open| *open).await);
        // As long as a database takes that is near.
        sleep(Duration::from_millis(1)).await;
        &self.to
    }
}

impl Storage for Road {
    fn get(&self, keys: Vec<Key>) -> BoxFuture<'_, Result<Vec<Option<bytes::Bytes>>, StorageError>> {
        Box::pin(async move { self.passable().await.get(keys).await })
    }

    fn scan(&self, prefix: Key, after: Option<Key>, limit: usize) -> BoxFuture<'_, Result<Page, StorageError>> {
        Box::pin(async move { self.passable().await.scan(prefix, after, limit).await })
    }

    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async move { self.passable().await.commit(batch).await })
    }

    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        Box::pin(async move { self.passable().await.apply(run).await })
    }

    fn tail(
        &self,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        Box::pin(async move { self.passable().await.tail(shard, from, limit).await })
    }

    fn head(&self, shard: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        Box::pin(async move { self.passable().await.head(shard).await })
    }
}

struct Node {
    house: House,
    road: watch::Sender<bool>,
}

impl std::ops::Deref for Node {
    type Target = House;

    fn deref(&self) -> &House {
        &self.house
    }
}

async fn try_join(store: &Arc<dyn Storage>, seed: u64) -> Result<Node, Refusal> {
    let (road, open) = watch::channel(true);
    let entropy = Arc::new(Seeded::new(seed));
    let parts = Parts {
        storage: Arc::new(Road { to: Arc::clone(store), open }),
        shard: Shard(0),
        seal: TestSeal::new(9),
        clock: Arc::new(RuntimeClock(Instant::now())),
        entropy: entropy.clone(),
        delay: Arc::new(Sleep),
        rules: vec![Arc::new(BoxRules)],
        cluster: "test".into(),
        cache_bytes: 1 << 20,
        sharing: Some(Sharing {
            name: format!("node {seed}"),
            address: String::new(),
            version: "test".into(),
            max_stale: MAX_STALE,
        }),
    };
    let Opened { ledger, drivers, .. } = ledger::open(parts).await?;
    let drivers = drivers.into_iter().map(tokio::spawn).collect();
    let clock = Arc::new(ManualClock::at(WallMs(1_700_000_000_000)));
    Ok(Node { house: House { ledger, clock, entropy, drivers }, road })
}

async fn join(store: &Arc<dyn Storage>, seed: u64) -> Node {
    try_join(store, seed).await.unwrap()
}

fn stores() -> [Arc<dyn Storage>; 2] {
    [Arc::new(Memory::new(Transactions::Yes)), Arc::new(Memory::new(Transactions::No))]
}

/// Waits until somebody holds the pen.
async fn pen(nodes: &[&Node]) -> usize {
    for _ in 0..1_000 {
        let holders: Vec<usize> = (0..nodes.len()).filter(|at| nodes[*at].ledger.holds_pen()).collect();
        if let [one] = holders.as_slice() {
            return *one;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody took the pen");
}

async fn rows(store: &Arc<dyn Storage>, kind: Kind) -> usize {
    store.scan(Key::new(kind, Shard(0), vec![]), None, 1000).await.unwrap().len()
}

/// Everything in the store is whole: chain, tree, records as they follow from the entries, keys, values.
async fn is_whole(store: &Arc<dyn Storage>) {
    let seal: Arc<dyn crypto::seam::Seal> = TestSeal::new(9);
    let rules: Vec<Arc<dyn ledger::Rules>> = vec![Arc::new(BoxRules)];
    let (storage, shard) = (Arc::clone(store), Shard(0));
    let report = ledger::verify(Verification { storage, shard, key: None, seal: Some(seal), rules }).await.unwrap();
    assert_eq!(report.bad, None);
}

#[tokio::test(start_paused = true)]
async fn ha_06_what_one_node_commits_the_others_know_and_on_demand_at_once() {
    for store in stores() {
        let (one, two) = (join(&store, 1).await, join(&store, 2).await);
        let tenant = one.ledger.create_tenant("first").await.unwrap();
        let receipt = one.write(tenant, "a/b", b"x", None).await.unwrap();
        two.ledger.caught_up(receipt.position.unwrap()).await.unwrap();
        assert_eq!(two.read(tenant, "a/b").await.unwrap(), Some((1, b"x".to_vec())));
        two.write(tenant, "a/b", b"y", Some(1)).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        assert_eq!(one.read(tenant, "a/b").await.unwrap(), Some((2, b"y".to_vec())));
        let far = ledger::Position { shard: 0, index: 10_000 };
        assert_eq!(two.ledger.caught_up(far).await.unwrap_err().code.name, "ledger.behind");
        one.house.close().await;
        two.house.close().await;
        is_whole(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn of_writers_on_three_nodes_one_gets_each_version() {
    for (at, store) in stores().into_iter().enumerate() {
        let nodes = [Arc::new(join(&store, 1).await), Arc::new(join(&store, 2).await), Arc::new(join(&store, 3).await)];
        let tenant = nodes[0].ledger.create_tenant("first").await.unwrap();
        sleep(Duration::from_millis(100)).await;
        for version in 0..20u64 {
            let tries = (0..12usize).map(|n| {
                let node = Arc::clone(&nodes[n % 3]);
                tokio::spawn(async move { node.write(tenant, "x", &[n as u8], Some(version)).await.is_ok() })
            });
            let mut won = 0;
            for task in tries.collect::<Vec<_>>() {
                won += usize::from(task.await.unwrap());
            }
            assert_eq!(won, 1, "version {version}");
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(nodes[2].read(tenant, "x").await.unwrap().unwrap().0, 20);
        pen(&[&nodes[0], &nodes[1], &nodes[2]]).await;
        sleep(Duration::from_secs(15)).await;
        assert_eq!(rows(&store, Kind::Side).await, 0, "the holder of the pen folds what all committed");
        if at == 0 {
            // Without transactions a lost race leaves keys behind that nothing points to.
            assert_eq!(rows(&store, Kind::Key).await, 1, "and destroys what all replaced");
        }
        for node in &nodes {
            assert_eq!(node.ledger.unfolded(), 0, "memory lets go of what is folded");
            node.ledger.close();
        }
        is_whole(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_is_answered_by_any_node_when_the_value_is_gone() {
    for store in stores() {
        let nodes = [join(&store, 1).await, join(&store, 2).await];
        let tenant = nodes[0].ledger.create_tenant("first").await.unwrap();
        pen(&[&nodes[0], &nodes[1]]).await;
        for node in &nodes {
            let written = node.write(tenant, "gone", b"secret", None).await.unwrap();
            assert_eq!(rows(&store, Kind::Blob).await, 1);
            for other in &nodes {
                other.ledger.caught_up(written.position.unwrap()).await.unwrap();
                assert!(other.read(tenant, "gone").await.unwrap().is_some());
            }
            let purged = node.purge(tenant, "gone").await.unwrap();
            assert_eq!((rows(&store, Kind::Key).await, rows(&store, Kind::Blob).await), (0, 0));
            for other in &nodes {
                other.ledger.caught_up(purged.position.unwrap()).await.unwrap();
                assert_eq!(other.read(tenant, "gone").await.unwrap(), None);
            }
        }
        is_whole(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_one_node_makes_and_destroys_are_known_to_all() {
    for store in stores() {
        let (one, two) = (join(&store, 1).await, join(&store, 2).await);
        let tenant = one.ledger.create_tenant("first").await.unwrap();
        sleep(Duration::from_millis(100)).await;
        two.write(tenant, "old", b"1", None).await.unwrap();
        pen(&[&one, &two]).await;
        let before = two.ledger.tenant_key(tenant).unwrap();
        one.ledger.rotate_tenant(tenant).await.unwrap();
        one.ledger.rotate_root().await.unwrap();
        let known = one.write(tenant, "between", b"2", None).await.unwrap();
        two.ledger.caught_up(known.position.unwrap()).await.unwrap();
        assert_ne!(two.ledger.tenant_key(tenant).unwrap(), before);
        two.write(tenant, "new", b"3", None).await.unwrap();
        assert_eq!(one.ledger.retire_tenant_keys(tenant).await.unwrap(), 1, "`old` is under the old key");
        two.purge(tenant, "old").await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(one.ledger.retire_tenant_keys(tenant).await.unwrap(), 0);
        sleep(Duration::from_secs(2)).await;
        for node in [&one, &two, &join(&store, 3).await] {
            assert_eq!(node.read(tenant, "between").await.unwrap().unwrap().1, b"2");
            assert_eq!(node.read(tenant, "new").await.unwrap().unwrap().1, b"3");
        }
        is_whole(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ha_01_a_holder_that_wakes_after_its_turn_is_fenced() {
    for store in stores() {
        let nodes = [join(&store, 1).await, join(&store, 2).await];
        let tenant = nodes[0].ledger.create_tenant("first").await.unwrap();
        let holder = pen(&[&nodes[0], &nodes[1]]).await;
        let (paused, other) = (&nodes[holder], &nodes[1 - holder]);
        paused.write(tenant, "a", b"1", None).await.unwrap();
        paused.road.send_replace(false);
        sleep(Duration::from_secs(30)).await;
        assert!(other.ledger.holds_pen(), "the other took it over");
        assert_eq!(other.ledger.nodes().iter().filter(|node| node.pen).count(), 1);
        other.write(tenant, "a", b"2", Some(1)).await.unwrap();
        other.purge(tenant, "a").await.unwrap();
        let refused = paused.ledger.fresh().await.unwrap_err();
        assert_eq!(refused.code.name, "storage.unavailable", "memory that may be stale answers nothing");
        paused.road.send_replace(true);
        paused.ledger.fresh().await.unwrap();
        assert_eq!(paused.read(tenant, "a").await.unwrap(), None);
        sleep(Duration::from_secs(3)).await;
        assert!(!paused.ledger.holds_pen() && other.ledger.holds_pen());
        paused.write(tenant, "b", b"3", None).await.unwrap();
        paused.purge(tenant, "b").await.unwrap();
        assert_eq!(rows(&store, Kind::Blob).await, 0);
        is_whole(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ft_23_a_dead_holder_is_succeeded_and_what_it_left_is_carried_out() {
    for store in stores() {
        let nodes = [join(&store, 1).await, join(&store, 2).await, join(&store, 3).await];
        let tenant = nodes[0].ledger.create_tenant("first").await.unwrap();
        let mut left: Vec<Node> = nodes.into();
        while left.len() > 1 {
            let refs: Vec<&Node> = left.iter().collect();
            let holder = pen(&refs).await;
            let dead = left.remove(holder);
            dead.write(tenant, "a", b"1", None).await.unwrap();
            let last = dead.write(tenant, "a", b"2", None).await.unwrap();
            let Node { house, road } = dead;
            house.kill();
            drop(road);
            let began = Instant::now();
            left[0].ledger.caught_up(last.position.unwrap()).await.unwrap();
            left[0].purge(tenant, "a").await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
            assert_eq!((rows(&store, Kind::Key).await, rows(&store, Kind::Blob).await), (0, 0));
        }
        // Those that were killed may still live, for all that a new node knows, until they were silent for a while.
        let last = left.remove(0);
        last.house.close().await;
        let next = join(&store, 9).await;
        let began = Instant::now();
        pen(&[&next]).await;
        assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
        is_whole(&store).await;
    }
}

/// Three nodes write, purge, pause, die and come back as a seed says; nothing answered is lost and the store is whole.
async fn story(store: Arc<dyn Storage>, seed: u64) {
    let mut dice = fastrand(seed);
    let mut nodes: Vec<Option<Node>> = Vec::new();
    for at in 0..3 {
        nodes.push(Some(join(&store, seed * 100 + at).await));
    }
    let mut born = seed * 100 + 3;
    let tenant = nodes[0].as_ref().unwrap().ledger.create_tenant("first").await.unwrap();
    sleep(Duration::from_millis(100)).await;
    let mut versions = [0u64; 4];
    for _ in 0..60 {
        let at = dice(3);
        let path = dice(4);
        match (dice(10), nodes[at].as_ref()) {
            (0, Some(node)) => {
                let open = *node.road.borrow();
                node.road.send_replace(!open);
            }
            (1, Some(_)) if nodes.iter().flatten().count() > 1 => {
                let Some(Node { house, road }) = nodes[at].take() else { continue };
                house.kill();
                drop(road);
            }
            (_, None) => {
                born += 1;
                nodes[at] = Some(join(&store, born).await);
            }
            (2, Some(_)) => sleep(Duration::from_secs(dice(9) as u64)).await,
            (_, Some(node)) => {
                let name = format!("s/{path}");
                let value = [path as u8];
                let write = node.write(tenant, &name, &value, Some(versions[path]));
                match tokio::time::timeout(Duration::from_secs(1), write).await {
                    Ok(Ok(_)) => versions[path] += 1,
                    Ok(Err(refusal)) => {
                        assert_eq!(refusal.code.name, "secret.version_conflict", "seed {seed}: {refusal:?}")
                    }
                    // Cut off: it happens when the road is mended, if nobody was faster.
                    Err(_) => {
                        node.road.send_replace(true);
                        sleep(Duration::from_secs(2)).await;
                        node.ledger.fresh().await.unwrap();
                        versions[path] = node.read(tenant, &name).await.unwrap().map_or(0, |found| found.0);
                    }
                }
            }
        }
    }
    for node in nodes.iter().flatten() {
        node.road.send_replace(true);
    }
    sleep(Duration::from_secs(20)).await;
    for node in nodes.iter().flatten() {
        for (path, version) in versions.iter().enumerate() {
            let found = node.read(tenant, &format!("s/{path}")).await.unwrap();
            assert_eq!(found.map_or(0, |found| found.0), *version, "seed {seed}, path {path}");
        }
        assert_eq!(node.ledger.unfolded(), 0, "seed {seed}");
    }
    is_whole(&store).await;
}

fn fastrand(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "a longer run is asked for by the environment")]
async fn ft_37_nodes_that_pause_and_die_at_random_lose_nothing() {
    let seeds = std::env::var("AUMBRY_NODES_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    for seed in 1..=seeds {
        for store in stores() {
            story(store, seed).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ft_34_a_store_of_a_newer_format_is_refused() {
    let store = stores()[0].clone();
    join(&store, 1).await.house.close().await;
    let level = Key::new(Kind::Meta, Shard(0), b"level".as_slice());
    let newer = (ledger::FORMAT_LEVEL + 1).to_be_bytes().to_vec();
    assert_eq!(store.apply(Run::new(vec![storage::Op::Put(level, newer.into())], true)).await, Commit::Done);
    let refused = try_join(&store, 2).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code.name, "storage.newer");
}

#[tokio::test(start_paused = true)]
async fn nodes_show_who_is_there_and_forget_who_left() {
    let store = stores()[0].clone();
    let one = join(&store, 1).await;
    sleep(Duration::from_millis(10)).await;
    let two = join(&store, 2).await;
    sleep(Duration::from_secs(3)).await;
    let mut names: Vec<_> = one.ledger.nodes().into_iter().map(|node| (node.name, node.own)).collect();
    names.sort();
    assert_eq!(names, [("node 1".to_owned(), true), ("node 2".to_owned(), false)]);
    two.house.close().await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(one.ledger.nodes().len(), 1);
    let _: TenantId = one.ledger.create_tenant("first").await.unwrap();
}
