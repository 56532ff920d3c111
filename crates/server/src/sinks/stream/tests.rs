use super::*;
use crypto::WallMs;
use crypto::id::{EntityId, SessionId, TenantId};
use ledger::access_log::{Header, LogId, Numbered, Row};
use std::path::Path;
use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{TcpListener, UnixListener};

#[derive(Debug)]
struct Fixed;

impl HashedNames for Fixed {
    fn hashed(&self, tenant: TenantId, reader: &str, name: &str) -> Option<[u8; 16]> {
        let whole = crypto::hmac_sha256(b"key", format!("{tenant}{reader}{name}").as_bytes());
        whole.first_chunk().copied()
    }
}

const PATIENCE: Duration = Duration::from_millis(200);

fn sink(target: StreamTarget) -> StreamSink {
    StreamSink::with_patience(target, Names::Hashed(Arc::new(Fixed)), PATIENCE)
}

fn to_socket(path: &Path) -> StreamSink {
    sink(StreamTarget::Unix(path.to_owned()))
}

fn header() -> Header {
    Header {
        log: LogId([1; 8]),
        number: 1,
        first_row: 1,
        opened: WallMs(0),
        newest_before: WallMs(0),
        previous: [0; 32],
    }
}

fn numbered(sequence: u64, path: &str) -> Numbered {
    let mut row = Row::new(WallMs(1), [2; 16], TenantId::SYSTEM, "10.0.0.1\n{}", "secret.read", "ok");
    row.path = Some(path.into());
    row.entity = Some(EntityId::from_bytes([3; 16]));
    row.session = Some(SessionId::from_bytes([4; 16]));
    row.rules = [path.into()].into();
    Numbered { segment: 1, sequence, clear: false, row }
}

async fn send(sink: &StreamSink, rows: &[Numbered]) -> Result<(), SinkError> {
    let header = header();
    sink.append(Chunk { header: &header, offset: 0, frames: b"frames", rows, urgent: false }).await
}

