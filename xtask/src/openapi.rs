//! `cargo xtask openapi`: the API document in the tree is the one the code makes.

use std::process::Command;

use crate::shell::{Outcome, cargo, must, take};
use crate::tree::{read, root, target};

const PLACE: &str = "docs/openapi.json";

/// The page for people, which names every path of the document.
const PAGE: &str = "docs/api.md";

/// The page for people about the configuration.
const CONFIGURATION: &str = "docs/configuration.md";

/// Compares, or with `--write` replaces the document.
pub(crate) fn run(args: &[String]) -> Outcome {
    let write = match args {
        [] => false,
        [flag] if flag == "--write" => true,
        _ => return Err("usage: cargo xtask openapi [--write]".into()),
    };
    let path = root().join(PLACE);
    // For the whole workspace, so that the libraries are those the tests have built, with the same features.
    must(cargo(), &["build", "--quiet", "--workspace", "--bin", "aumbry"])?;
    let made = take(Command::new(target().join("debug/aumbry")), &["openapi"])?;
    if !made.ok || made.out.trim().is_empty() {
        return Err(format!("`aumbry openapi` printed no document: {}", made.err.trim()));
    }
    let document: serde_json::Value = serde_json::from_str(&made.out)
        .map_err(|e| format!("`aumbry openapi` printed something else than JSON: {e}"))?;
    let version = document.get("openapi").and_then(serde_json::Value::as_str).unwrap_or_default();
    if !version.starts_with("3.1") {
        return Err(format!("the document says OpenAPI `{version}`, not 3.1"));
    }
    let mut text = serde_json::to_string_pretty(&document).map_err(|e| e.to_string())?;
    text.push('\n');
    undocumented(&document)?;
    unexplained()?;
    if write {
        std::fs::write(&path, &text).map_err(|e| format!("{PLACE}: {e}"))?;
        println!("openapi: {PLACE} written");
        return Ok(());
    }
    if std::fs::read_to_string(&path).unwrap_or_default() == text {
        println!("openapi: {PLACE} is what the code makes");
        return Ok(());
    }
    Err(format!("{PLACE} differs from what the code makes; run `cargo xtask openapi --write` and commit it"))
}

/// The page for people may not lag behind the code.
fn undocumented(document: &serde_json::Value) -> Outcome {
    let page = read(PAGE)?;
    let paths = document.get("paths").and_then(serde_json::Value::as_object);
    let missing: Vec<&str> = paths.into_iter().flatten().map(|(path, _)| path.as_str()).collect();
    let missing: Vec<&str> = missing.into_iter().filter(|path| !page.contains(&format!("`{path}`"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{PAGE} does not name {}", missing.join(", "))) }
}

/// Every key of the commented sample stands on the page about configuration.
fn unexplained() -> Outcome {
    let page = read(CONFIGURATION)?;
    let sample = take(Command::new(target().join("debug/aumbry")), &["serve", "--sample-config"])?;
    let keys = keys(&sample.out);
    if !sample.ok || keys.is_empty() {
        return Err(format!("`aumbry serve --sample-config` printed no sample: {}", sample.err.trim()));
    }
    let missing: Vec<String> = keys.into_iter().filter(|key| !page.contains(&format!("`{key}`"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{CONFIGURATION} does not name {}", missing.join(", "))) }
}

/// `section.key` of every line `[section]` and `#key = default` of a sample.
fn keys(sample: &str) -> Vec<String> {
    let mut section = "";
    let mut found = Vec::new();
    for line in sample.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name;
        } else if let Some((name, _)) = line.strip_prefix('#').and_then(|l| l.split_once(" = "))
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            found.push(format!("{section}.{name}"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::keys;

    #[test]
    fn keys_of_a_sample_are_found_and_its_prose_is_not() {
        let sample = "# About. Any = thing.\n[a.b]\n# (text)\n#name = \"\"\n#max = 3\n[c]\n#x = true\n";
        assert_eq!(keys(sample), ["a.b.name", "a.b.max", "c.x"]);
    }
}
