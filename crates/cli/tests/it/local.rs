//! What the binary does before, or without, a server.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::command::{aumbry, run, with};

/// An address where nobody answers.
const NOWHERE: &str = "http://127.0.0.1:1";

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn cli_03_failures_have_their_exit_codes() {
    let home = home();
    for (args, code, name) in [
        (&["--addr", NOWHERE, "status"][..], 7, "client.unreachable"),
        (&["--addr", NOWHERE, "get", "a/../b"], 2, "path.invalid"),
        (&["--addr", "http://vault.example.com", "get", "a"], 2, "client.address"),
        (&["--addr", "nonsense", "get", "a"], 2, "client.address"),
        (&["frobnicate"], 2, "frobnicate"),
        (&["get"], 2, "PATH"),
        (&["render", "none.tpl"], 2, "cli.local"),
        (&["--cacert", "none.pem", "status"], 2, "cli.local"),
        (&["--token-file", "none", "get", "a"], 2, "cli.invalid"),
        (&["run", "--env", "A=../a", "--", "true"], 125, "path.invalid"),
        (&["run"], 125, "PROGRAM"),
        (&["run", "--", "./no-such-program"], 127, "was not run"),
        (&["ledger", "verify", "--export", "none"], 2, "cli.local"),
        (&["completions", "tcsh"], 2, "tcsh"),
    ] {
        with(aumbry(home.path()), args).failed(code, name);
    }
}

#[test]
fn errors_name_code_and_next_step_and_are_json_when_asked() {
    let home = home();
    let human = with(aumbry(home.path()), &["--addr", NOWHERE, "status"]);
    assert_eq!(
        human.err,
        "error: no server answers at this address (client.unreachable)\n  \
         next: check AUMBRY_ADDR and that `aumbry serve` runs there\n"
    );
    let json = with(aumbry(home.path()), &["--json", "--addr", NOWHERE, "status"]);
    let problem: serde_json::Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!((&problem["code"], &problem["class"]), (&"client.unreachable".into(), &"unavailable".into()));
    assert!(json.out.is_empty());
    let usage = with(aumbry(home.path()), &["--json", "frobnicate"]).failed(2, "frobnicate");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&usage.err).unwrap()["code"], "cli.invalid");
}

#[test]
fn cli_04_plain_http_beyond_loopback_is_refused_before_anything_is_sent() {
    let home = home();
    let token = crypto::token::Token::mint("ses", &crypto::seam::SystemEntropy::new()).unwrap();
    let mut command = aumbry(home.path());
    command.env("AUMBRY_ADDR", "http://192.0.2.1:7480").env("AUMBRY_TOKEN", token.expose());
    with(command, &["get", "a"]).failed(2, "client.address").hides(token.expose());
}

#[test]
fn leak_12_what_was_typed_as_a_value_is_not_repeated_in_a_usage_error() {
    let home = home();
    with(aumbry(home.path()), &["put", "db/password", "two", "canary"]).failed(2, "cli.invalid").hides("canary");
    with(aumbry(home.path()), &["put", "db/password", "v", "--canary=canary"]).failed(2, "cli.invalid").hides("canary");
}

#[test]
fn leak_01_a_token_that_is_none_is_not_repeated() {
    let home = home();
    let mut command = aumbry(home.path());
    command.env("AUMBRY_TOKEN", "canary");
    with(command, &["--addr", NOWHERE, "get", "a"]).failed(2, "cli.invalid").hides("canary");
}

#[test]
fn cli_01_a_token_file_that_others_may_read_is_refused() {
    let home = home();
    let file = home.path().join("token");
    std::fs::write(&file, "aum_ses_canary").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let args = ["--addr", NOWHERE, "--token-file", "token", "get", "a"];
    with(aumbry(home.path()), &args).failed(2, "0644").hides("canary");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/null", &file).unwrap();
    with(aumbry(home.path()), &args).failed(2, "symbolic link");
}

#[test]
fn cli_07_a_program_keeps_its_exit_code_and_does_not_get_the_token() {
    let home = home();
    for code in [0, 1, 42, 125, 255] {
        let mut command = aumbry(home.path());
        command.args(["run", "--", "sh", "-c"]).arg(format!("exit {code}"));
        assert_eq!(run(command, b"").code, code);
    }
    let show = |args: &[&str]| {
        let mut command = aumbry(home.path());
        command.env("AUMBRY_TOKEN", "aum_ses_canary").env("OTHER", "kept").arg("run").args(args);
        with(command, &["--", "sh", "-c", "echo $AUMBRY_TOKEN:$OTHER"]).ok()
    };
    assert_eq!(show(&[]).text(), ":kept\n");
    assert_eq!(show(&["--keep-token"]).text(), "aum_ses_canary:kept\n");
}

