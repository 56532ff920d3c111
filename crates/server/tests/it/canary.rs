//! LEAK and LOG-06: planted values are looked for in everything that leaves the server, and a planted leak is found.

use crate::house::{House, fresh, start};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use std::path::Path;

/// All spellings of a value that a careless log would show.
fn spellings(canary: &str) -> Vec<Vec<u8>> {
    let mut all = vec![canary.as_bytes().to_vec()];
    all.push(canary.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into_bytes());
    all.push(canary.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>().into_bytes());
    all.push(canary.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect::<String>().into_bytes());
    for shift in 0..3 {
        // What a longer text that holds it looks like in base64, whatever stands before it.
        let shifted = [vec![b'x'; shift], canary.as_bytes().to_vec()].concat();
        for engine in [&STANDARD, &URL_SAFE] {
            let text = engine.encode(&shifted);
            all.push(text.as_bytes()[4..text.len() - 4].to_vec());
        }
    }
    all
}

/// Names of the things in which a canary stands.
fn found(canary: &str, things: &[(String, Vec<u8>)]) -> Vec<String> {
    let needles = spellings(canary);
    let holds = |bytes: &[u8]| needles.iter().any(|n| bytes.windows(n.len()).any(|window| window == n.as_slice()));
    things.iter().filter(|(_, bytes)| holds(bytes)).map(|(name, _)| name.clone()).collect()
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(&entry.path()));
        } else if entry.file_name() != "reserve" {
            all.push((entry.path().display().to_string(), std::fs::read(entry.path()).unwrap()));
        }
    }
    all
}

/// Puts canaries wherever a request has room for one. Gives what came back where none may be.
async fn plant(house: &House, canary: &str) -> Vec<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    let auth = format!("authorization: Bearer {}", house.owner);
    let json_type = "content-type: application/json".to_owned();
    let quoted = json!(canary).to_string();
    let secret = format!("/api/v1/secrets/{}", fresh());
    for body in [
        format!("{{\"value\":{quoted}"),
        format!("{{\"value\":{quoted},\"cas\":{quoted}}}"),
        format!("{{\"value\":{quoted},{quoted}:1}}"),
        format!("{{\"value\":\"x\",\"labels\":{quoted}}}"),
        format!("{{\"value\":\"x\",\"expires_at\":{quoted}}}"),
        format!("{{\"value\":{quoted},\"encoding\":\"base64\"}}"),
        format!("{{\"value\":{quoted},\"encoding\":{quoted}}}"),
        format!("[{quoted}]"),
        canary.to_owned(),
    ] {
        let answer = house.send("PUT", &secret, &[auth.clone(), json_type.clone()], body.as_bytes()).await;
        assert!(answer.status >= 400, "{body}: {answer:?}");
        seen.push((format!("answer to {body}"), answer.body));
    }
    for (name, header) in [
        ("token", format!("authorization: Bearer aum_ses_{canary}")),
        ("scheme", format!("authorization: {canary} x")),
        ("tenant", format!("{auth}\r\naumbry-tenant: {canary}")),
        ("idempotency key", format!("{auth}\r\nidempotency-key: {canary}")),
        ("cookie", format!("{auth}\r\ncookie: a={canary}")),
        ("unknown header", format!("{auth}\r\nx-secret: {canary}")),
        ("request id", format!("{auth}\r\naumbry-request-id: {canary}")),
    ] {
        let answer = house.send("GET", "/api/v1/keys", &[header], b"").await;
        let headers = format!("{:?}", answer.headers);
        seen.push((format!("answer to {name}"), [headers.as_bytes(), &answer.body].concat()));
    }
    for target in [format!("/api/v1/secrets?cursor={canary}"), format!("/api/v1/keys?{canary}=1"), format!("/{canary}")]
    {
        let answer = house.owner("GET", &target, Value::Null).await;
        assert!(answer.status >= 400);
        seen.push((format!("answer to {target}"), answer.body));
    }
    let login = house.call("", "POST", "/api/v1/sessions:login", &json!({ "token": canary })).await;
    seen.push(("answer to a login".to_owned(), login.body));
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leak_01_11_log_06_no_planted_value_is_anywhere_but_in_an_authorised_answer() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let canary = "zQ7canaryValue9xK3";
    let mut seen = plant(&house, canary).await;
    let target = format!("/api/v1/secrets/{}", fresh());
    for value in [json!(canary), json!({ canary: [canary] }), json!(canary.repeat(3000))] {
        assert_eq!(house.owner("PUT", &target, json!({ "value": value })).await.status, 200);
        let shown = house.owner("GET", &target, Value::Null).await;
        assert_eq!(found(canary, &[("the answer".to_owned(), shown.body)]).len(), 1, "LEAK-15: the search finds it");
    }
    let labelled = json!({ "value": "x", "labels": { "note": canary } });
    assert_eq!(house.owner("PUT", &target, labelled).await.status, 200);
    for target in ["/metrics", "/api/v1/status", "/api/v1/openapi.json", "/readyz"] {
        seen.push((target.to_owned(), house.call("", "GET", target, &Value::Null).await.body));
    }
    for target in ["/api/v1/access?limit=1000", "/api/v1/ledger/entries", "/api/v1/ledger/checkpoint", "/api/v1/keys"] {
        seen.push((target.to_owned(), house.owner("GET", target, Value::Null).await.body));
    }
    let data = house.places.data.clone();
    house.stop().await;
    seen.extend(files(&data));
    assert_eq!(found(canary, &seen), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_secrets_are_in_no_stored_file() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let name = "zQ7canaryName9xK3pq";
    house.owner("PUT", &format!("/api/v1/secrets/team/{name}"), json!({ "value": "x" })).await;
    house.owner("GET", &format!("/api/v1/secrets/team/{name}"), Value::Null).await;
    let rows = house.owner("GET", "/api/v1/access", Value::Null).await;
    assert!(String::from_utf8_lossy(&rows.body).contains(name), "who may read the log sees it");
    let (data, token) = (house.places.data.clone(), house.owner.clone());
    house.stop().await;
    let stored = files(&data);
    assert_eq!(found(name, &stored), Vec::<String>::new());
    assert_eq!(found(&token, &stored), Vec::<String>::new());
}

#[test]
fn leak_15_a_planted_leak_is_caught_in_every_spelling() {
    let canary = "zQ7canaryValue9xK3";
    for text in [
        format!("error: bad value {canary}!"),
        canary.bytes().map(|byte| format!("{byte:02x}")).collect(),
        canary.bytes().map(|byte| format!("%{byte:02X}")).collect(),
        STANDARD.encode(format!("a{canary}b")),
        STANDARD.encode(format!("ab{canary}b")),
        STANDARD.encode(format!("abc{canary}b")),
    ] {
        assert_eq!(found(canary, &[("planted".to_owned(), text.clone().into_bytes())]), ["planted"], "{text}");
    }
    assert!(found(canary, &[("clean".to_owned(), b"zQ7canaryValue9xK".to_vec())]).is_empty());
}
