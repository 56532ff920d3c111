//! The authorisation matrix, made from the route table: every route by every sort of caller, each with its row.

use crate::house::{Answer, House, fresh, start, start_with};
use access::Action;
use ledger::access_log::Filter;
use serde_json::{Value, json};
use std::time::Duration;

/// Routes that leave no row: they show nothing that is anybody's.
const UNLOGGED: [&str; 5] =
    ["GET /api/v1/status", "GET /api/v1/openapi.json", "GET /healthz", "GET /readyz", "GET /metrics"];
/// Answered without a session, and logged.
const OPEN: [&str; 4] = [
    "POST /api/v1/sessions:login",
    "POST /api/v1/wraps:open",
    "POST /api/v1/operator:init",
    "POST /api/v1/operator:unseal",
];

/// A request of a route that succeeds for whoever may make it: target and body. Prepares what it needs as the owner.
async fn sample(house: &House, pattern: &str) -> (String, Value) {
    let name = fresh();
    let path = format!("m/{name}");
    let secret = async || {
        let put = house.owner("PUT", &format!("/api/v1/secrets/{path}"), json!({ "value": "v" })).await;
        assert_eq!(put.status, 200, "{put:?}");
        format!("/api/v1/secrets/{path}")
    };
    let (verb, template) = pattern.split_once(' ').unwrap();
    let same = |body: Value| (template.to_owned(), body);
    match pattern {
        "GET /api/v1/secrets/{path}" | "DELETE /api/v1/secrets/{path}" => (secret().await, Value::Null),
        "PUT /api/v1/secrets/{path}" => (format!("/api/v1/secrets/{path}"), json!({ "value": "v" })),
        "PATCH /api/v1/secrets/{path}" => {
            let target = secret().await;
            assert_eq!(house.owner("PUT", &target, json!({ "value": {} })).await.status, 200);
            (target, json!({ "a": 1 }))
        }
        "POST /api/v1/secrets:read" => {
            secret().await;
            same(json!({ "paths": [path] }))
        }
        "POST /api/v1/secrets:search" => same(json!({ "name": "x" })),
        "POST /api/v1/secrets:import" => {
            same(json!({ "items": [{ "path": path, "value": "v" }], "on_conflict": "overwrite" }))
        }
        "POST /api/v1/secrets:copy" | "POST /api/v1/secrets:move" => {
            secret().await;
            same(json!({ "from": path, "to": format!("{path}/copy"), "overwrite": true }))
        }
        "POST /api/v1/secrets:generate" => same(json!({ "path": path })),
        "POST /api/v1/secrets:rollback" => {
            secret().await;
            same(json!({ "path": path, "version": 1 }))
        }
        "POST /api/v1/secrets:undelete" => {
            let target = secret().await;
            assert_eq!(house.owner("DELETE", &target, Value::Null).await.status, 200);
            same(json!({ "path": path }))
        }
        "POST /api/v1/secrets:purge" => {
            secret().await;
            same(json!({ "path": path, "all": true }))
        }
        "POST /api/v1/secrets:metadata" => {
            secret().await;
            same(json!({ "path": path, "labels": { "a": "b" } }))
        }
        "POST /api/v1/policies:explain" => same(json!({ "principal": "target", "action": "key.read" })),
        "POST /api/v1/policies:test" => {
            same(json!({ "questions": [{ "principal": "target", "action": "key.read" }], "put": { "x": NOBODY } }))
        }
        "POST /api/v1/policies:diff" => same(json!({ "put": { "x": NOBODY } })),
        "POST /api/v1/policies:who" => same(json!({ "action": "key.read" })),
        "POST /api/v1/sessions" => same(json!({ "principal": "target" })),
        "GET /api/v1/sessions" | "GET /api/v1/tenants" => same(Value::Null),
        "POST /api/v1/wraps" => same(json!({ "text": "x" })),
        "POST /api/v1/sessions:derive" => same(json!({})),
        "POST /api/v1/sessions:renew" => {
            let terms = json!({ "principal": "target", "ttl": "1h", "max_ttl": "2h" });
            let issued = house.owner("POST", "/api/v1/sessions", terms).await.json();
            same(json!({ "id": issued["session"]["id"] }))
        }
        "POST /api/v1/documents:plan" | "POST /api/v1/documents:apply" => same(json!({ "documents": [] })),
        "POST /api/v1/tenants" => same(json!({ "name": name })),
        "POST /api/v1/tenants:login" => {
            assert_eq!(house.owner("POST", "/api/v1/tenants", json!({ "name": name })).await.status, 200);
            same(json!({ "name": name }))
        }
        "POST /api/v1/tenants:change" => {
            assert_eq!(house.owner("POST", "/api/v1/tenants", json!({ "name": name })).await.status, 200);
            same(json!({ "name": name, "suspended": true }))
        }
        "GET /api/v1/tenants/{name}" | "DELETE /api/v1/tenants/{name}" => {
            assert_eq!(house.owner("POST", "/api/v1/tenants", json!({ "name": name })).await.status, 200);
            (format!("/api/v1/tenants/{name}"), Value::Null)
        }
        "GET /api/v1/sessions/{id}" | "DELETE /api/v1/sessions/{id}" => {
            let issued = house.owner("POST", "/api/v1/sessions", json!({ "principal": "target" })).await.json();
            (format!("/api/v1/sessions/{}", issued["session"]["id"].as_str().unwrap()), Value::Null)
        }
        "PUT /api/v1/policies/{name}" => (format!("/api/v1/policies/{name}"), json!({ "text": NOBODY })),
        "GET /api/v1/policies/{name}" | "DELETE /api/v1/policies/{name}" => {
            let target = format!("/api/v1/policies/{name}");
            assert_eq!(house.owner("PUT", &target, json!({ "text": NOBODY })).await.status, 200);
            (target, Value::Null)
        }
        "PUT /api/v1/password-policies/{name}" => {
            (format!("/api/v1/password-policies/{name}"), json!({ "length": 20 }))
        }
        "GET /api/v1/password-policies/{name}" | "DELETE /api/v1/password-policies/{name}" => {
            let target = format!("/api/v1/password-policies/{name}");
            assert_eq!(house.owner("PUT", &target, json!({})).await.status, 200);
            (target, Value::Null)
        }
        "PUT /api/v1/principals/{name}" => (format!("/api/v1/principals/{name}"), json!({})),
        "GET /api/v1/principals/{name}" => ("/api/v1/principals/target".to_owned(), Value::Null),
        "GET /api/v1/ledger/proofs/inclusion" => (format!("{template}?index=0&size=1"), Value::Null),
        "GET /api/v1/ledger/proofs/consistency" => (format!("{template}?from=1&to=2"), Value::Null),
        "GET /api/v1/ledger/tile/{tile}" => ("/api/v1/ledger/tile/0/000.p/1".to_owned(), Value::Null),
        "POST /api/v1/keys:rotate" => same(json!({ "scope": "tenant" })),
        "POST /api/v1/backups" => {
            rested(house).await;
            same(Value::Null)
        }
        "GET /api/v1/backups/{id}" | "DELETE /api/v1/backups/{id}" => {
            rested(house).await;
            let made = house.owner("POST", "/api/v1/backups", Value::Null).await.json();
            rested(house).await;
            (format!("/api/v1/backups/{}", made["id"].as_str().unwrap()), Value::Null)
        }
        "GET /api/v1/operations/{id}" => ("/api/v1/operations/evt_00000000000000000000000000".to_owned(), Value::Null),
        "POST /api/v1/operator:rekey" => same(json!({ "split": { "shares": 3, "threshold": 2 } })),
        "POST /api/v1/operator:give" => same(json!({ "share": "x", "nonce": "x" })),
        "POST /api/v1/operator:cancel" => same(json!({ "nonce": "x" })),
        "POST /api/v1/operator:seal" | "POST /api/v1/seal:rekey" => same(Value::Null),
        _ if verb == "GET" => same(Value::Null),
        other => panic!("the route {other} has no line in the matrix"),
    }
}