#[test]
fn cli_07_dangerous_names_and_references_that_cannot_be_read_stop_the_run() {
    let home = home();
    let program = ["--", "sh", "-c", "echo ran"];
    for name in ["LD_PRELOAD", "PATH", "BASH_ENV", "AUMBRY_ADDR"] {
        let ended = with(aumbry(home.path()), &[&["run", "--env", &format!("{name}=a")], &program[..]].concat());
        assert!(ended.failed(125, name).out.is_empty());
    }
    std::fs::write(home.path().join("env"), "LD_PRELOAD=/tmp/x.so\n").unwrap();
    with(aumbry(home.path()), &[&["run", "--env-file", "env"], &program[..]].concat()).failed(125, "LD_PRELOAD");
    std::fs::write(home.path().join(".aumbry.toml"), "[env]\nLD_PRELOAD = \"a\"\n").unwrap();
    with(aumbry(home.path()), &[&["run"], &program[..]].concat()).failed(125, "LD_PRELOAD");
    assert_eq!(with(aumbry(home.path()), &[&["run", "--no-project"], &program[..]].concat()).ok().text(), "ran\n");
    let mut command = aumbry(home.path());
    command.env("DB", "aumbry:///a/../b");
    with(command, &[&["run", "--no-project"], &program[..]].concat()).failed(125, "DB");
}

#[test]
fn a_binding_whose_name_is_none_is_refused_and_never_taken_for_a_path() {
    let home = home();
    let program = ["--", "sh", "-c", "echo ran"];
    for (binding, said) in [
        ("MY-VAR=db/password", "`MY-VAR` is no name of an environment variable"),
        ("2FA=db/seed", "`2FA` is no name of an environment variable"),
        ("NAME=", "--env NAME= names no path"),
        ("=db/password", "`` is no name of an environment variable"),
    ] {
        let ended = with(aumbry(home.path()), &[&["run", "--env", binding], &program[..]].concat());
        let ended = ended.failed(125, said).failed(125, "next: write --env NAME=path");
        assert!(ended.out.is_empty(), "{ended:?}");
    }
    std::fs::write(home.path().join(".aumbry.toml"), "[env]\nOK = \"a\"\n1A = \"db/password\"\n").unwrap();
    let said = "`.aumbry.toml` line 3: `1A` is no name of an environment variable";
    with(aumbry(home.path()), &[&["run"], &program[..]].concat()).failed(125, said);
    std::fs::write(home.path().join(".aumbry.toml"), "[env]\nADDR = {}\n").unwrap();
    with(aumbry(home.path()), &[&["run"], &program[..]].concat()).failed(125, "`.aumbry.toml` line 2");
}

#[test]
fn a_usage_error_is_whole_in_json() {
    let home = home();
    let problem = |args: &[&str]| {
        let ended = with(aumbry(home.path()), &[&["--json"], args].concat());
        assert!(ended.code == 2 && ended.out.is_empty(), "{ended:?}");
        serde_json::from_str::<serde_json::Value>(&ended.err).unwrap()
    };
    let check = |args: &[&str], detail: &str, hint: &str| {
        let found = problem(args);
        assert_eq!(found["code"], "cli.invalid");
        assert_eq!(found["detail"], detail);
        assert!(found["hint"].as_str().unwrap().contains(hint), "{found}");
    };
    let missing = "the following required arguments were not provided: <PATH>";
    check(&["get"], missing, "Usage: aumbry get <PATH>");
    check(&["lst"], "unrecognized subcommand 'lst'", "tip: some similar subcommands exist: 'cluster', 'list'");
    check(&["versions", "a", "--al"], "unexpected argument '--al' found", "Usage: aumbry versions");
    let number = "invalid value 'x' for '--cas <VERSION>': invalid digit found in string";
    check(&["put", "a", "--cas", "x"], number, "");
    check(&["policy"], "the command is not whole", "--help");
    assert!(problem(&["completions", "tcsh"])["detail"].as_str().unwrap().contains("possible values: bash"));
}

#[test]
fn plain_lines_of_an_env_file_reach_the_program() {
    let home = home();
    std::fs::write(home.path().join("env"), "# comment\nexport A='x y'\nB=\"1\\n2\"\n").unwrap();
    let ended = with(aumbry(home.path()), &["run", "--env-file", "env", "--", "sh", "-c", "echo \"$A|$B\""]);
    assert_eq!(ended.ok().text(), "x y|1\n2\n");
}

