//! Backups by the real binary: made from a running server, restored without one, refused where they must be.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{Ended, aumbry, run};
use crate::house::House;

const RESTORE: [&str; 6] = ["restore", "kept.backup", "--data-dir", "data", "--seal-file", "data.seal.key"];

fn pause() {
    assert!(Command::new("sleep").arg("0.05").status().unwrap().success());
}

/// A house with a secret, and a backup of it here.
fn backed_up() -> House {
    let house = House::start();
    house.put("db/password", b"canary-one");
    house.put("db/gone", b"canary-two");
    house.run(&["backup", "kept.backup"]).ok();
    house
}

fn replace(house: &House) -> Ended {
    house.run(&[&["--json"][..], &RESTORE, &["--replace", "--yes"]].concat())
}

/// Logs in with a one-time login and gives the command to go on with.
fn log_in(house: &House, login: &str) -> Command {
    let mut command = house.owner();
    command.env_remove("AUMBRY_TOKEN").args(["login", login]);
    run(command, b"").ok();
    let mut command = house.owner();
    command.env_remove("AUMBRY_TOKEN");
    command
}

#[test]
fn leak_11_a_backup_brings_everything_back_on_another_machine_and_shows_nothing() {
    let mut house = backed_up();
    let file = house.folder().join("kept.backup");
    let bytes = std::fs::read(&file).unwrap();
    for canary in ["canary", "db/password", "password"] {
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{canary}");
    }
    assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600, "cli_01: private");
    let listed = house.run(&["--json", "backup", "list"]).ok().json();
    assert_eq!(listed["items"][0]["state"], "verified", "{listed}");
    let sound = house.run(&["--json", "backup", "verify", "kept.backup", "--seal-file", "data.seal.key"]).ok().json();
    assert_eq!(sound["entries"], listed["items"][0]["entries"]);
    let old_session = house.export("AUMBRY_TOKEN").to_owned();
    house.put("late", b"not in it");
    house.stop();
    // The machine is lost: what is left is the backup and the seal's key.
    std::fs::remove_dir_all(house.folder().join("data")).unwrap();
    house.run(&RESTORE).ok().hides("canary");
    let verify = ["ledger", "verify", "--data-dir", "data", "--seal-file", "data.seal.key"];
    house.run(&verify).ok();
    house.start_again();
    assert_eq!(house.run(&["get", "db/password"]).ok().text(), "canary-one");
    house.run(&["get", "late"]).failed(5, "secret.not_found");
    let mut stale = house.with_token(&old_session);
    stale.args(["get", "db/password"]);
    run(stale, b"").failed(3, "auth.required");
    let mut command = log_in(&house, "data.owner.login");
    command.args(["get", "db/password"]);
    assert_eq!(run(command, b"").ok().text(), "canary-one");
    house.run(&["access", "verify"]).ok();
    house.stop();
    house.run(&verify).ok();
}

#[test]
fn ft_33_a_restore_over_a_newer_state_keeps_what_was_taken_away() {
    let mut house = House::start();
    house.put("db/password", b"canary-one");
    house.put("db/gone", b"canary-two");
    house.run(&["principal", "put", "worker", "--role", "reader", "--role", "writer"]).ok();
    house.run(&["principal", "put", "demoted", "--role", "reader", "--role", "writer"]).ok();
    let issued = house.run(&["--json", "session", "issue", "worker"]).ok().json();
    let worker = issued["token"].as_str().unwrap().to_owned();
    house.run(&["tenant", "create", "doomed", "--out", "doomed.login"]).ok();
    house.run(&["backup", "kept.backup"]).ok();
    house.run(&["purge", "db/gone", "--all", "--yes"]).ok();
    house.run(&["tenant", "delete", "doomed", "--yes"]).ok();
    house.run(&["principal", "put", "worker", "--disabled"]).ok();
    house.run(&["principal", "put", "demoted", "--role", "reader"]).ok();
    house.put("db/password", b"newer");
    house.run(&RESTORE).failed(2, "--replace");
    replace(&house).failed(7, "backup.failed");
    house.stop();
    let told = replace(&house).ok().json();
    assert_eq!((&told["purged"], &told["tenants_shut"]), (&1.into(), &1.into()), "{told}");
    assert!(told["lost_to"].as_u64() > told["lost_from"].as_u64(), "{told}");
    let aside = told["replaced"].as_str().unwrap();
    assert!(aside.ends_with("data.replaced-1") && Path::new(aside).join("ledger.db").exists());
    house.run(&["ledger", "verify", "--data-dir", "data", "--seal-file", "data.seal.key"]).ok();
    house.start_again();
    assert_eq!(house.run(&["get", "db/password"]).ok().text(), "canary-one");
    house.run(&["get", "db/gone"]).failed(5, "secret.");
    let mut dead = house.with_token(&worker);
    dead.args(["session", "show"]);
    assert_eq!(run(dead, b"").code, 3, "token_15: what was revoked stays dead");
    let worker = house.run(&["--json", "principal", "get", "worker"]).ok().json();
    assert_eq!(worker["disabled"], true, "{worker}");
    let demoted = house.run(&["--json", "principal", "get", "demoted"]).ok().json();
    assert_eq!(demoted["roles"], serde_json::json!(["reader"]), "{demoted}");
    let doomed = house.run(&["--json", "tenant", "get", "doomed"]);
    assert!(doomed.code == 5 || doomed.json()["state"] == "deleting", "{doomed:?}");
    house.run(&["ledger", "verify"]).ok();
}

