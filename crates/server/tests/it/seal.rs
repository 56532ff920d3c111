//! A server whose key is in shares: it begins, stands sealed, opens, is sealed again and gets other shares.

use crate::house::{Ahead, Answer, Wire, configuration, read_answer, request, start};
use crypto::seam::{Clock, SystemEntropy};
use serde_json::{Value, json};
use server::offline::Site;
use server::{Ended, Inside, Seams, build};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;

const SHARES: &str = "kind = \"shares\"\n";

/// A server that may be sealed.
struct Post {
    wire: Wire,
    clock: Arc<Ahead>,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<Ended>,
    inside: Option<Inside>,
}

impl Post {
    async fn start(folder: &Path, seal: &str) -> Post {
        let (mut config, places) = configuration(folder, "");
        if seal == SHARES {
            config.seal.kind = server::config::SealKind::Shares;
        }
        config.server.trusted_proxies.0.push("127.0.0.0/8".parse().unwrap());
        let clock = Ahead::new();
        let seams = Seams::of(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemEntropy::new()));
        let built = build(&config, &places, seams).await.unwrap_or_else(|error| panic!("{error}"));
        let (wire, inside) = (Wire::to(&built), built.inside());
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(built.run(stopped));
        Post { wire, clock, stop, running, inside }
    }

    async fn stop(self) {
        self.stop.send_replace(true);
        drop(self.inside);
        assert_eq!(self.running.await.unwrap(), Ended::AsTold);
    }

    async fn get(&self, target: &str) -> Answer {
        self.wire.call("", "GET", target, &Value::Null).await
    }

    async fn init(&self, threshold: u16, shares: u16) -> (String, Vec<String>) {
        let body = json!({ "threshold": threshold, "shares": shares });
        let answer = self.wire.call("", "POST", "/api/v1/operator:init", &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.json()["nonce"].as_str().unwrap().to_owned(), handed(&answer.json()))
    }

    async fn give(&self, share: &str) -> Answer {
        self.wire.call("", "POST", "/api/v1/operator:unseal", &json!({ "share": share })).await
    }

    /// Gives these shares, of which the last one opens.
    async fn unseal(&self, shares: &[String]) {
        for (at, share) in shares.iter().enumerate() {
            let answer = self.give(share).await;
            assert_eq!(
                (answer.status, answer.json()["open"].as_bool()),
                (200, Some(at + 1 == shares.len())),
                "{answer:?}"
            );
        }
    }

    /// Begins the store and logs its owner in.
    async fn begin(&self, threshold: u16, shares: u16) -> (Vec<String>, String) {
        let (nonce, shares) = self.init(threshold, shares).await;
        let mut login = Value::Null;
        for share in &shares[..threshold.into()] {
            let body = json!({ "share": share, "nonce": nonce });
            login = self.wire.call("", "POST", "/api/v1/operator:unseal", &body).await.json()["login"].take();
        }
        let session = self.wire.call("", "POST", "/api/v1/sessions:login", &json!({ "token": login })).await;
        (shares, session.json()["token"].as_str().unwrap_or_else(|| panic!("{session:?}")).to_owned())
    }

    async fn state(&self) -> String {
        self.get("/api/v1/status").await.json()["seal"].as_str().unwrap().to_owned()
    }

    async fn sealed(&self) {
        for _ in 0..2000 {
            let status = self.get("/api/v1/status").await.json();
            if status["seal"] == "sealed" && status["shares"].is_object() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never sealed");
    }
}

