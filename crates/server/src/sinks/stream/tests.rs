use super::*;
use crypto::WallMs;
use ledger::access_log::{Header, LogId, Row};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;

#[derive(Debug)]
struct Fixed;

impl HashedNames for Fixed {
    fn hashed(&self, tenant: TenantId, sink: &str, name: &str) -> Option<[u8; 16]> {
        let whole = crypto::hmac_sha256(b"key", format!("{tenant}{sink}{name}").as_bytes());
        whole.first_chunk().copied()
    }
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
    row.rules = vec![path.into()];
    Numbered { segment: 1, sequence, clear: false, row }
}

async fn send(sink: &StreamSink, rows: &[Numbered]) -> Result<(), SinkError> {
    let header = header();
    sink.append(Chunk { header: &header, offset: 0, frames: b"frames", rows, urgent: false }).await
}

#[tokio::test]
async fn log_06_07_a_line_per_row_without_names_or_breaks() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let sink = StreamSink::new(StreamTarget::Unix(socket), Arc::new(Fixed));
    let rows = [numbered(1, "canary-name"), numbered(2, "canary\n{\"forged\":1}"), numbered(3, "canary-name")];
    send(&sink, &rows).await.unwrap();
    drop(sink);
    let mut got = String::new();
    listener.accept().await.unwrap().0.read_to_string(&mut got).await.unwrap();
    let lines: Vec<serde_json::Value> = got.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["sequence"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(lines[0]["path_hash"], lines[2]["path_hash"]);
    assert_ne!(lines[0]["path_hash"], lines[1]["path_hash"]);
    assert_eq!(lines[0]["source"], "10.0.0.1\\n{}");
    assert!(!got.contains("canary") && !got.contains("forged"));
    assert!(got.contains("secret.read"), "control: what is sent is found");
}

#[tokio::test]
async fn ft_30_a_peer_that_goes_away_fails_the_call_and_is_called_again() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("s");
    let sink = StreamSink::new(StreamTarget::Unix(socket.clone()), Arc::new(Fixed));
    assert!(send(&sink, &[numbered(1, "a")]).await.is_err());
    let listener = UnixListener::bind(&socket).unwrap();
    send(&sink, &[numbered(1, "a")]).await.unwrap();
    drop(listener.accept().await.unwrap());
    assert!(send(&sink, &[numbered(2, "a")]).await.is_err());
    send(&sink, &[numbered(2, "a")]).await.unwrap();
}

#[tokio::test]
async fn log_04_a_peer_that_never_reads_can_be_given_up_without_a_half_line_later() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let sink = StreamSink::new(StreamTarget::Unix(socket), Arc::new(Fixed));
    let many: Vec<Numbered> = (0..20_000).map(|n| numbered(n, "a")).collect();
    let given_up = tokio::time::timeout(Duration::from_millis(200), send(&sink, &many)).await;
    assert!(given_up.is_err(), "control: it hangs");
    let (_never_read, _) = listener.accept().await.unwrap();
    send(&sink, &[numbered(7, "a")]).await.unwrap();
    let (mut second, _) = listener.accept().await.unwrap();
    drop(sink);
    let mut got = String::new();
    second.read_to_string(&mut got).await.unwrap();
    assert_eq!(got.lines().count(), 1);
    assert!(serde_json::from_str::<serde_json::Value>(got.trim()).is_ok());
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