#[test]
fn ft_33_what_was_taken_away_under_another_seal_than_the_backups_is_read_with_its_key_or_given_up_aloud() {
    let mut house = House::start();
    house.put("db/gone", b"canary-two");
    house.put("note", b"canary-three");
    house.run(&["wrap", "note", "--out", "wrapped"]).ok();
    house.run(&["backup", "kept.backup"]).ok();
    assert_eq!(house.run(&["unwrap", "wrapped"]).ok().text(), "canary-three");
    house.run(&["purge", "db/gone", "--all", "--yes"]).ok();
    std::fs::copy(house.folder().join("data.seal.key"), house.folder().join("old.key")).unwrap();
    house.run(&["seal", "rekey", "--yes"]).ok();
    house.stop();
    let old =
        ["--json", "restore", "kept.backup", "--data-dir", "data", "--seal-file", "old.key", "--replace", "--yes"];
    house.run(&old).failed(2, "--replaced-seal-file");
    assert!(!house.folder().join("data.replaced-1").exists());
    let told = house.run(&[&old[..], &["--replaced-seal-file", "data.seal.key"]].concat()).ok().json();
    assert_eq!(told["purged"], 1, "{told}");
    // The backup's seal is in force again.
    std::fs::copy(house.folder().join("old.key"), house.folder().join("data.seal.key")).unwrap();
    house.start_again();
    house.run(&["get", "db/gone"]).failed(5, "secret.");
    assert_eq!(house.run(&["get", "note"]).ok().text(), "canary-three");
    house.run(&["unwrap", "wrapped"]).failed(3, "wrap.refused");
    house.stop();
    std::fs::write(house.folder().join("data/ledger.db"), b"no store at all").unwrap();
    assert_ne!(house.run(&old).code, 0);
    house.run(&[&old[..], &["--forget-later"]].concat()).ok();
}

#[test]
fn token_15_a_token_revoked_after_the_backup_stays_dead_where_nothing_is_known_of_it() {
    let mut house = House::start();
    house.put("a", b"canary");
    house.run(&["principal", "put", "worker", "--role", "reader"]).ok();
    let issued = house.run(&["--json", "session", "issue", "worker"]).ok().json();
    let (token, id) = (issued["token"].as_str().unwrap(), issued["session"]["id"].as_str().unwrap());
    let show = |house: &House| {
        let mut command = house.with_token(token);
        command.args(["session", "show"]);
        run(command, b"").code
    };
    assert_eq!(show(&house), 0);
    house.run(&["backup", "kept.backup"]).ok();
    house.run(&["session", "revoke", id]).ok();
    assert_eq!(show(&house), 3);
    house.stop();
    std::fs::rename(house.folder().join("data"), house.folder().join("lost")).unwrap();
    house.run(&RESTORE).ok();
    house.start_again();
    assert_eq!(show(&house), 3);
}

#[test]
fn cfg_12_what_is_no_whole_backup_of_this_store_is_refused_before_anything_changes() {
    let mut house = backed_up();
    house.stop();
    let good = std::fs::read(house.folder().join("kept.backup")).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let mut newer = good.clone();
    newer[15] = 9;
    let cases: [(&str, &[u8], i32, &str); 5] = [
        ("cut", &good[..good.len() - 1], 10, "cut or was altered"),
        ("flipped", &flipped, 10, "cut or was altered"),
        ("longer", &[good.as_slice(), b"x"].concat(), 10, "behind its end"),
        ("newer", &newer, 2, "format 9"),
        ("strange", b"just some text that is no backup at all", 2, "no backup"),
    ];
    let data = house.folder().join("data");
    let before = std::fs::metadata(data.join("ledger.db")).unwrap().modified().unwrap();
    for (name, bytes, code, why) in cases {
        let file = house.folder().join(format!("{name}.backup"));
        std::fs::write(&file, bytes).unwrap();
        let named = file.display().to_string();
        for target in ["data", "elsewhere"] {
            let args = ["restore", &named, "--data-dir", target, "--seal-file", "data.seal.key", "--replace", "--yes"];
            house.run(&args).failed(code, why);
        }
        house.run(&["backup", "verify", &named, "--seal-file", "data.seal.key"]).failed(code, why);
    }
    std::fs::write(house.folder().join("other.key"), [7; 32]).unwrap();
    std::fs::set_permissions(house.folder().join("other.key"), Permissions::from_mode(0o600)).unwrap();
    let foreign = ["restore", "kept.backup", "--data-dir", "data", "--seal-file", "other.key", "--replace", "--yes"];
    house.run(&foreign).failed(2, "belongs to another store");
    // The same seal, another ledger: never taken for this one's earlier life.
    let mut other = House::start();
    other.stop();
    let their = other.folder().join("data");
    std::fs::copy(house.folder().join("data.seal.key"), other.folder().join("ours.key")).unwrap();
    let named = house.folder().join("kept.backup").display().to_string();
    let args = ["restore", &named, "--data-dir", "data", "--seal-file", "ours.key", "--replace", "--yes"];
    other.run(&args).failed(2, "another ledger");
    assert!(their.join("ledger.db").exists());
    assert!(!house.folder().join("elsewhere").exists() && !house.folder().join("data.restoring").exists());
    assert_eq!(std::fs::metadata(data.join("ledger.db")).unwrap().modified().unwrap(), before);
    house.start_again();
    assert_eq!(house.run(&["get", "db/password"]).ok().text(), "canary-one");
}