fn handed(body: &Value) -> Vec<String> {
    let all = body["shares"].as_array().unwrap();
    all.iter().map(|share| share["share"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_02_a_store_in_shares_opens_with_its_threshold_and_serves_nothing_before() {
    let top = tempfile::tempdir().unwrap();
    let post = Post::start(top.path(), SHARES).await;
    assert_eq!(post.state().await, "uninitialised");
    let (shares, owner) = post.begin(3, 5).await;
    let put = post.wire.call(&owner, "PUT", "/api/v1/secrets/a", &json!({ "value": "v" })).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(post.give(&shares[0]).await.code(), "seal.open");
    post.stop().await;
    assert!(!top.path().join("seal.key").exists(), "no key stands in a file");

    let post = Post::start(top.path(), SHARES).await;
    assert_eq!((post.state().await.as_str(), post.get("/healthz").await.status), ("sealed", 200));
    assert_eq!(post.get("/readyz").await.status, 503);
    for (verb, target, body) in [
        ("GET", "/api/v1/secrets/a", Value::Null),
        ("GET", "/api/v1/secrets", Value::Null),
        ("PUT", "/api/v1/secrets/a", json!({ "value": "w" })),
        ("POST", "/api/v1/sessions:login", json!({ "token": "aum_login_x" })),
        ("GET", "/api/v1/nothing", Value::Null),
        ("DELETE", "/api/v1/status", Value::Null),
    ] {
        let answer = post.wire.call(&owner, verb, target, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "seal.sealed"), "{verb} {target}");
        assert_eq!(answer.json()["class"], "sealed");
        assert!(answer.headers.contains_key("retry-after"));
    }
    for share in &shares[3..] {
        let answer = post.give(share).await.json();
        assert_eq!((answer["open"].as_bool(), answer["shares"]["threshold"].as_u64()), (Some(false), Some(3)));
        assert_eq!(post.wire.call(&owner, "GET", "/api/v1/secrets/a", &Value::Null).await.code(), "seal.sealed");
    }
    assert_eq!(post.get("/api/v1/status").await.json()["shares"]["given"], 2);
    post.unseal(&shares[1..2]).await;
    let got = post.wire.call(&owner, "GET", "/api/v1/secrets/a", &Value::Null).await;
    assert_eq!(got.json()["value"], "v", "{got:?}");
    assert_eq!((post.state().await.as_str(), post.get("/readyz").await.status), ("open", 200));
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_01_junk_twice_given_foreign_and_handed_out_again_are_refused_by_name_and_cost_nothing() {
    let top = tempfile::tempdir().unwrap();
    let post = Post::start(top.path(), SHARES).await;
    assert_eq!(post.give("aum_share_x").await.code(), "seal.sealed", "nothing to unseal yet");
    let (_, first) = post.init(2, 3).await;
    let (_, shares) = post.init(2, 3).await;
    post.clock.by(Duration::from_secs(60));
    let set = post.get("/api/v1/status").await.json()["shares"]["set"].as_str().unwrap().to_owned();
    assert_eq!(post.give(&shares[0]).await.status, 200);
    let mut bent = shares[1].clone();
    bent.replace_range(30..31, if bent.get(30..31) == Some("A") { "B" } else { "A" });
    for (share, part) in
        [("junk", "no share"), (&bent, "no share"), (&shares[0], "share 1 of set"), (&first[1], "share 2 is of set")]
    {
        let answer = post.give(share).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "seal.share"));
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(part) && (part == "no share" || detail.contains(&set)), "{detail}");
        assert!(!detail.contains(share), "{detail}");
    }
    assert_eq!(post.get("/api/v1/status").await.json()["shares"]["given"], 1);
    post.clock.by(Duration::from_secs(60));
    post.unseal(&shares[2..]).await;
    assert_eq!(post.init_refused(2, 3).await, "seal.initialised");
    post.stop().await;
}

