//! What an administrator, a policy author and a vanishing client can and cannot do.

use crate::house::{fresh, start};
use crypto::seam::Clock;
use ledger::access_log::Filter;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Every name below a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        all.insert(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            all.extend(names(&entry.path()));
        }
    }
    all
}

/// Names of all fields and parameters of a document's requests.
fn inputs(document: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for methods in document["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                all.insert(parameter["name"].as_str().unwrap().to_owned());
            }
            for content in operation["requestBody"]["content"].as_object().into_iter().flat_map(|all| all.values()) {
                fields(document, &content["schema"], &mut all);
            }
        }
    }
    all
}

fn fields(document: &Value, schema: &Value, all: &mut BTreeSet<String>) {
    if let Some(place) = schema["$ref"].as_str() {
        fields(document, document.pointer(place.trim_start_matches('#')).unwrap(), all);
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(name.clone());
        fields(document, field, all);
    }
    fields_of_parts(document, schema, all);
}

fn fields_of_parts(document: &Value, schema: &Value, all: &mut BTreeSet<String>) {
    for part in ["items", "additionalProperties"].iter().filter_map(|part| schema.get(part)) {
        fields(document, part, all);
    }
    for part in ["oneOf", "anyOf", "allOf"].iter().filter_map(|part| schema[part].as_array()).flatten() {
        fields(document, part, all);
    }
}

