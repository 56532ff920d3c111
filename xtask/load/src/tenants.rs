//! Many tenants on one server: what they take of its memory, and what they cost a neighbour.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use crate::aumbry::{self, Aumbry};
use crate::drive::{self, Load};
use crate::link::{self, Link, Peer};
use crate::machine;
use crate::report::{Bound, Report};
use crate::{Fail, Plan};

const SECRETS: u64 = 1_000;
const CONNECTIONS: usize = 64;
/// Connections that make tenants.
const MAKERS: u64 = 8;
/// After which time memory is looked at.
const REST: Duration = Duration::from_secs(3);
const MEMORY_MIB: f64 = 100.0;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Fail> {
    let core = plan.split.map(|(server, _)| server);
    let alone = Aumbry::start(plan, "alone", core)?;
    std::thread::sleep(REST);
    let empty = machine::rss_anon_mib(alone.id())?;
    let alone_token = alone.ordinary_token()?;
    alone.fill(&alone_token, SECRETS)?;

    // What as many principals, sessions and secrets take that are all of one tenant is no cost of tenants.
    let together = house(plan, report, Kind::Together, empty)?;
    together.server.stop()?;
    let crowded = house(plan, report, Kind::Apart, empty)?;
    for ((when, apart), (_, together)) in crowded.over.iter().zip(&together.over) {
        let name = format!("{} tenants, {when}: over as many principals of one tenant", plan.tenants);
        report.figure(&name, "MiB", Bound::None, &[apart - together]);
    }
    neighbours(plan, report, (&alone, &alone_token), (&crowded.server, &crowded.token))?;
    alone.stop()?;
    crowded.server.stop()
}

/// Whose the principals are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Each is the owner of a tenant of its own.
    Apart,
    /// All are of one tenant.
    Together,
}

/// A server with many principals.
struct House {
    server: Aumbry,
    /// Of somebody whose reads are measured.
    token: String,
    /// What it took of memory over an empty server, in MiB, and when.
    over: Vec<(&'static str, f64)>,
}

/// Makes a server with that many principals, each with a session and a secret, and says what they take of its memory.
fn house(plan: &Plan, report: &mut Report, kind: Kind, empty: f64) -> Result<House, Fail> {
    let core = plan.split.map(|(server, _)| server);
    let (name, what, bound) = match kind {
        Kind::Apart => ("crowded", format!("{} tenants", plan.tenants), Bound::AtMost(MEMORY_MIB)),
        Kind::Together => ("together", format!("{} principals of one tenant", plan.tenants), Bound::None),
    };
    let server = Aumbry::start(plan, name, None)?;
    let token = server.ordinary_token()?;
    server.fill(&token, SECRETS)?;
    let began = Instant::now();
    let sessions = furnish(&server, plan.tenants, kind)?;
    if kind == Kind::Apart {
        let each = began.elapsed().as_secs_f64() * 1e3 / plan.tenants as f64;
        report.figure("making a tenant, its owner and a first secret", "ms", Bound::None, &[each]);
    }
    let mut over = Vec::new();
    let mut look = |server: &Aumbry, when: &'static str| -> Result<(), Fail> {
        std::thread::sleep(REST);
        let taken = machine::rss_anon_mib(server.id())? - empty;
        report.figure(&format!("{what}, {when}: memory over an empty server"), "MiB", bound, &[taken]);
        over.push((when, taken));
        Ok(())
    };
    look(&server, "just made")?;
    server.stop()?;
    let server = Aumbry::start(plan, name, core)?;
    look(&server, "after a start")?;
    each_reads(&server, &sessions, kind)?;
    look(&server, "each has read")?;
    Ok(House { server, token, over })
}

/// Reads of a tenant's secrets where it is alone and where it has neighbours, in turn.
fn neighbours(plan: &Plan, report: &mut Report, alone: (&Aumbry, &str), crowded: (&Aumbry, &str)) -> Result<(), Fail> {
    let (mut rate, mut tail, mut cost) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let mut seen = Vec::new();
        for ((server, token), name) in [(alone, "no neighbours"), (crowded, "neighbours")] {
            let sample = drive::run(&Load {
                peer: server.peer.clone(),
                shape: aumbry::read_shape(token, SECRETS),
                connections: CONNECTIONS,
                time: plan.read_time,
                warm_up: Duration::from_secs(1),
                core: plan.split.map(|(_, generator)| generator),
                process: Some(server.id()),
                seed: 71 + round as u64,
            })?;
            report.sample(&format!("read of 1 KiB, {name}"), &sample);
            seen.push(sample);
        }
        if let [alone, crowded] = seen.as_slice() {
            rate.push(crowded.rate / alone.rate);
            tail.push(crowded.p99_us / alone.p99_us);
            cost.push(crowded.server_cpu_us / alone.server_cpu_us);
        }
    }
    report.figure("read rate with neighbours / alone", "x", Bound::AtLeast(0.9), &rate);
    report.figure("read p99 with neighbours / alone", "x", Bound::None, &tail);
    report.figure("read server CPU with neighbours / alone", "x", Bound::AtMost(1.1), &cost);
    Ok(())
}

