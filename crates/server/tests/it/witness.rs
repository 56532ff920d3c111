//! Checkpoints kept elsewhere, and stores that come back older than they are.

use crate::house::{House, configuration, start_with};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crypto::Hash;
use crypto::aead::{CheckpointKey, Key};
use crypto::merkle::verify_consistency;
use crypto::note::{Checkpoint, VerifierKey, WitnessKey};
use crypto::seam::SystemEntropy;
use serde_json::json;
use server::{Seams, StartError, build};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A witness that keeps to C2SP tlog-witness and checks everything itself.
struct Witness {
    key: Key<CheckpointKey>,
    name: WitnessKey,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    trusted: Option<VerifierKey>,
    known: (u64, Hash),
    cosigned: u64,
}

impl Witness {
    fn make() -> Arc<Witness> {
        let key = Key::<CheckpointKey>::generate(&SystemEntropy::new()).unwrap();
        let name = WitnessKey::new("witness.example/w1".parse().unwrap(), key.public());
        let state = State { known: (0, crypto::sha256(b"")), ..State::default() };
        Arc::new(Witness { key, name, state: Mutex::new(state) })
    }

    async fn listen(self: &Arc<Self>, address: &str) -> String {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let own = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                tokio::spawn(async move { own.serve(stream).await });
            }
        });
        url
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut bytes = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                    break end + 4;
                }
                let count = stream.read_buf(&mut bytes).await.ok()?;
                (count > 0).then_some(())?;
            };
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.unwrap().parse().unwrap();
            while bytes.len() < head + length {
                stream.read_buf(&mut bytes).await.ok()?;
            }
            let body = String::from_utf8(bytes[head..head + length].to_vec()).unwrap();
            bytes.drain(..head + length);
            assert!(text.starts_with("post /add-checkpoint "), "{text}");
            let (status, answer) = self.answer(&body);
            let out = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            stream.write_all(out.as_bytes()).await.ok()?;
        }
    }

    fn answer(&self, body: &str) -> (u16, String) {
        let (head, note) = body.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        let proof: Vec<Hash> = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
        let mut state = self.state.lock().unwrap();
        let Some(key) = &state.trusted else { return (404, String::new()) };
        let Ok(new) = Checkpoint::open(note, key) else { return (403, String::new()) };
        if old > new.size {
            return (400, String::new());
        }
        let (size, root) = state.known;
        if old != size || (old == new.size && root != new.root) {
            return (409, format!("{size}\n"));
        }
        if verify_consistency(size, &root, new.size, &new.root, &proof).is_err() {
            return (422, String::new());
        }
        state.known = (new.size, new.root);
        state.cosigned += 1;
        let text = format!("{}\n", note.split_once("\n\n").unwrap().0);
        let signature = self.key.sign(WitnessKey::message(&text, 1_700_000_000).as_bytes());
        (200, self.name.line(1_700_000_000, &signature))
    }

    fn size(&self) -> u64 {
        self.state.lock().unwrap().known.0
    }
}

async fn write(house: &House, count: usize) {
    for number in 0..count {
        let put = house.owner("PUT", &format!("/api/v1/secrets/s{number}"), json!({ "value": "x" })).await;
        assert!(put.status < 300, "{put:?}");
    }
}

