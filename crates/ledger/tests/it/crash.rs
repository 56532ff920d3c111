//! A real process on real files, gone at each named crash point; the next start finds every answered change.

use crate::house::{BoxRules, TestSeal, open};
use bytes::Bytes;
use ledger::Verification;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use storage::{
    Batch, BatchNumber, BoxFuture, Commit, Kind, Op, Page, Run, Shard, Sqlite, SqliteOptions, Storage, StorageError,
    StoredBatch,
};

/// Every point at which the process dies, by what the store is about to do or has just done.
const POINTS: [&str; 8] = [
    "commit.before",
    "commit.after",
    "fold.authoritative.before",
    "fold.authoritative.after",
    "fold.records.before",
    "fold.records.after",
    "checkpoint.before",
    "checkpoint.after",
];
/// How often a point is passed before it kills.
const PASSES: [u32; 3] = [0, 1, 4];

#[derive(Debug)]
struct Mortal {
    inner: Sqlite,
    point: String,
    passes: AtomicU32,
}

impl Mortal {
    fn at(&self, point: &str) {
        if self.point == point && self.passes.fetch_sub(1, Ordering::SeqCst) == 0 {
            // SIGKILL and abort leave the same: nothing runs any more.
            std::process::abort();
        }
    }

    fn run_name(run: &Run) -> &'static str {
        let of = |key: &storage::Key| key.kind();
        match run.ops.last() {
            Some(Op::Put(key, _)) if of(key) == Kind::Record => "fold.records",
            Some(Op::Put(key, _)) if key.rest() == b"checkpoint" => "checkpoint",
            _ => "fold.authoritative",
        }
    }
}

impl Storage for Mortal {
    fn get(&self, keys: Vec<storage::Key>) -> BoxFuture<'_, Result<Vec<Option<Bytes>>, StorageError>> {
        self.inner.get(keys)
    }
    fn scan(
        &self,
        prefix: storage::Key,
        after: Option<storage::Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, StorageError>> {
        self.inner.scan(prefix, after, limit)
    }
    fn commit(&self, batch: Batch) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            self.at("commit.before");
            let done = self.inner.commit(batch).await;
            self.at("commit.after");
            done
        })
    }
    fn apply(&self, run: Run) -> BoxFuture<'_, Commit> {
        Box::pin(async move {
            let name = Mortal::run_name(&run);
            self.at(&format!("{name}.before"));
            let done = self.inner.apply(run).await;
            self.at(&format!("{name}.after"));
            done
        })
    }
    fn tail(&self, s: Shard, from: BatchNumber, limit: usize) -> BoxFuture<'_, Result<Vec<StoredBatch>, StorageError>> {
        self.inner.tail(s, from, limit)
    }
    fn head(&self, s: Shard) -> BoxFuture<'_, Result<BatchNumber, StorageError>> {
        self.inner.head(s)
    }
}

fn options(folder: &str) -> SqliteOptions {
    SqliteOptions { reserve_bytes: 0, ..SqliteOptions::new(folder) }
}

#[expect(clippy::disallowed_methods, reason = "how a test tells its child what to do")]
fn told(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The child: writes, purges, rotates, and says what was answered, until its point.
#[tokio::test]
async fn child() {
    let (Some(folder), Some(point), Some(passes)) = (told("CRASH_FOLDER"), told("CRASH_POINT"), told("CRASH_PASSES"))
    else {
        return;
    };
    let inner = Sqlite::open(options(&folder)).unwrap();
    let store = Arc::new(Mortal { inner, point, passes: AtomicU32::new(passes.parse().unwrap()) });
    let house = open(store, 11).await.unwrap();
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n@{line}").unwrap();
        out.flush().unwrap();
    };
    let tenant = match house.ledger.tenant_named("first").await.unwrap().map(|tenant| tenant.id) {
        Some(tenant) => tenant,
        None => house.ledger.create_tenant("first").await.unwrap(),
    };
    for n in 0..400u32 {
        let path = format!("p{}", n % 5);
        match n % 11 {
            9 => {
                say(format!("try {path} gone"));
                if house.purge(tenant, &path).await.is_ok() {
                    say(format!("done {path} gone"));
                }
            }
            10 => drop(house.ledger.rotate_tenant(tenant).await),
            _ => {
                say(format!("try {path} {n}"));
                house.write(tenant, &path, n.to_string().as_bytes(), None).await.unwrap();
                say(format!("done {path} {n}"));
            }
        }
        if n % 3 == 0 {
            drop(house.ledger.settle().await);
        }
    }
}

/// Last answered and last begun value of each path.
fn told_by(child: &mut std::process::Child) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let mut seen: BTreeMap<String, (Option<String>, Option<String>)> = BTreeMap::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let Some(line) = line.strip_prefix('@') else { continue };
        let words: Vec<&str> = line.split(' ').collect();
        let [what, path, value] = words[..] else { continue };
        let slot = seen.entry(path.to_owned()).or_default();
        match what {
            "try" => slot.1 = Some(value.to_owned()),
            _ => *slot = (Some(value.to_owned()), None),
        }
    }
    seen
}

#[tokio::test]
async fn ft_01_killed_at_each_named_crash_point_every_answered_change_is_there() {
    for point in POINTS {
        for passes in PASSES {
            let folder = tempfile::tempdir().unwrap();
            let data = folder.path().join("data");
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["crash::child", "--exact", "--nocapture"])
                .env("CRASH_FOLDER", &data)
                .env("CRASH_POINT", point)
                .env("CRASH_PASSES", passes.to_string())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let seen = told_by(&mut child);
            let status = child.wait().unwrap();
            assert!(status.code().is_none(), "{point} after {passes} passes was not hit: {status}");
            still_there(data.to_str().unwrap(), &seen, &format!("{point} after {passes} passes")).await;
        }
    }
}

async fn still_there(folder: &str, seen: &BTreeMap<String, (Option<String>, Option<String>)>, context: &str) {
    let store: Arc<dyn Storage> = Arc::new(Sqlite::open(options(folder)).unwrap());
    let house = open(store.clone(), 12).await.unwrap();
    let tenant = house.ledger.tenant_named("first").await.unwrap().map(|tenant| tenant.id);
    for (path, (answered, begun)) in seen {
        let tenant = tenant.unwrap();
        let found = match house.read(tenant, path).await.unwrap() {
            Some((_, value)) => String::from_utf8(value).unwrap(),
            None => "gone".to_owned(),
        };
        let never = answered.is_none().then(|| "gone".to_owned());
        let allowed = [answered.clone(), begun.clone(), never];
        assert!(allowed.contains(&Some(found.clone())), "{context}: {path} is {found}, {allowed:?} was said");
    }
    house.close().await;
    let seal = Some(TestSeal::new(9) as _);
    let rules = vec![Arc::new(BoxRules) as _];
    let verification = Verification { storage: store, shard: Shard(0), key: None, seal, rules };
    assert_eq!(ledger::verify(verification).await.unwrap().bad, None, "{context}");
}
