//! Licences and sources of every dependency, against the lists in `deny.toml`. Part of `cargo xtask layers`.

use serde::Deserialize;

use crate::shell::{Outcome, cargo, take};
use crate::tree::read;

const LISTS: &str = "deny.toml";
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

/// Names what may not be in the tree, and says how much was looked at.
pub(crate) fn check() -> Outcome<(Vec<String>, usize)> {
    let lists: toml::Table = read(LISTS)?.parse().map_err(|e| format!("{LISTS}: {e}"))?;
    let allowed = lists.get("licenses").and_then(|l| l.get("allow")).and_then(toml::Value::as_array);
    let allowed: Vec<&str> = allowed.into_iter().flatten().filter_map(toml::Value::as_str).collect();
    let told = take(cargo(), &["metadata", "--format-version", "1", "--all-features"])?;
    if !told.ok {
        return Err(format!("cargo metadata: {}", told.err.trim()));
    }
    let metadata: Metadata = serde_json::from_str(&told.out).map_err(|e| format!("cargo metadata: {e}"))?;
    Ok((wrong(&metadata.packages, &allowed), metadata.packages.len()))
}

fn wrong(packages: &[Package], allowed: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let who = format!("{} {}", package.name, package.version);
        match package.license.as_deref() {
            Some(licence) if permits(licence, allowed) => {}
            Some(licence) => found.push(format!("{who}: the licence `{licence}` is not on the list in {LISTS}")),
            None => found.push(format!("{who}: names no licence")),
        }
        if package.source.as_deref().is_some_and(|source| source != REGISTRY) {
            found.push(format!("{who}: does not come from crates.io"));
        }
    }
    found
}

/// Whether an SPDX expression can be met with listed licences. Old manifests write `/` for OR.
fn permits(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    either(&words, &mut at, allowed) && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut met = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        // Both sides are read, so that the position moves on.
        met |= both(words, at, allowed);
    }
    met
}

fn both(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &[&str]) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    if words.get(*at) == Some(&"WITH") {
        let exception = words.get(*at + 1).copied().unwrap_or_default();
        *at += 2;
        return allowed.contains(&format!("{word} WITH {exception}").as_str());
    }
    allowed.contains(word)
}

#[cfg(test)]
mod tests {
    use super::{Package, REGISTRY, permits, wrong};

    #[test]
    fn expressions_are_met_by_listed_licences_only() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("GPL-3.0 OR MIT", true),
            ("MIT/GPL-3.0", true),
            ("MIT AND GPL-3.0", false),
            ("(GPL-3.0 OR MIT) AND Unicode-3.0", true),
            ("MIT OR GPL-3.0 AND Unicode-3.0", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0 WITH Other-exception", false),
            ("(MIT", false),
            ("MIT MIT", false),
            ("", false),
        ] {
            assert_eq!(permits(expression, &allowed), met, "{expression}");
        }
    }

    #[test]
    fn cfg_09_an_unknown_licence_or_source_is_refused() {
        let package = |license: Option<&str>, source: Option<&str>| Package {
            name: "p".into(),
            version: "1.0.0".into(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
        };
        let count = |license, source| wrong(&[package(license, source)], &["MIT"]).len();
        assert_eq!(count(Some("MIT"), Some(REGISTRY)), 0);
        assert_eq!(count(Some("MIT"), None), 0, "a crate of the house");
        assert_eq!(count(Some("AGPL-3.0"), Some(REGISTRY)), 1);
        assert_eq!(count(None, Some(REGISTRY)), 1);
        assert_eq!(count(Some("MIT"), Some("git+https://example.org/p")), 1);
        assert_eq!(count(Some("MIT"), Some("registry+https://example.org/index")), 1);
    }
}
