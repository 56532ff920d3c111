//! The disk is full: changes are refused, reads and what takes rights away go on, everybody is told, and it heals.

use crate::house::{House, configuration, start};
use serde_json::{Value, json};
use server::Ended;
use server::offline::Site;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A file system of this many mebibytes, where this user may mount one.
pub(crate) struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    pub(crate) fn mount(folder: &Path, mebibytes: u64) -> Option<SmallDisk<'_>> {
        std::fs::create_dir_all(folder).unwrap();
        let options = format!("size={mebibytes}m,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, because the store may still be open when a test fails.
        assert!(Command::new("umount").arg("-l").arg(self.0).status().is_ok());
    }
}

/// Fills what is left to the last byte.
fn fill(ballast: &Path) {
    let mut file = std::fs::File::create(ballast).unwrap();
    for piece in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; piece]).is_ok() {}
    }
}

/// What `/readyz` says once it says whether changes are taken; it answers 200 throughout, as reads go on.
async fn until_changes(house: &House, taken: bool) -> String {
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let told = house.call("", "GET", "/readyz", &Value::Null).await;
            assert_eq!(told.status, 200);
            if (told.body == b"ready\n") == taken {
                return String::from_utf8(told.body).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    seen.await.unwrap_or_else(|_| panic!("it was never said that changes are taken: {taken}"))
}

async fn refused(house: &House) {
    let put = house.owner("PUT", "/api/v1/secrets/large", json!({ "value": "v".repeat(300_000) })).await;
    assert_eq!((put.status, put.code().as_str()), (503, "storage.full"), "{put:?}");
}

async fn done(house: &House, verb: &str, target: &str, body: Value) {
    let told = house.owner(verb, target, body).await;
    assert_eq!(told.status, 200, "{verb} {target} on a full disk: {told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_05_on_a_full_disk_reads_and_revocations_go_on_and_writes_return_without_a_restart() {
    let top = tempfile::tempdir().unwrap();
    let (_, places) = configuration(top.path(), "");
    let Some(_disk) = SmallDisk::mount(&places.data, 176) else {
        eprintln!("no small disk can be mounted here: nothing was tried");
        return;
    };
    let house = start(top.path()).await;
    let friend = house.principal("friend", &["secret.read"]).await;
    let other = house.owner("POST", "/api/v1/sessions", json!({ "principal": "friend" })).await.json();
    let (session, token) = (other["session"]["id"].as_str().unwrap().to_owned(), other["token"].as_str().unwrap());
    for name in ["a", "b", "c"] {
        done(&house, "PUT", &format!("/api/v1/secrets/{name}"), json!({ "value": "hunter2" })).await;
    }
    let ballast = places.data.join("ballast");
    fill(&ballast);
    let mut puts = 0;
    while house.owner("PUT", "/api/v1/secrets/small", json!({ "value": puts })).await.status == 200 {
        puts += 1;
        assert!(puts < 1_000, "the disk is never full");
    }
    refused(&house).await;
    let why = until_changes(&house, false).await;
    assert!(why.contains("disk is full") && why.contains("reads go on"), "{why}");
    let status = house.call("", "GET", "/api/v1/status", &Value::Null).await.json();
    assert_eq!(
        (&status["ready"], status["hindrance"].as_str().map(|why| why.contains("full"))),
        (&json!(true), Some(true))
    );

    let read = async |token: &str, name: &str| {
        house.call(token, "GET", &format!("/api/v1/secrets/{name}"), &Value::Null).await.status
    };
    assert_eq!((read(&friend, "a").await, read(token, "a").await), (200, 200), "reads go on");
    done(&house, "DELETE", &format!("/api/v1/sessions/{session}"), Value::Null).await;
    assert_eq!((read(&friend, "a").await, read(token, "a").await), (200, 401), "one session is over");
    done(&house, "DELETE", "/api/v1/policies/friend", Value::Null).await;
    assert_eq!(read(&friend, "a").await, 403, "the policy is gone");
    done(&house, "PUT", "/api/v1/principals/friend", json!({ "roles": [], "disabled": true })).await;
    assert_eq!(read(&friend, "a").await, 401, "the principal is shut out");
    refused(&house).await;
    let enabled = house.owner("PUT", "/api/v1/principals/friend", json!({ "roles": ["friend"] })).await;
    // Shutting out and letting in are one act: whether there is room for it shows at the commit only.
    assert!(enabled.status == 200 || enabled.code() == "storage.full", "{enabled:?}");
    done(&house, "DELETE", "/api/v1/secrets/b", Value::Null).await;
    done(&house, "POST", "/api/v1/secrets:purge", json!({ "path": "c", "all": true })).await;

    std::fs::remove_file(&ballast).unwrap();
    until_changes(&house, true).await;
    done(&house, "PUT", "/api/v1/secrets/large", json!({ "value": "v".repeat(300_000) })).await;
    assert_eq!(places.data.join("reserve").metadata().unwrap().len(), 64 << 20, "the reserve is back");
    assert_eq!(house.owner("GET", "/api/v1/secrets/c", Value::Null).await.status, 404);
    assert_eq!(house.stop().await, Ended::AsTold);
    let findings = server::offline::verify(&Site::folder(&places.data), Some(&places.seal), None).await.unwrap();
    assert_eq!(findings.bad, Vec::<String>::new());
}
