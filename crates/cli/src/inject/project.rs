//! `.aumbry.toml`: the names a project wants, checked in beside its code. It holds paths, never values, and
//! cannot say where the server is.

use std::collections::BTreeMap;

use client::{Error, Reference};
use serde::Deserialize;
use toml::Spanned;

use crate::fault;

/// What a project asks for, and the lines that say so.
#[derive(Debug, Default)]
pub(crate) struct Project {
    env: Vec<(String, Written)>,
    all: Vec<Written>,
}

/// A text of the file and its line.
#[derive(Debug)]
struct Written {
    text: String,
    line: usize,
}

/// Name of the file.
pub(crate) const FILE: &str = ".aumbry.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    #[serde(default)]
    env: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    all: Vec<Spanned<String>>,
}

/// Reads the text of a project file.
///
/// Errors: `Invalid`, naming the line, what is wrong there and what belongs there; never what was written as a value.
pub(crate) fn parse(text: &str) -> Result<Project, Error> {
    let line = |start: usize| text.get(..start).unwrap_or_default().matches('\n').count().saturating_add(1);
    let content: Content = toml::from_str(text).map_err(|error| {
        let (what, hint) = wrong(error.message());
        fault::invalid(format!("{}: {what}", place(line(error.span().unwrap_or_default().start))), hint)
    })?;
    let written = |spanned: Spanned<String>| {
        let line = line(spanned.span().start);
        Written { text: spanned.into_inner(), line }
    };
    Ok(Project {
        env: content.env.into_iter().map(|(name, text)| (name, written(text))).collect(),
        all: content.all.into_iter().map(written).collect(),
    })
}

impl Project {
    /// Names of variables, the reference each gets, and where that is written.
    ///
    /// Errors: `Invalid`, naming the line and the variable whose reference is none.
    pub(crate) fn references(&self) -> Result<Vec<(String, Reference, String)>, Error> {
        let read = |(name, written): &(String, Written)| {
            let place = place(written.line);
            let reference = client::reference(&written.text).map_err(|mut error| {
                error.detail = format!("{place}: {name}: {}", error.detail).into();
                error
            })?;
            Ok((name.clone(), reference, place))
        };
        self.env.iter().map(read).collect()
    }

    /// Prefixes whose secrets all come in, and where each is written.
    ///
    /// Errors: `Invalid`, naming the line whose prefix is none.
    pub(crate) fn prefixes(&self) -> impl Iterator<Item = Result<(String, String), Error>> {
        self.all.iter().map(|written| {
            let place = place(written.line);
            client::check_path(written.text.trim_end_matches('/')).map_err(|mut error| {
                error.detail = format!("{place}: all: {}", error.detail).into();
                error
            })?;
            Ok((written.text.clone(), place))
        })
    }
}

fn place(line: usize) -> String {
    format!("`{FILE}` line {line}")
}

/// What is wrong and what to write instead, from the parser's words. Those that may repeat a value are not passed on.
fn wrong(message: &str) -> (String, &'static str) {
    const ENV: &str = "below [env] write NAME = \"path\" or NAME = \"aumbry://tenant/path#field\"";
    const TOP: &str = "only `all = [\"prefix\"]` and the table [env] belong in it";
    let first = message.lines().next().unwrap_or_default();
    if first.starts_with("unknown field") {
        (first.split(',').next().unwrap_or_default().to_owned(), TOP)
    } else if first.starts_with("duplicate") {
        ("it says the same name twice".to_owned(), "take one of them out")
    } else if first.starts_with("invalid type") {
        ("what stands there is not of the kind that belongs there".to_owned(), ENV)
    } else {
        ("it is not TOML".to_owned(), "put quotes around texts and close each bracket: NAME = \"path\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_paths_and_references() {
        let project = parse("all = [\"web\"]\n[env]\nA = \"db/password\"\nB = \"aumbry://t/x?version=2#f\"\n").unwrap();
        let prefixes: Vec<_> = project.prefixes().map(Result::unwrap).collect();
        assert_eq!(prefixes, [("web".to_owned(), "`.aumbry.toml` line 1".to_owned())]);
        let found = project.references().unwrap();
        assert_eq!((found[0].1.path.as_str(), found[0].2.as_str()), ("db/password", "`.aumbry.toml` line 3"));
        assert_eq!(found[1].1.to_string(), "aumbry://t/x?version=2#f");
    }

    #[test]
    fn what_does_not_belong_is_refused_by_line_with_what_belongs_there() {
        for (bad, line, what, hint) in [
            ("addr = \"https://evil\"", 1, "unknown field `addr`", "only `all"),
            ("[env]\nA = 1", 2, "not of the kind", "NAME = \"path\""),
            ("all = \"web\"", 1, "not of the kind", ""),
            ("\n[env", 2, "not TOML", "close each bracket"),
            ("[env]\nA = db/password", 2, "not TOML", "put quotes"),
            ("[env]\nA = \"a\"\nA = \"b\"", 3, "twice", "take one"),
            ("[more]\nA = \"a\"", 1, "unknown field `more`", "only `all"),
        ] {
            let refused = parse(bad).unwrap_err();
            assert!(refused.detail.starts_with(&format!("`.aumbry.toml` line {line}: ")), "{bad}: {refused}");
            assert!(refused.detail.contains(what) && refused.hint.contains(hint), "{bad}: {refused:?}");
        }
        let refused = parse("# one\n[env]\nDB = \"a/../b\"").unwrap().references().unwrap_err();
        assert!(refused.detail.contains("line 3: DB: "), "{refused}");
        let refused = parse("all = [\n\"a\",\n\"b//c\"]").unwrap().prefixes().find_map(Result::err).unwrap();
        assert!(refused.detail.contains("line 3: all: "), "{refused}");
    }

    #[test]
    fn cfg_02_a_value_in_plain_where_a_path_is_wanted_is_not_repeated() {
        let refused = parse("[env]\nDB = \"%canary%\"").unwrap().references().unwrap_err();
        assert!(!refused.detail.contains("canary"), "{refused}");
        for bad in [
            "[env]\nDB = canary",
            "[env]\nDB = [\"canary\"]",
            "[env]\nDB = {canary = \"canary\"}",
            "[env]\nDB = \"canary",
        ] {
            let refused = parse(bad).unwrap_err();
            assert!(!refused.detail.contains("canary") && refused.detail.contains("line 2"), "{refused}");
        }
    }
}
