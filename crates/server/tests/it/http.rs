//! What the HTTP edge refuses, over a real connection to the real door.

use crate::house::{House, fresh, read_answer, start, start_with};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const LIMIT: usize = 2 << 20;

fn auth(house: &House) -> String {
    format!("authorization: Bearer {}", house.owner)
}

async fn healthy(house: &House) {
    let answer = house.owner("GET", "/api/v1/sessions/self", Value::Null).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Everything until the server closes.
async fn rest_of(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("never closed");
    rest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_01_a_length_past_the_limit_is_refused_before_the_body() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for (length, status) in [((LIMIT + 1).to_string(), 413), (u64::MAX.to_string(), 431)] {
        let mut stream = house.connect().await;
        let head = format!(
            "PUT /api/v1/secrets/a HTTP/1.1\r\nhost: a\r\n{}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            auth(&house)
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let answer = tokio::time::timeout(Duration::from_secs(10), async {
            let mut first = [0; 64];
            let count = stream.read(&mut first).await.unwrap();
            String::from_utf8_lossy(&first[..count]).into_owned()
        });
        let answer = answer.await.expect("waits for the body");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        rest_of(&mut stream).await;
    }
    let fits = "x".repeat(1 << 20);
    let put = house.owner("PUT", "/api/v1/secrets/a", json!({ "value": fits })).await;
    assert_eq!(put.status, 200, "{put:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_02_a_chunked_body_is_refused_where_it_passes_the_limit() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let mut stream = house.connect().await;
    let head = format!(
        "PUT /api/v1/secrets/a HTTP/1.1\r\nhost: a\r\n{}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        auth(&house)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    for _ in 0..40 {
        if stream.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let answer = read_answer(&mut stream).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "request.too_large"));
    assert_eq!(answer.headers["connection"], "close");
    rest_of(&mut stream).await;
    healthy(&house).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_03_04_06_hostile_json_is_refused_fast() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let strings = format!("{{\"value\":[{}]}}", vec!["\"\""; 600_000].join(","));
    for body in [
        "[".repeat(10_000),
        "{\"a\":".repeat(10_000),
        strings,
        r#"{"value":"a","value":"b"}"#.to_owned(),
        r#"{"value":"a","cas":1e400}"#.to_owned(),
        r#"{"value":"a","cas":-0}"#.to_owned(),
        r#"{"value":"a","cas":"5"}"#.to_owned(),
        r#"{"value":"a","cas":1.5}"#.to_owned(),
        r#"{"value":"a","unknown":1}"#.to_owned(),
        r#"{"value":NaN}"#.to_owned(),
        String::new(),
    ] {
        let headers = [auth(&house), "content-type: application/json".to_owned()];
        let answer = house.send("PUT", "/api/v1/secrets/j", &headers, body.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "request.invalid"),
            "{}",
            &body[..body.len().min(60)]
        );
    }
    assert_eq!(house.owner("GET", "/api/v1/secrets/j", Value::Null).await.status, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_05_past_the_rate_nothing_is_parsed_and_the_answer_is_429() {
    let top = tempfile::tempdir().unwrap();
    let house = start_with(top.path(), "[limits]\nsource_rate_max = 5\n").await;
    let hostile = "[".repeat(20_000);
    let headers = [auth(&house), "content-type: application/json".to_owned()];
    let mut limited = 0;
    for _ in 0..80 {
        let answer = house.send("PUT", "/api/v1/secrets/a", &headers, hostile.as_bytes()).await;
        match answer.status {
            429 => {
                assert!(answer.headers.contains_key("retry-after"));
                limited += 1;
            }
            status => assert_eq!(status, 400),
        }
    }
    assert!(limited >= 20, "{limited}");
    house.clock.by(Duration::from_secs(30));
    healthy(&house).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_08_24_other_encodings_and_media_types_are_415() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for (line, status) in [
        ("content-type: application/json\r\ncontent-encoding: gzip", 415),
        ("content-type: application/json\r\ncontent-encoding: identity", 200),
        ("content-type: text/plain", 415),
        ("content-type: application/x-www-form-urlencoded", 415),
        ("content-type: application/jsonx", 415),
        ("accept: application/json", 415),
        ("content-type: Application/JSON; charset=utf-8", 200),
        ("content-type: application/octet-stream", 200),
    ] {
        let headers = [auth(&house), line.to_owned()];
        let answer = house.send("PUT", "/api/v1/secrets/a", &headers, br#"{"value":"x"}"#).await;
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_10_a_long_or_strange_token_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for (line, status) in [
        (format!("authorization: Bearer {}", "x".repeat(9 << 10)), 431),
        (format!("authorization: Bearer {}", ".".repeat(100_000)), 431),
        (format!("authorization: Bearer {}", ".".repeat(8_000)), 401),
        ("authorization: Bearer".to_owned(), 401),
        ("authorization: Basic YTpi".to_owned(), 401),
        (format!("{}\r\n{}", auth(&house), auth(&house)), 401),
        (format!("authorization: bearer {}", house.owner), 200),
    ] {
        let answer = house.send("GET", "/api/v1/sessions/self", std::slice::from_ref(&line), b"").await;
        assert_eq!(answer.status, status, "{}", &line[..line.len().min(40)]);
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_13_page_sizes_out_of_range_are_refused_and_cursors_are_bound() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for n in 0..3 {
        house.owner("PUT", &format!("/api/v1/secrets/l/{n}"), json!({ "value": n })).await;
    }
    let list = async |query: &str| house.owner("GET", &format!("/api/v1/secrets?prefix=l{query}"), Value::Null).await;
    for limit in ["", "&limit=3", "&limit=1000"] {
        let answer = list(limit).await;
        assert_eq!(answer.json()["items"].as_array().map(Vec::len), Some(3), "{limit}: {answer:?}");
    }
    assert_eq!(list("&limit=-1").await.status, 400);
    for limit in ["0", "1001", "4294967296", "1000000000000"] {
        for list in ["secrets?", "policies?", "principals?", "access?", "ledger/entries?from=0&"] {
            let answer = house.owner("GET", &format!("/api/v1/{list}limit={limit}"), Value::Null).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "request.invalid"), "{list}{limit}: {answer:?}");
            assert!(answer.json()["detail"].as_str().unwrap().contains("1 to 1000"), "{answer:?}");
        }
    }
    let first = list("&limit=1").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(list(&format!("&limit=1&cursor={cursor}")).await.status, 200);
    let elsewhere = house.owner("GET", &format!("/api/v1/secrets?prefix=m&cursor={cursor}"), Value::Null).await;
    assert_eq!(elsewhere.code(), "cursor.invalid");
    for bad in [format!("{cursor}A"), "x".to_owned(), "%27%20OR%201=1".to_owned()] {
        assert_eq!(list(&format!("&cursor={bad}")).await.code(), "cursor.invalid", "{bad}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_16_a_forwarded_address_is_recorded_only_from_a_trusted_proxy() {
    for (extra, wanted) in [("", "127.0.0.1"), ("trusted", "203.0.113.9")] {
        let top = tempfile::tempdir().unwrap();
        let house = match extra {
            "" => start(top.path()).await,
            _ => crate::house::start_trusting(top.path(), "127.0.0.0/8").await,
        };
        let headers = [auth(&house), "x-forwarded-for: 203.0.113.9".to_owned(), "forwarded: for=1.1.1.1".to_owned()];
        house.send("GET", "/api/v1/sessions/self", &headers, b"").await;
        let rows = house.log.query(&ledger::access_log::Filter::default(), None, 1).await.unwrap().rows;
        assert_eq!(rows[0].row.source, wanted);
        // Figures of all tenants are for the networks that are named.
        let metrics = house.send("GET", "/metrics", &headers, b"").await;
        assert_eq!(metrics.status, if wanted == "127.0.0.1" { 200 } else { 403 }, "{wanted}");
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_18_other_verbs_and_overrides_are_405_with_allow() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for verb in ["OPTIONS", "TRACE", "LIST", "POST"] {
        let headers = [auth(&house), "x-http-method-override: GET".to_owned()];
        let answer = house.send(verb, "/api/v1/secrets/a", &headers, b"").await;
        assert_eq!((answer.status, answer.headers["allow"].as_str()), (405, "DELETE, GET, HEAD, PATCH, PUT"), "{verb}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_21_metrics_do_not_grow_with_paths() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let lines = async || {
        let page = house.call("", "GET", "/metrics", &Value::Null).await;
        let text = String::from_utf8(page.body).unwrap();
        assert!(!text.contains("unique-"), "{text}");
        text.lines().filter(|line| !line.starts_with('#')).count()
    };
    let ask = async || {
        for target in [format!("/api/v1/secrets/{}", fresh()), format!("/{}", fresh())] {
            house.owner("GET", &target, Value::Null).await;
        }
    };
    ask().await;
    lines().await;
    let before = lines().await;
    for _ in 0..20 {
        ask().await;
    }
    let grown = lines().await.saturating_sub(before);
    assert!(grown <= 2, "{grown}: only series of routes and statuses already known");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_01_to_08_a_path_that_is_not_canonical_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let long = format!("/{}", "a".repeat(256));
    let deep = "/a".repeat(33);
    for bad in [
        "a/../b",
        "a/./b",
        "%2e%2e",
        "%252e%252e",
        "a%5c..%5cb",
        "a//b",
        "a/",
        "/a",
        "a%2Fb",
        "a%2fb",
        "a%00b",
        "a%0d%0ab",
        "a%09b",
        "a%7fb",
        "a%e2%80%a8b",
        "a%e2%80%aeb",
        "a%e2%80%8db",
        "cafe%cc%81",
        "%ff",
        "%c0%ae",
        "a%",
        "a%zz",
        "~x%20",
        "",
        &long,
        &deep,
    ] {
        for verb in ["GET", "PUT"] {
            let body = if verb == "PUT" { json!({ "value": "x" }) } else { Value::Null };
            let answer = house.owner(verb, &format!("/api/v1/secrets/{bad}"), body).await;
            assert_eq!((answer.status, answer.code().as_str()), (400, "path.invalid"), "{verb} {bad}");
        }
    }
    for word in ["sys", "core", "root", "_meta", "versions", "self", "secrets:purge", "..;", "a b", "%41"] {
        let target = format!("/api/v1/secrets/{}", word.replace(' ', "%20"));
        assert_eq!(house.owner("PUT", &target, json!({ "value": word })).await.status, 200, "{word}");
        assert_eq!(house.owner("GET", &target, Value::Null).await.json()["value"], word);
    }
    assert_eq!(house.owner("GET", "/api/v1/secrets/A", Value::Null).await.json()["value"], "%41", "decoded once");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn if_match_and_cas_guard_a_write() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let put = async |lines: &[&str], body: &str| {
        let mut headers = vec![auth(&house), "content-type: application/json".to_owned()];
        headers.extend(lines.iter().map(|line| (*line).to_owned()));
        house.send("PUT", "/api/v1/secrets/c", &headers, body.as_bytes()).await
    };
    assert_eq!(put(&[], r#"{"value":"1","cas":0}"#).await.status, 200);
    assert_eq!(put(&[], r#"{"value":"2","cas":0}"#).await.status, 409);
    let failed = put(&["if-match: \"7\""], r#"{"value":"2"}"#).await;
    assert_eq!((failed.status, failed.json()["status"].as_u64()), (412, Some(412)));
    assert_eq!(put(&["if-match: \"1\""], r#"{"value":"2"}"#).await.status, 200);
    for bad in ["if-match: 2", "if-match: *", "if-match: \"x\"", "if-match: \"2\"\r\nif-match: \"2\""] {
        assert_eq!(put(&[bad], r#"{"value":"3"}"#).await.status, 400, "{bad}");
    }
    let same = [auth(&house), "content-type: application/json".to_owned(), "idempotency-key: k1".to_owned()];
    let send = async |body: &str| house.send("PUT", "/api/v1/secrets/i", &same, body.as_bytes()).await;
    let (one, two) = (send(r#"{"value":"1"}"#).await.json(), send(r#"{"value":"1"}"#).await.json());
    assert_eq!((&one["version"], &two["version"], &two["replayed"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!(send(r#"{"value":"2"}"#).await.status, 422);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_values_pass_unchanged_both_ways() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let value: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let headers = [auth(&house), "content-type: application/octet-stream".to_owned()];
    let put = house.send("PUT", "/api/v1/secrets/raw?labels=a=b&max_versions=3", &headers, &value).await;
    assert_eq!(put.status, 200, "{}", String::from_utf8_lossy(&put.body));
    let headers = [auth(&house), "accept: application/octet-stream".to_owned()];
    let got = house.send("GET", "/api/v1/secrets/raw", &headers, b"").await;
    assert!(got.body == value && got.headers["content-type"] == "application/octet-stream");
    assert_eq!(got.headers["cache-control"], "no-store");
    let headers = [auth(&house), "content-type: application/octet-stream".to_owned()];
    let over = house.send("PUT", "/api/v1/secrets/raw", &headers, &vec![0; (1 << 20) + 1]).await;
    assert_eq!(over.code(), "secret.limit");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_12_a_body_that_stalls_is_408_and_took_no_effect() {
    let top = tempfile::tempdir().unwrap();
    let house = start_with(top.path(), "[limits]\nrequest_time_max = \"500ms\"\n").await;
    let mut stream = house.connect().await;
    let head = format!(
        "PUT /api/v1/secrets/stalled HTTP/1.1\r\nhost: a\r\n{}\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{{\"value\":",
        auth(&house)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let told = read_answer(&mut stream).await;
    let problem = told.json();
    assert_eq!((told.status, problem["code"].as_str()), (408, Some("request.incomplete")), "{told:?}");
    assert_eq!((&problem["class"], problem.get("operation_id")), (&json!("invalid"), None), "{told:?}");
    assert_eq!(told.headers["connection"], "close");
    assert_eq!(house.owner("GET", "/api/v1/secrets/stalled", Value::Null).await.status, 404);
    let rows = house.owner("GET", "/api/v1/access?outcome=request.incomplete", Value::Null).await.json();
    assert_eq!(rows["items"].as_array().map(Vec::len), Some(1), "whoever is logged in leaves a row: {rows}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_1_1_needs_one_host_and_is_told_so_in_a_problem() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let told = house.raw(format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n").as_bytes()).await;
        assert_eq!((told.status, told.code().as_str()), (400, "request.invalid"), "{told:?}");
        assert_eq!(told.headers["content-type"], "application/problem+json");
    }
    assert_eq!(house.raw(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.status, 200);
    house.stop().await;
}

/// A write of this secret with these headers, over HTTP/1.1.
fn write_with(house: &House, headers: &str) -> Vec<u8> {
    let (auth, body) = (auth(house), r#"{"value":"v"}"#);
    format!(
        "PUT /api/v1/secrets/c HTTP/1.1\r\nhost: a\r\n{auth}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_are_followed_or_refused_and_never_passed_over() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    assert_eq!(house.raw(&write_with(&house, "if-none-match: *\r\n")).await.status, 200);
    for (headers, status) in [
        ("if-none-match: *\r\n", 412),
        ("if-none-match: \"1\"\r\n", 400),
        ("if-none-match: *\r\nif-match: \"1\"\r\n", 400),
        ("if-match: \"7\"\r\n", 412),
        ("if-unmodified-since: Sun, 22 Nov 2026 00:00:00 GMT\r\n", 400),
        ("content-range: bytes 0-1/9\r\n", 400),
        ("idempotency-key: a\r\nidempotency-key: b\r\n", 400),
        ("content-type: application/json\r\n", 400),
    ] {
        let told = house.raw(&write_with(&house, headers)).await;
        assert_eq!(told.status, status, "{headers}: {told:?}");
    }
    let auth = auth(&house);
    for (target, body) in [
        ("secrets:purge", r#"{"path":"c","all":true}"#),
        ("secrets:undelete", r#"{"path":"c"}"#),
        ("secrets:delete", "{}"),
    ] {
        let request = format!(
            "POST /api/v1/{target} HTTP/1.1\r\nhost: a\r\n{auth}\r\ncontent-type: application/json\r\nif-match: \"9\"\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let told = house.raw(request.as_bytes()).await;
        assert!((400..500).contains(&told.status), "{target}: {told:?}");
    }
    let coded = format!(
        "PUT /api/v1/secrets/c HTTP/1.1\r\nhost: a\r\n{auth}\r\ncontent-type: application/json\r\n\
         transfer-encoding: gzip, chunked\r\n\r\nd\r\n{{\"value\":\"v\"}}\r\n0\r\n\r\n"
    );
    assert_eq!(house.raw(coded.as_bytes()).await.status, 415);
    let shown = house.owner("GET", "/api/v1/secrets/c", Value::Null).await.json();
    assert_eq!(shown["version"], 1, "none of that wrote or destroyed anything");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_long_is_told_so_while_it_is_still_sent() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let auth = auth(&house);
    let (length, body) = (6 << 20, vec![b'v'; 6 << 20]);
    let head = format!("PUT /api/v1/secrets/c HTTP/1.1\r\nhost: a\r\n{auth}\r\ncontent-length: {length}\r\n\r\n");
    for _ in 0..5 {
        let mut stream = house.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();
        let told = String::from_utf8(rest_of(&mut stream).await).unwrap();
        assert!(told.starts_with("HTTP/1.1 413"), "{told}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_18_a_head_is_its_get_without_the_body_and_leaves_the_same_row() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    house.owner("PUT", "/api/v1/secrets/h", json!({ "value": "hunter2" })).await;
    let got = house.owner("GET", "/api/v1/secrets/h", Value::Null).await;
    let head =
        |target: &str| format!("HEAD {target} HTTP/1.1\r\nhost: a\r\n{}\r\nconnection: close\r\n\r\n", auth(&house));
    for (target, status, length) in [
        ("/api/v1/secrets/h", "200", Some(got.body.len())),
        ("/healthz", "200", Some(3)),
        ("/api/v1/secrets/none", "404", None),
        ("/api/v1/secrets:purge", "405", None),
    ] {
        let mut stream = house.connect().await;
        stream.write_all(head(target).as_bytes()).await.unwrap();
        let all = String::from_utf8(rest_of(&mut stream).await).unwrap();
        let (lines, body) = all.split_once("\r\n\r\n").unwrap();
        assert!(lines.starts_with(&format!("HTTP/1.1 {status}")) && body.is_empty(), "{target}: {all}");
        if let Some(length) = length {
            assert!(lines.contains(&format!("content-length: {length}")), "{target}: {all}");
        }
    }
    let rows = house.owner("GET", "/api/v1/access?path=h&outcome=ok", Value::Null).await.json();
    let reads = rows["items"].as_array().unwrap().iter().filter(|row| row["act"] == "secret.read").count();
    assert_eq!(reads, 2, "{rows}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_secrets_read_at_once_leave_a_row_each_with_its_version_and_a_denial_names_its_path() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for (path, times) in [("m/a", 1), ("m/b", 3)] {
        for n in 0..times {
            house.owner("PUT", &format!("/api/v1/secrets/{path}"), json!({ "value": n })).await;
        }
    }
    let read = house.owner("POST", "/api/v1/secrets:read", json!({ "paths": ["m/b", "m/a"] })).await;
    assert_eq!(read.status, 200, "{read:?}");
    let rows = house.owner("GET", "/api/v1/access?path=m/", Value::Null).await.json();
    let rows = rows["items"].as_array().unwrap().iter().filter(|row| row["act"] == "secret.read");
    let mut seen: Vec<_> =
        rows.map(|row| (row["path"].as_str(), row["version"].as_u64(), row["outcome"].as_str())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [(Some("m/a"), Some(1), Some("ok")), (Some("m/b"), Some(3), Some("ok"))]);

    let text = "permit (principal in Role::\"some\", action == Action::\"secret.read\", resource == Secret::\"m/a\");";
    assert_eq!(house.owner("PUT", "/api/v1/policies/some", json!({ "text": text })).await.status, 200);
    let token = house.principal("someone", &[]).await;
    house.owner("PUT", "/api/v1/principals/someone", json!({ "roles": ["some"] })).await;
    let issued = house.owner("POST", "/api/v1/sessions", json!({ "principal": "someone" })).await.json();
    drop(token);
    let token = issued["token"].as_str().unwrap();
    let denied = house.call(token, "POST", "/api/v1/secrets:read", &json!({ "paths": ["m/a", "m/b", "none"] })).await;
    assert_eq!((denied.status, denied.code().as_str()), (403, "policy.denied"), "{denied:?}");
    let detail = denied.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("`m/b`") && !detail.contains("m/a") && !detail.contains("none"), "{detail}");
    let rows = house.owner("GET", "/api/v1/access?outcome=policy.denied", Value::Null).await.json();
    assert_eq!((&rows["items"][0]["path"], rows["items"][0].get("version")), (&json!("m/b"), None), "{rows}");
    house.stop().await;
}