/// Makes the principals, who log in and write a secret; gives their session tokens.
fn furnish(server: &Aumbry, count: u64, kind: Kind) -> Result<Vec<String>, Fail> {
    let owner: Arc<str> = server.owner().into();
    by_makers(&server.peer, count, move |mut link, number| {
        let owner = Arc::clone(&owner);
        async move {
            let (name, house) = (name(number), As { token: Some(&owner), tenant: None });
            let session = match kind {
                Kind::Apart => {
                    let made = call(&mut link, "POST", "/api/v1/tenants", house, &json!({ "name": name })).await?;
                    let login = json!({ "token": text(&made, "login")? });
                    let nobody = As { token: None, tenant: Some(&name) };
                    call(&mut link, "POST", "/api/v1/sessions:login", nobody, &login).await?
                }
                Kind::Together => {
                    let principal = format!("/api/v1/principals/{name}");
                    call(&mut link, "PUT", &principal, house, &json!({ "roles": ["owner"] })).await?;
                    call(&mut link, "POST", "/api/v1/sessions", house, &json!({ "principal": name })).await?
                }
            };
            let token = text(&session, "token")?.to_owned();
            let value = json!({ "value": "v".repeat(1024) });
            call(&mut link, "PUT", &secret(&name, kind), theirs(&token, &name, kind), &value).await?;
            Ok((link, token))
        }
    })
}

fn name(number: u64) -> String {
    format!("tenant-{number}")
}

fn secret(name: &str, kind: Kind) -> String {
    match kind {
        Kind::Apart => "/api/v1/secrets/db/password".to_owned(),
        Kind::Together => format!("/api/v1/secrets/{name}/password"),
    }
}

fn theirs<'a>(token: &'a str, name: &'a str, kind: Kind) -> As<'a> {
    As { token: Some(token), tenant: (kind == Kind::Apart).then_some(name) }
}

/// Each reads its secret once.
fn each_reads(server: &Aumbry, sessions: &[String], kind: Kind) -> Result<(), Fail> {
    let tokens: Arc<[String]> = sessions.into();
    let count = sessions.len() as u64;
    by_makers(&server.peer, count, move |mut link, number| {
        let tokens = Arc::clone(&tokens);
        async move {
            let (name, token) = (name(number), tokens.get(number as usize).ok_or("no such principal")?);
            call(&mut link, "GET", &secret(&name, kind), theirs(token, &name, kind), &Value::Null).await?;
            Ok((link, String::new()))
        }
    })?;
    Ok(())
}

/// Runs `act` for every number below `count` over a few connections; gives what it answered, in their order.
fn by_makers<F>(
    peer: &Peer,
    count: u64,
    act: impl Fn(Link, u64) -> F + Clone + Send + 'static,
) -> Result<Vec<String>, Fail>
where
    F: Future<Output = Result<(Link, String), Fail>> + Send + 'static,
{
    let mut made = Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut makers = JoinSet::new();
        for first in 0..MAKERS {
            let (peer, act) = (peer.clone(), act.clone());
            makers.spawn(async move {
                let (mut link, mut made) = (Link::open(&peer).await?, Vec::new());
                for number in (first..count).step_by(MAKERS as usize) {
                    let answer;
                    (link, answer) = act(link, number).await?;
                    made.push((number, answer));
                }
                Ok::<_, Fail>(made)
            });
        }
        let mut all = Vec::new();
        while let Some(done) = makers.join_next().await {
            all.extend(done??);
        }
        Ok::<_, Fail>(all)
    })?;
    made.sort_unstable();
    Ok(made.into_iter().map(|(_, answer)| answer).collect())
}

/// Who asks, and in which tenant.
#[derive(Clone, Copy)]
struct As<'a> {
    token: Option<&'a str>,
    tenant: Option<&'a str>,
}

/// One call with a key of its own; an answer outside 2xx is an error.
async fn call(link: &mut Link, method: &str, route: &str, who: As<'_>, body: &Value) -> Result<Value, Fail> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let key = CALLS.fetch_add(1, Ordering::Relaxed).to_string();
    let bearer = who.token.map(|token| format!("Bearer {token}"));
    let mut headers = Vec::new();
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    headers.extend(who.tenant.map(|tenant| ("Aumbry-Tenant", tenant)));
    if method != "GET" {
        headers.push(("Idempotency-Key", &key));
    }
    let body = (!body.is_null()).then(|| body.to_string());
    let answer = link.ask(link::request(method, route, &headers, body.as_deref()).as_bytes()).await?;
    let body = link.body(answer);
    if !(200..300).contains(&answer.status) {
        return Err(format!("{method} {route}: {} {}", answer.status, String::from_utf8_lossy(body)).into());
    }
    Ok(serde_json::from_slice(body)?)
}

fn text<'a>(answer: &'a Value, field: &str) -> Result<&'a str, Fail> {
    answer[field].as_str().ok_or_else(|| format!("an answer without `{field}`").into())
}
