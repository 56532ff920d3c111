//! The page about an operator's day is run as it stands.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What stands in the page's blocks of shell.
fn script() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operators-day.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    // Whatever happens, no server is left behind.
    "set -eu\nserver=\ntrap 'test -z \"$server\" || kill -9 $server 2> /dev/null || :' EXIT\n".to_owned()
        + &blocks.collect::<String>()
}

#[test]
fn an_operators_day_goes_as_its_page_says() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_aumbry"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
    // A page that waits for what does not come ends too.
    let mut shell = Command::new("timeout");
    shell.env_clear().current_dir(&folder).env("HOME", folder.path()).env("PATH", path);
    shell.env("AUMBRY_DOORS__REST__LISTEN", format!("127.0.0.1:{port}"));
    shell.env("AUMBRY_ADDR", format!("https://127.0.0.1:{port}"));
    let ended = shell.args(["120", "sh", "-x", "-c", &script()]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    let log = std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default();
    assert!(ended.status.success(), "{out}\n{err}\n{log}");
}
