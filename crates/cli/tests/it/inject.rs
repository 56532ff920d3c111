//! `run` and `render` with real secrets.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::command::{run, with};
use crate::house::House;

fn furnished() -> House {
    let house = House::start();
    house.put("db/password", b"hunter2");
    house.put("db/user", b"app");
    house.put("web/api", br#"{"token":"t-123","port":8080}"#);
    house
}

#[test]
fn a_program_gets_its_secrets_in_its_environment_and_nothing_else() {
    let house = furnished();
    let ended = house.run(&["run", "--env", "db/password", "--env", "PGUSER=db/user", "--", "env"]).ok();
    let mut names: Vec<_> = ended.text().lines().filter_map(|line| line.split_once('=')).collect();
    names.retain(|(name, _)| !matches!(*name, "HOME" | "PATH" | "XDG_CONFIG_HOME" | "AUMBRY_ADDR" | "AUMBRY_CACERT"));
    names.sort_unstable();
    assert_eq!(names, [("DB_PASSWORD", "hunter2"), ("PGUSER", "app")]);
}

#[test]
fn all_secrets_below_a_prefix_come_in_by_name() {
    let house = furnished();
    let show = |args: &[&str]| {
        let program = ["--", "sh", "-c", "echo $DB_PASSWORD:$DB_USER:$PASSWORD:$USER_NAME"];
        house.run(&[&["run"], args, &program[..]].concat()).ok().text().to_owned()
    };
    assert_eq!(show(&["--all", "db"]), "hunter2:app::\n");
    house.put("alone/password", b"x");
    assert_eq!(show(&["--all", "alone", "--strip-prefix"]), "::x:\n");
    house.run(&["run", "--all", "db", "--strip-prefix", "--", "true"]).failed(125, "USER");
    house.run(&["run", "--all", "nothere", "--", "true"]).failed(125, "there is no secret below `nothere`");
}

#[test]
fn deleted_and_expired_secrets_do_not_block_all_and_are_named() {
    let house = furnished();
    house.put("db/old", b"canary");
    house.run(&["delete", "db/old"]).ok();
    house.put_expired("db/late", b"canary");
    let program = ["--", "sh", "-c", "echo $DB_PASSWORD:$DB_OLD:$DB_LATE"];
    let ended = house.run(&[&["run", "--all", "db"], &program[..]].concat()).ok().hides("canary");
    assert_eq!(ended.text(), "hunter2::\n");
    assert_eq!(ended.err, "note: `db/late` is expired: left out\nnote: `db/old` is deleted: left out\n");
    house.run(&[&["run", "--env", "db/old"], &program[..]].concat()).failed(125, "secret.deleted");
    house.run(&[&["run", "--all", "db", "--env", "db/late"], &program[..]].concat()).failed(125, "db/late");
    house.put("gone/a", b"canary");
    house.run(&["delete", "gone/a"]).ok();
    house.run(&["run", "--all", "gone", "--", "true"]).failed(125, "that can be read");
}

#[test]
fn references_in_the_environment_an_env_file_and_the_project_are_resolved() {
    let house = furnished();
    house.put("db/password", b"hunter3");
    std::fs::write(house.folder().join(".aumbry.toml"), "[env]\nFROM_PROJECT = \"db/user\"\n").unwrap();
    std::fs::write(house.folder().join("env"), "FROM_FILE=aumbry:///web/api#token\nPLAIN=as it is\n").unwrap();
    let mut command = house.owner();
    command.env("FROM_ENVIRONMENT", "aumbry:///db/password?version=1");
    let program =
        ["run", "--env-file", "env", "--", "sh", "-c", "echo $FROM_PROJECT:$FROM_FILE:$FROM_ENVIRONMENT:$PLAIN"];
    assert_eq!(with(command, &program).ok().text(), "app:t-123:hunter2:as it is\n");
}

#[test]
fn cli_07_clashes_and_secrets_that_cannot_be_read_stop_the_run() {
    let house = furnished();
    let program = ["--", "sh", "-c", "echo ran"];
    let refused = |args: &[&str], name: &str| {
        let ended = house.run(&[&["run"], args, &program[..]].concat()).failed(125, name).hides("hunter2");
        assert!(ended.out.is_empty(), "{ended:?}");
    };
    refused(&["--env", "X=db/password", "--env", "X=db/user"], "X would be both");
    house.put("db/pass-word", b"1");
    house.put("db/pass_word", b"2");
    refused(&["--all", "db"], "DB_PASS_WORD");
    refused(&["--env", "db/none"], "db/none");
    refused(&["--env", "X=aumbry:///web/api#none"], "none");
    refused(&["--env", "HOME=db/user"], "HOME");
    let mut command = house.owner();
    command.env("X", "set").args(["run", "--env", "X=db/user"]).args(program);
    run(command, b"").failed(125, "set already");
    let mut command = house.owner();
    command.env("X", "set").args(["run", "--replace", "--env", "X=db/user", "--", "sh", "-c", "echo $X"]);
    assert_eq!(run(command, b"").ok().text(), "app\n");
}

#[test]
fn cli_07_signals_reach_the_program_and_its_exit_code_is_kept() {
    let house = furnished();
    let mut command = house.owner();
    command.args([
        "run",
        "--env",
        "db/password",
        "--",
        "sh",
        "-c",
        "trap 'exit 33' TERM; echo ready; while :; do sleep 0.05; done",
    ]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let killed = std::process::Command::new("kill").arg("-TERM").arg(pid.to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(33));
}

#[test]
fn leak_12_only_names_are_shown_and_nothing_is_written() {
    let house = furnished();
    let before = files(house.folder());
    let ended = house.run(&["run", "--verbose", "--env", "db/password", "--", "true"]).ok().hides("hunter2");
    assert_eq!(ended.err, "DB_PASSWORD from aumbry:///db/password\n");
    assert_eq!(files(house.folder()), before);
}

/// Names of all files outside the server's data.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

#[test]
fn a_template_is_filled_and_written_privately() {
    let house = furnished();
    let template = "url=postgres://{{ secret(\"db/user\") }}:{{ secret(\"db/password\") }}@db/app\n\
                    token={{ secret(\"web/api\", field=\"token\") }} port={{ secret(\"aumbry:///web/api#port\") }}\n";
    std::fs::write(house.folder().join("t"), template).unwrap();
    let wanted = "url=postgres://app:hunter2@db/app\ntoken=t-123 port=8080\n";
    assert_eq!(house.run(&["render", "t"]).ok().text(), wanted);
    assert_eq!(house.run_with(&["render", "-"], template.as_bytes()).ok().text(), wanted);
    house.run(&["render", "t", "--out", "out"]).ok();
    let out = house.folder().join("out");
    assert_eq!(std::fs::read_to_string(&out).unwrap(), wanted);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn leak_07_a_template_that_fails_after_fetching_shows_nothing_and_keeps_the_old_file() {
    let house = furnished();
    std::fs::write(house.folder().join("out"), "old").unwrap();
    for template in [
        "{{ secret(\"db/password\") }}\n{{ secret(\"db/none\") }}",
        "{{ secret(\"db/password\") | int }}",
        "{{ secret(\"db/password\").x.y }}",
        "{{ secret(\"db/password\") }}{{ missing }}",
        "{{ secret(secret(\"db/password\")) }}",
    ] {
        std::fs::write(house.folder().join("t"), template).unwrap();
        for args in [&["render", "t"][..], &["render", "t", "--out", "out"]] {
            let ended = house.run(args);
            assert!(ended.code != 0 && ended.out.is_empty(), "{template}: {ended:?}");
            // A secret used as a path is the one thing a refusal may repeat: it is the path.
            if !template.contains("secret(secret") {
                ended.hides("hunter2");
            }
        }
        assert_eq!(std::fs::read_to_string(house.folder().join("out")).unwrap(), "old");
    }
}
