//! The verbs of secrets, against a real server.

use crate::command::{run, with};
use crate::house::House;

#[test]
fn a_secret_lives_from_put_to_purge() {
    let house = House::start();
    let say = |args: &[&str], wanted: &str| assert_eq!(house.run(args).ok().text(), wanted, "{args:?}");
    assert_eq!(house.run_with(&["put", "db/password"], b"hunter2").ok().text(), "db/password version 1\n");
    say(&["get", "db/password"], "hunter2");
    assert_eq!(house.run_with(&["put", "db/password", "-"], b"hunter3").ok().text(), "db/password version 2\n");
    say(&["get", "db/password", "--version", "1"], "hunter2");
    say(&["list"], "db/\n");
    say(&["list", "db"], "db/password\n");
    say(&["list", "--recursive"], "db/password\n");
    say(&["rollback", "db/password", "--version", "1"], "db/password version 3\n");
    say(&["get", "db/password"], "hunter2");
    say(&["delete", "db/password"], "db/password deleted; `aumbry undelete` brings version 3 back\n");
    house.run(&["get", "db/password"]).failed(5, "secret.deleted").hides("hunter2");
    say(&["undelete", "db/password"], "db/password version 3\n");
    say(&["get", "db/password"], "hunter2");
    house.run(&["purge", "db/password", "--all"]).failed(2, "--yes");
    let purged = house.run(&["purge", "db/password", "--version", "1", "--yes"]).ok();
    assert!(purged.text().starts_with("db/password versions 1 purged; "), "{purged:?}");
    house.run(&["get", "db/password", "--version", "1"]).failed(5, "secret.purged");
    say(&["get", "db/password"], "hunter2");
    house.run(&["purge", "db/password", "--all", "--yes"]).ok();
    house.run(&["get", "db/password"]).failed(5, "secret.not_found");
    say(&["list"], "");
}

#[test]
fn versions_are_listed_newest_first_with_what_became_of_them() {
    let house = House::start();
    house.put("a", b"1");
    house.put("a", b"2");
    house.run(&["rollback", "a", "--version", "1"]).ok();
    house.run(&["purge", "a", "--version", "2", "--yes"]).ok();
    let versions = house.run(&["--json", "versions", "a"]).ok().json();
    let shown: Vec<_> = versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["version"].as_u64().unwrap(), v["state"].as_str().unwrap(), v["rolled_back_to"].as_u64()))
        .collect();
    assert_eq!(shown, [(3, "live", Some(1)), (2, "purged", None), (1, "live", None)]);
}

#[test]
fn any_bytes_come_back_as_they_were_up_to_the_limit_and_not_past_it() {
    let house = House::start();
    let all: Vec<u8> = (0..=255).collect();
    let limit: Vec<u8> = (0..1024 * 1024_u32).map(|i| (i % 251) as u8).collect();
    let text = vec![b'"'; 1024 * 1024];
    for value in [&b""[..], b"\n", b"line\n", "é€😀".as_bytes(), &all, &limit, &text] {
        house.put("bytes", value);
        assert!(house.run(&["get", "bytes"]).ok().out == value, "{} bytes", value.len());
    }
    house.run_with(&["put", "bytes"], &vec![b'x'; 1024 * 1024 + 1]).failed(2, "cli.invalid");
}

#[test]
fn a_value_comes_from_the_line_a_file_or_standard_input() {
    let house = House::start();
    let ended = house.run(&["put", "a", "canary-value"]).ok();
    assert!(ended.err.starts_with("warning: ") && ended.err.lines().count() == 1, "{ended:?}");
    assert!(!ended.err.contains("canary-value"));
    assert_eq!(house.run(&["get", "a"]).ok().text(), "canary-value");
    std::fs::write(house.folder().join("file"), "from file\n").unwrap();
    house.run(&["put", "a", "@file"]).ok();
    assert_eq!(house.run(&["get", "a"]).ok().text(), "from file\n");
    house.run(&["put", "a", "@file", "--trim"]).ok();
    assert_eq!(house.run(&["get", "a"]).ok().text(), "from file");
}