#[test]
fn cli_05_a_template_that_fails_leaves_the_old_file() {
    let home = home();
    let out = home.path().join("out");
    std::fs::write(&out, "old").unwrap();
    std::fs::write(home.path().join("t"), "a\n{{ missing }}\n").unwrap();
    with(aumbry(home.path()), &["render", "t", "--out", "out"]).failed(2, "line 2");
    assert_eq!(std::fs::read(&out).unwrap(), b"old");
    std::fs::write(home.path().join("t"), "new {{ 1 + 1 }}\n").unwrap();
    with(aumbry(home.path()), &["render", "t", "--out", "out"]).ok();
    assert_eq!(std::fs::read(&out).unwrap(), b"new 2\n");
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_file(&out).unwrap();
    std::os::unix::fs::symlink(home.path().join("t"), &out).unwrap();
    with(aumbry(home.path()), &["render", "t", "--out", "out"]).failed(2, "symbolic link");
}

#[test]
fn cli_10_a_full_disk_and_a_closed_pipe_are_errors() {
    let home = home();
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let mut command = aumbry(home.path());
    let status = command.args(["completions", "bash"]).stdout(full()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(7));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = aumbry(home.path());
    let status = command.args(["completions", "bash"]).stdout(writer).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn the_doctor_names_what_is_wrong_and_what_is_read_under_another_name() {
    let home = home();
    let mut command = aumbry(home.path());
    command.env("TRSTCTL_SECRETS_KEK_FILE", "/nowhere/key").env("AUMBRY_SERVER__LISTEM", "x");
    let ended = with(command, &["--json", "--addr", NOWHERE, "doctor"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    let items = ended.json()["items"].clone();
    let found: Vec<_> = items.as_array().unwrap().iter().map(|item| item.to_string()).collect();
    assert!(found.iter().any(|item| item.contains("AUMBRY_SERVER__LISTEM") && item.contains("bad")), "{found:?}");
    assert!(found.iter().any(|item| item.contains("client.unreachable")), "{found:?}");
}

#[test]
fn status_ends_with_the_code_of_what_the_server_cannot_do() {
    let home = home();
    for (seal, ready, code) in [("open", true, 0), ("open", false, 7), ("sealed", false, 8)] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = format!("http://{}", listener.local_addr().unwrap());
        let time = "2026-01-01T00:00:00.000Z";
        let body = format!(r#"{{"version":"0.1.0","seal":"{seal}","ready":{ready},"time":"{time}"}}"#);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            assert!(head.map(Result::unwrap).any(|line| line.is_empty()));
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).unwrap();
        });
        let ended = with(aumbry(home.path()), &["--addr", &addr, "status"]);
        server.join().unwrap();
        assert_eq!(ended.code, code, "{ended:?}");
        assert!(ended.text().contains(if ready { ": ready" } else { "not ready" }), "{ended:?}");
    }
}

#[test]
fn what_is_rendered_is_no_json_and_where_it_was_written_is() {
    let home = home();
    std::fs::write(home.path().join("t"), "{{ 1 + 1 }}").unwrap();
    with(aumbry(home.path()), &["--json", "render", "t"]).failed(2, "--out FILE");
    let written = with(aumbry(home.path()), &["--json", "render", "t", "--out", "out"]).ok().json();
    assert_eq!(written, serde_json::json!({"file": "out", "bytes": 1}));
    assert_eq!(with(aumbry(home.path()), &["render", "t", "--out", "out"]).ok().text(), "");
}

#[test]
fn the_document_of_the_api_is_printed_without_a_server() {
    let home = home();
    assert_eq!(with(aumbry(home.path()), &["openapi"]).ok().json()["openapi"], "3.1.0");
    assert!(with(aumbry(home.path()), &["--help"]).ok().text().contains("openapi"));
}

#[test]
fn completions_and_help_know_every_command() {
    let home = home();
    let help = with(aumbry(home.path()), &["--help"]).ok();
    for shell in ["bash", "zsh", "fish"] {
        let completions = with(aumbry(home.path()), &["completions", shell]).ok();
        for verb in ["put", "get", "run", "render", "ledger", "access", "policy", "doctor", "rollback"] {
            assert!(completions.text().contains(verb) && help.text().contains(verb), "{shell} {verb}");
        }
    }
}
