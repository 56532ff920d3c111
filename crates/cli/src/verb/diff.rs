//! `aumbry diff`: what differs between two versions, two secrets or two folders, without showing values.

use std::collections::BTreeMap;

use api::Value;
use clap::Args;
use client::{Client, Error, Reference};
use crypto::secret::SecretBytes;
use serde::Serialize;

use crate::connect::Global;
use crate::inject::fetch;
use crate::{exit, fault, pages};

/// Show what differs between versions, secrets or folders, without values
#[derive(Debug, Args)]
#[command(
    after_help = "A path that ends with `/` is a folder. Exit code: 0 when nothing differs, 1 when something does."
)]
pub(crate) struct Diff {
    /// Path of the secret, or a folder with `/` at its end
    path: String,
    /// What to compare it with [default: its own version before]
    other: Option<String>,
    /// Version of PATH [default: the one before the current, or the current if OTHER is given]
    #[arg(long, value_name = "VERSION")]
    from: Option<u64>,
    /// Version of OTHER [default: the current]
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
}

/// How a name differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    /// Only the second has it.
    Added,
    /// Only the first has it.
    Removed,
    /// Both have it, with other values.
    Changed,
}

/// One difference.
#[derive(Debug, Serialize)]
struct Difference {
    /// Name in the folder, field of the JSON object, or nothing for the whole value.
    name: String,
    change: Change,
}

#[derive(Debug, Serialize)]
struct Differences {
    from: String,
    to: String,
    items: Vec<Difference>,
}

type Named = BTreeMap<String, SecretBytes>;

impl Diff {
    /// Fetches both sides and compares them here.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let folder = self.path.ends_with('/');
        if self.other.as_ref().is_some_and(|other| other.ends_with('/') != folder) {
            return Err(fault::invalid("a secret cannot be compared with a folder", "end both with `/`, or neither"));
        }
        let found = if folder { self.folders(global).await? } else { self.secrets(global).await? };
        let same = found.items.is_empty();
        global.output().rows(&found, &["change", "name"], |found| {
            let row = |item: &Difference| {
                let change = match item.change {
                    Change::Added => "added",
                    Change::Removed => "removed",
                    Change::Changed => "changed",
                };
                let name = if item.name.is_empty() { "the value" } else { &item.name };
                vec![change.to_owned(), name.to_owned()]
            };
            found.items.iter().map(row).collect()
        })?;
        Ok(if same { exit::OK } else { exit::DIFFERENT })
    }

    async fn folders(&self, global: &Global) -> Result<Differences, Error> {
        let hint = "write `aumbry diff staging/ production/`";
        let other =
            self.other.as_ref().ok_or_else(|| fault::invalid("a folder needs another one to compare with", hint))?;
        if self.from.is_some() || self.to.is_some() {
            return Err(fault::invalid("a folder has no versions", hint));
        }
        let client = global.client()?;
        let (from, to) = (folder(&client, global, &self.path).await?, folder(&client, global, other).await?);
        Ok(Differences { from: self.path.clone(), to: other.clone(), items: compare(&from, &to) })
    }

    async fn secrets(&self, global: &Global) -> Result<Differences, Error> {
        let client = global.client()?;
        let from_version = match (&self.other, self.from) {
            (None, None) => Some(before(&client, &self.path, self.to).await?),
            (_, given) => given,
        };
        let other = self.other.as_ref().unwrap_or(&self.path);
        let from = client.secrets().read_raw(&self.path, from_version).await?;
        let to = client.secrets().read_raw(other, self.to).await?;
        let items = if from.ct_eq(&to) {
            Vec::new()
        } else {
            match (fields(&from), fields(&to)) {
                (Some(from), Some(to)) => compare(&from, &to),
                _ => vec![Difference { name: String::new(), change: Change::Changed }],
            }
        };
        Ok(Differences { from: side(&self.path, from_version), to: side(other, self.to), items })
    }
}

/// The version before `to`, or before the current one, that can still be read.
async fn before(client: &Client, path: &str, to: Option<u64>) -> Result<u64, Error> {
    let versions = client.secrets().versions(path).await?;
    let live = versions.items.iter().filter(|v| v.state == api::secret::VersionState::Live).map(|v| v.version);
    let mut live: Vec<u64> = live.filter(|version| to.is_none_or(|to| *version < to)).collect();
    live.sort_unstable_by(|a, b| b.cmp(a));
    let earlier = if to.is_some() { live.first() } else { live.get(1) };
    let hint = "name two secrets, or versions with --from and --to";
    earlier.copied().ok_or_else(|| fault::invalid(format!("`{path}` has no earlier version to compare with"), hint))
}

async fn folder(client: &Client, global: &Global, prefix: &str) -> Result<Named, Error> {
    let prefix = prefix.trim_end_matches('/');
    let paths = pages::readable(client, prefix).await?.paths;
    let references: Vec<_> =
        paths.into_iter().map(|path| Reference { tenant: None, path, version: None, field: None }).collect();
    let values = fetch::values(global, &references, false).await?;
    let name = |path: &str| path.strip_prefix(prefix).unwrap_or(path).trim_start_matches('/').to_owned();
    Ok(values.into_iter().map(|(reference, value)| (name(&reference.path), value)).collect())
}

/// The fields of a JSON object, if it is one.
fn fields(value: &SecretBytes) -> Option<Named> {
    let fields: BTreeMap<String, Value> = serde_json::from_slice(value.expose()).ok()?;
    let bytes = |(name, value): (String, Value)| Some((name, api::encode(&value).ok()?));
    fields.into_iter().map(bytes).collect()
}

fn compare(from: &Named, to: &Named) -> Vec<Difference> {
    let mut names: Vec<_> = from.keys().chain(to.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let change = |name: &String| match (from.get(name), to.get(name)) {
        (Some(_), None) => Some(Change::Removed),
        (None, Some(_)) => Some(Change::Added),
        (Some(old), Some(new)) if !old.ct_eq(new) => Some(Change::Changed),
        _ => None,
    };
    names.into_iter().filter_map(|name| Some(Difference { name: name.clone(), change: change(name)? })).collect()
}

fn side(path: &str, version: Option<u64>) -> String {
    version.map_or_else(|| path.to_owned(), |version| format!("{path}?version={version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(json: &str) -> Named {
        fields(&SecretBytes::from_slice(json.as_bytes())).unwrap()
    }

    #[test]
    fn fields_are_compared_by_name_without_showing_values() {
        let (from, to) = (named(r#"{"a":1,"b":"canary","c":[1]}"#), named(r#"{"b":"canary2","c":[1],"d":null}"#));
        let found = compare(&from, &to);
        let shown: Vec<_> = found.iter().map(|d| (d.name.as_str(), d.change)).collect();
        assert_eq!(shown, [("a", Change::Removed), ("b", Change::Changed), ("d", Change::Added)]);
        assert!(!serde_json::to_string(&found).unwrap().contains("canary"));
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for value in ["text", "[1]", "\"s\"", "{"] {
            assert!(fields(&SecretBytes::from_slice(value.as_bytes())).is_none(), "{value}");
        }
    }
}
