//! Where rows of the access log go, and that they are found again wherever they went.

use crate::house::{House, start_late, start_with};
use serde_json::{Value, json};
use server::Ended;
use server::offline::Site;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::{TcpListener, UnixListener};

/// Rows about secrets below `s/`, newest first, each proven.
async fn rows(house: &House) -> Vec<api::access::Row> {
    let mut got = house.owner("GET", "/api/v1/access?path=s/&proof=true&limit=1000", Value::Null).await;
    if got.status == 503 {
        // Retention removed a row between finding and proving it.
        got = house.owner("GET", "/api/v1/access?path=s/&proof=true&limit=1000", Value::Null).await;
    }
    assert_eq!(got.status, 200, "{}", String::from_utf8_lossy(&got.body));
    let page: api::access::Rows = serde_json::from_slice(&got.body).unwrap();
    for row in &page.items {
        server::check_row(row).unwrap_or_else(|_| panic!("not proven: {row:?}"));
    }
    page.items.into_iter().filter(|row| row.act == "secret.write").collect()
}

async fn put(house: &House, name: &str) {
    let put = house.owner("PUT", &format!("/api/v1/secrets/s/{name}"), json!({ "value": "v" })).await;
    assert_eq!(put.status, 200, "{put:?}");
}

fn paths(rows: &[api::access::Row]) -> Vec<&str> {
    rows.iter().rev().filter_map(|row| row.path.as_deref()?.strip_prefix("s/")).collect()
}