/// Waits until no backup is being made.
async fn rested(house: &House) {
    loop {
        let listed = house.owner("GET", "/api/v1/backups", Value::Null).await.json();
        let at_work = |backup: &Value| backup["state"] == "running" || backup["state"] == "verifying";
        if !listed["items"].as_array().unwrap().iter().any(at_work) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const NOBODY: &str = "permit (principal in Role::\"none\", action, resource);";

/// Makes the request and checks that it left exactly one row, with the route's act and the outcome.
async fn expect(
    house: &House,
    act: &str,
    token: &str,
    request: (&str, &str, &Value),
    wanted: &str,
    sort: &str,
) -> Answer {
    let (verb, target, body) = request;
    let answer = house.call(token, verb, target, body).await;
    let code = if answer.status == 200 { "ok".to_owned() } else { answer.code() };
    assert_eq!(code, wanted, "{verb} {target} by {sort}: {answer:?}");
    let id = &answer.headers["aumbry-request-id"];
    let rows = house.log.query(&Filter::default(), None, 50).await.unwrap().rows;
    let own: Vec<_> = rows
        .iter()
        .filter(|row| row.row.request.iter().map(|byte| format!("{byte:02x}")).collect::<String>() == *id)
        .collect();
    // A copy has a row for each of its two places.
    let copies = ["secret.copy", "secret.move"].contains(&act) && wanted == "ok";
    assert_eq!(own.len(), 1 + usize::from(copies), "{verb} {target} by {sort}: a row for each thing");
    assert_eq!(own[0].row.outcome, wanted, "{verb} {target} by {sort}");
    // Before anybody is known a row may name the route instead.
    let named = own[0].row.act == act || own[0].row.act.starts_with(verb);
    assert!(named, "{verb} {target} by {sort}: {}", own[0].row.act);
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_01_each_route_by_each_sort_of_caller_leaves_one_row_and_only_the_right_succeeds() {
    let top = tempfile::tempdir().unwrap();
    let house = start_with(top.path(), "[backup]\nverify = false\n").await;
    assert_eq!(house.owner("PUT", "/api/v1/principals/target", json!({})).await.status, 200);
    let foreign = foreign_owner(&house).await;
    for (verb, template, act, open) in house.routes.clone() {
        let pattern = format!("{verb} {template}");
        if UNLOGGED.contains(&pattern.as_str()) || OPEN.contains(&pattern.as_str()) {
            assert!(open, "{pattern}");
            continue;
        }
        assert!(!open, "{pattern}");
        // Unauthenticated refusals in bulk share a row: each of these is the first of its second.
        house.clock.by(Duration::from_secs(2));
        let kind = app::ACTS.iter().find(|kind| kind.name == act).unwrap();
        let rights: Vec<&str> = kind.rights.iter().map(|right| right.name()).collect();
        let (target, body) = sample(&house, &pattern).await;
        let request = (verb.as_str(), target.as_str(), &body);
        expect(&house, act, "", request, "auth.required", "nobody").await;
        expect(&house, act, &altered(&house.owner), request, "auth.required", "a made-up token").await;
        expect(&house, act, &foreign, request, "auth.required", "another tenant's owner").await;
        let others: Vec<&str> = Action::ALL.iter().map(|a| a.name()).filter(|name| !rights.contains(name)).collect();
        let others = house.principal(&fresh(), &others).await;
        let own = kind.rights.iter().any(|right| right.group() == "own");
        let without = match (own, act) {
            (true, "session.revoke" | "session.read" | "session.renew") => "session.not_found",
            (true, _) => "ok",
            (false, _) => "policy.denied",
        };
        expect(&house, act, &others, request, without, "all rights but the one").await;
        let exact = house.principal(&fresh(), &rights).await;
        let with = match act {
            // The house has a key file, and no ceremony with this nonce.
            "operator.seal" => "seal.kind",
            "operator.give" | "operator.cancel" => "seal.ceremony",
            _ => "ok",
        };
        expect(&house, act, &exact, request, with, "exactly the right").await;
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_time_is_over_opens_no_route() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    assert_eq!(house.owner("PUT", "/api/v1/principals/target", json!({ "roles": ["owner"] })).await.status, 200);
    let token = house.owner.clone();
    house.clock.by(Duration::from_secs(3601));
    for (verb, template, _, open) in house.routes.clone() {
        if open {
            continue;
        }
        let target = template.replace(['{', '}'], "");
        let answer = house.call(&token, &verb, &target, &Value::Null).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "auth.required"), "{verb} {target}");
        assert!(answer.headers["www-authenticate"].starts_with("Bearer"));
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_17_no_spelling_of_an_open_route_opens_another() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for target in [
        "/api/v1/secrets/x?u=/healthz",
        "/api/v1/secrets/healthz",
        "/api/v1/secrets/x/api/v1/status",
        "/api/v1/secrets?prefix=/api/v1/status",
        "/api/v1/status/../secrets/x",
        "/healthz/../api/v1/secrets/x",
        "/api/v1/secrets/x;/healthz",
        "/api/v1/secrets/x%00/healthz",
        "//healthz",
        "/healthz/",
    ] {
        let answer = house.call("", "GET", target, &Value::Null).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "auth.required"), "{target}");
    }
    house.stop().await;
}

/// The owner of a second tenant, with a session there.
async fn foreign_owner(house: &House) -> String {
    let made = house.owner("POST", "/api/v1/tenants", json!({ "name": "other" })).await;
    assert_eq!(made.status, 200, "{made:?}");
    let login = made.json()["login"].as_str().unwrap().to_owned();
    let headers = [
        "aumbry-tenant: other".to_owned(),
        "idempotency-key: first".to_owned(),
        "content-type: application/json".to_owned(),
    ];
    let body = json!({ "token": login }).to_string();
    let answer = house.send("POST", "/api/v1/sessions:login", &headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["token"].as_str().unwrap().to_owned()
}

/// A token that differs from a good one in one letter.
fn altered(token: &str) -> String {
    let at = token.len() / 2;
    let letter = if token.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    format!("{}{letter}{}", &token[..at], &token[at + 1..])
}
