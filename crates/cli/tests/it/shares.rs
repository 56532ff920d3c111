//! An operator's way with shares, by the real binary: begin, die, unseal, seal, replace.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::command::{Ended, aumbry, run};

/// A server whose key is in shares; killed when dropped.
struct Post {
    server: Child,
    folder: tempfile::TempDir,
    addr: String,
    authority: String,
}

impl Post {
    fn start() -> Post {
        let folder = tempfile::tempdir().unwrap();
        let (server, addr, authority) = serve(folder.path(), "127.0.0.1:0", &["--set", "seal.kind=shares"]);
        Post { server, folder, addr, authority }
    }

    fn kill_and_start(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        let listen = self.addr.trim_start_matches("https://").to_owned();
        (self.server, self.addr, self.authority) = serve(self.folder.path(), &listen, &[]);
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut command = aumbry(self.folder.path());
        command.env("AUMBRY_ADDR", &self.addr).env("AUMBRY_CACERT", &self.authority).args(args);
        run(command, input)
    }

    /// The files of shares in a folder, by their index.
    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let read = std::fs::read_dir(self.folder.path().join(folder)).unwrap();
        let mut files: Vec<PathBuf> = read.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("server.log")).unwrap()
    }

    /// Waits until it is sealed, with its shares wanted.
    fn sealed(&self) {
        for _ in 0..600 {
            let status = self.run(&["--json", "status"], b"");
            if status.text().contains("\"shares\"") && status.code == 8 {
                return;
            }
        }
        panic!("never sealed");
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn serve(folder: &Path, listen: &str, flags: &[&str]) -> (Child, String, String) {
    let mut command = aumbry(folder);
    command.args(["serve", "--data-dir", "data", "--listen", listen]).args(flags);
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("server.log")).unwrap();
    let mut server = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let (mut addr, mut authority) = (None, None);
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    while authority.is_none()
        && let Some(Ok(line)) = lines.next()
    {
        addr = addr.or_else(|| line.split_once(" listens on ").map(|(_, addr)| addr.to_owned()));
        authority = line.trim().strip_prefix("trust ").map(|path| path.trim().to_owned());
    }
    (server, addr.unwrap(), folder.join(authority.unwrap()).display().to_string())
}

fn share(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

fn named<'a>(files: &'a [PathBuf], wanted: &[usize]) -> Vec<&'a str> {
    wanted.iter().flat_map(|at| ["--share-file", files[*at].to_str().unwrap()]).collect()
}

#[test]
fn seal_13_an_operator_begins_loses_power_unseals_seals_and_replaces_the_shares() {
    let mut post = Post::start();
    assert_eq!(post.run(&["status"], b"").code, 8);
    // Nobody would see them: refused before any is made.
    assert_eq!(post.run(&["operator", "init"], b"").code, 2);
    let begun = post.run(&["operator", "init", "--shares", "5", "--threshold", "3", "--out", "first"], b"");
    let begun = begun.ok().text().to_owned();
    let nonce = begun.split("--nonce ").nth(1).unwrap().trim().to_owned();
    let files = post.files("first");
    assert_eq!(files.len(), 5);
    for file in &files {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!begun.contains(&share(file)), "shares go to their files alone");
    }
    let unseal = [&["operator", "unseal", "--nonce", &nonce][..], &named(&files, &[0, 3, 4])].concat();
    let login = post.run(&unseal, b"").ok();
    let login = login.text().lines().last().unwrap().to_owned();
    assert!(login.starts_with("aum_login_"), "{login}");
    let file = post.folder.path().join("login");
    std::fs::write(&file, &login).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    post.run(&["login", "login"], b"").ok();
    post.run(&["put", "db/password"], b"a-planted-canary-value").ok();

    post.kill_and_start();
    let refused = post.run(&["get", "db/password"], b"");
    assert_eq!(refused.code, 8, "{refused:?}");
    // A share in an argument is refused and not repeated.
    let shown = post.run(&["operator", "unseal", &share(&files[1])], b"");
    assert_eq!(shown.code, 2);
    assert!(!shown.err.contains(&share(&files[1])) && !shown.text().contains(&share(&files[1])), "{shown:?}");
    // Two on a pipe are not enough and stay; junk and one given twice cost nothing.
    let two = format!("junk\n{}\n\n{}\n{}\n", share(&files[1]), share(&files[1]), share(&files[2]));
    let ended = post.run(&["operator", "unseal"], two.as_bytes());
    assert_eq!(ended.code, 8, "{ended:?}");
    assert!(ended.err.contains("no share") && ended.err.contains("was given already"), "{ended:?}");
    let last = [&["operator", "unseal"][..], &named(&files, &[4])].concat();
    post.run(&last, b"").ok();
    assert_eq!(post.run(&["get", "db/password"], b"").ok().text().trim(), "a-planted-canary-value");

    assert_eq!(post.run(&["operator", "seal", "--yes"], b"").code, 0);
    post.sealed();
    assert_eq!(post.run(&["get", "db/password"], b"").code, 8);
    let unseal = [&["operator", "unseal"][..], &named(&files, &[0, 1, 2])].concat();
    post.run(&unseal, b"").ok();

    let rekey = ["operator", "rekey", "--shares", "3", "--threshold", "2", "--out", "second", "--yes"];
    let rekey = [&rekey[..], &named(&files, &[2, 1, 0])].concat();
    let done = post.run(&rekey, b"").ok();
    assert!(done.text().contains("in force"), "{done:?}");
    let new = post.files("second");
    post.run(&["operator", "rotate"], b"").ok();
    post.kill_and_start();
    let stale = [&["operator", "unseal"][..], &named(&files, &[0])].concat();
    let stale = post.run(&stale, b"");
    assert!(stale.code == 2 && stale.err.contains("was replaced"), "{stale:?}");
    let unseal = [&["operator", "unseal"][..], &named(&new, &[2, 0])].concat();
    post.run(&unseal, b"").ok();
    assert_eq!(post.run(&["get", "db/password"], b"").ok().text().trim(), "a-planted-canary-value");
    let log = post.log();
    assert!(!log.contains("aum_share_") && !log.contains("keys are still in memory"), "{log}");
}

