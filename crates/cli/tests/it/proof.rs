//! The ledger and the access log, verified from outside.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use api::access::{Row, RowProof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::merkle::{leaf_hash, node_hash};

use crate::command::{Ended, with};
use crate::house::House;
use crate::liar::Liar;

#[test]
fn a_ledger_is_verified_pinned_and_seen_to_grow() {
    let house = House::start();
    house.put("a", b"1");
    let first = house.run(&["--json", "ledger", "verify"]).ok();
    assert!(first.err.contains("first use"), "{first:?}");
    let (size, key) = (first.json()["size"].as_u64().unwrap(), first.json()["key"].clone());
    house.put("a", b"2");
    let second = house.run(&["--json", "ledger", "verify"]).ok();
    assert!(second.err.is_empty(), "{second:?}");
    let report = second.json();
    assert!(report["size"].as_u64().unwrap() > size);
    assert_eq!((&report["extends"], &report["key"]), (&size.into(), &key));
    assert_eq!(report["whole_entries"], report["size"], "the owner fetches whole entries");
    let pins = house.folder().join("config/aumbry/ledgers");
    for pin in std::fs::read_dir(pins).unwrap() {
        assert_eq!(pin.unwrap().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    house.run(&["ledger", "verify", "--key", key.as_str().unwrap()]).ok();
}

#[test]
fn rows_kept_in_the_store_alone_are_listed_and_verified_after_a_kill() {
    let mut house = House::start_with(&["--set", "access.sinks=store"]);
    house.put("db/password", b"hunter2");
    house.run(&["get", "db/password"]).ok();
    house.kill_and_start();
    let rows = house.run(&["--json", "access", "list", "--path", "db/"]).ok().json();
    let acts: Vec<_> = rows["items"].as_array().unwrap().iter().map(|row| row["act"].clone()).collect();
    assert_eq!(acts, ["secret.read", "secret.write"], "{rows}");
    let report = house.run(&["--json", "access", "verify"]).ok().json();
    assert!(report["rows"].as_u64().unwrap() >= 4, "{report}");
    assert!(!house.folder().join("data/access").exists());
    house.stop();
    let data = house.folder().join("data");
    let seal = house.folder().join("data.seal.key");
    let checked =
        house.run(&["ledger", "verify", "--data-dir", data.to_str().unwrap(), "--seal-file", seal.to_str().unwrap()]);
    assert!(checked.ok().text().contains(" rows, "), "the check without a server sees them too");
}

#[test]
fn each_sinks_copy_of_the_rows_is_verified() {
    let mut house = House::start_with(&["--set", "access.sinks=file,store"]);
    house.put("db/password", b"hunter2");
    (0..20).for_each(|_| drop(house.run(&["get", "db/password"]).ok()));
    house.stop();
    let rows = house.folder().join("data/access/00000000/0000000000000001.rows");
    let good = std::fs::read(&rows).unwrap();
    let verify = || house.run(&["ledger", "verify", "--data-dir", "data"]);
    verify().ok();
    for at in (0..good.len()).step_by(good.len() / 12) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&rows, bad).unwrap();
        verify().failed(10, "access segment 1");
    }
    std::fs::write(&rows, &good[..good.len() / 2]).unwrap();
    verify().ok().failed(0, "one sink has segment 1 only in part");
    std::fs::write(&rows, good).unwrap();
    assert!(!verify().ok().err.contains("one sink"));
}

#[test]
fn another_key_than_the_pinned_one_is_refused() {
    let (house, other) = (House::start(), House::start());
    house.run(&["ledger", "verify"]).ok();
    let key = other.run(&["ledger", "key"]).ok().text().trim().to_owned();
    house.run(&["ledger", "verify", "--key", &key]).failed(10, "ledger.key_changed");
    house.run(&["ledger", "verify", "--key", "nonsense"]).failed(2, "cli.invalid");
    house.run(&["ledger", "verify", "--key", ""]).failed(2, "cli.invalid");
}

