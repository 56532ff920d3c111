//! Where values come from: defaults, the file, the environment, flags; the later one wins.

use super::value::Raw;
use super::{ConfigError, KEYS, suggest};
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody wrote it.
    Default,
    /// This file, at this line (from 1).
    File(String, usize),
    /// This variable of the environment.
    Environment(String),
    /// This command-line flag.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Default => write!(f, "default"),
            Origin::File(file, line) => write!(f, "{file} line {line}"),
            Origin::Environment(name) => write!(f, "environment variable {name}"),
            Origin::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One value and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value as written.
    pub raw: Raw,
    /// Where.
    pub origin: Origin,
}

/// All values that somebody wrote, by `section.key`.
#[derive(Clone, Debug, Default)]
pub struct Given {
    entries: BTreeMap<String, Entry>,
}

/// Variables that other systems' users already have, and the key each stands for.
pub const ALIASES: &[(&str, &str)] =
    &[("STORAGE_CONNECTION", "storage.connection"), ("TRSTCTL_SECRETS_KEK_FILE", "seal.file")];

/// Variables of the command-line client; they are no keys of the server.
const NOT_KEYS: &[&str] =
    &["AUMBRY_CONFIG", "AUMBRY_ADDR", "AUMBRY_TOKEN", "AUMBRY_TENANT", "AUMBRY_CACERT", "AUMBRY_TOKEN_FILE"];

impl Given {
    /// What was given for a key, or its default.
    pub(crate) fn entry(&self, section: &str, key: &str, default: &str) -> Entry {
        let found = self.entries.get(&format!("{section}.{key}")).cloned();
        found.unwrap_or_else(|| Entry { raw: Raw::Loose(default.to_owned()), origin: Origin::Default })
    }

    /// Forgets what was written for a key that may hold a secret; that something was, and where, stays.
    pub(crate) fn hide(&mut self, key: &str) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.raw = Raw::Other("a secret");
        }
    }

    /// Values that did not come from a default, for `doctor`.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    /// Sets one key by flag; the strongest origin.
    pub fn flag(&mut self, flag: &str, key: &str, value: String) {
        let origin = Origin::Flag(flag.to_owned());
        self.entries.insert(key.to_owned(), Entry { raw: Raw::Loose(value), origin });
    }

    /// Sets any key by `section.key=value`. Errors: it is no such pair, or the key is unknown; nothing was set.
    pub fn pair(&mut self, pair: &str) -> Result<(), ConfigError> {
        let origin = Origin::Flag("--set".to_owned());
        let Some((key, value)) = pair.split_once('=') else {
            let problem = "wants KEY=VALUE, such as access.sinks=file,store".to_owned();
            return Err(ConfigError { key: String::new(), origin, problem });
        };
        if !KEYS.iter().any(|known| known.full() == key) {
            return Err(ConfigError { problem: suggest::unknown(key), key: key.to_owned(), origin });
        }
        let flag = format!("--set {key}");
        let twice = |given: &Entry| matches!(&given.origin, Origin::Flag(name) if *name == flag);
        if self.entries.get(key).is_some_and(twice) {
            return Err(ConfigError { problem: "is given twice".to_owned(), key: key.to_owned(), origin });
        }
        self.flag(&flag, key, value.to_owned());
        Ok(())
    }

    /// Adds what a file says.
    pub(crate) fn file(&mut self, path: &Path, text: &str) -> Result<(), Vec<ConfigError>> {
        let name = path.display().to_string();
        let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
        let table = DeTable::parse(text).map_err(|error| {
            let origin = Origin::File(name.clone(), error.span().map_or(1, |span| line(span.start)));
            vec![ConfigError { key: String::new(), origin, problem: without_excerpt(error.message()) }]
        })?;
        let mut walk = Walk { name: &name, line: &line, wrong: Vec::new(), found: Vec::new() };
        walk.table("", table.get_ref());
        if !walk.wrong.is_empty() {
            return Err(walk.wrong);
        }
        self.entries.extend(walk.found);
        Ok(())
    }

    /// Adds what the environment says: aliases first, then `AUMBRY_<SECTION>__<KEY>`.
    pub(crate) fn environment(&mut self, variables: &BTreeMap<String, String>) -> Result<(), Vec<ConfigError>> {
        let mut wrong = Vec::new();
        for (alias, key) in ALIASES {
            if let Some(value) = variables.get(*alias) {
                self.variable(alias, key, value);
            }
        }
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix("AUMBRY_") else { continue };
            if NOT_KEYS.contains(&name.as_str()) {
                continue;
            }
            let key = rest.to_ascii_lowercase().replace("__", ".");
            if KEYS.iter().any(|known| known.full() == key) {
                self.variable(name, &key, value);
            } else if rest.contains("__") {
                let origin = Origin::Environment(name.clone());
                wrong.push(ConfigError { problem: suggest::unknown(&key), key, origin });
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn variable(&mut self, name: &str, key: &str, value: &str) {
        let origin = Origin::Environment(name.to_owned());
        self.entries.insert(key.to_owned(), Entry { raw: Raw::Loose(value.to_owned()), origin });
    }
}

/// A walk through one file.
struct Walk<'a> {
    name: &'a str,
    line: &'a dyn Fn(usize) -> usize,
    wrong: Vec<ConfigError>,
    found: Vec<(String, Entry)>,
}

impl Walk<'_> {
    fn table(&mut self, above: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = if above.is_empty() { name.get_ref().to_string() } else { format!("{above}.{}", name.get_ref()) };
            let origin = Origin::File(self.name.to_owned(), (self.line)(name.span().start));
            if KEYS.iter().any(|known| known.full() == key) {
                self.found.push((key, Entry { raw: raw(value.get_ref()), origin }));
            } else if let (DeValue::Table(inner), true) = (value.get_ref(), suggest::leads_somewhere(&key)) {
                self.table(&key, inner);
            } else {
                self.wrong.push(ConfigError { problem: suggest::unknown(&key), key, origin });
            }
        }
    }
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Number(number.as_str().replace('_', "")),
        DeValue::Integer(_) => Raw::Other("a number that is not decimal"),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Float(_) => Raw::Other("a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date"),
        DeValue::Table(_) => Raw::Other("a table"),
        DeValue::Array(items) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map_or(Raw::Other("a list with something else than texts"), Raw::List)
        }
    }
}

/// The parser's message without any piece of the file: a file may hold what must not be shown.
fn without_excerpt(message: &str) -> String {
    message.split('`').enumerate().map(|(at, part)| if at % 2 == 0 { part } else { "…" }).collect()
}
