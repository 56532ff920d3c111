//! Planted values and names are looked for in what the real binary writes, keeps and shows; a planted leak is found.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::house::House;

const VALUE: &str = "zQ7canaryValue9xK3";
const NAME: &str = "zq7canaryname9xk3";

fn holds(bytes: &[u8], text: &str) -> bool {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let inner = |shift: usize| {
        let text = STANDARD.encode([&vec![b'x'; shift], text.as_bytes()].concat());
        text.get(4..text.len() - 4).unwrap().to_owned()
    };
    let spellings = [text.to_owned(), hex, inner(0), inner(1), inner(2)];
    spellings.iter().any(|text| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

/// Files below a folder in which a text stands.
fn found(folder: &Path, text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            all.extend(found(&path, text));
        } else if entry.file_name() != "reserve" && holds(&std::fs::read(&path).unwrap(), text) {
            all.push(path.display().to_string());
        }
    }
    all
}

/// Writes, reads, lists, refuses, runs and logs in with canaries as values and names.
fn live(house: &House) {
    let path = format!("team/{NAME}");
    house.put(&path, VALUE.as_bytes());
    house.put(&path, format!("{{\"{VALUE}\": \"{VALUE}\"}}").as_bytes());
    assert!(house.run(&["get", &path]).ok().text().contains(VALUE));
    house.run(&["run", "--env", &format!("A={path}"), "--", "true"]).ok();
    house.run(&["list", "team"]).ok();
    house.run(&["get", &format!("{NAME}/none")]).failed(5, "secret.not_found");
    house.run(&["principal", "put", NAME, "--role", NAME]).ok();
    house.run(&["session", "issue", NAME, "--out", "token"]).ok();
    let mut denied = house.owner();
    denied.env_remove("AUMBRY_TOKEN");
    crate::command::with(denied, &["--token-file", "token", "get", &path]).failed(4, "policy.denied");
    house.run(&["access", "verify"]).ok();
}

#[test]
fn leak_05_10_the_most_talkative_log_shows_no_value_and_no_name() {
    let mut house = House::start_with(&["--set", "log.level=trace"]);
    live(&house);
    let threads: String = std::fs::read_dir(format!("/proc/{}/task", house.pid()))
        .unwrap()
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap())
        .collect();
    assert!(threads.lines().count() > 2 && !holds(threads.as_bytes(), NAME), "{threads}");
    let token = house.export("AUMBRY_TOKEN").to_owned();
    house.stop();
    let log = std::fs::read_to_string(house.folder().join("server.log")).unwrap();
    assert!(log.contains("stopping"), "control: this is the log: {log}");
    for text in [VALUE, NAME, &token] {
        assert!(!holds(log.as_bytes(), text), "{text}: {:?}", log.lines().find(|line| holds(line.as_bytes(), text)));
    }
    assert!(holds(format!("{log} bad value {VALUE}!").as_bytes(), VALUE), "LEAK-15: the search finds a leak");
}

#[test]
fn leak_11_no_value_is_in_a_copy_of_the_store_an_export_or_what_diagnosis_prints() {
    let mut house = House::start();
    live(&house);
    house.run(&["ledger", "export", "served.jsonl"]).ok();
    let doctor = house.run(&["doctor"]);
    let status = house.run(&["--json", "status"]).ok();
    // As it lies there while the server runs, as a snapshot of the volume would have it.
    let snapshot = house.folder().join("snapshot");
    let copied = Command::new("cp").arg("-r").arg(house.folder().join("data")).arg(&snapshot).status().unwrap();
    assert!(copied.success());
    house.stop();
    house.run(&["ledger", "export", "rest.jsonl", "--data-dir", "data"]).ok();
    let verified =
        house.run(&["--json", "ledger", "verify", "--data-dir", "data", "--seal-file", "data.seal.key"]).ok();
    for text in [VALUE, NAME] {
        for place in ["data", "snapshot"] {
            assert_eq!(found(&house.folder().join(place), text), Vec::<String>::new(), "{place}");
        }
        for name in ["served.jsonl", "rest.jsonl", "server.log"] {
            let whole = std::fs::read(house.folder().join(name)).unwrap();
            assert!(!holds(&whole, text), "{name}");
            let decoded = String::from_utf8(whole).unwrap();
            let decoded = decoded.split('"').filter_map(|word| STANDARD.decode(word).ok());
            assert!(decoded.into_iter().all(|bytes| !holds(&bytes, text)), "{name}, decoded");
        }
        for ended in [&doctor, &status, &verified] {
            assert!(!holds(&ended.out, text) && !holds(ended.err.as_bytes(), text), "{ended:?}");
        }
    }
    std::fs::write(snapshot.join("planted"), format!("x{VALUE}x")).unwrap();
    assert_eq!(found(&snapshot, VALUE).len(), 1, "LEAK-15: the search finds a leak");
}

#[test]
fn ft_09_a_server_that_runs_out_of_memory_leaves_no_half_write() {
    let mut house = House::start();
    let mut answered = Vec::new();
    let mut ran_out = 0;
    for round in 0..3_usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).unwrap();
        let used = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let used: u64 = used.trim().trim_end_matches(" kB").parse().unwrap();
        // From a little room to almost none, so that it ends at other allocations each time.
        let room = [16_u64, 4, 0].get(round).copied().unwrap() << 20;
        let limit = format!("--as={}", used * 1024 + room);
        assert!(Command::new("prlimit").args(["--pid", &house.pid(), &limit]).status().unwrap().success());
        let mut threads = Vec::new();
        for thread in 0..4 {
            let commands: Vec<_> = (0..2)
                .map(|n| {
                    let path = format!("round{round}/{thread}/{n}");
                    let mut command = house.owner();
                    command.args(["put", &path]);
                    (path, command)
                })
                .collect();
            threads.push(std::thread::spawn(move || {
                let run =
                    |(path, command): (String, _)| (path, crate::command::run(command, &[b'x'; 900_000]).code == 0);
                commands.into_iter().map(run).collect::<Vec<_>>()
            }));
        }
        let ended: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        ran_out += ended.iter().filter(|(_, ok)| !ok).count();
        answered.extend(ended.into_iter().filter(|(_, ok)| *ok).map(|(path, _)| path));
        house.kill_and_start();
    }
    assert!(ran_out > 0, "control: memory ran out");
    for path in &answered {
        assert_eq!(house.run(&["get", path]).ok().out.len(), 900_000, "{path} was answered for");
    }
    house.stop();
    house.run(&["ledger", "verify", "--data-dir", "data", "--seal-file", "data.seal.key"]).ok();
}
