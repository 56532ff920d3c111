//! What every member of the workspace has.

use super::Findings;
use crate::shell::Outcome;
use crate::tree::{members, read};

const COMMENT_WORDS: usize = 10;

pub(super) fn check(found: &mut Findings) -> Outcome {
    let members = members()?;
    for member in &members {
        let folder = &member.folder;
        let lints = member.manifest.get("lints").and_then(|l| l.get("workspace")).and_then(toml::Value::as_bool);
        if lints != Some(true) {
            found.hard.push(format!("{folder}/Cargo.toml: `[lints] workspace = true` is missing"));
        }
        let words = member.comment.split_whitespace().count();
        if words == 0 || words > COMMENT_WORDS {
            found
                .hard
                .push(format!("Cargo.toml: `{folder}` needs a comment of one to {COMMENT_WORDS} words, has {words}"));
        }
        let package = member.manifest.get("package").and_then(toml::Value::as_table);
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            let shared =
                package.and_then(|p| p.get(key)).and_then(|v| v.get("workspace")).and_then(toml::Value::as_bool);
            if shared != Some(true) {
                found.hard.push(format!("{folder}/Cargo.toml: `{key}.workspace = true` is missing"));
            }
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in member.manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    found.hard.push(format!("{folder}/Cargo.toml: `{name}` takes its version from the root manifest"));
                }
            }
        }
    }
    let root: toml::Table = read("Cargo.toml")?.parse().map_err(|e| format!("Cargo.toml: {e}"))?;
    let default = root.get("workspace").and_then(|w| w.get("default-members")).and_then(toml::Value::as_array);
    if default.is_none_or(|d| d.len() != 1 || d.first().and_then(toml::Value::as_str) != Some("crates/cli")) {
        found.hard.push("Cargo.toml: `default-members` is crates/cli alone, so that `cargo run` means `aumbry`".into());
    }
    found.facts.push(format!("{} crates", members.len()));
    Ok(())
}
