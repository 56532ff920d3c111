//! First start, stop, start again, and what stands in the way of one.

use crate::house::{configuration, start};
use serde_json::json;
use server::offline::Site;
use server::{Ended, Seams, build};
use std::os::unix::fs::PermissionsExt;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_there_after_a_restart_and_nothing_private_is_open_to_others() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let put = house.owner("PUT", "/api/v1/secrets/db/password", json!({ "value": "hunter2" })).await;
    assert_eq!((put.status, put.json()["version"].as_u64()), (200, Some(1)), "{put:?}");
    let (token, folder) = (house.owner.clone(), house.places.data.clone());
    assert_eq!(house.stop().await, Ended::AsTold);

    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o077, 0, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", entry.path().display());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }

    let house = start(top.path()).await;
    let got = house.call(&token, "GET", "/api/v1/secrets/db/password", &json!(null)).await;
    assert_eq!(got.json()["value"], "hunter2", "{got:?}");
    assert_eq!(got.headers["etag"], "\"1\"");
    assert_eq!(house.stop().await, Ended::AsTold);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_12_a_second_server_on_one_data_folder_refuses() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let (config, places) = configuration(top.path(), "");
    let told = build(&config, &places, Seams::system()).await.unwrap_err().to_string();
    assert!(told.contains("another process holds"), "{told}");
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ft_07_a_lost_or_foreign_key_file_stops_the_start_and_changes_nothing() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    let key = house.places.seal.clone();
    house.stop().await;
    let kept = std::fs::read(&key).unwrap();
    let (config, places) = configuration(top.path(), "");

    std::fs::remove_file(&key).unwrap();
    let told = build(&config, &places, Seams::system()).await.unwrap_err().to_string();
    assert!(told.contains("seal.key") && told.contains("backup") && !key.exists(), "{told}");

    std::fs::write(&key, [b'7'; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let told = build(&config, &places, Seams::system()).await.unwrap_err().to_string();
    assert!(told.contains("seal"), "{told}");

    std::fs::write(&key, &kept).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = build(&config, &places, Seams::system()).await.unwrap_err().to_string();
    assert!(told.contains("mode 0644"), "{told}");

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    start(top.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rekeyed_seal_opens_the_store_and_the_old_key_no_longer_does() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    house.owner("PUT", "/api/v1/secrets/a", json!({ "value": "v" })).await;
    let key = house.places.seal.clone();
    let old = std::fs::read(&key).unwrap();
    let rekeyed = house.owner("POST", "/api/v1/seal:rekey", json!(null)).await;
    assert_eq!(rekeyed.status, 200, "{rekeyed:?}");
    assert_ne!(std::fs::read(&key).unwrap(), old);
    house.stop().await;

    let house = start(top.path()).await;
    let got = house.owner("GET", "/api/v1/secrets/a", json!(null)).await;
    assert_eq!(got.json()["value"], "v");
    house.stop().await;

    std::fs::write(&key, old).unwrap();
    let (config, places) = configuration(top.path(), "");
    assert!(build(&config, &places, Seams::system()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_data_folder_verifies_offline_with_and_without_the_seal_and_rebuilds_equal() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for n in 0..20 {
        house.owner("PUT", &format!("/api/v1/secrets/o/{n}"), json!({ "value": n })).await;
    }
    let (data, seal) = (house.places.data.clone(), house.places.seal.clone());
    house.stop().await;
    for seal in [None, Some(seal.as_path())] {
        let findings = server::offline::verify(&Site::folder(&data), seal, None).await.unwrap();
        assert_eq!(findings.bad, Vec::<String>::new());
        let of = |name: &str| findings.checked.iter().find(|(what, _)| *what == name).unwrap().1;
        assert!(of("rows") >= 20 && of("entries") >= 20, "{findings:?}");
        assert_eq!(of("values") >= 20, seal.is_some(), "{findings:?}");
    }
    assert!(server::offline::rebuild(&Site::folder(&data), &seal).await.unwrap() > 0);
    let findings = server::offline::verify(&Site::folder(&data), Some(&seal), None).await.unwrap();
    assert_eq!(findings.bad, Vec::<String>::new());
    let house = start(top.path()).await;
    let got = house.owner("GET", "/api/v1/secrets/o/7", json!(null)).await;
    assert_eq!(got.json()["value"], 7);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_records_file_is_named_with_and_without_the_seal_and_a_rebuild_makes_it_again() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    house.owner("PUT", "/api/v1/secrets/a", json!({ "value": "v" })).await;
    let (data, seal) = (house.places.data.clone(), house.places.seal.clone());
    house.stop().await;
    for end in ["", "-wal", "-shm"] {
        let _may_not_be_there = std::fs::remove_file(data.join(format!("records.db{end}")));
    }
    for seal in [None, Some(seal.as_path())] {
        let bad = server::offline::verify(&Site::folder(&data), seal, None).await.unwrap().bad;
        assert!(bad[0].contains("`records.db` is missing") && bad[0].contains("ledger rebuild"), "{bad:?}");
        assert!(!data.join("records.db").exists(), "a verification made it");
    }
    server::offline::rebuild(&Site::folder(&data), &seal).await.unwrap();
    let findings = server::offline::verify(&Site::folder(&data), Some(&seal), None).await.unwrap();
    assert_eq!(findings.bad, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_goes_on_after_a_restart_where_its_cursor_stopped() {
    let top = tempfile::tempdir().unwrap();
    let house = start(top.path()).await;
    for n in 0..3 {
        house.owner("PUT", &format!("/api/v1/secrets/l/{n}"), json!({ "value": n })).await;
    }
    let first = house.owner("GET", "/api/v1/secrets?prefix=l&limit=2&sort=name", json!(null)).await.json();
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    house.stop().await;
    let house = start(top.path()).await;
    let target = format!("/api/v1/secrets?prefix=l&limit=2&sort=name&cursor={cursor}");
    let second = house.owner("GET", &target, json!(null)).await;
    assert_eq!(second.json()["items"][0]["path"], "l/2", "{second:?}");
    let elsewhere = house.owner("GET", &format!("/api/v1/secrets?prefix=m&cursor={cursor}"), json!(null)).await;
    assert_eq!(elsewhere.code(), "cursor.invalid");
    house.stop().await;
}
