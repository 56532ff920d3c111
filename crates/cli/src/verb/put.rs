//! `aumbry put`: writes a new version of a secret.

use std::path::PathBuf;

use api::secret::PutQuery;
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
    /// Only if this is the current version; 0 if the secret must not exist yet
    #[arg(long, value_name = "VERSION")]
    cas: Option<u64>,
    /// Label to set, in place of all present ones
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// When this version stops being readable, RFC 3339 or `none`
    #[arg(long, value_name = "TIME")]
    expires_at: Option<String>,
    /// How many versions to keep from now on
    #[arg(long, value_name = "COUNT")]
    max_versions: Option<u32>,
    /// Take one line break off the end of standard input or the file
    #[arg(long)]
    trim: bool,
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
        let with = PutQuery {
            cas: self.cas,
            labels: labels(&self.labels)?,
            expires_at: self.expires_at.map(api::Timestamp),
            max_versions: self.max_versions,
        };
        let client = global.client()?;
        let value = read(source(self.value), self.trim)?;
        let written = client.secrets().put_raw(&self.path, value, &with).await?;
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
    match bytes.expose().strip_suffix(b"\n") {
        Some(line) if trim => return Ok(SecretBytes::from_slice(line.strip_suffix(b"\r").unwrap_or(line))),
        Some(line) if !line.contains(&b'\n') => {
            output::note("note: the value ends with a line break, which is kept; --trim takes it off");
        }
        _ => {}
    }
    Ok(bytes)
}

/// Checks labels and joins them as the query wants them.
fn labels(labels: &[String]) -> Result<Option<String>, Error> {
    let well_formed =
        |label: &String| !label.contains(',') && label.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    if !labels.iter().all(well_formed) {
        return Err(fault::invalid("a label is not NAME=VALUE, or holds a comma", "write --label team=payments"));
    }
    Ok(Some(labels.join(",")).filter(|joined| !joined.is_empty()))
}

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
    fn labels_are_names_and_values() {
        let of = |labels: &[&str]| super::labels(&labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&[]).unwrap(), None);
        assert_eq!(of(&["a=1", "b="]).unwrap().as_deref(), Some("a=1,b="));
        assert!(of(&["a"]).is_err() && of(&["=1"]).is_err() && of(&["a=1,b=2"]).is_err());
    }
}
