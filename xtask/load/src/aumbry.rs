//! Aumbry as a running process: started as a user would, filled through its API.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::drive::{self, Shape};
use crate::link::{self, Peer, ask};
use crate::machine::{self, Core, Owned};
use crate::{Fail, Plan};

/// Bytes of a secret's value.
const VALUE_BYTES: usize = 1024;
/// How long a start may take before the run gives up.
const START_LIMIT: Duration = Duration::from_secs(120);

/// A running server with an owner's session.
#[derive(Debug)]
pub(crate) struct Aumbry {
    process: Owned,
    pub(crate) peer: Peer,
    owner: String,
    /// From the start of the process to the first `ready`.
    pub(crate) ready_after: Duration,
}

impl Aumbry {
    /// `aumbry serve --dev` on a data folder, waiting until it says it is ready.
    pub(crate) fn start(plan: &Plan, data: &str, core: Option<Core>) -> Result<Self, Fail> {
        Self::start_with(plan, data, core, &[])
    }

    /// The same with keys of the configuration.
    pub(crate) fn start_with(plan: &Plan, data: &str, core: Option<Core>, keys: &[&str]) -> Result<Self, Fail> {
        let log = File::create(plan.folder.join(format!("{data}.log")))?;
        let mut command = Command::new(plan.binaries.join("aumbry"));
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(Self::folder(plan, data));
        command.args(keys.iter().flat_map(|key| ["--set", key]));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let began = Instant::now();
        let mut process = Owned(machine::start(command, core)?);
        let out = process.0.stdout.take().ok_or("the server has no standard output")?;
        let told = told(BufReader::new(out))?;
        let get = |name: &str| told.get(name).ok_or_else(|| format!("the server did not print `{name}`"));
        let address: SocketAddr = get("AUMBRY_ADDR")?.trim_start_matches("https://").trim_end_matches('/').parse()?;
        let peer = Peer::new(address, &PathBuf::from(get("AUMBRY_CACERT")?))?;
        let mut server = Self { process, peer, owner: get("AUMBRY_TOKEN")?.clone(), ready_after: Duration::ZERO };
        server.wait_ready(began)?;
        Ok(server)
    }