/// Waits until `seen` says at least as much as the ledger has now.
async fn caught_up(house: &House, seen: impl Fn() -> u64) -> u64 {
    let size = house.ledger.head().size;
    for _ in 0..300 {
        if seen() >= size {
            return seen();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of {size} were witnessed", seen())
}

fn in_file(file: &Path, key: &VerifierKey) -> u64 {
    std::fs::read_to_string(file).map_or(0, |note| Checkpoint::open(&note, key).unwrap().size)
}

fn copy(from: &Path, to: &Path) {
    let _absent = std::fs::remove_dir_all(to);
    assert!(std::process::Command::new("cp").arg("-rp").arg(from).arg(to).status().unwrap().success());
}

async fn refusal(folder: &Path, extra: &str) -> StartError {
    let (config, places) = configuration(folder, extra);
    let built = build(&config, &places, Seams::system()).await;
    built.map(drop).unwrap_err()
}

async fn metrics(house: &House) -> BTreeMap<String, String> {
    let page = house.owner("GET", "/metrics", serde_json::Value::Null).await;
    let text = String::from_utf8(page.body).unwrap();
    text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name.into(), value.into())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_24_a_store_older_than_its_witness_file_is_refused_until_that_is_meant() {
    let (top, kept) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (data, old, file) = (top.path().join("data"), top.path().join("old"), kept.path().join("checkpoint"));
    let extra = format!("[witness]\nfile = \"{}\"\n", file.display());
    let house = start_with(top.path(), &extra).await;
    let key = house.ledger.verifier_key().unwrap();
    write(&house, 2).await;
    caught_up(&house, || in_file(&file, &key)).await;
    house.stop().await;
    copy(&data, &old);
    let house = start_with(top.path(), &extra).await;
    write(&house, 5).await;
    let witnessed = caught_up(&house, || in_file(&file, &key)).await;
    assert_eq!(metrics(&house).await["aumbry_witness_behind_entries{witness=\"file\"}"], "0");
    house.stop().await;
    let newest = top.path().join("newest");
    copy(&data, &newest);

    copy(&old, &data);
    let error = refusal(top.path(), &extra).await;
    assert_eq!(error.code(), "serve.rolled_back", "{error}");
    assert!(
        error.to_string().contains(&witnessed.to_string()) && error.hint().contains("danger_accept_rollback"),
        "{error}"
    );
    // One that went on by itself has as many entries, and others.
    let house = start_with(top.path(), "").await;
    write(&house, 40).await;
    house.stop().await;
    let error = refusal(top.path(), &extra).await;
    assert!(error.code() == "serve.rolled_back" && error.to_string().contains("are not those"), "{error}");
    copy(&newest, &data);
    start_with(top.path(), &extra).await.stop().await;

    copy(&old, &data);
    let meant = format!("{extra}danger_accept_rollback = true\n");
    let house = start_with(top.path(), &meant).await;
    assert_eq!(metrics(&house).await["aumbry_witness_objects{witness=\"file\"}"], "0");
    house.stop().await;
    assert!(in_file(&kept.path().join("checkpoint.before-1"), &key) >= witnessed, "what was seen is kept");
    start_with(top.path(), &extra).await.stop().await;

    std::fs::write(&file, "another\n").unwrap();
    let error = refusal(top.path(), &extra).await;
    assert_eq!(error.code(), "serve.rolled_back", "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_32_a_witness_that_is_away_holds_nothing_up_and_catches_up_when_it_is_back() {
    let top = tempfile::tempdir().unwrap();
    let (data, old, witness) = (top.path().join("data"), top.path().join("old"), Witness::make());
    let port = testkit::peers::free_port();
    let extra = format!("[witness]\nurl = \"http://127.0.0.1:{port}/\"\nkey = \"{}\"\n", witness.name);
    let house = start_with(top.path(), &extra).await;
    write(&house, 3).await;
    let behind = metrics(&house).await["aumbry_witness_behind_entries{witness=\"http\"}"].clone();
    assert_ne!(behind, "0", "nobody was there");
    // One that does not know this ledger yet is no reason to stop either.
    witness.listen(&format!("127.0.0.1:{port}")).await;
    write(&house, 1).await;
    witness.state.lock().unwrap().trusted = Some(house.ledger.verifier_key().unwrap());
    caught_up(&house, || witness.size()).await;
    let shown = house.owner("GET", "/api/v1/ledger/checkpoint", serde_json::Value::Null).await;
    let shown = String::from_utf8(shown.body).unwrap();
    let mut cosigned = shown.clone();
    for _ in 0..100 {
        if cosigned.contains("witness.example/w1") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let shown = house.owner("GET", "/api/v1/ledger/checkpoint", serde_json::Value::Null).await;
        cosigned = String::from_utf8(shown.body).unwrap();
    }
    let (_, lines) = cosigned.split_once("\n\n").unwrap();
    let theirs: String = lines.lines().skip(1).map(|line| format!("{line}\n")).collect();
    assert_eq!(witness.name.cosigned(&cosigned, &theirs), Ok(1_700_000_000), "{cosigned}");
    assert!(Checkpoint::open(&cosigned, &house.ledger.verifier_key().unwrap()).is_ok());
    house.stop().await;

    copy(&data, &old);
    let house = start_with(top.path(), &extra).await;
    write(&house, 4).await;
    caught_up(&house, || witness.size()).await;
    house.stop().await;
    copy(&old, &data);
    let error = refusal(top.path(), &extra).await;
    assert_eq!(error.code(), "serve.rolled_back", "{error}");
    let house = start_with(top.path(), "").await;
    write(&house, 40).await;
    house.stop().await;
    let error = refusal(top.path(), &extra).await;
    assert!(error.to_string().contains("are not those"), "{error}");
    let house = start_with(top.path(), &format!("{extra}danger_accept_rollback = true\n")).await;
    assert_eq!(metrics(&house).await["aumbry_witness_objects{witness=\"http\"}"], "1");
    house.stop().await;
    let before = witness.state.lock().unwrap().cosigned;
    assert!(before >= 2, "{before} cosignatures");
}
