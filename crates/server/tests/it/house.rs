//! Starts servers in temporary folders and speaks HTTPS with them, byte for byte.

use app::App;
use crypto::seam::{Clock, SystemEntropy, WallMs};
use ledger::Ledger;
use ledger::access_log::{AccessLog, Sink};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use server::clock::SystemClock;
use server::config::{Config, Environment, load};
use server::{Built, Ended, Places, Seams, build};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The system's clock, moved ahead by tests.
#[derive(Debug)]
pub(crate) struct Ahead {
    clock: SystemClock,
    ahead_ms: AtomicU64,
}

impl Ahead {
    pub(crate) fn new() -> Arc<Ahead> {
        Arc::new(Ahead { clock: SystemClock::new(), ahead_ms: AtomicU64::new(0) })
    }

    pub(crate) fn by(&self, span: Duration) {
        self.ahead_ms.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn wall(&self) -> WallMs {
        WallMs(self.clock.wall().0 + self.ahead_ms.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic() + Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

/// A running server.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    pub(crate) log: AccessLog,
    pub(crate) ledger: Ledger,
    pub(crate) places: Places,
    pub(crate) clock: Arc<Ahead>,
    pub(crate) owner: String,
    pub(crate) routes: Vec<(String, String, &'static str, bool)>,
    pub(crate) authority: PathBuf,
    pub(crate) wire: Wire,
    stop: watch::Sender<bool>,
    running: tokio::task::JoinHandle<Ended>,
}

/// The way to a server.
#[derive(Clone)]
pub(crate) struct Wire {
    address: SocketAddr,
    connector: TlsConnector,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or("ok").to_owned()
    }
}

/// The configuration of a folder: everything in it, a free port.
pub(crate) fn configuration(folder: &Path, extra: &str) -> (Config, Places) {
    let file = folder.join("aumbry.toml");
    let text = format!(
        "[server]\ndata_dir = \"{0}/data\"\n[seal]\nfile = \"{0}/seal.key\"\n[doors.rest]\nlisten = \"127.0.0.1:0\"\n{extra}",
        folder.display()
    );
    std::fs::write(&file, text).unwrap();
    let variables = BTreeMap::from([("XDG_CONFIG_HOME".to_owned(), folder.join("config").display().to_string())]);
    let environment = Environment { variables, folder: folder.to_owned() };
    let loaded = load(Some(&file), &environment, |_| {}).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    let places = Places::of(&loaded.config, &environment, false);
    (loaded.config, places)
}

pub(crate) async fn start(folder: &Path) -> House {
    start_with(folder, "").await
}

pub(crate) async fn start_with(folder: &Path, extra: &str) -> House {
    start_late(folder, extra, Duration::ZERO, |_, _| None).await
}

/// Starts when this much time has passed, with these sinks in place of the configured ones.
pub(crate) async fn start_late(
    folder: &Path,
    extra: &str,
    late: Duration,
    sinks: impl FnOnce(&Places, &Arc<dyn Clock>) -> Option<Vec<Arc<dyn Sink>>>,
) -> House {
    let (config, places) = configuration(folder, extra);
    let clock = Ahead::new();
    clock.by(late);
    let mut seams = Seams::of(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemEntropy::new()));
    seams.sinks = sinks(&places, &seams.clock);
    let built = build(&config, &places, seams).await.unwrap_or_else(|error| panic!("{error}"));
    run(built, places, clock).await
}

/// Starts with one trusted network.
pub(crate) async fn start_trusting(folder: &Path, network: &str) -> House {
    let (mut config, places) = configuration(folder, "");
    config.server.trusted_proxies.0.push(network.parse().unwrap());
    let clock = Ahead::new();
    let seams = Seams::of(Arc::clone(&clock) as Arc<dyn Clock>, Arc::new(SystemEntropy::new()));
    run(build(&config, &places, seams).await.unwrap(), places, clock).await
}

async fn run(built: Built, places: Places, clock: Arc<Ahead>) -> House {
    let server::Inside { app, ledger, log } = built.inside().unwrap();
    let address = built.address;
    let routes = built.routes().iter();
    let routes = routes.map(|r| (r.verb.to_string(), r.template.to_owned(), r.act, r.open)).collect();
    let authority = built.identity.files().authority.clone().unwrap();
    app::bootstrap::owner_login(&app, false).await.unwrap();
    let owner = app::bootstrap::dev_session(&app, Duration::from_secs(3600)).await.unwrap();
    let wire = Wire::to(&built);
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(built.run(stopped));
    let owner = owner.token.expose().to_owned();
    House { address, app, log, ledger, places, clock, owner, routes, authority, wire, stop, running }
}

impl House {
    pub(crate) async fn stop(self) -> Ended {
        self.stop.send_replace(true);
        let House { app, log, ledger, running, .. } = self;
        drop((app, log, ledger));
        running.await.unwrap()
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        self.wire.connect().await
    }

    /// Sends these bytes and reads one answer.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        self.wire.raw(request).await
    }

    /// One request of its own connection; `headers` are whole lines.
    pub(crate) async fn send(&self, verb: &str, target: &str, headers: &[String], body: &[u8]) -> Answer {
        self.wire.send(verb, target, headers, body).await
    }

    /// A JSON request, or one without a body when `body` is null, with an idempotency key of its own.
    pub(crate) async fn call(&self, token: &str, verb: &str, target: &str, body: &Value) -> Answer {
        self.wire.call(token, verb, target, body).await
    }

    pub(crate) async fn owner(&self, verb: &str, target: &str, body: Value) -> Answer {
        self.call(&self.owner, verb, target, &body).await
    }

    /// A session of a principal with these actions permitted on everything.
    pub(crate) async fn principal(&self, name: &str, actions: &[&str]) -> String {
        let permits: String = actions
            .iter()
            .map(|a| format!("permit (principal in Role::\"{name}\", action == Action::\"{a}\", resource);\n"))
            .collect();
        if !permits.is_empty() {
            let target = format!("/api/v1/policies/{name}");
            let put = self.owner("PUT", &target, serde_json::json!({ "text": permits })).await;
            assert_eq!(put.status, 200, "{put:?}");
        }
        let body = serde_json::json!({ "roles": [name] });
        assert_eq!(self.owner("PUT", &format!("/api/v1/principals/{name}"), body).await.status, 200);
        let issued = self.owner("POST", "/api/v1/sessions", serde_json::json!({ "principal": name })).await;
        issued.json()["token"].as_str().unwrap_or_else(|| panic!("{issued:?}")).to_owned()
    }
}

impl Wire {
    pub(crate) fn to(built: &Built) -> Wire {
        let mut roots = RootCertStore::empty();
        let authority = built.identity.files().authority.clone().unwrap();
        roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Wire { address: built.address, connector: TlsConnector::from(Arc::new(config)) }
    }

    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    /// Sends these bytes and reads one answer.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read_answer(&mut stream).await
    }

