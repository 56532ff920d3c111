//! Files of many secrets: JSON, env files, what Vault's tools give, and our own exports.

use std::collections::BTreeMap;
use std::fmt;

use api::secret::ImportItem;
use api::{Encoding, Timestamp, Value};
use clap::ValueEnum;
use client::Error;
use crypto::secret::SecretText;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::fault;
use crate::inject::env_file;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A JSON object of paths and values; what is no text is kept as JSON
    Json,
    /// NAME=value lines
    Env,
    /// `vault kv get -format=json`, or a nested JSON tree as `medusa export --format json` gives
    Vault,
    /// What `aumbry export` wrote
    Aumbry,
}

/// What `aumbry export` writes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// Version of the format: 1.
    pub(crate) aumbry_export: u64,
    /// The secrets.
    pub(crate) items: Vec<Exported>,
}

/// One secret of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exported {
    pub(crate) path: String,
    pub(crate) encoding: Encoding,
    pub(crate) value: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) labels: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<Timestamp>,
}

/// Reads the secrets of a file; `prefix` stands before every path.
///
/// Errors: `Invalid`, naming the item by its place, never anything of a value.
pub(crate) fn read(text: &SecretText, format: Format, prefix: &str, file: &str) -> Result<Vec<ImportItem>, Error> {
    let text = text.expose();
    if format != Format::Vault {
        folder(prefix)?;
    }
    let mut items = match format {
        Format::Json => pairs(text, file)?.into_iter().map(|(path, value)| item(path, value)).collect(),
        Format::Env => {
            let found = env_file::parse(text, file)?.into_iter();
            found.map(|(name, value)| item(name, Value::Text(SecretText::new(value)))).collect()
        }
        Format::Aumbry => exported(text, file)?,
        Format::Vault => vault(text, prefix, file)?,
    };
    for (index, item) in items.iter_mut().enumerate() {
        item.path.insert_str(0, prefix);
        client::check_path(&item.path).map_err(|error| {
            let detail = format!("`{file}`, item {}: {}", index.saturating_add(1), error.detail);
            Error { detail: detail.into(), ..error }
        })?;
    }
    Ok(items)
}

/// Refuses a prefix that would run into the names behind it.
fn folder(prefix: &str) -> Result<(), Error> {
    match prefix.is_empty() || prefix.ends_with('/') {
        true => Ok(()),
        false => {
            let hint = format!("end it with a slash: --prefix {prefix}/");
            Err(fault::invalid(format!("the prefix `{prefix}` is no folder"), &hint))
        }
    }
}

fn item(path: String, value: Value) -> ImportItem {
    ImportItem { path, value, encoding: None, labels: None, expires_at: None }
}

fn exported(text: &str, file: &str) -> Result<Vec<ImportItem>, Error> {
    let read: Result<Export, _> = serde_json::from_str(text);
    let export = read.ok().filter(|export| export.aumbry_export == 1);
    let hint = "write one with `aumbry export PREFIX --out FILE`";
    let export = export.ok_or_else(|| fault::invalid(format!("`{file}` is no export of this version"), hint))?;
    let items = export.items.into_iter().map(|found| ImportItem {
        path: found.path,
        value: found.value,
        encoding: Some(found.encoding),
        labels: found.labels,
        expires_at: found.expires_at,
    });
    Ok(items.collect())
}

/// Members of a JSON object in their order; a name that stands twice is refused.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let (mut all, mut seen) = (Vec::new(), std::collections::HashSet::new());
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if !seen.insert(name.clone()) {
                        return Err(M::Error::custom("a name stands twice"));
                    }
                    all.push((name, value));
                }
                Ok(Members(all))
            }
        }
        input.deserialize_map(Reader)
    }
}

fn pairs(text: &str, file: &str) -> Result<Vec<(String, Value)>, Error> {
    let read: Result<Members, _> = serde_json::from_str(text);
    read.map(|members| members.0).map_err(|error| {
        let detail = format!("`{file}` line {} is not a JSON object with each name once", error.line());
        fault::invalid(detail, "`--format` says what the file holds; `aumbry import --help` lists the formats")
    })
}

/// What `vault kv get -format=json` gives is one secret, at the prefix; everything else is a tree.
fn vault(text: &str, prefix: &str, file: &str) -> Result<Vec<ImportItem>, Error> {
    let members = pairs(text, file)?;
    if !members.iter().any(|(name, _)| name == "request_id") {
        folder(prefix)?;
        let mut items = Vec::new();
        tree("", members, file, &mut items)?;
        return Ok(items);
    }
    let hint =
        "give the file that `vault kv get -format=json PATH` wrote, and --prefix with the path the secret is to have";
    let none = || fault::invalid(format!("`{file}` holds no secret of Vault"), hint);
    if prefix.is_empty() || prefix.ends_with('/') {
        return Err(fault::invalid(format!("`{file}` does not say which path its secret has"), hint));
    }
    let data =
        |members: Vec<(String, Value)>| members.into_iter().find(|(name, _)| name == "data").map(|(_, data)| data);
    let Some(Value::Json(first)) = data(members) else { return Err(none()) };
    let inner = pairs(first.expose(), file).map_err(|_| none())?;
    let versioned = inner.len() == 2 && inner.iter().all(|(name, _)| name == "data" || name == "metadata");
    let value = if versioned { data(inner).ok_or_else(none)? } else { Value::Json(first) };
    match value {
        Value::Json(text) if text.expose().starts_with('{') => Ok(vec![item(String::new(), Value::Json(text))]),
        _ => Err(none()),
    }
}