async fn read_lines(stream: impl tokio::io::AsyncRead + Unpin) -> Vec<serde_json::Value> {
    let mut got = String::new();
    BufReader::new(stream).read_to_string(&mut got).await.unwrap();
    got.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// Waits until the sink tells that its peer is away.
async fn away(sink: &StreamSink) {
    let told = tokio::time::timeout(Duration::from_secs(20), async {
        while sink.sync().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    told.await.expect("told as away soon after the deadline");
}

fn sequences(lines: &[serde_json::Value]) -> Vec<u64> {
    lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn log_06_07_a_line_per_row_without_names_or_breaks() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let sink = to_socket(&socket);
    let rows = [numbered(1, "canary-name"), numbered(2, "canary\n{\"forged\":1}"), numbered(3, "canary-name")];
    send(&sink, &rows).await.unwrap();
    sink.sent().await;
    drop(sink);
    let lines = read_lines(listener.accept().await.unwrap().0).await;
    assert_eq!(sequences(&lines), [1, 2, 3]);
    assert_eq!(lines[0]["path_hash"], lines[2]["path_hash"]);
    assert_ne!(lines[0]["path_hash"], lines[1]["path_hash"]);
    assert!(lines[0]["entity_hash"].is_string() && lines[0]["session_hash"].is_string());
    assert_eq!(lines[0]["source"], "10.0.0.1\\n{}");
    let got = format!("{lines:?}");
    let ids = [EntityId::from_bytes([3; 16]).to_string(), SessionId::from_bytes([4; 16]).to_string()];
    assert!(!got.contains("canary") && !got.contains("forged") && ids.iter().all(|id| !got.contains(id)));
    assert!(got.contains("secret.read"), "control: what is sent is found");
}

#[tokio::test]
async fn names_in_clear_are_sent_only_when_told_and_forge_no_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = StreamTarget::Tcp(listener.local_addr().unwrap().to_string());
    let sink = StreamSink::new(target, Names::InClear);
    send(&sink, &[numbered(1, "db/\u{202e}x"), numbered(2, "a\n{\"forged\":1}")]).await.unwrap();
    sink.sent().await;
    drop(sink);
    let lines = read_lines(listener.accept().await.unwrap().0).await;
    assert_eq!(sequences(&lines), [1, 2]);
    assert_eq!((&lines[0]["path"], &lines[1]["path"]), (&"db/\\u{202e}x".into(), &"a\\n{\"forged\":1}".into()));
    assert_eq!(lines[0]["entity"], EntityId::from_bytes([3; 16]).to_string());
    assert!(lines[0].get("path_hash").is_none());
}

#[tokio::test]
async fn two_readers_cannot_match_their_hashes() {
    let root = tempfile::tempdir().unwrap();
    let mut hashes = Vec::new();
    for name in ["one", "two"] {
        let socket = root.path().join(name);
        let listener = UnixListener::bind(&socket).unwrap();
        let sink = to_socket(&socket);
        send(&sink, &[numbered(1, "same")]).await.unwrap();
        sink.sent().await;
        drop(sink);
        hashes.push(read_lines(listener.accept().await.unwrap().0).await[0]["path_hash"].clone());
    }
    assert_ne!(hashes[0], hashes[1]);
}

#[tokio::test]
async fn ft_30_a_peer_that_is_not_there_or_goes_away_gets_what_waited_when_it_is_back() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("s");
    let sink = to_socket(&socket);
    for sequence in 1..=3 {
        send(&sink, &[numbered(sequence, "a")]).await.unwrap();
    }
    away(&sink).await;
    let listener = UnixListener::bind(&socket).unwrap();
    let (first, _) = listener.accept().await.unwrap();
    sink.sent().await;
    assert!(sink.sync().await.is_ok());
    drop(first);
    send(&sink, &[numbered(4, "a")]).await.unwrap();
    let (second, _) = listener.accept().await.unwrap();
    sink.sent().await;
    drop(sink);
    assert_eq!(sequences(&read_lines(second).await), [4]);
}

#[tokio::test]
async fn log_04_a_peer_that_never_reads_holds_nothing_up_and_no_half_line_follows() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let sink = to_socket(&socket);
    let many: Vec<Numbered> = (0..10_000).map(|n| numbered(n, "a")).collect();
    send(&sink, &many).await.unwrap();
    let (_never_read, _) = listener.accept().await.unwrap();
    away(&sink).await;
    let mut refused = 0;
    for _ in 0..5 {
        refused += usize::from(send(&sink, &many).await.is_err());
    }
    assert!(refused > 0, "what waits is bounded");
    let (second, _) = listener.accept().await.unwrap();
    let reading = tokio::spawn(read_lines(second));
    sink.sent().await;
    drop(sink);
    let lines = reading.await.unwrap();
    assert_eq!(sequences(&lines[..10_000]), (0..10_000).collect::<Vec<_>>(), "begun again at a line's start");
}

#[tokio::test]
async fn a_peer_nobody_listens_for_costs_memory_up_to_the_bound_and_ends_with_the_sink() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sink = sink(StreamTarget::Tcp(free.to_string()));
    let rows: Vec<Numbered> = (0..1000).map(|n| numbered(n, "a")).collect();
    let mut taken = 0;
    while send(&sink, &rows).await.is_ok() {
        taken += 1;
    }
    assert!(taken > 4 && sink.state.waiting.load(Ordering::Acquire) <= WAITING_BYTES_MAX);
    let state = Arc::downgrade(&sink.state);
    drop(sink);
    while state.upgrade().is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn targets_are_named_in_one_way() {
    assert_eq!("stdout".parse(), Ok(StreamTarget::Stdout));
    assert_eq!("unix:/run/x".parse(), Ok(StreamTarget::Unix("/run/x".into())));
    assert_eq!("tcp:log.example:601".parse(), Ok(StreamTarget::Tcp("log.example:601".into())));
    for bad in ["", "stderr", "unix:x", "unix:", "tcp:host", "tcp::1", "tcp:host:0", "tcp:host:65536", "exec:/bin/sh"] {
        assert_eq!(bad.parse::<StreamTarget>(), Err(BadTarget), "{bad}");
    }
}