#[test]
fn a_restore_killed_anywhere_leaves_the_old_store_or_the_new_one_and_can_be_repeated() {
    let mut house = backed_up();
    house.put("late", b"newer");
    house.stop();
    let mut finished = 0;
    for round in 0..30_u32 {
        let mut command = aumbry(house.folder());
        command.args(RESTORE).args(["--replace", "--yes"]);
        let mut restoring = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let wait = f64::from(round % 15) * 0.04;
        assert!(Command::new("sleep").arg(format!("{wait}")).status().unwrap().success());
        let _ = restoring.kill();
        finished += u32::from(restoring.wait().unwrap().success());
        let ledger = house.folder().join("data/ledger.db");
        assert!(std::fs::metadata(&ledger).unwrap().len() > 0, "round {round}: a store stands there");
        let verify = ["ledger", "verify", "--data-dir", "data", "--seal-file", "data.seal.key"];
        house.run(&verify).ok();
    }
    replace(&house).ok();
    house.start_again();
    assert_eq!(house.run(&["get", "db/password"]).ok().text(), "canary-one");
    house.run(&["get", "late"]).failed(5, "secret.not_found");
    println!("{finished} of 30 were finished before they were killed");
}

#[test]
fn a_backup_whose_server_was_killed_never_looks_whole() {
    let mut house = House::start();
    for number in 0..40 {
        house.put(&format!("many/{number}"), &[b'x'; 100_000]);
    }
    for wait in ["0.01", "0.05", "0.1", "0.3"] {
        let mut command = house.owner();
        command.arg("backup").stdout(Stdio::null()).stderr(Stdio::null());
        let mut asking = command.spawn().unwrap();
        assert!(Command::new("sleep").arg(wait).status().unwrap().success());
        house.kill_and_start();
        let _ = asking.kill();
        asking.wait().unwrap();
        let listed = house.run(&["--json", "backup", "list"]).ok().json();
        for backup in listed["items"].as_array().unwrap() {
            let file = format!("{}.backup", backup["id"].as_str().unwrap());
            house.run(&["backup", "fetch", backup["id"].as_str().unwrap(), &file]).ok();
            house.run(&["backup", "verify", &file, "--seal-file", "data.seal.key"]).ok();
            std::fs::remove_file(house.folder().join(&file)).unwrap();
        }
        pause();
        let left = std::fs::read_dir(house.folder().join("data/backups"));
        let left = left.map(|found| found.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>());
        assert!(
            left.unwrap_or_default().iter().all(|name| name.to_string_lossy().ends_with(".backup") || name == "lock")
        );
    }
    house.run(&["backup"]).ok();
}

#[test]
fn a_backup_folder_that_cannot_be_written_is_told_and_nothing_else_suffers() {
    let house = House::start();
    house.put("a", b"canary");
    let folder = house.folder().join("data/backups");
    std::fs::write(&folder, "in the way").unwrap();
    house.run(&["backup"]).failed(7, "backup.failed");
    assert_eq!(house.run(&["get", "a"]).ok().text(), "canary");
    house.put("b", b"still written");
    let status = house.run(&["--json", "status"]).ok().json();
    assert!(status["warning"].as_str().unwrap().contains("backup"), "{status}");
    assert_eq!(status["ready"], true);
    assert!(house.run(&["doctor"]).text().contains("the last backup failed"));
    std::fs::remove_file(&folder).unwrap();
    house.run(&["backup"]).ok();
    let status = house.run(&["--json", "status"]).ok().json();
    assert!(status["warning"].is_null(), "{status}");
}
