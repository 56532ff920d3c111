//! Starts of `serve` that fail: each with its class, and a next step that is true.

use std::os::unix::fs::PermissionsExt;

use crate::command::{Ended, aumbry, with};
use crate::house::House;

/// Starts a server that cannot start, on this house's data.
fn start(house: &House, further: &[&str]) -> Ended {
    let args = ["serve", "--dev", "--data-dir", "data", "--listen", "127.0.0.1:0"];
    with(aumbry(house.folder()), &[&args, further].concat())
}

#[test]
fn a_start_beside_a_running_server_names_the_lock_or_the_port() {
    let house = House::start();
    start(&house, &[]).failed(7, "(serve.locked)").failed(7, "next: stop the server that uses the folder");
    let port = house.export("AUMBRY_ADDR").rsplit_once(':').unwrap().1.to_owned();
    let listen = format!("127.0.0.1:{port}");
    let first = ["serve", "--dev", "--data-dir", "other", "--listen", &listen];
    let ended = with(aumbry(house.folder()), &first).failed(7, "(serve.address)").failed(7, "--listen");
    assert!(house.folder().join("other.seal.key").exists());
    let advice = "other.seal.key\n  keep a copy in a safe place; without it nothing stored opens again\n";
    assert!(ended.err.contains(advice), "the start failed, but the key is made: {ended:?}");
    let again = with(aumbry(house.folder()), &first).failed(7, "(serve.address)");
    assert!(!again.err.contains("keep a copy"), "{again:?}");
    for (listen, name) in [("192.0.2.1:7480", "loopback"), ("127.0.0.1:99999", "doors.rest.listen"), ("x", "listen")] {
        with(aumbry(house.folder()), &["serve", "--dev", "--listen", listen]).failed(2, name);
    }
    let nowhere = ["serve", "--data-dir", "third", "--listen", "192.0.2.1:0"];
    with(aumbry(house.folder()), &nowhere).failed(2, "(serve.address)").failed(2, "no such address");
}

#[test]
fn a_configuration_that_is_none_is_bad_input() {
    let mut house = House::start();
    house.stop();
    start(&house, &["--set", "no.such=1"]).failed(2, "(serve.configuration)").failed(2, "--sample-config");
    start(&house, &["--set", "access.sinks=file", "--set", "access.sinks=store"]).failed(2, "is given twice");
    let args = ["--json", "serve", "--data-dir", "data", "--set", "cache.bytes=much"];
    let ended = with(aumbry(house.folder()), &args).failed(2, "serve.configuration");
    let problem: serde_json::Value = serde_json::from_str(&ended.err).unwrap();
    assert_eq!(problem["class"], "invalid");
    let data = house.folder().join("data");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    start(&house, &[]).failed(2, "0755");
}

#[test]
fn a_wrong_or_missing_key_file_ends_a_start_as_sealed() {
    let mut house = House::start();
    house.stop();
    let file = house.folder().join("data.seal.key");
    let key = std::fs::read(&file).unwrap();
    let private = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let refused = |what: &str| {
        let ended = start(&house, &[]).failed(8, "(serve.seal)").failed(8, what);
        ended.failed(8, "data.seal.key").failed(8, "next: put this store's own key file there");
    };
    std::fs::remove_file(&file).unwrap();
    refused("is missing");
    private(&[b'a'; 64]);
    refused("does not open the root key");
    private(b"short");
    refused("32 bytes");
    private(&key);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused("0644");
    private(&key);
    house.start_again();
}

#[test]
fn foreign_newer_and_damaged_data_are_told_apart() {
    let mut house = House::start();
    house.put("a", b"v");
    house.stop();
    let spoilt = |name: &str, how: fn(&mut Vec<u8>), code: &str, next: &str| {
        let file = house.folder().join("data").join(name);
        let whole = std::fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        how(&mut bytes);
        std::fs::write(&file, &bytes).unwrap();
        let ended = start(&house, &[]);
        std::fs::write(&file, whole).unwrap();
        ended.failed(10, code).failed(10, next);
    };
    // The application's own number and its version stand at these places of a SQLite file.
    spoilt("ledger.db", |bytes| bytes[68] ^= 1, "(serve.foreign)", "move away what does not belong there");
    spoilt("ledger.db", |bytes| bytes[63] += 1, "(serve.newer)", "the version that wrote it");
    spoilt("ledger.db", |bytes| bytes.truncate(5000), "(serve.damaged)", "backup");
    spoilt("ledger.db", Vec::clear, "(serve.damaged)", "backup");
    spoilt("store", |bytes| bytes[50] ^= 1, "(serve.", "next: ");
    house.start_again();
}