/// Objects are folders; what else an object holds are the fields of one secret, named as the object is.
fn tree(path: &str, members: Vec<(String, Value)>, file: &str, items: &mut Vec<ImportItem>) -> Result<(), Error> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    let mut folders = Vec::new();
    let empty = members.is_empty();
    for (name, value) in members {
        match value {
            Value::Json(text) if text.expose().starts_with('{') => folders.push((name, text)),
            value => fields.push((name, value)),
        }
    }
    let deep = path.split('/').count() > PATH_SEGMENTS_MAX;
    if deep || (path.is_empty() && !fields.is_empty()) {
        let detail = match deep {
            true => format!("`{file}` is nested deeper than a path has segments"),
            false => {
                format!("`{file}` holds values that belong to no secret: its first level names folders or secrets")
            }
        };
        return Err(fault::invalid(detail, "give a tree of objects, or use --format json"));
    }
    if !fields.is_empty() || (empty && !path.is_empty()) {
        let fields: BTreeMap<&str, &Value> = fields.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let object = api::encode(&fields).ok().and_then(|bytes| bytes.into_text().ok());
        let object = object.ok_or_else(|| fault::invalid(format!("`{file}` holds what is no JSON"), ""))?;
        items.push(item(path.to_owned(), Value::Json(object)));
    }
    for (name, text) in folders {
        let name = name.trim_end_matches('/');
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        tree(&below, pairs(text.expose(), file)?, file, items)?;
    }
    Ok(())
}

const PATH_SEGMENTS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, format: Format, prefix: &str) -> Result<Vec<(String, String)>, Error> {
        let items = super::read(&SecretText::new(text.to_owned()), format, prefix, "f")?;
        let shown = |item: ImportItem| {
            let (value, _) = item.value.into_bytes(item.encoding).unwrap();
            (item.path, String::from_utf8(value.expose().to_vec()).unwrap())
        };
        Ok(items.into_iter().map(shown).collect())
    }

    fn check(text: &str, format: Format, prefix: &str, wanted: &[(&str, &str)]) {
        let wanted: Vec<_> = wanted.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect();
        assert_eq!(read(text, format, prefix).unwrap(), wanted, "{text}");
    }

    #[test]
    fn each_format_gives_paths_and_values() {
        check(
            r#"{"db/password":"x\"","db":{"a":[1]},"n":5}"#,
            Format::Json,
            "p/",
            &[("p/db/password", "x\""), ("p/db", r#"{"a":[1]}"#), ("p/n", "5")],
        );
        check("A=1\nexport B='x y'\n", Format::Env, "web/", &[("web/A", "1"), ("web/B", "x y")]);
        let item = r#"{"aumbry_export":1,"items":[{"path":"a","encoding":"base64","value":"eA=="}]}"#;
        check(item, Format::Aumbry, "", &[("a", "x")]);
        let two = r#"{"request_id":"r","data":{"data":{"k":"v"},"metadata":{"version":2}}}"#;
        check(two, Format::Vault, "kv/db", &[("kv/db", r#"{"k":"v"}"#)]);
        check(r#"{"request_id":"r","data":{"k":"v"}}"#, Format::Vault, "db", &[("db", r#"{"k":"v"}"#)]);
        let tree = r#"{"A":{"B":{"DB_HOST":"mysql","PORT":3306},"C":{}},"D/":{"E":{"k":["v"],"F":{"k":null}}}}"#;
        let wanted = [
            ("A/B", r#"{"DB_HOST":"mysql","PORT":3306}"#),
            ("A/C", "{}"),
            ("D/E", r#"{"k":["v"]}"#),
            ("D/E/F", r#"{"k":null}"#),
        ];
        check(tree, Format::Vault, "", &wanted);
    }

    #[test]
    fn leak_01_what_cannot_be_imported_is_named_by_place_and_shows_no_value() {
        for (text, format, prefix) in [
            (r#"{"a":"canary""#, Format::Json, ""),
            (r#"["canary"]"#, Format::Json, ""),
            (r#"{"a":"canary","a":"canary"}"#, Format::Json, ""),
            (r#"{"a/../b":"canary"}"#, Format::Json, ""),
            (r#"{"":"canary"}"#, Format::Json, ""),
            ("A='canary", Format::Env, ""),
            (r#"{"top":"canary"}"#, Format::Vault, ""),
            (r#"{"request_id":"r","data":{"k":"canary"}}"#, Format::Vault, ""),
            (r#"{"request_id":"r","data":"canary"}"#, Format::Vault, "db"),
            (r#"{"aumbry_export":2,"items":[{"path":"a","encoding":"utf8","value":"canary"}]}"#, Format::Aumbry, ""),
        ] {
            let refused = read(text, format, prefix).unwrap_err();
            assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
        }
        let deep = format!("{}{}", "{\"a\":".repeat(40), "1".to_owned() + &"}".repeat(40));
        assert!(read(&deep, Format::Vault, "").is_err());
        for (text, format) in [(r#"{"a":"x"}"#, Format::Json), (r#"{"A":{"k":"x"}}"#, Format::Vault)] {
            assert!(read(text, format, "team").unwrap_err().hint.contains("--prefix team/"));
        }
    }
}
