//! A data folder without its server: verified, exported, made again, and left as it was.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::command::{aumbry, with};
use crate::house::House;

/// Every file below a folder with its contents and the time of its last change.
fn traces(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let found = path.metadata().unwrap();
        if found.is_dir() {
            all.insert(path.clone(), (Vec::new(), found.modified().unwrap()));
            all.extend(traces(&path));
        } else {
            all.insert(path.clone(), (std::fs::read(&path).unwrap(), found.modified().unwrap()));
        }
    }
    all
}

/// A stopped house with secrets and several closed segments of the access log.
fn at_rest() -> House {
    let mut house = House::start();
    for number in 0..3 {
        house.put(&format!("kept/{number}"), &[b'x'; 3000]);
        house.run(&["get", &format!("kept/{number}")]).ok();
        house.run(&["access", "verify"]).ok();
    }
    house.stop();
    house
}

fn segment(house: &House, number: u64) -> PathBuf {
    house.folder().join(format!("data/access/00000000/{number:016}.rows"))
}

const VERIFY: [&str; 4] = ["ledger", "verify", "--data-dir", "data"];
const SEALED: [&str; 6] = ["ledger", "verify", "--data-dir", "data", "--seal-file", "data.seal.key"];

#[test]
fn a_data_folder_is_verified_and_rebuilt_without_its_server() {
    let mut house = House::start();
    for number in 0..5 {
        house.put(&format!("kept/{number}"), b"canary");
    }
    let verify = |house: &House, args: &[&str]| {
        house.run(&[&["--json", "ledger", "verify", "--data-dir", "data"], args].concat())
    };
    verify(&house, &[]).failed(7, "ledger.offline");
    house.stop();
    let bare = verify(&house, &[]).ok().json();
    assert!(bare["checked"]["entries"].as_u64().unwrap() > 5, "{bare}");
    let sealed = verify(&house, &["--seal-file", "data.seal.key"]).ok().hides("canary").json();
    for (what, least) in [("keys", 5), ("records", 5), ("values", 5), ("rows", 5)] {
        assert!(sealed["checked"][what].as_u64().unwrap() >= least, "{what}: {sealed}");
    }
    assert_eq!(bare["checked"]["rows"], sealed["checked"]["rows"]);
    let rebuild = ["ledger", "rebuild", "--data-dir", "data", "--seal-file", "data.seal.key"];
    house.run(&rebuild).failed(2, "--yes");
    house.run(&[&rebuild[..], &["--yes"]].concat()).ok();
    verify(&house, &[]).ok();
    verify(&house, &["--seal-file", "data.seal.key"]).ok();
    verify(&house, &["--seal-file", "other.key"]).failed(2, "other.key");
    let other = [7; 32];
    std::fs::write(house.folder().join("other.key"), other).unwrap();
    std::fs::set_permissions(house.folder().join("other.key"), Permissions::from_mode(0o600)).unwrap();
    verify(&house, &["--seal-file", "other.key"]).failed(2, "does not open the root key");
    house.start_again();
    assert_eq!(house.run(&["get", "kept/3"]).ok().text(), "canary");
}

#[test]
fn a_flipped_byte_in_the_ledger_is_found_and_named() {
    let mut house = House::start();
    house.put("a", &[b'x'; 3000]);
    house.stop();
    let file = house.folder().join("data/ledger.db");
    let whole = std::fs::read(&file).unwrap();
    // Sealed blobs begin with these two bytes; the newest value is the last long one.
    let sealed: Vec<_> =
        whole.windows(2).enumerate().filter(|(_, pair)| *pair == [0xA5, 1]).map(|(at, _)| at).collect();
    let mut found = 0;
    for at in sealed.iter().rev().take(20) {
        let mut bytes = whole.clone();
        bytes[at + 40] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        let ended = house.run(&["ledger", "verify", "--data-dir", "data"]);
        found += usize::from(ended.code == 10 && ended.err.contains("ledger.damaged"));
    }
    assert!(found > 0, "none of {} places was found bad", sealed.len());
    std::fs::write(&file, &whole).unwrap();
    house.run(&["ledger", "verify", "--data-dir", "data"]).ok();
}

