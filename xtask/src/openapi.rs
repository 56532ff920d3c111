//! `cargo xtask openapi`: the API document in the tree is the one the code makes.

use std::process::Command;

use crate::shell::{Outcome, cargo, must, take};
use crate::tree::{root, target};

const PLACE: &str = "docs/openapi.json";

/// The page for people, which names every path of the document.
const PAGE: &str = "docs/api.md";

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
    if !path.exists() && !write && made.out.trim().is_empty() {
        println!("openapi: the binary prints no document yet and {PLACE} does not exist");
        return Ok(());
    }
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
    let page = std::fs::read_to_string(root().join(PAGE)).map_err(|e| format!("{PAGE}: {e}"))?;
    let paths = document.get("paths").and_then(serde_json::Value::as_object);
    let missing: Vec<&str> = paths.into_iter().flatten().map(|(path, _)| path.as_str()).collect();
    let missing: Vec<&str> = missing.into_iter().filter(|path| !page.contains(&format!("`{path}`"))).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("{PAGE} does not name {}", missing.join(", "))) }
}
