//! `cargo xtask layers`: the arrows between crates, from the table in `xtask/layers.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::licences;
use crate::shell::{Outcome, cargo, take};
use crate::tree::{Member, members, read};

type Names = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    may: Names,
    tests: Names,
    never: Names,
    runtime: Runtime,
    nowhere: Nowhere,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Runtime {
    crates: Vec<String>,
    features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nowhere {
    crates: Vec<String>,
}

/// Checks every manifest, then the whole resolved tree.
pub(crate) fn run() -> Outcome {
    let table: Table = toml::from_str(&read("xtask/layers.toml")?).map_err(|e| format!("xtask/layers.toml: {e}"))?;
    let members = members()?;
    let mut wrong = check(&table, &members);
    for name in &table.nowhere.crates {
        wrong.extend(anywhere(name)?);
    }
    wrong.extend(released()?);
    let (unlisted, packages) = licences::check()?;
    wrong.extend(unlisted);
    if wrong.is_empty() {
        println!("layers: {} crates, all arrows allowed; {packages} packages, all licences listed", members.len());
        return Ok(());
    }
    Err(format!("{} dependencies are not allowed\n  {}", wrong.len(), wrong.join("\n  ")))
}

fn check(table: &Table, members: &[Member]) -> Vec<String> {
    let house: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
    let none = Vec::new();
    let mut wrong = Vec::new();
    for name in table.may.keys().filter(|n| !house.contains(&n.as_str())) {
        wrong.push(format!("`{name}` stands in the table and is no crate"));
    }
    for member in members {
        let name = &member.name;
        let Some(may) = table.may.get(name) else {
            wrong.push(format!("`{name}` is missing from the table"));
            continue;
        };
        let never = table.never.get(name).unwrap_or(&none);
        for (section, dependency, value) in dependencies(member) {
            let tests_only = section.starts_with("dev");
            if house.contains(&dependency.as_str()) {
                let also = [table.tests.get("all"), table.tests.get(name)].into_iter().flatten().flatten();
                let allowed = may.contains(&dependency) || tests_only && also.into_iter().any(|t| *t == dependency);
                if !allowed {
                    wrong.push(format!("{name} -> {dependency} ({section})"));
                }
            } else if !tests_only && never.contains(&dependency) {
                wrong.push(format!("{name} -> {dependency}, which this crate may not know ({section})"));
            }
            if dependency == "tokio" && !tests_only && table.runtime.crates.contains(name) {
                let on = value.get("features").and_then(toml::Value::as_array).into_iter().flatten();
                let on = on.filter_map(toml::Value::as_str).filter(|f| table.runtime.features.iter().any(|r| r == f));
                wrong.extend(on.map(|feature| format!("{name} -> tokio with `{feature}`: a library names no runtime")));
            }
        }
    }
    wrong
}

/// Every dependency of a manifest with the section it stands in, those of a platform included.
fn dependencies(member: &Member) -> Vec<(String, String, toml::Value)> {
    let mut found = Vec::new();
    let mut collect = |table: &toml::Table, prefix: &str| {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table.get(section).and_then(toml::Value::as_table).into_iter().flatten() {
                let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                found.push((format!("{section}{prefix}"), package.to_owned(), value.clone()));
            }
        }
    };
    collect(&member.manifest, "");
    for (platform, table) in member.manifest.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        if let Some(table) = table.as_table() {
            collect(table, &format!(" of {platform}"));
        }
    }
    found
}

/// One line when a library that may be nowhere is in the tree.
fn anywhere(name: &str) -> Outcome<Option<String>> {
    let tree =
        take(cargo(), &["tree", "--locked", "--workspace", "--all-features", "--target", "all", "--invert", name])?;
    if tree.ok && !tree.out.trim().is_empty() {
        return Ok(Some(format!("`{name}` is in the tree:\n{}", tree.out.trim_end())));
    }
    if tree.ok || tree.err.contains("did not match any packages") {
        return Ok(None);
    }
    Err(format!("cargo tree: {}", tree.err.trim()))
}

/// What the released binary would carry and must not.
pub(crate) fn released() -> Outcome<Vec<String>> {
    let tree = take(cargo(), &["tree", "--package", "aumbry", "--edges", "features,normal", "--prefix", "none"])?;
    if !tree.ok {
        return Err(format!("cargo tree: {}", tree.err.trim()));
    }
    Ok(test_only(&tree.out))
}

/// Lines of a feature tree that name the test kit, or a feature that is spelled as dangerous.
fn test_only(tree: &str) -> Vec<String> {
    let mut found: Vec<&str> = tree.lines().map(str::trim).collect();
    found.retain(|line| line.starts_with("testkit ") || line.contains("feature \"danger-"));
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|line| format!("the released binary would carry `{line}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Table, check, test_only};
    use crate::tree::Member;

    fn member(name: &str, manifest: &str) -> Member {
        let manifest = manifest.parse().unwrap();
        Member { name: name.into(), folder: String::new(), comment: String::new(), manifest }
    }

    fn table() -> Table {
        toml::from_str(
            "[may]\nlow = []\nhigh = [\"low\"]\nkit = [\"low\"]\n[tests]\nall = [\"kit\"]\n[never]\nlow = [\"tokio\"]\n\
             [runtime]\ncrates = [\"high\"]\nfeatures = [\"rt\"]\n[nowhere]\ncrates = []\n",
        )
        .unwrap()
    }

    #[track_caller]
    fn shows(low: &str, high: &str, expected: &[&str]) {
        let members = [member("low", low), member("high", high), member("kit", "")];
        assert_eq!(check(&table(), &members), expected);
    }

    #[test]
    fn an_arrow_against_the_table_is_named() {
        shows("[dependencies]\nhigh = {}", "", &["low -> high (dependencies)"]);
        shows("[target.'cfg(unix)'.dependencies]\nhigh = {}", "", &["low -> high (dependencies of cfg(unix))"]);
        shows("[dependencies]\nx = { package = \"high\" }", "", &["low -> high (dependencies)"]);
        shows("", "[dependencies]\nlow = {}", &[]);
    }

    #[test]
    fn tests_may_name_the_test_kit_and_nothing_else() {
        shows("[dev-dependencies]\nkit = {}", "", &[]);
        shows("[dependencies]\nkit = {}", "", &["low -> kit (dependencies)"]);
        shows("[dev-dependencies]\nhigh = {}", "", &["low -> high (dev-dependencies)"]);
    }

    #[test]
    fn a_forbidden_library_or_runtime_part_is_named() {
        shows("[dependencies]\ntokio = {}", "", &["low -> tokio, which this crate may not know (dependencies)"]);
        let high = "[dependencies]\ntokio = { features = [\"sync\", \"rt\"] }";
        shows("", high, &["high -> tokio with `rt`: a library names no runtime"]);
    }

    #[test]
    fn cfg_03_a_test_only_power_in_the_release_is_named() {
        let clean = "aumbry v0.1.0 (/x)\nserver v0.1.0 (/x)\nserver feature \"default\"\ntokio v1.54.1\n";
        assert!(test_only(clean).is_empty());
        assert_eq!(test_only(&format!("{clean}testkit v0.1.0 (/x)\n")).len(), 1);
        assert_eq!(test_only(&format!("{clean}server feature \"danger-clock\"\n")).len(), 1);
    }

    #[test]
    fn a_crate_without_a_line_is_named() {
        let members = [member("low", ""), member("high", ""), member("kit", ""), member("new", "")];
        assert_eq!(check(&table(), &members), ["`new` is missing from the table"]);
    }
}
