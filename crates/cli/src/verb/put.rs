//! `aumbry put`: writes a new version of a secret.

use std::path::PathBuf;

use std::collections::BTreeMap;

use api::secret::{PutQuery, PutSecret};
use api::{Encoding, Value};
use clap::Args;
use client::Error;
use crypto::secret::SecretBytes;

use crate::connect::Global;
use crate::{exit, fault, input, output};

/// Write a new version of a secret
#[derive(Debug, Args)]
#[command(after_help = "Without VALUE the value is read from standard input, or asked for without showing it.")]
pub(crate) struct Put {
    /// Path of the secret, like db/password
    path: String,
    /// The value itself, `-` for standard input, or `@FILE`
    #[arg(allow_hyphen_values = true)]
    value: Option<std::ffi::OsString>,
    #[command(flatten)]
    along: Along,
    /// Take one line break off the end of standard input or the file
    #[arg(long)]
    trim: bool,
}

/// What goes with a value.
#[derive(Debug, Args)]
pub(crate) struct Along {
    /// Only if this is the current version; 0 if the secret must not exist yet
    #[arg(long, value_name = "VERSION")]
    pub(crate) cas: Option<u64>,
    /// Label to set, in place of all present ones
    #[arg(long = "label", value_name = "NAME=VALUE")]
    pub(crate) labels: Vec<String>,
    /// When this version stops being readable, RFC 3339 or `none`
    #[arg(long, value_name = "TIME")]
    pub(crate) expires_at: Option<String>,
    /// How many versions to keep from now on
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_versions: Option<u32>,
}

/// Where the value comes from.
enum Source {
    Argument(SecretBytes),
    Stdin,
    File(PathBuf),
    Person,
}

impl Put {
    /// Reads the value, then writes it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        client::check_path(&self.path)?;
        let Along { cas, labels, expires_at, max_versions } = self.along;
        let (labels, expires_at) = (self::labels(&labels)?, expires_at.map(api::Timestamp));
        let client = global.client()?;
        let value = read(source(self.value), self.trim)?;
        let written = if plain_text(value.expose()) {
            let labels = (!labels.is_empty()).then_some(labels);
            let value = Value::from_bytes(value, Encoding::Utf8).map_err(|why| fault::invalid(why.to_string(), ""))?;
            let message = PutSecret { value, encoding: Some(Encoding::Utf8), cas, labels, expires_at, max_versions };
            client.secrets().put(&self.path, &message).await?
        } else {
            let joined: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let labels = Some(joined.join(",")).filter(|joined| !joined.is_empty());
            let with = PutQuery { cas, labels, expires_at, max_versions };
            client.secrets().put_raw(&self.path, value, &with).await?
        };
        global.output().answer(&written, |written| format!("{} version {}", written.path, written.version))?;
        Ok(exit::OK)
    }
}

fn source(value: Option<std::ffi::OsString>) -> Source {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let Some(value) = value else {
        return if input::interactive() { Source::Person } else { Source::Stdin };
    };
    match value.as_bytes() {
        b"-" => Source::Stdin,
        [b'@', name @ ..] => Source::File(PathBuf::from(std::ffi::OsString::from_vec(name.to_vec()))),
        _ => Source::Argument(SecretBytes::new(value.into_vec())),
    }
}

fn read(source: Source, trim: bool) -> Result<SecretBytes, Error> {
    let bytes = match source {
        Source::Argument(value) => {
            output::note(
                "warning: a value on the command line shows in the process list and the shell's history; \
                 give it on standard input or as @FILE",
            );
            return Ok(value);
        }
        Source::Person => return Ok(input::hidden("value: ")?.into_bytes()),
        Source::Stdin => input::stdin(VALUE_BYTES_MAX)?,
        Source::File(path) => input::file(&path, VALUE_BYTES_MAX)?,
    };
    if bytes.is_empty() {
        output::note("note: the value is empty; an empty pipe looks the same as one that failed");
    }
    match bytes.expose().strip_suffix(b"\n") {
        Some(line) if trim => return Ok(SecretBytes::from_slice(line.strip_suffix(b"\r").unwrap_or(line))),
        Some(line) if !line.contains(&b'\n') => {
            output::note("note: the value ends with a line break, which is kept; --trim takes it off");
        }
        _ => {}
    }
    Ok(bytes)
}

/// Whether a value goes as JSON text, so that everybody sees it as text; anything else goes as raw bytes.
fn plain_text(value: &[u8]) -> bool {
    let fits = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    value.len() <= TEXT_BYTES_MAX && std::str::from_utf8(value).is_ok_and(|text| text.chars().all(fits))
}

pub(crate) fn labels(labels: &[String]) -> Result<BTreeMap<String, String>, Error> {
    let read = |label: &String| {
        let (name, value) = label.split_once('=').filter(|(name, _)| !name.is_empty() && !label.contains(','))?;
        Some((name.to_owned(), value.to_owned()))
    };
    let found: Option<BTreeMap<_, _>> = labels.iter().map(read).collect();
    found.filter(|found| found.len() == labels.len()).ok_or_else(|| {
        fault::invalid("a label is not NAME=VALUE, stands twice or holds a comma", "write --label team=payments")
    })
}

/// With every character escaped to two the message stays within the server's bound.
const TEXT_BYTES_MAX: usize = 960 * 1024;
/// Largest value of a secret.
const VALUE_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_says_where_it_comes_from() {
        let is = |text: &str, wanted: fn(&Source) -> bool| assert!(wanted(&source(Some(text.into()))), "{text}");
        is("-", |s| matches!(s, Source::Stdin));
        is("@some/file", |s| matches!(s, Source::File(path) if path.as_os_str() == "some/file"));
        is("hunter2", |s| matches!(s, Source::Argument(_)));
        is("-n", |s| matches!(s, Source::Argument(_)));
        is("", |s| matches!(s, Source::Argument(_)));
    }

    #[test]
    fn one_line_break_is_taken_off_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("value");
        for (content, trim, wanted) in
            [("a\n", true, "a"), ("a\n", false, "a\n"), ("a\r\n", true, "a"), ("a\n\n", true, "a\n"), ("a", true, "a")]
        {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(Source::File(path.clone()), trim).unwrap().expose(), wanted.as_bytes(), "{content:?}");
        }
    }

    #[test]
    fn text_goes_as_text_and_everything_else_as_bytes() {
        for text in ["", "hunter2", "-----BEGIN\n\tkey\r\n", "{\"a\": \"é\"}"] {
            assert!(plain_text(text.as_bytes()), "{text:?}");
        }
        for bytes in [&b"\xff"[..], b"a\0b", b"\x1b[2J", &[b'x'; TEXT_BYTES_MAX + 1]] {
            assert!(!plain_text(bytes));
        }
    }

    #[test]
    fn labels_are_names_and_values() {
        let of = |labels: &[&str]| super::labels(&labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        assert!(of(&[]).unwrap().is_empty());
        assert_eq!(
            of(&["b=", "a=1=2"]).unwrap().into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "1=2".to_owned()), ("b".to_owned(), String::new()),]
        );
        assert!(
            of(&["a"]).is_err() && of(&["=1"]).is_err() && of(&["a=1,b=2"]).is_err() && of(&["a=1", "a=2"]).is_err()
        );
    }
}