#[test]
fn compare_and_set_lets_one_writer_through() {
    let house = House::start();
    house.run_with(&["put", "a", "--cas", "0"], b"1").ok();
    house.run_with(&["put", "a", "--cas", "0"], b"x").failed(6, "secret.version_conflict");
    house.run_with(&["put", "a", "--cas", "1"], b"2").ok();
    assert_eq!(house.run(&["get", "a"]).ok().text(), "2");
}

#[test]
fn text_is_shown_as_text_and_bytes_as_base64_in_json() {
    let house = House::start();
    house.put("a", "gr\u{fc}\u{df}e \"x\"\n".as_bytes());
    let shown = house.run(&["--json", "get", "a"]).ok().json();
    assert_eq!((&shown["value"], &shown["encoding"]), (&"grüße \"x\"\n".into(), &"utf8".into()));
    house.put("a", b"\xff\x00");
    let shown = house.run(&["--json", "get", "a"]).ok().json();
    assert_eq!((&shown["value"], &shown["encoding"]), (&"/wA=".into(), &"base64".into()));
}

#[test]
fn a_field_of_a_json_value_is_picked_and_a_missing_one_named() {
    let house = House::start();
    house.put("db", br#"{"user":"app","port":5432,"password":"canary"}"#);
    assert_eq!(house.run(&["get", "db", "--field", "user"]).ok().text(), "app");
    assert_eq!(house.run(&["get", "db", "--field", "port"]).ok().text(), "5432");
    house.run(&["get", "db", "--field", "none"]).failed(2, "none").hides("canary");
}

#[test]
fn fields_are_patched_from_files_standard_input_and_a_merge_patch() {
    let house = House::start();
    house.put("db", br#"{"user":"app","port":5432,"old":1}"#);
    std::fs::write(house.folder().join("new"), "s3cret").unwrap();
    let ended = house.run(&["patch", "db", "--field", "password=@new", "--remove", "old"]).ok();
    assert_eq!((ended.text(), ended.err.as_str()), ("db version 2\n", ""));
    house.run_with(&["patch", "db", "--field", "user=-"], b"other").ok();
    assert_eq!(house.run(&["get", "db"]).ok().text(), r#"{"user":"other","port":5432,"password":"s3cret"}"#);
    house.run_with(&["patch", "db", "-", "--cas", "3"], br#"{"port":null,"tls":{"on":true}}"#).ok();
    assert_eq!(house.run(&["get", "db"]).ok().text(), r#"{"user":"other","password":"s3cret","tls":{"on":true}}"#);
    house.run_with(&["patch", "db", "-", "--cas", "3"], b"{}").failed(6, "secret.version_conflict");
    house.run_with(&["patch", "db", "-"], b"[\"canary\"]").failed(2, "request.invalid").hides("canary");
    house.run_with(&["patch", "db", "-"], b"{\"a\":\"canary\"").failed(2, "request.invalid").hides("canary");
    house.put("text", b"canary");
    house.run_with(&["patch", "text", "-"], b"{}").failed(2, "secret.invalid").hides("canary");
    house.run(&["patch", "db"]).failed(2, "nothing to change");
}

#[test]
fn files_are_imported_whole_or_not_at_all_and_exports_come_back() {
    let house = House::start();
    std::fs::write(house.folder().join("in.json"), r#"{"db/password":"hunter2","db/conf":{"port":5432}}"#).unwrap();
    let dry = house.run(&["import", "in.json", "--prefix", "t/", "--dry-run"]).ok();
    assert_eq!(dry.text(), "t/db/password\twritten\t\nt/db/conf\twritten\t\n");
    assert_eq!(house.run(&["list", "-r"]).ok().text(), "");
    house.run(&["import", "in.json", "--prefix", "t/"]).ok();
    assert_eq!(house.run(&["get", "t/db/conf", "--field", "port"]).ok().text(), "5432");
    std::fs::write(house.folder().join("more.env"), "NEW=canary\nAGAIN=canary\n").unwrap();
    house.put("t/AGAIN", b"there");
    house.run(&["import", "more.env", "--prefix", "t/"]).failed(6, "item 2, `t/AGAIN`").hides("canary");
    house.run(&["get", "t/NEW"]).failed(5, "secret.not_found");
    let skipped = house.run(&["import", "more.env", "--prefix", "t/", "--on-conflict", "skip"]).ok();
    assert_eq!(skipped.text(), "t/NEW\twritten\t1\nt/AGAIN\tskipped\t\n");
    house.put("t/bytes", b"\xff\x00");
    house.run_with(&["put", "t/labelled", "--label", "team=x"], b"v").ok();
    house.run(&["export", "t", "--out", "out.json"]).ok().hides("hunter2");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(house.folder().join("out.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for path in ["t/db/password", "t/db/conf", "t/NEW", "t/AGAIN", "t/bytes", "t/labelled"] {
        house.run(&["--yes", "purge", path, "--all"]).ok();
    }
    house.run(&["import", "out.json"]).ok();
    assert_eq!(house.run(&["get", "t/db/password"]).ok().text(), "hunter2");
    assert_eq!(house.run(&["get", "t/bytes"]).ok().out, b"\xff\x00");
    assert_eq!(house.run(&["--json", "get", "t/labelled"]).ok().json()["labels"]["team"], "x");
    house
        .run_with(
            &["import", "-", "--format", "vault", "--prefix", "kv/x"],
            br#"{"request_id":"1","data":{"data":{"k":"v"},"metadata":{}}}"#,
        )
        .ok();
    assert_eq!(house.run(&["get", "kv/x", "--field", "k"]).ok().text(), "v");
}

#[test]
fn secrets_are_copied_moved_found_and_resolved() {
    let house = House::start();
    house.put("db/password", b"hunter2");
    house.put("web/conf", br#"{"password":"aumbry:///db/password"}"#);
    assert_eq!(house.run(&["get", "web/conf"]).ok().text(), r#"{"password":"aumbry:///db/password"}"#);
    assert_eq!(house.run(&["get", "web/conf", "--resolve"]).ok().text(), r#"{"password":"hunter2"}"#);
    assert_eq!(house.run(&["get", "web/conf", "--resolve", "--field", "password"]).ok().text(), "hunter2");
    let shown =
        house.run(&["run", "--no-project", "--resolve", "--env", "P=web/conf#password", "--", "sh", "-c", "echo $P"]);
    assert_eq!(shown.ok().text(), "hunter2\n");
    house.run(&["copy", "db/password", "copy/password"]).ok().hides("hunter2");
    assert_eq!(house.run(&["get", "copy/password"]).ok().text(), "hunter2");
    house.run(&["copy", "db/password", "copy/password"]).failed(6, "copy/password");
    let moved = house.run(&["move", "--recursive", "copy", "moved/here"]).ok();
    assert_eq!(moved.text(), "copy/password\tmoved/here/password\t1\n");
    house.run(&["get", "copy/password"]).failed(5, "secret.deleted");
    assert_eq!(house.run(&["search", "password"]).ok().text(), "copy/password\ndb/password\nmoved/here/password\n");
    assert_eq!(house.run(&["search", "**/here/*"]).ok().text(), "moved/here/password\n");
    house.run_with(&["put", "soon", "--expires-at", "2100-01-01T00:00:00Z", "--label", "team=x"], b"v").ok();
    assert_eq!(house.run(&["search", "--label", "team=x"]).ok().text(), "soon\n");
    assert_eq!(house.run(&["search", "--expires-before", "2100-02-01T00:00:00Z"]).ok().text(), "soon\n");
    assert_eq!(house.run(&["search", "--expires-before", "30d"]).ok().text(), "");
    assert_eq!(house.run(&["search", "soon", "--owner", "owner"]).ok().text(), "soon\n");
    assert_eq!(house.run(&["search", "--owner", "nobody"]).ok().text(), "");
    let found: serde_json::Value = serde_json::from_slice(&house.run(&["--json", "search", "soon"]).ok().out).unwrap();
    assert_eq!(found["items"][0]["owner"], "owner", "{found}");
    house.run(&["search", "--expires-before", "soon"]).failed(2, "is no time");
    house.put("web/conf", b"aumbry:///web/conf");
    house.run(&["get", "web/conf", "--resolve"]).failed(6, "reference.invalid");
}

#[test]
fn labels_and_expiry_are_set_and_shown() {
    let house = House::start();
    house
        .run_with(
            &["put", "a", "--label", "team=pay", "--label", "tier=1", "--expires-at", "2100-01-01T00:00:00Z"],
            b"v",
        )
        .ok();
    let shown = house.run(&["--json", "get", "a"]).ok().json();
    assert_eq!((&shown["labels"]["team"], &shown["labels"]["tier"]), (&"pay".into(), &"1".into()));
    assert!(shown["expires_at"].as_str().unwrap().starts_with("2100-01-01T00:00:00"));
    house.run_with(&["put", "a", "--expires-at", "tomorrow"], b"v").failed(2, "secret.invalid");
}

#[test]
fn lists_go_on_past_one_page_and_are_sorted() {
    let house = House::start();
    let mut wanted: Vec<String> = (0..30).map(|i| format!("many/{}/{i}", i % 3)).collect();
    for path in &wanted {
        house.put(path, b"v");
    }
    wanted.sort();
    assert_eq!(house.run(&["list", "-r", "many"]).ok().text(), wanted.join("\n") + "\n");
    assert_eq!(house.run(&["list", "many"]).ok().text(), "many/0/\nmany/1/\nmany/2/\n");
}

#[test]
fn diff_names_what_differs_and_shows_no_value() {
    let house = House::start();
    house.put("a", br#"{"user":"canary","old":1,"same":[1]}"#);
    house.run(&["diff", "a"]).failed(2, "no earlier version");
    house.put("a", br#"{"user":"canary2","new":1,"same":[1]}"#);
    let ended = house.run(&["diff", "a"]).hides("canary");
    assert_eq!((ended.code, ended.text()), (1, "added\tnew\nremoved\told\nchanged\tuser\n"));
    let same = house.run(&["diff", "a", "--from", "2", "--to", "2"]);
    assert_eq!((same.code, same.text()), (0, ""));
    for (path, value) in [("staging/x", "1"), ("staging/y", "1"), ("production/x", "2"), ("production/z", "1")] {
        house.put(path, value.as_bytes());
    }
    let ended = house.run(&["diff", "staging/", "production/"]);
    assert_eq!((ended.code, ended.text()), (1, "changed\tx\nremoved\ty\nadded\tz\n"));
    house.run(&["delete", "production/x"]).ok();
    let ended = house.run(&["diff", "staging/", "production/"]);
    assert_eq!((ended.code, ended.text()), (1, "removed\tx\nremoved\ty\nadded\tz\n"));
    assert_eq!(ended.err, "note: `production/x` is deleted: left out\n");
    house.run(&["diff", "production/x", "production/z"]).failed(5, "secret.deleted");
}

#[test]
fn a_list_says_what_has_become_of_each_secret() {
    let house = House::start();
    for path in ["a/deleted", "a/live", "a/purged"] {
        house.put(path, b"v");
    }
    house.run(&["delete", "a/deleted"]).ok();
    house.put("a/purged", b"v");
    house.run(&["--yes", "purge", "a/purged", "--version", "2"]).ok();
    house.put_expired("a/expired", b"v");
    let list = house.run(&["--json", "list", "a"]).ok().json();
    let states: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| item["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["deleted", "expired", "live", "purged"]);
    let folders = house.run(&["--json", "list"]).ok().json();
    assert!(folders["items"][0].get("state").is_none(), "{folders}");
}

#[test]
fn cli_10_a_value_into_a_full_disk_is_an_error_without_the_value() {
    let house = House::start();
    house.put("a", b"canary");
    let mut command = house.owner();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.args(["get", "a"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("canary"));
    house.run(&["get", "a", "--out", "/dev/full"]).failed(2, "is not a file").hides("canary");
}

#[test]
fn path_01_the_command_line_and_the_server_refuse_the_same_paths() {
    let house = House::start();
    for path in ["a/../b", "a//b", "/a", "a/", "a%2Fb", "a\u{202e}b", "e\u{301}", "a\u{200d}b"] {
        house.run_with(&["put", path], b"v").failed(2, "path.invalid");
    }
    house.put("what?/100#/a b", b"odd");
    assert_eq!(house.run(&["get", "what?/100#/a b"]).ok().text(), "odd");
    assert_eq!(house.run(&["list", "-r"]).ok().text(), "what?/100#/a b\n");
}

#[test]
fn cli_03_refusals_of_the_server_keep_their_exit_codes() {
    let house = House::start();
    house.run(&["get", "none"]).failed(5, "secret.not_found");
    let mut nobody = house.owner();
    nobody.env_remove("AUMBRY_TOKEN");
    with(nobody, &["get", "a"]).failed(3, "auth.required");
    let other = crypto::token::Token::mint("ses", &crypto::seam::SystemEntropy::new()).unwrap();
    with(house.with_token(other.expose()), &["get", "a"]).failed(3, "auth.required").hides(other.expose());
    let mut untrusting = house.owner();
    untrusting.env_remove("AUMBRY_CACERT").args(["get", "a"]);
    run(untrusting, b"").failed(2, "client.certificate");
}

#[test]
fn answered_writes_survive_a_kill() {
    let mut house = House::start();
    for number in 0..20 {
        house.put(&format!("kept/{number}"), format!("value {number}").as_bytes());
    }
    house.kill_and_start();
    for number in 0..20 {
        assert_eq!(house.run(&["get", &format!("kept/{number}")]).ok().text(), format!("value {number}"));
    }
}

#[test]
fn a_generated_value_is_what_was_asked_for_and_never_shown_unasked() {
    let house = House::start();
    let made = house.run(&["generate", "db/password", "--characters", "lower,symbols", "--label", "team=red"]).ok();
    assert_eq!(made.text(), "db/password version 1\n");
    let value = house.run(&["get", "db/password"]).ok().text().to_owned();
    assert_eq!(value.len(), 32);
    assert!(value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_punctuation()), "{value}");
    assert_eq!(house.run(&["--json", "get", "db/password"]).ok().json()["labels"]["team"], "red");
    house.run(&["generate", "db/password", "--cas", "0"]).failed(6, "secret.version_conflict");
    house.run(&["generate", "db/password"]).ok();
    let second = house.run(&["get", "db/password"]).ok().text().to_owned();
    assert!(second != value && second.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{second}");
    assert_eq!(house.run(&["get", "db/password", "--version", "1"]).ok().text(), value);

    house.run(&["generate", "key/hex", "--kind", "hex", "--length", "16"]).ok();
    assert_eq!(house.run(&["get", "key/hex"]).ok().text().len(), 32);
    house.run(&["generate", "key/base64", "--kind", "base64"]).ok();
    assert_eq!(house.run(&["get", "key/base64"]).ok().text().len(), 44);
    house.run(&["generate", "key/bytes", "--kind", "bytes", "--length", "48"]).ok();
    assert_eq!(house.run(&["get", "key/bytes"]).ok().out.len(), 48);

    house.run(&["generate", "weak", "--length", "9"]).failed(2, "easily guessed");
    house.run(&["generate", "weak", "--kind", "hex", "--length", "4097"]).failed(2, "more than 4096");
    house.run(&["generate", "weak", "--kind", "hex", "--characters", "lower"]).failed(2, "go with a password only");
    house.run(&["generate", "weak", "--at-least", "digits=40"]).failed(2, "more characters than");
    house.run(&["get", "weak"]).failed(5, "secret.not_found");
    house.run(&["generate", "rules", "--at-least", "digits=8", "--symbols", "!?", "--unambiguous"]).ok();
    let value = house.run(&["get", "rules"]).ok().text().to_owned();
    assert!(
        value.bytes().filter(u8::is_ascii_digit).count() >= 8 && !value.contains(['0', 'O', '1', 'l', 'I']),
        "{value}"
    );
    for (kind, field, head) in [
        ("ed25519", "private_key", "-----BEGIN PRIVATE KEY-----\n"),
        ("ecdsa-p256", "public_key", "-----BEGIN PUBLIC KEY-----\n"),
        ("ssh-ed25519", "public_key", "ssh-ed25519 AAAA"),
    ] {
        house.run(&["generate", "pair", "--kind", kind]).ok().hides("PRIVATE");
        assert!(house.run(&["get", "pair", "--field", field]).ok().text().starts_with(head), "{kind}");
    }
    house.run(&["generate", "pair", "--kind", "uuid", "--length", "3"]).failed(2, "`length` does not go");
}

#[test]
fn more_than_one_import_takes_is_written_in_parts_when_asked() {
    let house = House::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("many.json");
    let many: serde_json::Map<String, serde_json::Value> =
        (0..1_203).map(|n| (format!("m/{n}"), serde_json::Value::from(format!("v{n}")))).collect();
    std::fs::write(&file, serde_json::to_vec(&many).unwrap()).unwrap();
    let file = file.to_str().unwrap();
    house.run(&["import", file]).failed(2, "--in-parts");
    house.put("m/1200", b"before");
    // Nothing of the first part either.
    house.run(&["import", file, "--in-parts"]).failed(2, "m/1200");
    house.run(&["get", "m/1"]).failed(5, "secret.not_found");
    let written = house.run(&["--json", "import", file, "--in-parts", "--on-conflict", "skip"]).ok().json();
    let states = written["items"].as_array().unwrap().iter().filter(|item| item["state"] == "written").count();
    assert_eq!(states, 1_202);
    assert_eq!(house.run(&["get", "m/1202"]).ok().text(), "v1202");
    assert_eq!(house.run(&["get", "m/1200"]).ok().text(), "before");
    // What was exported goes back in.
    let out = folder.path().join("out.json");
    house.run(&["export", "m/", "--out", out.to_str().unwrap()]).ok();
    house.run(&["import", out.to_str().unwrap(), "--in-parts", "--on-conflict", "overwrite"]).ok();
}

#[test]
fn password_policies_are_kept_shown_used_and_removed() {
    let house = House::start();
    house.run(&["generate", "a", "--policy", "pins"]).failed(5, "password_policy.not_found");
    let put = ["password-policy", "put", "pins", "--length", "24", "--characters", "digits", "--exclude", "0"];
    assert_eq!(house.run(&put).ok().text(), "pins is in force\n");
    house.run(&["password-policy", "put", "strong", "--at-least", "symbols=4", "--unambiguous"]).ok();
    let shown = house.run(&["--json", "password-policy", "show", "pins"]).ok().json();
    assert_eq!((&shown["rules"]["length"], &shown["rules"]["exclude"]), (&24.into(), &"0".into()), "{shown}");
    assert_eq!(shown["rules"]["characters"], serde_json::json!(["digits"]));
    let listed = house.run(&["--json", "password-policy", "list"]).ok().json();
    let names: Vec<_> = listed["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["pins", "strong"]);
    house.run(&["generate", "a", "--policy", "pins"]).ok();
    let value = house.run(&["get", "a"]).ok().text().to_owned();
    assert!(value.len() == 24 && value.bytes().all(|byte| (b'1'..=b'9').contains(&byte)), "{value}");
    house.run(&["generate", "b", "--policy", "strong"]).ok();
    let value = house.run(&["get", "b"]).ok().text().to_owned();
    assert!(value.bytes().filter(u8::is_ascii_punctuation).count() >= 4, "{value}");
    house.run(&["generate", "c", "--policy", "pins", "--length", "30"]).failed(2, "in place of rules");
    house.run(&["generate", "c", "--policy", "pins", "--kind", "hex"]).failed(2, "in place of rules");
    house.run(&["password-policy", "put", "weak", "--length", "5"]).failed(2, "password_policy.invalid");
    house.run(&["password-policy", "put", "Bad Name"]).failed(2, "name");
    house.run(&["password-policy", "delete", "pins"]).ok();
    house.run(&["generate", "a", "--policy", "pins"]).failed(5, "password_policy.not_found");
    assert_eq!(house.run(&["get", "a"]).ok().text().len(), 24, "what was made stays");
}