#[test]
fn verifying_changes_nothing_in_a_data_folder() {
    let mut house = at_rest();
    let reserve = house.folder().join("data/access/reserve");
    std::fs::remove_file(&reserve).unwrap();
    for state in ["at rest", "killed"] {
        let before = traces(house.folder());
        house.run(&VERIFY).ok();
        house.run(&SEALED).ok();
        house.run(&["ledger", "export", "out.jsonl", "--data-dir", "data"]).ok();
        std::fs::remove_file(house.folder().join("out.jsonl")).unwrap();
        let after = traces(house.folder());
        let changed: Vec<_> = before.iter().filter(|(path, was)| after.get(*path) != Some(was)).collect();
        assert!(changed.is_empty(), "{state}: {:?}", changed.iter().map(|(path, _)| path).collect::<Vec<_>>());
        assert_eq!(before.len(), after.len(), "{state}: something was added");
        house.start_again();
        house.put("late", b"canary");
        house.kill();
        let log = std::fs::metadata(house.folder().join("data/ledger.db-wal")).unwrap();
        assert!(log.len() > 0, "control: a kill leaves changes in the log");
    }
    house.start_again();
    assert_eq!(house.run(&["get", "late"]).ok().text(), "canary");
}

/// The same folder as somebody has it who may write nothing in it. Modes mean nothing to root, who becomes nobody.
fn read_only(house: &House, name: &str, files: u32, folders: u32) -> Command {
    let (from, to) = (house.folder().join("data"), house.folder().join(name));
    assert!(Command::new("cp").arg("-r").args([&from, &to]).status().unwrap().success());
    let root = from.metadata().unwrap().uid() == 0;
    if root {
        assert!(Command::new("chown").args(["-R", "65534"]).arg(&to).status().unwrap().success());
        std::fs::set_permissions(house.folder(), Permissions::from_mode(0o755)).unwrap();
    }
    let mut all: Vec<_> = traces(&to).into_keys().collect();
    all.push(to);
    all.sort();
    for path in all.iter().rev() {
        let mode = if path.is_dir() { folders } else { files };
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
    let plain = aumbry(house.folder());
    if !root {
        return plain;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--clear-groups"]).arg(plain.get_program()).current_dir(house.folder());
    command.env_clear().env("HOME", "/").env("PATH", "/usr/bin:/bin");
    command
}

#[test]
fn a_copy_that_cannot_be_written_is_verified_also_after_a_kill() {
    let mut house = at_rest();
    for state in ["at rest", "killed"] {
        for (name, files, folders) in [("own", 0o400, 0o500), ("shared", 0o444, 0o555)] {
            let name = format!("{name} {state}");
            let command = read_only(&house, &name, files, folders);
            let ended = with(command, &["ledger", "verify", "--data-dir", &name]).ok();
            assert!(ended.text().contains("is sound"), "{ended:?}");
        }
        let copy = house.folder().join(format!("shared {state}"));
        std::fs::set_permissions(&copy, Permissions::from_mode(0o775)).unwrap();
        house.run(&["ledger", "verify", "--data-dir", copy.to_str().unwrap()]).failed(2, "is not private");
        house.start_again();
        house.put("late", b"canary");
        house.run(&VERIFY).failed(7, "ledger.offline");
        house.kill();
    }
}

#[test]
fn damage_of_any_kind_ends_in_the_code_for_damage() {
    let house = at_rest();
    let spoil = |name: &str, how: fn(&mut Vec<u8>), args: &[&str]| {
        let file = house.folder().join("data").join(name);
        let whole = std::fs::read(&file).unwrap();
        let mut bytes = whole.clone();
        how(&mut bytes);
        std::fs::write(&file, &bytes).unwrap();
        let ended = house.run(args);
        std::fs::write(&file, whole).unwrap();
        assert_eq!(ended.code, 10, "{name}: {ended:?}");
        assert!(ended.err.contains("ledger.damaged"), "{name}: {ended:?}");
    };
    for name in ["ledger.db", "records.db"] {
        spoil(name, |bytes| bytes[0] ^= 1, &VERIFY);
        spoil(name, |bytes| bytes.truncate(50), &VERIFY);
        spoil(name, |bytes| bytes.truncate(bytes.len() / 2), &VERIFY);
        spoil(name, |bytes| bytes[68] ^= 1, &VERIFY);
        spoil(name, |bytes| bytes.iter_mut().skip(4096).for_each(|byte| *byte ^= 1), &VERIFY);
    }
    spoil("ledger.db", Vec::clear, &VERIFY);
    spoil("store", |bytes| bytes[50] ^= 1, &VERIFY);
    spoil("ledger.db", |bytes| bytes[0] ^= 1, &["ledger", "export", "out.jsonl", "--data-dir", "data"]);
    let last = "access/00000000/0000000000000002.rows";
    spoil(last, |bytes| bytes[20] ^= 1, &VERIFY);
    spoil(last, |bytes| bytes[200] ^= 1, &VERIFY);
    spoil(last, |bytes| bytes.truncate(bytes.len() - 1), &VERIFY);
    assert!(!house.folder().join("out.jsonl").exists());
    house.run(&SEALED).ok();
}

#[test]
fn rows_that_were_cut_rewritten_or_removed_show_without_the_seal() {
    let house = at_rest();
    let report = house.run(&[&["--json"], &VERIFY[..]].concat()).ok().json();
    assert!(report["checked"]["anchored segments"].as_u64().unwrap() >= 3, "{report}");
    let spoiled = |bytes: Option<Vec<u8>>, what: &str| {
        let file = segment(&house, 2);
        let whole = std::fs::read(&file).unwrap();
        match bytes {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        for args in [&VERIFY[..], &SEALED] {
            house.run(args).failed(10, "access segment 2").failed(10, what);
        }
        std::fs::write(&file, whole).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        house.run(&VERIFY).ok();
    };
    let whole = std::fs::read(segment(&house, 2)).unwrap();
    // The last row goes, cleanly: the chain of what is left holds, only the entry counts one row more.
    let (mut at, mut last) = (112, 112);
    while at < whole.len() {
        last = at;
        at += 4 + u32::from_be_bytes(whole[at..at + 4].try_into().unwrap()) as usize;
    }
    spoiled(Some(whole[..last].to_vec()), "ends before it");
    spoiled(None, "missing");
    // The newest closed segments and all that follows: what is left is a whole chain.
    let number = (1..).take_while(|number| segment(&house, *number).exists()).last().unwrap();
    let kept: Vec<_> =
        (2..=number).map(|number| (segment(&house, number), std::fs::read(segment(&house, number)).unwrap())).collect();
    kept.iter().for_each(|(file, _)| std::fs::remove_file(file).unwrap());
    house.run(&VERIFY).failed(10, "access segment 2 of log").failed(10, "missing");
    std::fs::remove_dir_all(house.folder().join("data/access")).unwrap();
    house.run(&VERIFY).failed(10, "access segment 1 of log");
}

#[test]
fn a_data_folder_is_exported_like_its_server_does() {
    let mut house = at_rest();
    let export = ["ledger", "export", "rest.jsonl", "--data-dir", "data"];
    house.run(&export).ok();
    house.run(&export).failed(2, "exists");
    house.start_again();
    house.run(&export).failed(7, "ledger.offline");
    let key = house.run(&["ledger", "key"]).ok().text().trim().to_owned();
    house.run(&["ledger", "export", "served.jsonl"]).ok();
    let check = |file: &str| house.run(&["--json", "ledger", "verify", "--export", file, "--key", &key]);
    let report = check("rest.jsonl").ok().json();
    assert_eq!(report["size"], report["whole_entries"]);
    assert!(report["access_segments"].as_u64().unwrap() >= 3, "{report}");
    let read = |name: &str| std::fs::read_to_string(house.folder().join(name)).unwrap();
    let (rest, served) = (read("rest.jsonl"), read("served.jsonl"));
    let entries = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let (own, other) = (entries(&rest), entries(&served));
    assert_eq!(own, other[..own.len()], "both say the same of the entries");
    std::fs::write(house.folder().join("rest.jsonl"), rest.replacen("\"sealed\":\"", "\"sealed\":\"AAAA", 1)).unwrap();
    check("rest.jsonl").failed(10, "entry 0");
}
