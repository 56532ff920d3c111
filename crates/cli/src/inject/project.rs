//! `.aumbry.toml`: the names a project wants, checked in beside its code. It holds paths, never values, and
//! cannot say where the server is.

use std::collections::BTreeMap;

use client::{Error, Reference};
use serde::Deserialize;

use crate::fault;

/// What a project asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Project {
    /// Names of variables and the path or reference each gets.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Prefixes whose secrets all come in, named by their paths.
    #[serde(default)]
    pub(crate) all: Vec<String>,
}

/// Name of the file.
pub(crate) const FILE: &str = ".aumbry.toml";

/// Reads the text of a project file.
///
/// Errors: `Invalid`, naming the line or the variable.
pub(crate) fn parse(text: &str) -> Result<Project, Error> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let hint = "write [env] and below it NAME = \"path\" or \"aumbry://tenant/path#field\"";
        fault::invalid(format!("`{FILE}` line {line} cannot be read"), hint)
    })
}

/// The references of a project by name.
///
/// Errors: `Invalid`, naming the variable whose reference is none.
pub(crate) fn references(project: &Project) -> Result<Vec<(String, Reference)>, Error> {
    let read = |(name, text): (&String, &String)| {
        let reference = Reference::parse_or_path(text).map_err(|error| {
            let mut error = error;
            error.detail = format!("`{FILE}`: {name}: {}", error.detail).into();
            error
        })?;
        Ok((name.clone(), reference))
    };
    project.env.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_paths_and_references() {
        let project = parse("all = [\"web\"]\n[env]\nA = \"db/password\"\nB = \"aumbry://t/x?version=2#f\"\n").unwrap();
        assert_eq!(project.all, ["web"]);
        let found = references(&project).unwrap();
        assert_eq!(found[0].1.path, "db/password");
        assert_eq!(found[1].1.to_string(), "aumbry://t/x?version=2#f");
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        for bad in ["addr = \"https://evil\"", "[env]\nA = 1", "[env", "token = \"x\"", "[env]\nA = \"a\"\nA = \"b\""] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        let refused = references(&parse("[env]\nDB = \"a/../b\"").unwrap()).unwrap_err();
        assert!(refused.detail.contains("DB"), "{refused}");
    }

    #[test]
    fn cfg_02_a_value_in_plain_where_a_path_is_wanted_is_not_repeated() {
        let refused = references(&parse("[env]\nDB = \"%canary%\"").unwrap()).unwrap_err();
        assert!(!refused.detail.contains("canary"), "{refused}");
        let refused = parse("[env]\nDB = canary").unwrap_err();
        assert!(!refused.detail.contains("canary") && refused.detail.contains("line 2"), "{refused}");
    }
}
