//! A server whose store is in a database elsewhere.

use crate::house::{House, configuration, start, start_with};
use serde_json::{Value, json};
use server::backup::{Restore, SealKey};
use server::offline::Site;
use server::{Seams, build};
use std::path::{Path, PathBuf};
use testkit::peers::PostgresPeer;

async fn put(house: &House, path: &str, value: &str) {
    let put = house.owner("PUT", &format!("/api/v1/secrets/{path}"), json!({ "value": value })).await;
    assert_eq!(put.status, 200, "{put:?}");
}

async fn value(house: &House, path: &str) -> Value {
    house.owner("GET", &format!("/api/v1/secrets/{path}"), Value::Null).await.json()["value"].clone()
}

async fn backed_up(house: &House) -> PathBuf {
    let begun = house.owner("POST", "/api/v1/backups", Value::Null).await.json();
    let file = house.places.backups.join(format!("{}.verified.backup", begun["id"].as_str().unwrap()));
    for _ in 0..400 {
        if file.exists() {
            return file;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("no backup");
}

fn site(folder: &Path) -> Site {
    Site::configured(&folder.join("aumbry.toml"), None).unwrap()
}

async fn restored(file: &Path, seal: &Path, site: Site) -> Result<PathBuf, String> {
    let (file, seal) = (file.to_owned(), SealKey::File(seal.to_owned()));
    let asked = Restore { file, seal, site, replace: false, replaced_seal: None, forget: false };
    server::backup::restore(&asked).await.map(|restored| restored.login).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_house_in_postgresql_restarts_verifies_rebuilds_and_is_backed_up_and_restored_from_and_to_files() {
    let peer = tokio::task::spawn_blocking(|| PostgresPeer::start(&[])).await.unwrap();
    let (database, other) = (peer.database("one"), peer.database("two"));
    let (top, files, second) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let there = format!("[storage]\nconnection = \"{database}\"\n");

    let house = start_with(top.path(), &there).await;
    put(&house, "a", "canary-a").await;
    let seal = house.places.seal.clone();
    let locked = build(&configuration(top.path(), &there).0, &house.places, Seams::system()).await.unwrap_err();
    assert_eq!(locked.code(), "serve.locked", "two servers on one data folder");
    house.stop().await;
    assert!(!top.path().join("data/ledger.db").exists(), "nothing of the store is in the data folder");
    let house = start_with(top.path(), &there).await;
    assert_eq!(value(&house, "a").await, "canary-a");
    let backup = backed_up(&house).await;
    house.stop().await;

    let found = server::offline::verify(&site(top.path()), Some(&seal), None).await.unwrap();
    assert!(found.bad.is_empty(), "{found:?}");
    assert!(server::offline::rebuild(&site(top.path()), &seal).await.unwrap() > 0);
    let found = server::offline::verify(&site(top.path()), Some(&seal), None).await.unwrap();
    assert!(found.bad.is_empty(), "{found:?}");

    // To files, and from there to another database.
    restored(&backup, &seal, Site::folder(&files.path().join("data"))).await.unwrap();
    std::fs::copy(&seal, files.path().join("seal.key")).unwrap();
    let house = start(files.path()).await;
    assert_eq!(value(&house, "a").await, "canary-a");
    put(&house, "b", "canary-b").await;
    let backup = backed_up(&house).await;
    house.stop().await;
    let there = format!("[storage]\nconnection = \"{other}\"\n");
    let (config, places) = configuration(second.path(), &there);
    restored(&backup, &seal, site(second.path())).await.unwrap();
    let again = restored(&backup, &seal, site(second.path())).await.unwrap_err();
    assert!(again.contains("name an empty one") || again.contains("is not empty"), "{again}");
    std::fs::copy(&seal, &places.seal).unwrap();
    let found = server::offline::verify(&site(second.path()), Some(&seal), None).await.unwrap();
    assert!(found.bad.is_empty(), "{found:?}");
    let house = start_with(second.path(), &there).await;
    assert_eq!((value(&house, "a").await, value(&house, "b").await), (json!("canary-a"), json!("canary-b")));
    house.stop().await;

    // As a restore leaves it that was killed on the way.
    peer.sql("two", "INSERT INTO aumbry_rows VALUES (0, 10, 'restoring', '')");
    let refused = build(&config, &places, Seams::system()).await.unwrap_err();
    assert!(refused.to_string().contains("did not come to its end"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_string_may_be_in_a_private_file_and_is_told_to_nobody() {
    let peer = tokio::task::spawn_blocking(|| PostgresPeer::start(&[])).await.unwrap();
    let top = tempfile::tempdir().unwrap();
    let file = top.path().join("connection");
    server::files::create_private(&file, format!("{}\n", peer.database("one")).as_bytes()).unwrap();
    let there = format!("[storage]\nconnection_file = \"{}\"\n", file.display());
    let house = start_with(top.path(), &there).await;
    put(&house, "a", "canary-a").await;
    let metrics = String::from_utf8(house.call("", "GET", "/metrics", &Value::Null).await.body).unwrap();
    assert!(!metrics.contains(PostgresPeer::PASSWORD));
    house.stop().await;

    let wrong = format!("[storage]\nconnection = \"{}\"\n", peer.url("none"));
    let (config, places) = configuration(top.path(), &wrong);
    assert!(!format!("{config:?}").contains(PostgresPeer::PASSWORD));
    let refused = build(&config, &places, Seams::system()).await.unwrap_err();
    assert_eq!(refused.code(), "serve.store");
    assert!(!format!("{refused:?} {refused} {}", refused.hint()).contains(PostgresPeer::PASSWORD));
}

/// Asks a server for something until it is as wanted; how long that took is not looked at.
async fn until(house: &House, token: &str, target: &str, wanted: impl Fn(&crate::house::Answer) -> bool) {
    for _ in 0..200 {
        if wanted(&house.call(token, "GET", target, &Value::Null).await) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{target} is not as wanted: {:?}", house.call(token, "GET", target, &Value::Null).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ha_02_two_servers_share_a_database_and_what_one_takes_away_the_other_refuses() {
    let peer = tokio::task::spawn_blocking(|| PostgresPeer::start(&[])).await.unwrap();
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let there =
        |name: &str| format!("[storage]\nconnection = \"{}\"\n[cluster]\nnode = \"{name}\"\n", peer.database("one"));
    let database = there("left");
    let left = start_with(first.path(), &database).await;
    std::fs::copy(&left.places.seal, second.path().join("seal.key")).unwrap();
    let database = database.replace("left", "right");
    let right = start_with(second.path(), &database).await;

    // One's own write, on another server, at once.
    let written = left.owner("PUT", "/api/v1/secrets/db/a", json!({ "value": "canary-1" })).await.json();
    let position = &written["position"];
    let after = format!("aumbry-position: {}/{}", position["shard"], position["index"]);
    let headers = [format!("authorization: Bearer {}", left.owner), after];
    let read = right.send("GET", "/api/v1/secrets/db/a", &headers, b"").await;
    assert_eq!(read.json()["value"], "canary-1", "{read:?}");
    let never = [headers[0].clone(), "aumbry-position: 0/x".to_owned()];
    assert_eq!(right.send("GET", "/api/v1/secrets/db/a", &never, b"").await.code(), "request.invalid");

    // A right that one gives and takes, a session that one ends.
    let reader = left.principal("reader", &["secret.read"]).await;
    until(&right, &reader, "/api/v1/secrets/db/a", |answer| answer.status == 200).await;
    let nothing =
        json!({ "text": "permit (principal in Role::\"reader\", action == Action::\"key.read\", resource);" });
    assert_eq!(left.owner("PUT", "/api/v1/policies/reader", nothing).await.status, 200);
    until(&right, &reader, "/api/v1/secrets/db/a", |answer| answer.code() == "policy.denied").await;
    assert_eq!(right.owner("PUT", "/api/v1/principals/reader", json!({ "disabled": true })).await.status, 200);
    until(&left, &reader, "/api/v1/secrets/db/a", |answer| answer.code() == "auth.required").await;

    // Both are there, one folds; a purge is answered by either when it is done.
    let two = |answer: &crate::house::Answer| answer.json()["items"].as_array().is_some_and(|items| items.len() == 2);
    until(&right, &left.owner, "/api/v1/nodes", two).await;
    let nodes = right.owner("GET", "/api/v1/nodes", Value::Null).await.json();
    let named: Vec<_> = nodes["items"].as_array().unwrap().iter().map(|node| node["name"].clone()).collect();
    assert_eq!(named, [json!("left"), json!("right")]);
    for (house, path) in [(&left, "db/b"), (&right, "db/c")] {
        put(house, path, "canary-2").await;
        let purged = house.owner("POST", "/api/v1/secrets:purge", json!({ "path": path, "all": true })).await;
        assert_eq!(purged.status, 200, "{purged:?}");
    }
    let seal = left.places.seal.clone();
    let running = server::offline::rebuild(&site(first.path()), &seal).await.unwrap_err().to_string();
    assert!(running.contains("stop all of them first") || running.contains("in use"), "{running}");

    // The other goes on alone, and the first finds everything when it comes back.
    left.stop().await;
    put(&right, "db/a", "canary-3").await;
    let gone = |answer: &crate::house::Answer| {
        answer.json()["items"].as_array().is_some_and(|items| items.len() == 1 && items[0]["pen"] == true)
    };
    until(&right, &right.owner, "/api/v1/nodes", gone).await;
    let left = start_with(first.path(), &database.replace("right", "left")).await;
    assert_eq!(value(&left, "db/a").await, "canary-3");
    left.stop().await;
    right.stop().await;
    let found = server::offline::verify(&site(first.path()), Some(&seal), None).await.unwrap();
    assert!(found.bad.is_empty(), "{found:?}");
}