async fn whole(top: &Path) {
    for seal in [None, Some(top.join("seal.key"))] {
        let findings = server::offline::verify(&Site::folder(&top.join("data")), seal.as_deref(), None).await.unwrap();
        assert_eq!(findings.bad, Vec::<String>::new());
        let rows: u64 = findings.checked.iter().filter(|(what, _)| *what == "rows").map(|(_, rows)| rows).sum();
        assert!(rows >= 2, "{findings:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_store_as_only_sink_rows_are_proven_and_found_after_a_restart() {
    let top = tempfile::tempdir().unwrap();
    for (sync, name) in [("second", "a"), ("always", "b"), ("second", "c")] {
        let extra = format!("[access]\nsinks = [\"store\"]\nsync = \"{sync}\"\n");
        let house = start_with(top.path(), &extra).await;
        put(&house, name).await;
        let seen = rows(&house).await;
        assert_eq!(paths(&seen).last(), Some(&name), "{seen:?}");
        assert!(seen.iter().any(|row| row.path.as_deref() == Some("s/a")), "{seen:?}");
        assert!(!house.places.access.exists(), "no file is made");
        assert_eq!(house.stop().await, Ended::AsTold);
        whole(top.path()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_stay_found_when_the_sinks_are_changed_between_starts() {
    let top = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for (name, sinks) in [("a", "\"file\""), ("b", "\"store\""), ("c", "\"file\", \"store\""), ("d", "\"file\"")] {
        let house = start_with(top.path(), &format!("[access]\nsinks = [{sinks}]\n")).await;
        put(&house, name).await;
        written.push(name);
        assert_eq!(paths(&rows(&house).await), written, "with {sinks}");
        house.stop().await;
        whole(top.path()).await;
    }
}

/// Reads lines until one about a write, and gives that.
async fn written(stream: impl AsyncRead + Unpin) -> Value {
    let mut lines = BufReader::new(stream).lines();
    loop {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap();
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        if line["act"] == "secret.write" {
            return line;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_to_a_socket_and_a_tcp_peer_tell_each_row_without_its_names() {
    let top = tempfile::tempdir().unwrap();
    let socket = top.path().join("rows");
    let unix = UnixListener::bind(&socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let extra = format!(
        "[access]\nsinks = [\"file\", \"stream:unix:{}\", \"stream:tcp:{}\"]\n",
        socket.display(),
        tcp.local_addr().unwrap()
    );
    let house = start_with(top.path(), &extra).await;
    put(&house, "canary-name").await;
    let row = rows(&house).await.remove(0);
    let lines = [written(unix.accept().await.unwrap().0).await, written(tcp.accept().await.unwrap().0).await];
    for line in &lines {
        assert_eq!(line["outcome"], "ok");
        assert!(line["path_hash"].is_string() && line["entity_hash"].is_string(), "{line}");
        let text = line.to_string();
        assert!(!text.contains("canary") && !text.contains(row.entity.as_deref().unwrap()), "{line}");
    }
    assert_ne!(lines[0]["path_hash"], lines[1]["path_hash"], "two readers cannot match their hashes");

    let metrics = String::from_utf8(house.call("", "GET", "/metrics", &Value::Null).await.body).unwrap();
    let series: Vec<_> = metrics.lines().filter(|line| line.starts_with("aumbry_sink_failing{")).collect();
    assert_eq!(series, ["aumbry_sink_failing{sink=\"file\"} 0", "aumbry_sink_failing{sink=\"stream\"} 0"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_streamed_in_clear_when_the_configuration_says_so() {
    let top = tempfile::tempdir().unwrap();
    let socket = top.path().join("rows");
    let unix = UnixListener::bind(&socket).unwrap();
    let sinks = format!("\"store\", \"stream:unix:{}\"", socket.display());
    let house = start_with(top.path(), &format!("[access]\nsinks = [{sinks}]\ndanger_stream_names = true\n")).await;
    put(&house, "shown").await;
    let line = written(unix.accept().await.unwrap().0).await;
    let row = rows(&house).await.remove(0);
    assert_eq!((line["path"].as_str(), line["entity"].as_str()), (Some("s/shown"), row.entity.as_deref()));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_whose_peer_is_not_there_holds_up_nothing_and_shows_in_the_metrics() {
    let top = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let house = start_with(top.path(), &format!("[access]\nsinks = [\"file\", \"stream:tcp:{free}\"]\n")).await;
    let answers = tokio::time::timeout(Duration::from_secs(15), async {
        for n in 0..20 {
            put(&house, &n.to_string()).await;
        }
    });
    answers.await.expect("no answer waits for the peer");
    assert_eq!(house.call("", "GET", "/readyz", &Value::Null).await.status, 200);
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let metrics = house.call("", "GET", "/metrics", &Value::Null).await;
            if String::from_utf8_lossy(&metrics.body).contains("aumbry_sink_failing{sink=\"stream\"} 1") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    told.await.expect("the metrics tell");
    let peer = TcpListener::bind(free).await.unwrap();
    let line = written(peer.accept().await.unwrap().0).await;
    assert_eq!(line["outcome"], "ok", "what waited is sent when the peer comes");
    assert_eq!(house.stop().await, Ended::AsTold);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_older_than_access_keep_are_removed_and_what_stays_is_proven() {
    for sinks in ["\"file\"", "\"store\"", "\"file\", \"store\""] {
        let top = tempfile::tempdir().unwrap();
        let extra = format!("[access]\nsinks = [{sinks}]\nkeep = \"24h\"\n");
        let house = start_with(top.path(), &extra).await;
        put(&house, "old").await;
        assert_eq!(paths(&rows(&house).await), ["old"]);
        house.stop().await;

        let house = start_late(top.path(), &extra, Duration::from_secs(20 * 3600), |_, _| None).await;
        put(&house, "young").await;
        assert_eq!(paths(&rows(&house).await), ["old", "young"], "not yet");
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(paths(&rows(&house).await), ["old", "young"], "the task leaves what is young enough");
        house.stop().await;

        let house = start_late(top.path(), &extra, Duration::from_secs(30 * 3600), |_, _| None).await;
        let removed = tokio::time::timeout(Duration::from_secs(20), async {
            while paths(&rows(&house).await).contains(&"old") {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        removed.await.unwrap_or_else(|_| panic!("{sinks}: the old row is still there"));
        assert_eq!(paths(&rows(&house).await), ["young"], "{sinks}");
        let (from, to) = house.log.segments().await.unwrap().unwrap();
        assert!(from > 1 && to > from);
        let ledger = house.ledger.clone();
        assert_eq!(house.log.verify(from, to, &ledger).await.unwrap().bad, [], "{sinks}");
        let gone = ledger::access_log::Anchor::find(&ledger, house.log.id(), 1).await.unwrap().unwrap();
        assert!(gone.segment.rows > 0, "the entry of a removed segment stays");
        drop(ledger);
        house.stop().await;
        whole(top.path()).await;
    }
}
