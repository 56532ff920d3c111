//! The list of security cases: each is proved by tests or says which capability brings it.
//!
//! A test proves a case by carrying its id in snake case at the head of its name: `bar_02_…` proves `BAR-02`. A case whose
//! tests have other names lists them under `tests`. A case that has tests may still say `waits` for what they do not cover.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Findings, Source};
use crate::shell::Outcome;
use crate::tree::read;

const PLACE: &str = "crates/testkit/cases.toml";
/// Whether a must-have case with neither test nor `waits` fails the run, or is only shown.
const UNPROVED_FAILS: bool = true;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What must hold, in our words.
    title: String,
    /// Belongs before the engine it guards.
    #[serde(default)]
    must: bool,
    /// Tests that do not carry the id in their name.
    #[serde(default)]
    tests: Vec<String>,
    /// The capability that brings what is missing.
    #[serde(default)]
    waits: String,
}

pub(super) fn check(sources: &[Source], found: &mut Findings) -> Outcome {
    let cases: BTreeMap<String, Case> = toml::from_str(&read(PLACE)?).map_err(|e| format!("{PLACE}: {e}"))?;
    let code = sources.iter().filter(|s| s.name.ends_with(".rs"));
    let tests: BTreeSet<&str> = code.flat_map(|s| test_names(&s.text)).collect();
    judge(&cases, &tests, UNPROVED_FAILS, found);
    Ok(())
}

fn judge(cases: &BTreeMap<String, Case>, tests: &BTreeSet<&str>, unproved_fails: bool, found: &mut Findings) {
    let (mut proved, mut waiting, mut open) = (0, 0, Vec::new());
    for (id, case) in cases {
        if case.title.trim().is_empty() {
            found.hard.push(format!("{PLACE}: {id} has no title"));
        }
        for name in case.tests.iter().filter(|name| !tests.contains(name.as_str())) {
            found.hard.push(format!("{PLACE}: {id} names the test `{name}`, which does not exist"));
        }
        let prefix = format!("{}_", id.to_lowercase().replace('-', "_"));
        let by_name = tests.iter().any(|t| t.starts_with(&prefix));
        match (by_name || !case.tests.is_empty(), case.waits.is_empty()) {
            (true, _) => proved += 1,
            (false, false) => waiting += 1,
            (false, true) => {
                open.push(if case.must { format!("{id}!") } else { id.clone() });
                if case.must && unproved_fails {
                    found.hard.push(format!("{PLACE}: {id} has neither a test nor `waits`: {}", case.title));
                }
            }
        }
    }
    for name in tests.iter().filter(|name| case_of(name).is_some_and(|id| !cases.contains_key(&id))) {
        found.soft.push(format!("test `{name}` carries the id of a case that is not in {PLACE}"));
    }
    if !open.is_empty() {
        found.soft.push(format!("cases with neither a test nor `waits` (! = must): {}", open.join(" ")));
    }
    found.facts.push(format!("security cases: {proved} with tests, {waiting} waiting, {} open", open.len()));
}

/// The case id at the head of a test name, if it has that form.
fn case_of(name: &str) -> Option<String> {
    let mut parts = name.splitn(3, '_');
    let (group, number) = (parts.next()?, parts.next()?);
    let known = ["http", "path", "log", "leak", "bar", "cli", "cfg", "ft", "token", "pol", "ns"].contains(&group);
    (known && number.len() == 2 && number.bytes().all(|b| b.is_ascii_digit())).then(|| {
        let group = group.to_uppercase();
        format!("{group}-{number}")
    })
}

/// Names of functions under a test attribute, those made by `proptest!` included.
fn test_names(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut armed = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            armed = true;
        }
        let body = line.strip_prefix("async ").unwrap_or(line);
        if let Some(rest) = body.strip_prefix("fn ").filter(|_| armed) {
            names.extend(rest.split(['(', '<']).next());
            armed = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Case, Findings, judge, test_names};

    fn judged(cases: &str, code: &str) -> Findings {
        let cases: BTreeMap<String, Case> = toml::from_str(cases).unwrap();
        let tests: BTreeSet<&str> = test_names(code).into_iter().collect();
        let mut found = Findings::default();
        judge(&cases, &tests, true, &mut found);
        found
    }

    #[test]
    fn a_must_case_without_test_or_reason_fails() {
        assert_eq!(judged("[BAR-01]\ntitle = \"x\"\nmust = true", "").hard.len(), 1);
        assert!(judged("[BAR-01]\ntitle = \"x\"\nmust = true\nwaits = \"rotation\"", "").hard.is_empty());
        assert!(judged("[BAR-01]\ntitle = \"x\"", "").hard.is_empty(), "one that is not a must is only shown");
    }

    #[test]
    fn a_test_proves_the_case_its_name_begins_with() {
        let case = "[BAR-01]\ntitle = \"x\"\nmust = true";
        assert!(judged(case, "#[test]\nfn bar_01_moved_blob() {}").hard.is_empty());
        assert_eq!(judged(case, "#[test]\nfn bar_010_other() {}").hard.len(), 1);
        assert_eq!(judged(case, "fn bar_01_helper() {}").hard.len(), 1, "a helper is no test");
    }

    #[test]
    fn a_listed_test_must_exist() {
        let case = "[BAR-01]\ntitle = \"x\"\ntests = [\"moved\"]";
        assert!(judged(case, "    #[tokio::test(start_paused = true)]\n    async fn moved() {}").hard.is_empty());
        assert_eq!(judged(case, "").hard.len(), 1);
    }

    #[test]
    fn a_test_with_an_unknown_id_is_shown() {
        assert_eq!(judged("", "#[test]\nfn ft_99_unheard_of() {}").soft.len(), 1);
    }
}