impl Post {
    async fn init_refused(&self, threshold: u64, shares: u64) -> String {
        let body = json!({ "threshold": threshold, "shares": shares });
        self.wire.call("", "POST", "/api/v1/operator:init", &body).await.code()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_13_a_share_for_an_age_key_leaves_the_server_only_as_a_file_that_this_key_opens() {
    use base64::Engine;
    use crypto::age::{Identity, open};
    let top = tempfile::tempdir().unwrap();
    let post = Post::start(top.path(), SHARES).await;
    let holder = |fill: u8| Identity::from_secret(crypto::SecretBytes::from_slice(&[fill; 32])).unwrap();
    let holders = [holder(1), holder(2)];
    let names: Vec<String> = holders.iter().map(|holder| holder.recipient().to_string()).collect();
    for bad in [&names[..1], &["age1nobody".to_owned(), names[0].clone()]] {
        let body = json!({ "shares": 2, "threshold": 2, "recipients": bad });
        let refused = post.wire.call("", "POST", "/api/v1/operator:init", &body).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "request.invalid"));
    }
    let body = json!({ "shares": 2, "threshold": 2, "recipients": names });
    let answer = post.wire.call("", "POST", "/api/v1/operator:init", &body).await;
    assert!(!String::from_utf8_lossy(&answer.body).contains("aum_share_"));
    let sealed = handed(&answer.json());
    let mut shares = Vec::new();
    for (text, holder) in sealed.iter().zip(&holders) {
        let inner: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let file = base64::engine::general_purpose::STANDARD.decode(inner).unwrap();
        let share = open(holder, &file).unwrap();
        shares.push(String::from_utf8(share.expose().to_vec()).unwrap());
        let others = holders.iter().filter(|other| other.recipient() != holder.recipient());
        assert!(others.into_iter().all(|other| open(other, &file).is_err()));
    }
    post.unseal(&shares).await;
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_03_a_threshold_that_cannot_be_is_refused_and_nothing_begins() {
    let top = tempfile::tempdir().unwrap();
    let post = Post::start(top.path(), SHARES).await;
    for (threshold, shares) in [(0, 0), (0, 5), (1, 1), (1, 5), (6, 5), (2, 1), (2, 256), (256, 256)] {
        assert_eq!(post.init_refused(threshold, shares).await, "seal.shares_invalid", "{threshold} of {shares}");
        post.clock.by(Duration::from_secs(2));
    }
    assert_eq!(post.init_refused(2, 65_536).await, "request.invalid");
    assert_eq!(post.state().await, "uninitialised");
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_08_a_flood_of_junk_is_held_back_and_honest_operators_still_succeed() {
    let top = tempfile::tempdir().unwrap();
    let post = Post::start(top.path(), SHARES).await;
    let (_, shares) = post.init(2, 3).await;
    let flood = |source: &'static str| {
        let wire = post.wire.clone();
        let headers = vec![format!("x-forwarded-for: {source}"), "content-type: application/json".to_owned()];
        async move { wire.send("POST", "/api/v1/operator:unseal", &headers, b"{\"share\":\"junk\"}").await.status }
    };
    let mut limited = 0;
    for _ in 0..40 {
        limited += u32::from(flood("203.0.113.9").await == 429);
    }
    assert!(limited >= 20, "{limited}");
    assert_eq!(post.give(&shares[0]).await.status, 200);
    // What nobody goes on with is forgotten.
    post.clock.by(Duration::from_secs(601));
    assert_eq!(post.get("/api/v1/status").await.json()["shares"]["given"], 0);
    post.unseal(&shares[..2]).await;
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_09_sealed_among_a_thousand_requests_each_ends_whole_or_is_refused_and_then_nothing_is_served() {
    let top = tempfile::tempdir().unwrap();
    let post = Post::start(top.path(), SHARES).await;
    let (shares, owner) = post.begin(2, 3).await;
    assert_eq!(post.wire.call(&owner, "PUT", "/api/v1/secrets/a", &json!({ "value": "v" })).await.status, 200);
    let key = masked_key(&shares[..2]);
    assert!(in_memory(&key), "a search that finds nothing proves nothing");
    let answered = Arc::new(AtomicU32::new(0));
    let mut clients = Vec::new();
    for client in 0..20 {
        let (wire, owner, answered) = (post.wire.clone(), owner.clone(), Arc::clone(&answered));
        clients.push(tokio::spawn(async move {
            let mut stream = wire.connect().await;
            let (mut whole, mut refused) = (0, 0);
            for n in 0..50 {
                let auth = [format!("authorization: Bearer {owner}"), "content-type: application/json".to_owned()];
                let sent = match n % 5 {
                    0 => request("PUT", &format!("/api/v1/secrets/w/{client}"), &auth, b"{\"value\":\"x\"}"),
                    _ => request("GET", "/api/v1/secrets/a", &auth[..1], b""),
                };
                if stream.write_all(&sent).await.is_err() {
                    stream = wire.connect().await;
                    stream.write_all(&sent).await.unwrap();
                }
                let answer = read_answer(&mut stream).await;
                answered.fetch_add(1, Ordering::Relaxed);
                match answer.status {
                    200 => whole += 1,
                    _ => {
                        assert_eq!((answer.status, answer.code().as_str()), (503, "seal.sealed"));
                        refused += 1;
                        // The door ends such a connection.
                        stream = wire.connect().await;
                    }
                }
                assert!(refused == 0 || answer.status == 503, "served after a refusal");
            }
            (whole, refused)
        }));
    }
    while answered.load(Ordering::Relaxed) < 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let sealed = post.wire.call(&owner, "POST", "/api/v1/operator:seal", &Value::Null).await;
    assert_eq!((sealed.status, sealed.json()["shares"]["threshold"].as_u64()), (200, Some(2)), "{sealed:?}");
    assert_eq!(post.wire.call(&owner, "GET", "/api/v1/secrets/a", &Value::Null).await.code(), "seal.sealed");
    let (mut whole, mut refused) = (0, 0);
    for client in clients {
        let (one, other) = client.await.unwrap();
        whole += one;
        refused += other;
    }
    assert_eq!(whole + refused, 1000);
    assert!(whole > 0 && refused > 0, "{whole} {refused}");
    post.sealed().await;
    assert!(!in_memory(&key), "the seal's key is still in memory");
    post.wire.call(&owner, "GET", "/api/v1/secrets/a-path-that-is-nobodys-business", &Value::Null).await;
    post.unseal(&shares[1..]).await;
    let got = post.wire.call(&owner, "GET", "/api/v1/secrets/a", &Value::Null).await;
    assert_eq!(got.json()["value"], "v");
    post.stop().await;
    // What a sealed server was asked for stands in the same log, in clear and without names.
    let segments =
        std::fs::read_dir(top.path().join("data/access/00000000")).unwrap().map(|entry| entry.unwrap().path());
    let rows: Vec<u8> = segments.filter_map(|path| std::fs::read(path).ok()).flatten().collect();
    let holds = |text: &str| rows.windows(text.len()).any(|window| window == text.as_bytes());
    for text in ["GET /api/v1/secrets/{path}", "seal.sealed", "operator.unseal"] {
        assert!(holds(text), "{text} in {} bytes", rows.len());
    }
    assert!(!holds("nobodys-business") && !holds("aum_"));
    let findings = server::offline::verify(&Site::folder(&top.path().join("data")), None, None).await.unwrap();
    assert_eq!(findings.bad, Vec::<String>::new());
}

const MASK: u8 = 0x5A;

/// The key that two shares make, with a mask over it so that this copy is not found.
fn masked_key(shares: &[String]) -> Vec<u8> {
    use base64::Engine;
    let data = |text: &String| {
        let body = text.get("aum_share_".len()..text.len() - 7).unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).unwrap();
        (bytes[9], bytes[12..].to_vec())
    };
    fn times(mut a: u8, mut b: u8) -> u8 {
        let mut product = 0;
        while b > 0 {
            product ^= if b & 1 == 1 { a } else { 0 };
            a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1b };
            b >>= 1;
        }
        product
    }
    let ((one, first), (two, second)) = (data(&shares[0]), data(&shares[1]));
    // f(0) = (two f(one) + one f(two)) / (one + two)
    let by = (1..=255).find(|inverse| times(*inverse, one ^ two) == 1).unwrap();
    let at_zero = |(a, b): (&u8, &u8)| times(by, times(two, *a) ^ times(one, *b)) ^ MASK;
    first.iter().zip(&second).map(at_zero).collect()
}

