//! The only sink fails: nothing is answered and nothing changes, readiness and metrics tell, and it heals.

use crate::house::{House, start, start_late, start_with};
use ledger::access_log::{Chunk, Shelf, Sink, SinkError};
use serde_json::{Value, json};
use server::offline::Site;
use server::sinks::{FileSink, WhenSynced};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;
use storage::BoxFuture;

async fn until(house: &House, status: u16) {
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        while house.call("", "GET", "/readyz", &Value::Null).await.status != status {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("readiness never became {status}"));
}

async fn metric(house: &House, name: &str) -> u64 {
    let page = String::from_utf8(house.call("", "GET", "/metrics", &Value::Null).await.body).unwrap();
    let line = page.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{page}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// What every request is told while no sink works.
async fn refused(house: &House) {
    for (verb, target, body) in [
        ("GET", "/api/v1/secrets/a", Value::Null),
        ("PUT", "/api/v1/secrets/b", json!({ "value": "v" })),
        ("GET", "/api/v1/access", Value::Null),
    ] {
        let told = house.owner(verb, target, body).await;
        assert_eq!((told.status, told.code().as_str()), (503, "access_log.unavailable"), "{verb} {target}: {told:?}");
        assert!(!String::from_utf8_lossy(&told.body).contains("hunter2"));
    }
    assert_eq!(house.call("", "GET", "/healthz", &Value::Null).await.status, 200, "the process itself lives");
    assert_eq!(metric(house, "aumbry_ready").await, 0);
    assert_eq!(metric(house, "aumbry_access_failing").await, 1);
    assert!(metric(house, "aumbry_access_refused_total").await >= 3);
}

async fn healed(house: &House) {
    let got = house.owner("GET", "/api/v1/secrets/a", Value::Null).await;
    assert_eq!(got.json()["value"], "hunter2", "{got:?}");
    assert_eq!(house.owner("GET", "/api/v1/secrets/b", Value::Null).await.status, 404, "nothing changed meanwhile");
    assert_eq!((metric(house, "aumbry_ready").await, metric(house, "aumbry_access_failing").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_02_a_lost_folder_stops_every_answer_and_the_server_heals_without_a_restart() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    house.owner("PUT", "/api/v1/secrets/a", json!({ "value": "hunter2" })).await;
    let (folder, aside) = (house.places.access.clone(), top.path().join("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, b"in the way").unwrap();
    until(&house, 503).await;
    refused(&house).await;
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    until(&house, 200).await;
    healed(&house).await;
    let rows = house.owner("GET", "/api/v1/access?proof=true", Value::Null).await.json();
    let acts: Vec<_> = rows["items"].as_array().unwrap().iter().map(|row| row["act"].as_str().unwrap()).collect();
    assert!(acts.contains(&"access_log.outage") || acts.contains(&"secret.write"), "{acts:?}");
    house.stop().await;
    let data = top.path().join("data");
    let findings =
        server::offline::verify(&Site::folder(&data), Some(&top.path().join("seal.key")), None).await.unwrap();
    assert_eq!(findings.bad, Vec::<String>::new());
}

/// The file sink on a disk whose flushes begin to fail.
#[derive(Debug)]
struct FailingDisk {
    file: FileSink,
    fails: Arc<AtomicBool>,
}

impl FailingDisk {
    fn broken() -> SinkError {
        SinkError::Broken("the disk does not flush".into())
    }
}

impl Sink for FailingDisk {
    fn name(&self) -> &'static str {
        "file"
    }

    fn append<'a>(&'a self, chunk: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        match self.fails.load(SeqCst) {
            true => Box::pin(std::future::ready(Err(FailingDisk::broken()))),
            false => self.file.append(chunk),
        }
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        match self.fails.load(SeqCst) {
            true => Box::pin(std::future::ready(Err(FailingDisk::broken()))),
            false => self.file.sync(),
        }
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        self.file.shelf()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_04_a_failed_flush_of_the_only_sink_is_told_at_once_and_stays_until_the_restart() {
    let top = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let disk = Arc::clone(&fails);
    let house = start_late(top.path(), "", Duration::ZERO, |places, clock| {
        let file = FileSink::open(&places.access, WhenSynced::EachSecond, Arc::clone(clock)).unwrap();
        Some(vec![Arc::new(FailingDisk { file, fails: disk })])
    })
    .await;
    house.owner("PUT", "/api/v1/secrets/a", json!({ "value": "hunter2" })).await;
    fails.store(true, SeqCst);
    until(&house, 503).await;
    refused(&house).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    refused(&house).await;
    house.stop().await;

    let house = start(top.path()).await;
    healed(&house).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_03_one_of_two_sinks_fails_and_the_server_goes_on() {
    let top = tempfile::tempdir().unwrap();
    let house = start_with(top.path(), "[access]\nsinks = [\"file\", \"store\"]\n").await;
    house.owner("PUT", "/api/v1/secrets/a", json!({ "value": "hunter2" })).await;
    let (folder, aside) = (house.places.access.clone(), top.path().join("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, b"in the way").unwrap();
    for _ in 0..3 {
        let got = house.owner("GET", "/api/v1/secrets/a", Value::Null).await;
        assert_eq!(got.json()["value"], "hunter2", "{got:?}");
    }
    assert_eq!(metric(&house, "aumbry_sink_failing{sink=\"file\"}").await, 1);
    assert!(metric(&house, "aumbry_sink_failures_total{sink=\"file\"}").await > 0);
    assert_eq!(metric(&house, "aumbry_sink_failing{sink=\"store\"}").await, 0);
    assert_eq!(metric(&house, "aumbry_ready").await, 1);
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    house.stop().await;
    let findings = server::offline::verify(&Site::folder(&top.path().join("data")), None, None).await.unwrap();
    assert_eq!(findings.bad, Vec::<String>::new());
}
