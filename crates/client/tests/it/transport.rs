use api::Class;
use api::secret::{PutQuery, ReadMany, Undelete};
use client::{Client, Options};
use crypto::secret::SecretBytes;

use crate::script::{answer, client, header, play, problem};

const WRITTEN: &str =
    r#"{"path":"a","version":1,"created_at":"2026-01-01T00:00:00.000Z","position":{"shard":0,"index":3}}"#;

fn written() -> String {
    answer("200 OK", "content-type: application/json\r\n", WRITTEN)
}

#[tokio::test]
async fn cli_04_a_redirect_is_not_followed_and_the_token_not_sent_again() {
    let (other, seen_there) = play(&[&written()]).await;
    let moved = answer("307 Temporary Redirect", &format!("location: {other}/api/v1/secrets/a\r\n"), "");
    let (addr, seen) = play(&[&moved]).await;
    let error = client(&addr).secrets().read("a", None).await.unwrap_err();
    assert_eq!(&*error.code, "client.redirected");
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert!(seen_there.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_retry_carries_the_same_idempotency_key_and_body() {
    let busy = problem(503, "unavailable", "retry-after: 0\r\n");
    let limited = problem(429, "limited", "retry-after: 0\r\n");
    let (addr, seen) = play(&[&busy, "", &limited, &written()]).await;
    let value = SecretBytes::from_slice(b"v1");
    let answer = client(&addr).secrets().put_raw("a/b c", value, &PutQuery::default()).await.unwrap();
    assert_eq!((answer.version, answer.position.index), (1, 3));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    let keys: Vec<_> = seen.iter().map(|request| header(request, "idempotency-key").unwrap()).collect();
    assert!(keys.iter().all(|key| *key == keys[0] && key.len() == 22));
    assert!(
        seen.iter()
            .all(|request| request.starts_with("PUT /api/v1/secrets/a/b%20c HTTP/1.1") && request.ends_with("v1"))
    );
}

#[tokio::test]
async fn two_mutations_have_two_idempotency_keys() {
    let (addr, seen) = play(&[&written()]).await;
    let client = client(&addr);
    for _ in 0..2 {
        client.secrets().put_raw("a", SecretBytes::from_slice(b"v"), &PutQuery::default()).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert_ne!(header(&seen[0], "idempotency-key"), header(&seen[1], "idempotency-key"));
}

#[tokio::test]
async fn a_mutation_whose_connection_broke_is_unknown_and_a_read_is_unavailable() {
    let (addr, seen) = play(&[""]).await;
    let client = client(&addr);
    let error = client.secrets().undelete(&Undelete { path: "a".into() }).await.unwrap_err();
    assert_eq!((error.class, &*error.code), (Class::Unknown, "client.broken"));
    assert_eq!(seen.lock().unwrap().len(), 4, "attempts are bounded");
    assert_eq!(client.secrets().versions("a").await.unwrap_err().class, Class::Unavailable);
    let several = ReadMany { paths: vec!["a".into(), "b".into()], resolve: false };
    assert_eq!(client.secrets().read_many(&several).await.unwrap_err().class, Class::Unavailable);
    let last = seen.lock().unwrap().last().unwrap().clone();
    assert!(last.starts_with("POST /api/v1/secrets:read") && header(&last, "idempotency-key").is_none(), "{last}");
}

#[tokio::test]
async fn later_after_a_broken_mutation_stays_unknown() {
    let busy = problem(503, "unavailable", "retry-after: 0\r\n");
    let (addr, _) = play(&["", &busy]).await;
    let error = client(&addr).secrets().delete("a").await.unwrap_err();
    assert_eq!(error.class, Class::Unknown);
}

#[tokio::test]
async fn refusals_are_not_tried_again_and_keep_their_parts() {
    for (status, class, wanted) in [
        (400, "invalid", Class::Invalid),
        (401, "unauthenticated", Class::Unauthenticated),
        (403, "denied", Class::Denied),
        (404, "not_found", Class::NotFound),
        (409, "conflict", Class::Conflict),
        (503, "sealed", Class::Sealed),
        (503, "unknown", Class::Unknown),
        (500, "corrupt", Class::Corrupt),
    ] {
        let (addr, seen) = play(&[&problem(status, class, "")]).await;
        let error = client(&addr).secrets().delete("a").await.unwrap_err();
        assert_eq!((error.class, &*error.code, &*error.hint), (wanted, "x.y", "h"), "{class}");
        assert_eq!(error.request_id.as_deref(), Some("r1"));
        assert_eq!(seen.lock().unwrap().len(), 1, "{class}");
    }
}

#[tokio::test]
async fn a_long_retry_after_is_told_and_not_waited_for() {
    let (addr, seen) = play(&[&problem(429, "limited", "retry-after: 3600\r\n")]).await;
    let error = client(&addr).secrets().delete("a").await.unwrap_err();
    assert_eq!(error.retry_after.map(|wait| wait.as_secs()), Some(3600));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_past_the_bound_is_refused() {
    let long = "x".repeat(5000);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n1388\r\n{long}\r\n0\r\n\r\n"
    );
    for text in [answer("200 OK", "", &long), chunked] {
        let (addr, _) = play(&[&text]).await;
        assert_eq!(&*client(&addr).secrets().read("a", None).await.unwrap_err().code, "client.answer");
    }
}

#[tokio::test]
async fn leak_01_an_unreadable_answer_is_not_repeated_in_the_error() {
    for body in [r#"{"path":"canary-1","version":"canary-2"}"#, "canary", r#"{"value":"canary"#] {
        for status in ["200 OK", "500 X"] {
            let (addr, _) = play(&[&answer(status, "content-type: application/json\r\n", body)]).await;
            let error = client(&addr).secrets().read("a", None).await.unwrap_err();
            assert!(!format!("{error:?} {error}").contains("canary"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_proxy_in_front_that_fails_keeps_the_meaning_of_its_status() {
    for (status, class) in [("502 X", Class::Unavailable), ("429 X", Class::Limited), ("504 X", Class::Unknown)] {
        let (addr, _) = play(&[&answer(status, "", "<html>")]).await;
        assert_eq!(client(&addr).status().await.unwrap_err().class, class, "{status}");
    }
}

#[tokio::test]
async fn path_01_paths_that_are_not_canonical_are_not_sent() {
    let (addr, seen) = play(&[&written()]).await;
    let client = client(&addr);
    for path in ["a/../b", "a//b", "%2e%2e", "a/", ""] {
        assert_eq!(client.secrets().read("a", None).await.unwrap_err().class, Class::Bug);
        assert_eq!(&*client.secrets().read(path, None).await.unwrap_err().code, "path.invalid", "{path}");
    }
    assert!(seen.lock().unwrap().iter().all(|request| request.starts_with("GET /api/v1/secrets/a HTTP")));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let error = client("http://127.0.0.1:1").status().await.unwrap_err();
    assert_eq!((error.class, &*error.code), (Class::Unavailable, "client.unreachable"));
}

#[test]
fn leak_02_a_client_and_its_options_print_no_token() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut options = Options::new("http://127.0.0.1:1");
    options.token = Some(crypto::secret::SecretText::new("aum_ses_canary".to_owned()));
    let mut shown = format!("{options:?}");
    shown.push_str(&format!("{:?}", Client::new(options).unwrap()));
    assert!(!shown.contains("canary"), "{shown}");
}