/// Whether what is under the mask is anywhere in this process, which is the server's too.
fn in_memory(masked: &[u8]) -> bool {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = std::fs::File::open("/proc/self/mem").unwrap();
    let first = masked[0] ^ MASK;
    let mut page = vec![0; 1 << 20];
    let mut found = false;
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, rest) = line.split_once('-').unwrap();
        let (mut at, to) =
            (u64::from_str_radix(from, 16).unwrap(), u64::from_str_radix(rest.split(' ').next().unwrap(), 16).unwrap());
        while at < to {
            let wanted = page.len().min(usize::try_from(to - at).unwrap());
            let Ok(read @ 33..) = memory.read_at(&mut page[..wanted], at) else { break };
            let bytes = &page[..read];
            let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == first).map(|(start, _)| start);
            found |= starts.into_iter().any(|start| {
                bytes.get(start..start + 32).is_some_and(|run| run.iter().zip(masked).all(|(a, b)| a ^ b == MASK))
            });
            at += if read == wanted && at + (wanted as u64) < to { wanted as u64 - 32 } else { read as u64 };
        }
        // What was found is not to be found here again.
        page.fill(0);
    }
    found
}

struct Ceremony<'a> {
    post: &'a Post,
    owner: &'a str,
}

impl Ceremony<'_> {
    async fn ask(&self, verb: &str, body: Value) -> Answer {
        self.post.wire.call(self.owner, "POST", &format!("/api/v1/operator:{verb}"), &body).await
    }

    async fn give(&self, nonce: &str, share: &str) -> Value {
        let answer = self.ask("give", json!({ "nonce": nonce, "share": share })).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_06_after_a_rekey_shares_of_the_set_before_are_refused_by_its_name() {
    let top = tempfile::tempdir().unwrap();
    let post = Post::start(top.path(), SHARES).await;
    let (old, owner) = post.begin(2, 3).await;
    let ceremony = Ceremony { post: &post, owner: &owner };
    post.wire.call(&owner, "PUT", "/api/v1/secrets/a", &json!({ "value": "v" })).await;
    let began = ceremony.ask("rekey", json!({ "split": { "shares": 4, "threshold": 3 } })).await.json();
    assert_eq!(began["phase"], "current");
    let old_set = began["wanted"]["set"].as_str().unwrap().to_owned();
    let nonce = began["nonce"].as_str().unwrap();
    assert_eq!(ceremony.give(nonce, &old[2]).await["wanted"]["given"], 1);
    let fresh = ceremony.give(nonce, &old[0]).await;
    assert_eq!((fresh["phase"].as_str(), fresh["wanted"]["given"].as_u64()), (Some("fresh"), Some(0)));
    let new = handed(&fresh["handed_out"]);
    // A share of the set in force is no proof that the new ones arrived.
    let refused = ceremony.ask("give", json!({ "nonce": nonce, "share": old[1] })).await;
    assert_eq!(refused.code(), "seal.share");
    assert_eq!(ceremony.give(nonce, &new[3]).await["phase"], "fresh");
    assert_eq!(ceremony.give(nonce, &new[1]).await["phase"], "fresh");
    assert_eq!(ceremony.give(nonce, &new[0]).await["phase"], "done");

    for round in 0..2 {
        post.clock.by(Duration::from_secs(30));
        ceremony.ask("seal", Value::Null).await;
        post.sealed().await;
        let stale = post.give(&old[0]).await;
        let detail = stale.json()["detail"].as_str().unwrap().to_owned();
        assert!(stale.code() == "seal.share" && detail.contains(&old_set) && detail.contains("replaced"), "{detail}");
        post.unseal(&new[1..]).await;
        let got = post.wire.call(&owner, "GET", "/api/v1/secrets/a", &Value::Null).await;
        assert_eq!(got.json()["value"], "v", "{round}");
    }
    post.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_07_nobody_goes_on_with_a_rekey_restarts_or_cancels_it_without_right_and_nonce() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let stranger = house.principal("stranger", &["secret.read"]).await;
    let other = house.principal("other", &["seal.admin"]).await;
    let split = json!({ "split": { "shares": 3, "threshold": 2 } });
    let ask = async |token: &str, verb: &str, body: Value| {
        house.call(token, "POST", &format!("/api/v1/operator:{verb}"), &body).await
    };
    let began = ask(&other, "rekey", split.clone()).await.json();
    let nonce = began["nonce"].as_str().unwrap().to_owned();
    let shares = handed(&began["handed_out"]);
    for (token, status) in [("", 401), (stranger.as_str(), 403)] {
        assert_eq!(ask(token, "rekey", split.clone()).await.status, status);
        assert_eq!(ask(token, "give", json!({ "nonce": nonce, "share": shares[0] })).await.status, status);
        assert_eq!(ask(token, "cancel", json!({ "nonce": nonce })).await.status, status);
        assert_eq!(ask(token, "seal", Value::Null).await.status, status);
    }
    let seen = house.owner("GET", "/api/v1/ceremonies", Value::Null).await.json();
    assert_eq!((&seen["items"][0]["phase"], &seen["items"][0]["wanted"]["threshold"]), (&json!("fresh"), &json!(2)));
    assert!(!seen.to_string().contains(&nonce), "who sees it does not go on with it");
    // With the right and without the nonce.
    assert_eq!(ask(&house.owner, "rekey", split.clone()).await.code(), "seal.ceremony");
    for body in [json!({ "share": shares[0] }), json!({ "share": shares[0], "nonce": "0".repeat(32) })] {
        assert_eq!(ask(&house.owner, "give", body).await.code(), "seal.ceremony");
    }
    assert_eq!(ask(&house.owner, "cancel", json!({ "nonce": "x" })).await.code(), "seal.ceremony");
    // Who began it may begin it anew, as after a lost answer; the nonce of before is worth nothing then.
    let again = ask(&other, "rekey", split.clone()).await.json();
    assert_eq!(ask(&other, "cancel", json!({ "nonce": nonce })).await.code(), "seal.ceremony");
    let nonce = again["nonce"].as_str().unwrap();
    assert_eq!(ask(&other, "give", json!({ "share": shares[0], "nonce": nonce })).await.code(), "seal.share");
    assert_eq!(ask(&house.owner, "cancel", json!({ "nonce": nonce })).await.status, 200);
    assert_eq!(house.owner("GET", "/api/v1/ceremonies", Value::Null).await.json(), json!({ "items": [] }));
    assert_eq!(ask(&house.owner, "rekey", split).await.status, 200);
    house.stop().await;
    start(top.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_with_a_key_file_goes_over_to_shares_and_back() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    house.owner("PUT", "/api/v1/secrets/a", json!({ "value": "v" })).await;
    assert_eq!(house.owner("POST", "/api/v1/operator:seal", Value::Null).await.code(), "seal.kind");
    let began =
        house.owner("POST", "/api/v1/operator:rekey", json!({ "split": { "shares": 3, "threshold": 2 } })).await;
    let nonce = began.json()["nonce"].as_str().unwrap().to_owned();
    let shares = handed(&began.json()["handed_out"]);
    for share in &shares[..2] {
        let body = json!({ "nonce": nonce, "share": share });
        assert_eq!(house.owner("POST", "/api/v1/operator:give", body).await.status, 200);
    }
    assert_eq!(house.owner("POST", "/api/v1/seal:rekey", Value::Null).await.code(), "seal.kind");
    let (owner, key) = (house.owner.clone(), house.places.seal.clone());
    house.stop().await;

    // The key file of before is still there, and the configuration says what it said.
    let post = Post::start(top.path(), "").await;
    assert!(key.exists() && post.inside.is_none());
    assert_eq!(post.state().await, "sealed");
    post.unseal(&shares[1..]).await;
    let ceremony = Ceremony { post: &post, owner: &owner };
    let to_file = json!({ "to": "key_file" });
    let nonce = ceremony.ask("rekey", to_file.clone()).await.json()["nonce"].as_str().unwrap().to_owned();
    ceremony.give(&nonce, &shares[0]).await;
    let refused = ceremony.ask("give", json!({ "nonce": nonce, "share": shares[1] })).await;
    assert_eq!(refused.code(), "seal.kind", "the old file is not written over: {refused:?}");
    std::fs::remove_file(&key).unwrap();
    let nonce = ceremony.ask("rekey", to_file).await.json()["nonce"].as_str().unwrap().to_owned();
    ceremony.give(&nonce, &shares[0]).await;
    assert_eq!(ceremony.give(&nonce, &shares[1]).await["phase"], "done");
    post.stop().await;
    let house = start(top.path()).await;
    assert_eq!(house.owner("GET", "/api/v1/secrets/a", Value::Null).await.json()["value"], "v");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seal_12_a_lost_key_file_comes_back_with_recovery_shares_and_the_data_folder_and_with_neither_alone() {
    use crypto::SecretText;
    use server::offline::{Lost, recover_key_file};
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    house.owner("PUT", "/api/v1/secrets/a", json!({ "value": "v" })).await;
    let (key, data) = (house.places.seal.clone(), house.places.data.clone());
    let ask = async |verb: &str, body: Value| house.owner("POST", &format!("/api/v1/operator:{verb}"), body).await;
    let recovery = json!({ "to": "recovery", "split": { "shares": 3, "threshold": 2 } });
    let mut sets = Vec::new();
    for _ in 0..2 {
        let began = ask("rekey", recovery.clone()).await.json();
        let shares = handed(&began["handed_out"]);
        for share in &shares[1..] {
            let answer = ask("give", json!({ "nonce": began["nonce"], "share": share })).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        sets.push(shares);
    }
    // Both leave the way back as it is.
    assert_eq!(house.owner("POST", "/api/v1/seal:rekey", Value::Null).await.status, 200);
    assert_eq!(house.owner("POST", "/api/v1/keys:rotate", json!({ "scope": "root" })).await.status, 200);
    house.stop().await;
    start(top.path()).await.stop().await;

    let given = |shares: &[String]| shares.iter().map(|text| SecretText::new(text.clone())).collect::<Vec<_>>();
    let back =
        async |shares: &[String]| recover_key_file(Lost::Store(&Site::folder(&data)), &key, &given(shares)).await;
    assert!(back(&sets[1][..2]).await.is_err(), "never over a file that is there");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let refused = |outcome: Result<u8, server::offline::OfflineError>| outcome.unwrap_err().to_string();
    assert!(refused(back(&sets[1][..1]).await).contains("1 of 2"));
    assert!(refused(back(&sets[0][..2]).await).contains("was replaced"), "shares of the set before");
    assert!(!key.exists());
    assert_eq!(back(&sets[1][..2]).await.unwrap(), 2);
    assert_eq!(std::fs::read(&key).unwrap(), kept);
    let house = start(top.path()).await;
    assert_eq!(house.owner("GET", "/api/v1/secrets/a", Value::Null).await.json()["value"], "v");
    house.stop().await;

    let other = tempfile::tempdir().unwrap();
    let foreign = start(other.path()).await;
    let elsewhere = foreign.places.data.clone();
    foreign.stop().await;
    let nowhere = top.path().join("nowhere");
    let outcome = recover_key_file(Lost::Store(&Site::folder(&elsewhere)), &nowhere, &given(&sets[1])).await;
    assert!(refused(outcome).contains("no recovery shares") && !nowhere.exists());
}
