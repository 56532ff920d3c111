//! The files of the repository and the manifests of its crates.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Outcome, take};

/// The folder of the root manifest.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Where cargo builds.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// One member of the workspace.
pub(crate) struct Member {
    /// Package name.
    pub(crate) name: String,
    /// Folder, relative to the root.
    pub(crate) folder: String,
    /// The comment behind its line in the root manifest.
    pub(crate) comment: String,
    /// Its manifest.
    pub(crate) manifest: toml::Table,
}

/// Every member in the order of the root manifest.
pub(crate) fn members() -> Outcome<Vec<Member>> {
    let text = read("Cargo.toml")?;
    let mut found = Vec::new();
    let block = text.split_once("members = [").and_then(|(_, rest)| rest.split_once("\n]")).map(|(inside, _)| inside);
    for line in block.ok_or("the root manifest has no `members` list")?.lines() {
        let Some((_, after)) = line.split_once('"') else { continue };
        let Some((folder, tail)) = after.split_once('"') else { continue };
        let comment = tail.split_once('#').map(|(_, c)| c.trim().to_owned()).unwrap_or_default();
        let place = format!("{folder}/Cargo.toml");
        let manifest: toml::Table = read(&place)?.parse().map_err(|e| format!("{place}: {e}"))?;
        let name = manifest.get("package").and_then(|p| p.get("name")).and_then(toml::Value::as_str);
        let name = name.ok_or_else(|| format!("{place} names no package"))?.to_owned();
        found.push(Member { name, folder: folder.to_owned(), comment, manifest });
    }
    Ok(found)
}

/// The text of a file named relative to the root.
pub(crate) fn read(file: &str) -> Outcome<String> {
    std::fs::read_to_string(root().join(file)).map_err(|e| format!("{file}: {e}"))
}

/// All files known to git or about to be (not ignored), relative to the root, sorted.
pub(crate) fn files() -> Outcome<Vec<String>> {
    let mut git = Command::new("git");
    git.current_dir(root());
    let listed = take(git, &["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let mut names = match listed {
        Ok(done) if done.ok => done.out.split('\0').filter(|n| !n.is_empty()).map(str::to_owned).collect(),
        _ => walk()?,
    };
    names.retain(|name| root().join(name).is_file());
    names.sort();
    names.dedup();
    Ok(names)
}

/// The same without git (a source archive): everything but build output.
fn walk() -> Outcome<Vec<String>> {
    let base = root();
    let mut names = Vec::new();
    let mut folders = vec![base.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
            } else if let Ok(short) = path.strip_prefix(&base) {
                names.push(short.to_string_lossy().into_owned());
            }
        }
    }
    Ok(names)
}