    fn wait_ready(&mut self, began: Instant) -> Result<(), Fail> {
        while began.elapsed() < START_LIMIT {
            if self.get("/readyz").is_ok_and(|(status, _)| status == 200) {
                self.ready_after = began.elapsed();
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Err("the server was not ready in time".into())
    }

    pub(crate) fn folder(plan: &Plan, data: &str) -> PathBuf {
        plan.folder.join(data)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// The owner's session token.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    pub(crate) fn kill(mut self) -> Result<(), Fail> {
        self.process.kill()
    }

    pub(crate) fn stop(mut self) -> Result<(), Fail> {
        self.process.stop()
    }

    fn get(&self, route: &str) -> Result<(u16, Vec<u8>), Fail> {
        ask(&self.peer, request("GET", route, &self.owner, None).as_bytes())
    }

    /// One call as the owner; an answer outside 2xx is an error.
    fn call(&self, method: &str, route: &str, body: &Value) -> Result<Value, Fail> {
        // What mints something wants a key of its own; the route is one, since each is called once.
        let headers =
            [("Authorization", format!("Bearer {}", self.owner)), ("Idempotency-Key", format!("{method} {route}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let (status, body) =
            ask(&self.peer, link::request(method, route, &headers, Some(&body.to_string())).as_bytes())?;
        if !(200..300).contains(&status) {
            return Err(format!("{method} {route}: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// One call as the owner without a body, each a request of its own.
    pub(crate) fn once(&self, method: &str, route: &str) -> Result<Value, Fail> {
        let (status, body) = ask(&self.peer, request(method, route, &self.owner, None).as_bytes())?;
        if !(200..300).contains(&status) {
            return Err(format!("{method} {route}: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// The first sample on the metrics page whose name begins so.
    pub(crate) fn metric(&self, name: &str) -> Result<f64, Fail> {
        let (_, page) = self.get("/metrics")?;
        let page = String::from_utf8_lossy(&page).into_owned();
        let line = page.lines().find(|l| l.starts_with(name));
        let value = line.and_then(|l| l.rsplit(' ').next()).ok_or_else(|| format!("no metric `{name}`"))?;
        Ok(value.parse()?)
    }

    /// An ordinary principal under ten candidate policies, one of them context-dependent; gives its session token.
    pub(crate) fn ordinary_token(&self) -> Result<String, Fail> {
        let principal = self.call("PUT", "/api/v1/principals/bench", &json!({ "roles": ["bench"] }))?;
        let entity = principal["principal"]["entity"].as_str().ok_or("the principal has no entity")?;
        for (name, text) in policies(entity) {
            self.call("PUT", &format!("/api/v1/policies/{name}"), &json!({ "text": text }))?;
        }
        let issued = self.call("POST", "/api/v1/sessions", &json!({ "principal": "bench", "ttl": "12h" }))?;
        Ok(issued["token"].as_str().ok_or("no session token")?.to_owned())
    }

    /// Writes secrets 0 to `count` once, over many connections.
    pub(crate) fn fill(&self, token: &str, count: u64) -> Result<Duration, Fail> {
        let (token, value) = (token.to_owned(), "v".repeat(VALUE_BYTES));
        let make = Arc::new(move |number: u64, out: &mut Vec<u8>| put(&token, number, &value, out));
        drive::each(&self.peer, count, 256, &(make as drive::Each))
    }

    /// Bytes of the body that answers a read.
    pub(crate) fn read_bytes(&self, token: &str) -> Result<usize, Fail> {
        let (status, body) = ask(&self.peer, request("GET", &route(0), token, None).as_bytes())?;
        if status != 200 {
            return Err(format!("the first read: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(body.len())
    }
}

/// Ten policies that all apply to a read of a secret of the benchmark by that principal.
fn policies(entity: &str) -> Vec<(String, String)> {
    let scope = r#"resource in Path::"bench""#;
    let mut texts = vec![
        format!(r#"permit (principal == Principal::"{entity}", action == Action::"secret.read", {scope});"#),
        format!(
            r#"permit (principal == Principal::"{entity}", action in [Action::"secret.read", Action::"secret.write"], {scope});"#
        ),
    ];
    for digit in 0..5 {
        texts.push(format!(
            r#"permit (principal in Role::"bench", action == Action::"secret.read", {scope}) when {{ resource.path like "bench/*{digit}" }};"#
        ));
    }
    for other in ["audit", "batch"] {
        texts.push(format!(
            r#"forbid (principal, action == Action::"secret.read", {scope}) when {{ principal in Role::"{other}" }};"#
        ));
    }
    texts.push(format!(
        r#"forbid (principal, action == Action::"secret.read", {scope}) when {{ context.source_ip.isInRange(ip("203.0.113.0/24")) }};"#
    ));
    texts.into_iter().enumerate().map(|(n, text)| (format!("bench-{n}"), text)).collect()
}

/// Where secret `number` lives.
fn route(number: u64) -> String {
    format!("/api/v1/secrets/bench/{:03}/{number:07}", number % 1000)
}

fn put(token: &str, number: u64, value: &str, out: &mut Vec<u8>) {
    let body = format!("{{\"value\":\"{value}\"}}");
    out.extend_from_slice(request("PUT", &route(number), token, Some(&body)).as_bytes());
}

/// Reads of uniformly random secrets out of `count`.
pub(crate) fn read_shape(token: &str, count: u64) -> Shape {
    let token = token.to_owned();
    Arc::new(move |dice, out| out.extend_from_slice(request("GET", &route(dice.below(count)), &token, None).as_bytes()))
}

/// New versions of uniformly random secrets out of `count`.
pub(crate) fn write_shape(token: &str, count: u64) -> Shape {
    let (token, value) = (token.to_owned(), "w".repeat(VALUE_BYTES));
    Arc::new(move |dice, out| put(&token, dice.below(count), &value, out))
}

/// A request with a session token.
fn request(method: &str, route: &str, token: &str, body: Option<&str>) -> String {
    link::request(method, route, &[("Authorization", &format!("Bearer {token}"))], body)
}

/// The `export NAME=value` lines a development server prints; the rest of its output is read and dropped.
fn told(mut out: BufReader<impl Read + Send + 'static>) -> Result<HashMap<String, String>, Fail> {
    let mut found = HashMap::new();
    while found.len() < 3 {
        let mut line = String::new();
        if out.read_line(&mut line)? == 0 {
            return Err("the server ended before it said where it listens".into());
        }
        if let Some((name, value)) = line.trim().strip_prefix("export ").and_then(|l| l.split_once('=')) {
            found.insert(name.to_owned(), value.trim_matches(['\'', '"']).to_owned());
        }
    }
    std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    Ok(found)
}

/// Size of the server's program file, in MiB.
pub(crate) fn binary_mib(binaries: &Path) -> Result<f64, Fail> {
    Ok(std::fs::metadata(binaries.join("aumbry"))?.len() as f64 / 1_048_576.0)
}
