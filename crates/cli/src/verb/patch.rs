//! `aumbry patch`: changes fields of a secret whose value is a JSON object.

use std::collections::BTreeMap;
use std::path::Path;

use api::Value;
use clap::Args;
use client::Error;
use crypto::secret::SecretBytes;

use crate::connect::Global;
use crate::{exit, fault, input, output};

/// Change fields of a secret whose value is a JSON object; the other fields stay, and nobody's write is lost
#[derive(Debug, Args)]
#[command(after_help = "Fields are named with --field and --remove, or a merge patch (RFC 7396) is given as FILE. \
                        The value that is there is neither read nor shown.")]
pub(crate) struct Patch {
    /// Path of the secret
    path: String,
    /// A JSON merge patch; `-` for standard input
    #[arg(conflicts_with_all = ["fields", "remove"])]
    file: Option<std::path::PathBuf>,
    /// Field to set to a text, to a file's content (NAME=@FILE) or to standard input (NAME=-)
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// Field to take out
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
    /// Only if this is the current version
    #[arg(long, value_name = "VERSION")]
    cas: Option<u64>,
}

impl Patch {
    /// Reads what changes, then sends it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        client::check_path(&self.path)?;
        let client = global.client()?;
        let patch = match &self.file {
            Some(file) if file.as_os_str() == "-" => input::stdin(PATCH_BYTES_MAX)?,
            Some(file) => input::file(file, PATCH_BYTES_MAX)?,
            None => named(&self.fields, &self.remove)?,
        };
        let written = client.secrets().patch(&self.path, patch, self.cas).await?;
        global.output().answer(&written, |written| format!("{} version {}", written.path, written.version))?;
        Ok(exit::OK)
    }
}

/// The patch that sets and takes out the fields named.
fn named(fields: &[String], remove: &[String]) -> Result<SecretBytes, Error> {
    let hint = "write --field name=value, --field name=@FILE, --field name=- or --remove name; each name once";
    let mut patch: BTreeMap<&str, Option<Value>> = BTreeMap::new();
    for (place, field) in fields.iter().enumerate() {
        let place = place.saturating_add(1);
        let wrong = |why: &str| fault::invalid(format!("--field number {place} {why}"), hint);
        let (name, value) =
            field.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| wrong("is not NAME=VALUE"))?;
        let text = value_of(value)?.into_text().map_err(|_| wrong("is not UTF-8 text"))?;
        if patch.insert(name, Some(Value::Text(text))).is_some() {
            return Err(wrong("names a field that stands twice"));
        }
    }
    for name in remove {
        if patch.insert(name, None).is_some() {
            return Err(fault::invalid("a field is set and taken out, or taken out twice", hint));
        }
    }
    if patch.is_empty() {
        return Err(fault::invalid("nothing to change is named", hint));
    }
    api::encode(&patch).map_err(|_| fault::invalid("the patch cannot be written", ""))
}

fn value_of(text: &str) -> Result<SecretBytes, Error> {
    match text.strip_prefix('@') {
        Some(file) => input::file(Path::new(file), PATCH_BYTES_MAX),
        None if text == "-" => input::stdin(PATCH_BYTES_MAX),
        None => {
            output::note(
                "warning: a value on the command line shows in the process list and the shell's history; \
                 give it as NAME=@FILE or NAME=-",
            );
            Ok(SecretBytes::from_slice(text.as_bytes()))
        }
    }
}

const PATCH_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(fields: &[&str], remove: &[&str]) -> Result<String, Error> {
        let own = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        named(&own(fields), &own(remove)).map(|patch| String::from_utf8(patch.expose().to_vec()).unwrap())
    }

    #[test]
    fn fields_make_a_merge_patch() {
        assert_eq!(patch(&["b=x=\"1\"", "a="], &["c"]).unwrap(), r#"{"a":"","b":"x=\"1\"","c":null}"#);
    }

    #[test]
    fn leak_01_a_field_that_cannot_be_read_is_counted_and_not_shown() {
        for (fields, remove) in [
            (&["canary"][..], &[][..]),
            (&["=canary"], &[]),
            (&["a=canary", "a=canary"], &[]),
            (&["a=canary"], &["a"]),
            (&[], &[]),
        ] {
            assert!(!patch(fields, remove).unwrap_err().to_string().contains("canary"));
        }
    }
}
