//! What Aumbry makes for other programs is read by those programs. `cargo xtask test` installs them.

use std::path::Path;
use std::process::Command;

use crate::command::{run, with};
use crate::house::House;

/// Runs another program; gives what it wrote.
fn program(name: &str, folder: &Path, args: &[&str]) -> String {
    let missing = |why| panic!("`{name}` is needed here ({why}); `cargo xtask test` installs it");
    let ended = Command::new(name).args(args).current_dir(folder).output().unwrap_or_else(missing);
    assert!(ended.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap()
}

#[test]
fn key_pairs_made_here_are_read_by_openssl_and_openssh() {
    let house = House::start();
    let folder = tempfile::tempdir().unwrap();
    for kind in ["ed25519", "x25519", "ecdsa-p256", "ssh-ed25519", "rsa-2048", "rsa-3072", "rsa-4096"] {
        house.run(&["generate", "pair", "--kind", kind]).ok();
        let (file, half) = (folder.path().join(kind), |half| house.run(&["get", "pair", "--field", half]).ok());
        let made = ["get", "pair", "--field", "private_key", "--out", file.to_str().unwrap()];
        house.run(&made).ok();
        if kind.starts_with("rsa") {
            let told = program("openssl", folder.path(), &["pkey", "-in", kind, "-check", "-noout", "-text"]);
            assert!(
                told.contains("Key is valid") && told.contains(&format!("{} bit", kind.trim_start_matches("rsa-"))),
                "{told}"
            );
        }
        let public = match kind {
            "ssh-ed25519" => program("ssh-keygen", folder.path(), &["-y", "-f", kind]),
            _ => program("openssl", folder.path(), &["pkey", "-in", kind, "-pubout"]),
        };
        assert_eq!(half("public_key").text(), public, "{kind}");
    }
}

#[test]
fn shares_for_age_keys_are_opened_by_age_and_then_replace_the_seal() {
    let house = House::start();
    let folder = tempfile::tempdir().unwrap();
    let mut recipients = Vec::new();
    for holder in ["1", "2", "3"] {
        program("age-keygen", folder.path(), &["-o", holder]);
        recipients.push(program("age-keygen", folder.path(), &["-y", holder]).trim().to_owned());
    }
    let out = folder.path().join("shares");
    let mut rekey = house.owner();
    rekey.args(["--yes", "--json", "operator", "rekey", "--shares", "3", "--threshold", "2"]);
    rekey.args(recipients.iter().flat_map(|recipient| ["--recipient", recipient])).arg("--out").arg(&out);
    let pending = run(rekey, b"");
    let mut shares = String::new();
    for entry in std::fs::read_dir(&out).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let holder = name.split("-of-").next().unwrap().rsplit('-').next().unwrap().to_owned();
        let file = format!("shares/{name}");
        let another = if holder == "1" { "2" } else { "1" };
        let foreign = Command::new("age").args(["-d", "-i", another, &file]).current_dir(folder.path()).output();
        assert!(!foreign.unwrap().status.success(), "{name} opens for another holder");
        if holder != "3" {
            shares += &program("age", folder.path(), &["-d", "-i", &holder, &file]);
            shares += "\n";
        }
    }
    let nonce = pending.err.split("--nonce ").nth(1).unwrap_or_else(|| panic!("{pending:?}"));
    let nonce: String = nonce.chars().take_while(char::is_ascii_hexdigit).collect();
    house.run_with(&["--json", "operator", "give", "--nonce", &nonce], shares.as_bytes()).ok();
    house.put("a", b"v");
    assert_eq!(with(house.owner(), &["get", "a"]).ok().text(), "v");
}