#[test]
fn seal_12_a_key_file_is_lost_with_its_machine_and_comes_back_from_a_backup_and_shares() {
    let mut house = crate::house::House::start();
    house.put("db/password", b"kept");
    house.run(&["operator", "recovery", "init", "--shares", "3", "--threshold", "2", "--out", "way-back"]).ok();
    house.run(&["backup", "kept.backup"]).ok();
    house.stop();
    let files: Vec<PathBuf> = {
        let read = std::fs::read_dir(house.folder().join("way-back")).unwrap();
        read.map(|entry| entry.unwrap().path()).collect()
    };
    assert_eq!(files.len(), 3);
    let shares = named(&files, &[0, 2]);
    for from in [["--backup", "kept.backup"], ["--data-dir", "data"]] {
        let restore = [&["operator", "recovery", "restore", "--seal-file", from[1]][..], &from, &shares].concat();
        assert_ne!(house.run(&restore).code, 0, "never over what is there");
        let place = format!("again.{}", from[0].trim_start_matches('-'));
        let restore = [&["operator", "recovery", "restore", "--seal-file", &place][..], &from, &shares].concat();
        house.run(&restore).ok();
        let verify = ["ledger", "verify", "--data-dir", "data", "--seal-file", &place];
        house.run(&verify).ok();
    }
    let made = |name: &str| std::fs::read(house.folder().join(name)).unwrap();
    assert_eq!(made("again.backup"), made("again.data-dir"));
}

#[test]
fn a_folder_that_begins_with_shares_never_begins_with_a_key_file() {
    let mut post = Post::start();
    post.run(&["operator", "init", "--shares", "2", "--threshold", "2", "--out", "shares"], b"").ok();
    // Without a word about shares this time: nothing is lost but the set that was handed out.
    post.kill_and_start();
    let status = post.run(&["--json", "status"], b"");
    assert!(status.text().contains("uninitialised"), "{status:?}");
    assert!(!post.log().contains("seal key made"), "{}", post.log());
    post.run(&["operator", "init", "--shares", "2", "--threshold", "2", "--out", "again"], b"").ok();
}

#[test]
fn nobody_holds_two_shares_by_one_age_key() {
    let post = Post::start();
    let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let twice = ["--recipient", key, "--recipient", key, "--out", "shares"];
    let init = ["operator", "init", "--shares", "2", "--threshold", "2"];
    let refused = post.run(&[&init[..], &twice].concat(), b"").failed(2, "request.invalid");
    assert!(refused.err.contains("named twice"), "{}", refused.err);
}