/// Everything a request can say. Whoever adds a word here has made sure that it names no file, program, address or
/// library of the server's host: such things are in the configuration file only.
const INPUTS: &str = "action actions all at at_least cas characters cursor digits disabled documents dry_run encoding entity \
    exclude expires_at expires_before from id index items kind labels length limit limits lower max_ttl \
    max_versions name networks nonce on_conflict orphan outcome overwrite owner path paths period place policy prefix \
    principal proof prune put questions recipients recursive remove request_rate resolve resource roles scope secret \
    secrets set share shares since size sort source_ip spec split suspended symbols text threshold tile tls \
    to token ttl upper uses value version versions view";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cfg_06_the_owner_reaches_no_file_and_no_program_of_the_host() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let document = house.call("", "GET", "/api/v1/openapi.json", &Value::Null).await.json();
    let known: BTreeSet<String> = INPUTS.split_whitespace().map(str::to_owned).collect();
    assert_eq!(inputs(&document), known, "a new word of the API: does it name anything of the host?");

    let before = names(top.path());
    let outside = top.path().join("gained");
    let target = outside.display().to_string();
    let hostile = [
        target.clone(),
        format!("file://{target}"),
        format!("|touch {target}"),
        format!("$(touch {target})"),
        format!("../../../..{target}"),
    ];
    for text in &hostile {
        let every = json!({
            "value": text, "labels": { "path": text }, "text": text, "principal": text, "token": text, "path": text,
            "paths": [text], "scope": text, "name": text, "roles": [text], "ttl": text, "description": text,
            "sink": text, "type": "file", "options": { "file_path": text, "mode": "0755" }, "command": text,
            "plugin": text, "socket": text, "url": text, "log_file": text, "template": text, "backup_path": text,
        });
        for (verb, template, ..) in house.routes.clone() {
            let word: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for place in [word.as_str(), "x"] {
                let path = template.replace("{path}", place).replace("{name}", place).replace("{id}", place);
                house.owner(&verb, &path.replace("{tile}", place), every.clone()).await;
                house.owner(&verb, &format!("{path}?prefix={word}&sink={word}&file={word}"), Value::Null).await;
            }
        }
    }
    // What other products offer and this one does not have.
    for (verb, route) in [
        ("PUT", "sys/audit/file"),
        ("PUT", "sys/plugins/catalog/secret/x"),
        ("POST", "sys/config/reload"),
        ("PUT", "config"),
        ("PUT", "sinks"),
        ("POST", "plugins"),
        ("POST", "backup"),
        ("PUT", "access/sinks"),
        ("POST", "templates"),
        ("PUT", "database/config/x"),
        ("POST", "debug/pprof"),
        ("GET", "logs"),
    ] {
        let answer = house.owner(verb, &format!("/api/v1/{route}"), json!({ "file_path": target })).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "route.not_found"), "{verb} {route}");
    }
    assert!(!outside.exists());
    let data = house.places.data.display().to_string();
    let new: Vec<_> = names(top.path()).difference(&before).cloned().collect();
    assert!(new.iter().all(|name| name.starts_with(&data)), "files outside the data folder: {new:?}");
    let executable = |name: &String| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(name).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    assert_eq!(new.iter().find(|name| executable(name)), None);
    for task in std::fs::read_dir("/proc/self/task").unwrap().map(Result::unwrap) {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        assert_eq!(children.trim(), "", "a program was started");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_15_reading_the_log_is_logged_and_is_a_right_of_its_own() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let all: Vec<&str> =
        access::Action::ALL.iter().map(|action| action.name()).filter(|name| *name != "access.read").collect();
    let administrator = house.principal("administrator", &all).await;
    let auditor = house.principal("auditor", &["access.read"]).await;
    assert_eq!(house.call(&administrator, "PUT", "/api/v1/secrets/a", &json!({ "value": "x" })).await.status, 200);
    let refused = house.call(&administrator, "GET", "/api/v1/access", &Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "policy.denied"));
    let read = house.call(&auditor, "GET", "/api/v1/access?path=a", &Value::Null).await;
    assert_eq!(read.json()["items"].as_array().unwrap().len(), 1, "{read:?}");
    for (verb, target) in [("GET", "/api/v1/secrets/a"), ("GET", "/api/v1/policies"), ("POST", "/api/v1/seal:rekey")] {
        let answer = house.call(&auditor, verb, target, &Value::Null).await;
        assert_eq!(answer.code(), "policy.denied", "{verb} {target}");
    }
    let rows = house.owner("GET", "/api/v1/access", Value::Null).await.json();
    let of = |who: &str, outcome: &str| {
        let rows = rows["items"].as_array().unwrap().iter();
        rows.filter(|row| row["act"] == "access.read" && row["principal"] == who && row["outcome"] == outcome).count()
    };
    assert_eq!((of("administrator", "policy.denied"), of("auditor", "ok")), (1, 1), "{rows}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_22_patterns_of_policy_authors_are_bounded_and_match_in_linear_time() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let permit = |condition: &str| {
        let head = "permit (principal in Role::\"pattern\", action == Action::\"secret.read\", resource)";
        json!({ "text": format!("{head} when {{ {condition} }};") })
    };
    let put = async |condition: &str| house.owner("PUT", "/api/v1/policies/pattern", permit(condition)).await;
    let like = |pattern: &str| format!("resource.path like \"{pattern}\"");
    let huge = like(&"a*".repeat(1 << 19));
    let many = (0..10_000).map(|n| like(&format!("*{n}"))).collect::<Vec<_>>().join(" || ");
    for (what, condition) in [("1 MiB", &huge), ("10,000 alternatives", &many)] {
        let answer = put(condition).await;
        assert!(answer.status == 400 || answer.status == 413, "{what}: {} {}", answer.status, answer.code());
    }
    let path = format!("p/{}/{}", "a".repeat(250), "a".repeat(250));
    assert_eq!(house.owner("PUT", &format!("/api/v1/secrets/{path}"), json!({ "value": "x" })).await.status, 200);
    let reader = house.principal("pattern", &[]).await;
    // The worst that fits: each star can stand for anything, and the end never matches.
    for pattern in [format!("{}b", "a*".repeat(5_000)), format!("{}b", "*a".repeat(200)), "(a+)+$".to_owned()] {
        let stored = put(&like(&pattern)).await;
        assert_eq!(stored.status, 200, "{stored:?}");
        let started = house.clock.monotonic();
        let answer = house.call(&reader, "GET", &format!("/api/v1/secrets/{path}"), &Value::Null).await;
        assert_eq!(answer.code(), "policy.denied");
        let took = house.clock.monotonic() - started;
        assert!(took < Duration::from_secs(1), "{took:?} for {} bytes", pattern.len());
    }
    assert_eq!(put(&like("p/*")).await.status, 200);
    let answer = house.call(&reader, "GET", &format!("/api/v1/secrets/{path}"), &Value::Null).await;
    assert_eq!(answer.status, 200, "control: a pattern that fits opens");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_23_a_client_that_leaves_after_its_write_leaves_nothing_half_done() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    const WRITES: u64 = 60;
    for n in 0..WRITES {
        let body = json!({ "value": "x".repeat(20_000) }).to_string();
        let head = format!(
            "PUT /api/v1/secrets/left/{n} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\nidempotency-key: {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            house.owner,
            fresh(),
            body.len()
        );
        let bytes = [head.as_bytes(), body.as_bytes()].concat();
        // Some go in the middle of their request, the others at some moment after it.
        let sent = if n % 6 == 0 { bytes.len() / 2 } else { bytes.len() };
        let mut stream = house.connect().await;
        stream.write_all(&bytes[..sent]).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_micros(n * 150)).await;
        let (tcp, _) = stream.into_inner();
        let _reset = tcp.set_zero_linger();
        drop(tcp);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let rows = house.log.query(&Filter::default(), None, 1000).await.unwrap().rows;
    let mut there = 0;
    for n in 0..WRITES {
        let path = format!("left/{n}");
        let written: Vec<_> = rows
            .iter()
            .filter(|row| {
                row.row.act == "secret.write" && row.row.path.as_deref() == Some(&path) && row.row.outcome == "ok"
            })
            .collect();
        let answer = house.owner("GET", &format!("/api/v1/secrets/{path}"), Value::Null).await;
        assert_eq!(usize::from(answer.status == 200), written.len(), "{path}: {answer:?}, {written:?}");
        if answer.status == 200 {
            assert_eq!(answer.json()["value"].as_str().map(str::len), Some(20_000));
            assert!(written[0].row.position.is_some() && n % 6 != 0, "{path}");
            there += 1;
        }
    }
    assert!(there > 10, "control: {there} were written");
    house.stop().await;
}