    /// One request of its own connection; `headers` are whole lines.
    pub(crate) async fn send(&self, verb: &str, target: &str, headers: &[String], body: &[u8]) -> Answer {
        self.raw(&request(verb, target, headers, body)).await
    }

    /// A JSON request, or one without a body when `body` is null, with an idempotency key of its own.
    pub(crate) async fn call(&self, token: &str, verb: &str, target: &str, body: &Value) -> Answer {
        let mut headers = vec![format!("idempotency-key: {}", fresh())];
        if !token.is_empty() {
            headers.push(format!("authorization: Bearer {token}"));
        }
        if body.is_null() {
            return self.send(verb, target, &headers, b"").await;
        }
        let kind = if verb == "PATCH" { "merge-patch+json" } else { "json" };
        headers.push(format!("content-type: application/{kind}"));
        self.send(verb, target, &headers, body.to_string().as_bytes()).await
    }
}

/// The bytes of a request; `headers` are whole lines.
pub(crate) fn request(verb: &str, target: &str, headers: &[String], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{verb} {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n", body.len());
    for line in headers {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Text that no other call gives in this process.
pub(crate) fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("unique-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Reads one HTTP/1.1 answer with a length.
pub(crate) async fn read_answer(stream: &mut TlsStream<TcpStream>) -> Answer {
    let mut all = Vec::new();
    let reading = async {
        loop {
            if let Some(answer) = parsed(&all) {
                return answer;
            }
            let mut chunk = [0; 16 << 10];
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => panic!("closed without an answer: {}", String::from_utf8_lossy(&all)),
                Ok(count) => all.extend_from_slice(&chunk[..count]),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("no answer in time")
}

fn parsed(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: BTreeMap<String, String> = pairs.map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let body = bytes.get(end + 4..end + 4 + length)?.to_vec();
    Some(Answer { status, headers, body })
}