#[test]
fn a_server_with_another_key_than_the_pinned_one_is_refused_with_the_way_on() {
    let (house, other) = (House::start(), House::start());
    house.run(&["ledger", "verify"]).ok();
    let (own, foreign) = (key(&house), key(&other));
    let pin = pin(&house);
    let kept = std::fs::read_to_string(&pin).unwrap();
    std::fs::write(&pin, kept.replace(&own, &foreign)).unwrap();
    for args in [&["ledger", "verify"][..], &["access", "verify"]] {
        let ended = house.run(args).failed(10, "ledger.key_changed").failed(10, &own).failed(10, &foreign);
        ended.failed(10, "aumbry serve").failed(10, &format!("remove `{}`", pin.display()));
    }
    std::fs::remove_file(&pin).unwrap();
    house.run(&["ledger", "verify", "--key", &own]).ok();
    assert!(std::fs::read_to_string(&pin).unwrap().contains(&own), "the key given is pinned now");
    assert!(house.run(&["ledger", "verify"]).ok().err.is_empty());
}

#[test]
fn an_export_is_held_against_the_pinned_key_of_its_ledger() {
    let (house, other) = (House::start_with(SAME_NAME), House::start_with(SAME_NAME));
    let own = key(&house);
    house.run(&["ledger", "export", "own.jsonl"]).ok();
    other.run(&["ledger", "export", house.folder().join("other.jsonl").to_str().unwrap()]).ok();
    let check = |file: &str| house.run(&["--json", "ledger", "verify", "--export", file]);
    let from = |ended: Ended| (ended.json()["key_from"].clone(), ended.json()["key"].clone());
    let unpinned = check("own.jsonl").ok().failed(0, "no key is pinned");
    assert_eq!(from(unpinned), ("export".into(), own.as_str().into()));
    house.run(&["ledger", "verify"]).ok();
    let pinned = check("own.jsonl").ok();
    assert!(pinned.err.is_empty(), "{pinned:?}");
    assert_eq!(from(pinned), ("pinned".into(), own.as_str().into()));
    let said = house.run(&["ledger", "verify", "--export", "own.jsonl"]).ok();
    assert!(said.text().contains(&format!("with the pinned key {own}")), "{said:?}");
    // Signed as a whole by somebody else under the same name.
    check("other.jsonl").failed(10, "ledger.key_changed").failed(10, &own);
    let given = house.run(&["--json", "ledger", "verify", "--export", "other.jsonl", "--key", &key(&other)]).ok();
    assert_eq!(from(given).0, "given");
    house.run(&["ledger", "verify", "--export", "own.jsonl", "--key", ""]).failed(2, "cli.invalid");
    let file = house.folder().join("own.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replacen(&own, "", 1)).unwrap();
    check("own.jsonl").failed(10, "line 1 names a key that is none");
}

const SAME_NAME: &[&str] = &["--set", "ledger.cluster=here"];

#[test]
fn each_store_has_a_ledger_of_its_own_name() {
    let (house, other) = (House::start(), House::start());
    let (own, others) = (key(&house), key(&other));
    assert!(own.starts_with("aumbry-") && others.starts_with("aumbry-"), "{own} {others}");
    assert_ne!(own.split('+').next(), others.split('+').next());
    house.run(&["ledger", "verify"]).ok();
    other.run(&["ledger", "export", house.folder().join("other.jsonl").to_str().unwrap()]).ok();
    house.run(&["ledger", "verify", "--export", "other.jsonl"]).ok().failed(0, "no key is pinned");
}

#[test]
fn a_copy_of_a_ledger_is_held_against_what_was_verified_of_it() {
    let mut house = House::start();
    house.put("a", b"1");
    house.run(&["ledger", "export", "early.jsonl"]).ok();
    house.stop();
    let copied = Command::new("cp").args(["-a", "data", "kept"]).current_dir(house.folder()).status().unwrap();
    assert!(copied.success());
    house.start_again();
    (0..3).for_each(|_| house.put("a", b"2"));
    let seen = house.run(&["--json", "ledger", "verify"]).ok().json()["size"].clone();
    house.run(&["ledger", "export", "late.jsonl"]).ok();
    house.stop();
    let check = |file: &str| house.run(&["--json", "ledger", "verify", "--export", file]).ok();
    let late = check("late.jsonl");
    assert!(late.err.is_empty(), "{late:?}");
    assert_eq!(late.json()["extends"], seen);
    let early = check("early.jsonl").failed(0, "it is an older one, or was cut");
    assert!(early.json()["extends"].is_null());
    house.run(&["ledger", "verify", "--data-dir", "data"]).ok().failed(0, "");
    house.run(&["ledger", "verify", "--data-dir", "kept"]).ok().failed(0, "it is an older one, or was cut");

    // The old copy is brought back and goes its own way, with the same key.
    let folder = house.folder();
    std::fs::rename(folder.join("data"), folder.join("gone")).unwrap();
    std::fs::rename(folder.join("kept"), folder.join("data")).unwrap();
    house.start_again();
    (0..6).for_each(|_| house.put("b", b"3"));
    house.run(&["ledger", "export", "fork.jsonl"]).ok();
    house.stop();
    house.run(&["ledger", "verify", "--export", "fork.jsonl"]).failed(10, "ledger.forked");
    house.run(&["ledger", "verify", "--export", "late.jsonl"]).ok();
}

#[test]
fn a_data_folder_is_held_against_the_pinned_key_of_its_ledger() {
    let (mut house, mut other) = (House::start_with(SAME_NAME), House::start_with(SAME_NAME));
    let verify = |house: &House, folder: &House| {
        let data = folder.folder().join("data");
        house.run(&["ledger", "verify", "--data-dir", data.to_str().unwrap()])
    };
    let (own, others) = (key(&house), key(&other));
    house.run(&["ledger", "verify"]).ok();
    house.stop();
    other.stop();
    assert!(verify(&house, &house).ok().err.is_empty());
    verify(&house, &other).failed(10, "ledger.key_changed").failed(10, &own);
    verify(&other, &other).ok().failed(0, "no key is pinned");
    let data = other.folder().join("data");
    let given = ["ledger", "verify", "--data-dir", data.to_str().unwrap(), "--key", &others];
    assert!(house.run(&given).ok().err.is_empty());
}

fn key(house: &House) -> String {
    house.run(&["ledger", "key"]).ok().text().trim().to_owned()
}

/// The one pin of this house's user.
fn pin(house: &House) -> std::path::PathBuf {
    let mut pins = std::fs::read_dir(house.folder().join("config/aumbry/ledgers")).unwrap();
    pins.next().unwrap().unwrap().path()
}

#[test]
fn an_export_is_verified_without_the_server_and_any_change_to_it_found() {
    let house = House::start();
    for number in 0..5 {
        house.put("a", format!("canary {number}").as_bytes());
    }
    house.run(&["ledger", "export", "ledger.jsonl"]).ok();
    house.run(&["ledger", "export", "ledger.jsonl"]).failed(2, "exists");
    let file = house.folder().join("ledger.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("canary"));
    let key = house.run(&["ledger", "key"]).ok().text().trim().to_owned();
    let check = || house.run(&["ledger", "verify", "--export", "ledger.jsonl", "--key", &key]);
    check().ok();
    let lines: Vec<_> = text.lines().collect();
    for index in 0..lines.len() {
        let mut without = lines.clone();
        if !without.remove(index).starts_with("{\"segment\"") {
            std::fs::write(&file, without.join("\n") + "\n").unwrap();
            assert_ne!(check().code, 0, "without line {index}");
        }
    }
}

#[test]
fn who_read_that_is_answered_and_itself_recorded() {
    let house = House::start();
    house.put("db/password", b"canary");
    house.run(&["get", "db/password"]).ok();
    house.run(&["get", "db/none"]).failed(5, "secret.not_found");
    let rows = house.run(&["--json", "access", "list", "--path", "db/password"]).ok().hides("canary").json();
    let acts: Vec<_> = rows["items"].as_array().unwrap().iter().map(|row| row["act"].as_str().unwrap()).collect();
    assert!(acts.contains(&"secret.read") && acts.contains(&"secret.write"), "{acts:?}");
    let refused = house.run(&["--json", "access", "list", "--outcome", "secret.not_found"]).ok().json();
    assert_eq!(refused["items"][0]["path"], "db/none");
    let ended = house.run(&["access", "list", "--outcome", "denied"]).failed(2, "access.outcome_unknown");
    assert!(ended.err.contains(" ok, refused, ") && ended.err.contains(" policy.denied,"), "{ended:?}");
    let own = house.run(&["--json", "access", "list", "--since", "1h"]).ok().json();
    assert!(own["items"].as_array().unwrap().iter().any(|row| row["act"] == "access.read"));
    let none = house.run(&["--json", "access", "list", "--since", "2100-01-01T00:00:00Z"]).ok().json();
    assert_eq!(none["items"], serde_json::json!([]));
}

#[test]
fn a_tail_shows_what_others_ask_and_not_its_own_asking() {
    let house = House::start();
    let mut command = house.owner();
    command.args(["--json", "access", "tail", "--since", "1h"]);
    let mut tail = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut until = |path: &str| {
        let mut acts = Vec::new();
        for line in &mut lines {
            let row: Row = serde_json::from_str(&line.unwrap()).unwrap();
            acts.push(row.act);
            if row.path.as_deref() == Some(path) {
                break;
            }
        }
        acts
    };
    house.put("first", b"v");
    until("first");
    // A few rounds pass before the next thing happens.
    assert!(std::process::Command::new("sleep").arg("3").status().unwrap().success());
    house.run(&["access", "list"]).ok();
    house.put("second", b"v");
    assert_eq!(until("second"), ["access.read", "secret.write"], "of all that was asked only what others asked");
    tail.kill().unwrap();
    tail.wait().unwrap();
    let all = house.run(&["--json", "access", "list"]).ok().json();
    let asked = all["items"].as_array().unwrap().iter().filter(|row| row["act"] == "access.read").count();
    assert!(asked > 3, "the tail's own rows are recorded: {asked}");
}

#[test]
fn rows_are_proven_to_be_in_the_ledger() {
    let house = House::start();
    house.put("a", b"1");
    house.run(&["get", "a"]).ok();
    let first = house.run(&["--json", "access", "verify"]).ok().json();
    assert!(first["rows"].as_u64().unwrap() >= 2 && first["segments"].as_u64().unwrap() >= 1, "{first}");
    house.run(&["get", "a"]).ok();
    house.run(&["access", "verify", "--path", "a", "--limit", "2"]).ok();
    let rows = house.run(&["--json", "access", "list", "--path", "a"]).ok().json();
    assert!(rows["items"][0]["proof"].is_null(), "proofs come when asked for only");
}

/// What `access verify` says to a server that changes the rows it shows.
fn told(house: &House, key: &str, lie: impl Fn(&mut Vec<Row>) + Send + 'static) -> Ended {
    let liar = Liar::start(house, lie);
    house.run(&["get", "a"]).ok();
    house.run(&["--addr", &liar.addr, "access", "verify", "--path", "a", "--key", key])
}

fn proof(rows: &mut [Row]) -> &mut RowProof {
    rows[0].proof.as_mut().unwrap()
}

fn flipped(text: &str, at: usize) -> String {
    let mut bytes = STANDARD.decode(text).unwrap();
    bytes[at] ^= 1;
    STANDARD.encode(bytes)
}

/// Replaces some bytes, which must be there.
fn replaced(text: &str, old: &[u8], new: &[u8]) -> String {
    let mut bytes = STANDARD.decode(text).unwrap();
    let at = bytes.windows(old.len()).position(|found| found == old).unwrap();
    bytes[at..at + new.len()].copy_from_slice(new);
    STANDARD.encode(bytes)
}

/// Makes a read by somebody look like a list, and everything up to the segment's entry fit that.
fn forge(rows: &mut [Row]) {
    rows[0].act = "secret.list".to_owned();
    let proof = proof(rows);
    proof.plain = replaced(&proof.plain, b"secret.read", b"secret.list");
    let commitment = [b"aumbry access row v1\0".as_slice(), &STANDARD.decode(&proof.plain).unwrap()].concat();
    let mut frame = STANDARD.decode(&proof.frame).unwrap();
    frame[29..61].copy_from_slice(&crypto::sha256(&commitment));
    proof.frame = STANDARD.encode(&frame);
    let old_root = STANDARD.decode(&proof.segment.root).unwrap();
    let mut root = leaf_hash(&frame);
    let siblings: Vec<_> = proof.hashes.iter().map(|hash| client::verify::hash(hash).unwrap()).collect();
    let (mut index, mut last) = (proof.index, proof.segment.rows - 1);
    for sibling in siblings {
        while index == last && index % 2 == 0 {
            (index, last) = (index / 2, last / 2);
        }
        root = if index % 2 == 1 { node_hash(&sibling, &root) } else { node_hash(&root, &sibling) };
        (index, last) = (index / 2, last / 2);
    }
    proof.segment.root = STANDARD.encode(root);
    proof.entry = replaced(&proof.entry, &old_root, &root);
}

#[test]
fn a_server_that_lies_about_the_access_log_is_caught() {
    let house = House::start();
    house.put("a", b"1");
    let key = house.run(&["ledger", "key"]).ok().text().trim().to_owned();
    told(&house, &key, |_| ()).ok();
    told(&house, &key, |rows| rows[0].act = "secret.list".to_owned()).failed(10, "access.unproven");
    told(&house, &key, |rows| rows[0].proof = None).failed(10, "access.unproven");
    told(&house, &key, |rows| proof(rows).plain = flipped(&proof(rows).plain, 20)).failed(10, "access.unproven");
    told(&house, &key, |rows| proof(rows).segment.root = flipped(&proof(rows).segment.root, 0))
        .failed(10, "access.unproven");
    told(&house, &key, |rows| proof(rows).segment.segment += 1).failed(10, "access.unproven");
    told(&house, &key, |rows| proof(rows).index ^= 1).failed(10, "access.unproven");
    told(&house, &key, |rows| proof(rows).position.index -= 1).failed(10, "ledger.proof_invalid");
    // The sealed part is as much of the entry as the clear one.
    told(&house, &key, |rows| proof(rows).entry = flipped(&proof(rows).entry, 300)).failed(10, "ledger.proof_invalid");
    // A forgery whose row, segment and entry fit one another: only the signed tree tells.
    told(&house, &key, |rows| forge(rows)).failed(10, "ledger.proof_invalid");
}

#[test]
fn the_segment_of_another_row_proves_nothing() {
    let house = House::start();
    house.put("a", b"1");
    let key = house.run(&["ledger", "key"]).ok().text().trim().to_owned();
    let earlier = std::sync::Mutex::new(None);
    let liar = Liar::start(&house, move |rows| {
        let mut earlier = earlier.lock().unwrap();
        let own = proof(rows).clone();
        if let Some(RowProof { segment, position, entry, .. }) = earlier.replace(own) {
            *proof(rows) = RowProof { segment, position, entry, ..proof(rows).clone() };
        }
    });
    let verify = || house.run(&["--addr", &liar.addr, "access", "verify", "--path", "a", "--key", &key]);
    verify().ok();
    house.run(&["get", "a"]).ok();
    verify().failed(10, "access.unproven");
}

#[test]
fn the_owner_rotates_keys_and_the_seal_and_secrets_stay() {
    let mut house = House::start();
    house.put("a", b"kept");
    // One rotation waits for the one before it to end.
    let patiently = |args: &[&str]| {
        let mut tries = std::iter::repeat_with(|| house.run(args)).take(300);
        tries.find(|ended| ended.code != 6).unwrap().ok();
    };
    patiently(&["keys", "rotate"]);
    patiently(&["keys", "rotate", "--scope", "root"]);
    house.run(&["seal", "rekey"]).failed(2, "--yes");
    patiently(&["seal", "rekey", "--yes"]);
    assert_eq!(house.run(&["get", "a"]).ok().text(), "kept");
    house.kill_and_start();
    assert_eq!(house.run(&["get", "a"]).ok().text(), "kept");
    let keys = house.run(&["keys", "list"]).ok();
    assert!(keys.text().contains("tenant"), "{keys:?}");
}

#[test]
fn status_and_doctor_see_a_server_in_good_health() {
    let house = House::start();
    let status = house.run(&["--json", "status"]).ok().json();
    assert_eq!((&status["seal"], &status["ready"]), (&"open".into(), &true.into()));
    let doctor = house.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
    let mut anonymous = house.owner();
    anonymous.env_remove("AUMBRY_TOKEN");
    with(anonymous, &["status"]).ok();
}
