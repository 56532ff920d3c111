//! Backups of a running server: by schedule, with retention, under load, and where there is no room.

use crate::full::SmallDisk;
use crate::house::{House, start, start_with};
use serde_json::{Value, json};
use server::backup::Restore;
use server::offline::Site;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

async fn listed(house: &House) -> Vec<Value> {
    let mut answer = house.owner("GET", "/api/v1/backups", Value::Null).await;
    for _ in 0..100 {
        // Where the clock just jumped, what was on its way to the access log seems to hang for a moment.
        if answer.status != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        answer = house.owner("GET", "/api/v1/backups", Value::Null).await;
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

/// Waits until this many are there and none is at work.
async fn until(house: &House, count: usize) -> Vec<Value> {
    for _ in 0..400 {
        let found = listed(house).await;
        if found.len() == count && found.iter().all(|b| b["state"] != "running" && b["state"] != "verifying") {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", listed(house).await);
}

async fn put(house: &House, path: &str, value: &str) {
    let put = house.owner("PUT", &format!("/api/v1/secrets/{path}"), json!({ "value": value })).await;
    assert_eq!(put.status, 200, "{put:?}");
}

async fn begun(house: &House) -> Value {
    let begun = house.owner("POST", "/api/v1/backups", Value::Null).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    begun.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_come_by_schedule_and_old_ones_go_once_a_newer_one_was_tried() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("kept");
    let text = format!("[backup]\nfolder = \"{}\"\nevery = \"10m\"\nkeep = 2\n", folder.display());
    let house = start_with(top.path(), &text).await;
    put(&house, "a", "canary").await;
    assert!(listed(&house).await.is_empty(), "none is due yet");
    let mut ids = Vec::new();
    for round in 1..=3_usize {
        house.clock.by(Duration::from_secs(600));
        let mut found = until(&house, round.min(2)).await;
        while found.last().map(|b| &b["id"]) == ids.last() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            found = until(&house, round.min(2)).await;
        }
        assert!(found.iter().all(|backup| backup["state"] == "verified"), "{found:?}");
        ids.push(found.last().unwrap()["id"].clone());
    }
    let left: Vec<_> = until(&house, 2).await.iter().map(|backup| backup["id"].clone()).collect();
    assert_eq!(left, ids[1..]);
    for file in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let name = file.file_name().to_string_lossy().into_owned();
        assert!(name.ends_with(".verified.backup") || name == "lock", "{name}");
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
    let metrics = String::from_utf8(house.call("", "GET", "/metrics", &Value::Null).await.body).unwrap();
    assert!(metrics.contains("aumbry_backup_failing 0") && !metrics.contains("aumbry_backup_verified_seconds 0\n"));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_35_a_backup_made_while_many_write_is_restored_whole() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for n in 0..50 {
        put(&house, &format!("before/{n}"), "v").await;
    }
    let writing = async {
        for n in 0..200 {
            put(&house, &format!("during/{}", n % 20), &format!("v{n}")).await;
            if n % 10 == 9 {
                let purge = json!({ "path": format!("during/{}", n % 20), "all": true });
                house.owner("POST", "/api/v1/secrets:purge", purge).await;
            }
        }
    };
    let (first, ()) = tokio::join!(begun(&house), writing);
    let made = until(&house, 1).await;
    assert_eq!((&made[0]["id"], made[0]["state"].as_str()), (&first["id"], Some("verified")), "{made:?}");
    let file = house.places.backups.join(format!("{}.verified.backup", first["id"].as_str().unwrap()));
    let seal = server::backup::SealKey::File(house.places.seal.clone());
    let asked = Restore {
        file,
        seal,
        site: Site::folder(&top.path().join("elsewhere")),
        replace: false,
        replaced_seal: None,
        forget: false,
    };
    let restored = server::backup::restore(&asked).await.unwrap();
    assert!(restored.lost.is_none() && restored.replaced.is_none());
    let found = server::offline::verify(&asked.site, Some(&house.places.seal), None).await.unwrap();
    assert!(found.bad.is_empty(), "{found:?}");
    let counted = |what: &str| found.checked.iter().find(|(name, _)| *name == what).unwrap().1;
    assert!(counted("values") >= 50 && counted("orphans") == 0, "{found:?}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_again_is_no_second_backup_and_another_one_waits() {
    let top = tempfile::tempdir().unwrap();
    let house = start_with(top.path(), "[backup]\nverify = false\n").await;
    let headers = [format!("authorization: Bearer {}", house.owner), "idempotency-key: one".to_owned()];
    let first = house.send("POST", "/api/v1/backups", &headers, b"").await.json();
    let again = house.send("POST", "/api/v1/backups", &headers, b"").await.json();
    assert_eq!(first["id"], again["id"]);
    let made = until(&house, 1).await;
    assert_eq!(made[0]["state"], "whole");
    assert_eq!(house.send("POST", "/api/v1/backups", &headers, b"").await.json()["id"], first["id"]);
    let target = format!("/api/v1/backups/{}", first["id"].as_str().unwrap());
    assert_eq!(house.owner("GET", &format!("{target}?from=1"), Value::Null).await.code(), "request.invalid");
    assert_eq!(house.owner("DELETE", &target, Value::Null).await.status, 200);
    assert_eq!(house.owner("GET", &target, Value::Null).await.code(), "backup.not_found");
    assert_eq!(house.owner("DELETE", &target, Value::Null).await.code(), "backup.not_found");
    for name in ["..%2F..%2Fseal.key", "x", "bak_", "CON", "%2Fetc%2Fpasswd"] {
        let answer = house.owner("GET", &format!("/api/v1/backups/{name}"), Value::Null).await;
        assert_eq!(answer.status, 400, "path_10: {name}: {answer:?}");
    }
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_05_where_a_backup_finds_no_room_it_fails_aloud_and_the_server_goes_on() {
    let top = tempfile::tempdir().unwrap();
    let folder = top.path().join("small");
    std::fs::create_dir(&folder).unwrap();
    let Some(_disk) = SmallDisk::mount(&folder, 1) else {
        println!("no disk can be mounted here");
        return;
    };
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    let house = start_with(top.path(), &format!("[backup]\nfolder = \"{}\"\n", folder.display())).await;
    for n in 0..3 {
        put(&house, &format!("large/{n}"), &"x".repeat(700_000)).await;
    }
    begun(&house).await;
    let failed = until(&house, 1).await;
    assert_eq!(failed[0]["state"], "failed", "{failed:?}");
    assert!(failed[0]["failed"].as_str().unwrap().contains("no room"), "{failed:?}");
    assert_eq!(files(&folder), 1, "nothing but the lock is left");
    let status = house.call("", "GET", "/api/v1/status", &Value::Null).await.json();
    assert!(status["ready"] == true && status["hindrance"].is_null(), "{status}");
    assert!(status["warning"].as_str().unwrap().contains("backup"), "{status}");
    put(&house, "after", "v").await;
    let metrics = String::from_utf8(house.call("", "GET", "/metrics", &Value::Null).await.body).unwrap();
    assert!(metrics.contains("aumbry_backup_failing 1") && metrics.contains("aumbry_backup_failures_total 1"));
    house.stop().await;
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}
