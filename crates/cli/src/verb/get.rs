//! `aumbry get`: shows a value, raw into a pipe, escaped on a terminal.

use std::path::PathBuf;

use api::secret::ReadQuery;
use api::{Encoding, Value};
use clap::Args;
use crypto::secret::SecretBytes;
use serde::Serialize;

use crate::connect::Global;
use crate::{escape, exit, fault, field, output, private};

/// Show the value of a secret
#[derive(Debug, Args)]
#[command(after_help = "Into a pipe the bytes go as they are; on a terminal what it would act on is escaped.")]
pub(crate) struct Get {
    /// Path of the secret
    path: String,
    /// Version to read [default: the current one]
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,
    /// Resolve references in the value: aumbry://tenant/path#field as the whole, or as a whole text of a JSON value
    #[arg(long)]
    resolve: bool,
    /// Field to pick out of a JSON object
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// Write the value to this file, with mode 0600
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the bytes as they are on a terminal too
    #[arg(long)]
    raw: bool,
}

impl Get {
    /// Reads the value, then prints or writes it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let client = global.client()?;
        let with = ReadQuery { version: self.version, resolve: self.resolve, ..ReadQuery::default() };
        if global.json && self.field.is_none() && self.out.is_none() {
            print(&client.secrets().read_with(&self.path, &with).await?)?;
            return Ok(exit::OK);
        }
        let mut value = client.secrets().read_raw_with(&self.path, &with).await?;
        if let Some(name) = &self.field {
            value = field::pick(&value, name, &self.path)?;
        }
        match (&self.out, self.field) {
            (Some(file), _) => private::write(file, value.expose())?,
            (None, Some(field)) if global.json => {
                let encoding = std::str::from_utf8(value.expose()).map_or(Encoding::Base64, |_| Encoding::Utf8);
                let value = Value::from_bytes(value, encoding).map_err(|why| fault::invalid(why.to_string(), ""))?;
                print(&Field { path: self.path, field, encoding, value })?;
            }
            (None, _) => show(&value, self.raw, global.output())?,
        }
        Ok(exit::OK)
    }
}

/// One field of a value, as JSON shows it.
#[derive(Serialize)]
struct Field {
    path: String,
    field: String,
    encoding: Encoding,
    value: Value,
}

/// Prints a message that holds a secret, through wiped memory.
pub(crate) fn print(message: &impl Serialize) -> Result<(), client::Error> {
    let bytes = api::encode(message).map_err(|_| fault::invalid("the answer is no JSON", ""))?;
    output::write(bytes.expose())?;
    output::write(b"\n")
}

/// Shows a value: as it is into a pipe, escaped on a terminal.
pub(crate) fn show(value: &SecretBytes, raw: bool, output: output::Output) -> Result<(), client::Error> {
    if raw || !output.terminal() {
        return output::write(value.expose());
    }
    let shown = escape::bytes(value.expose());
    output::write(shown.as_bytes())?;
    output::write(b"\n")?;
    if shown.as_bytes() != value.expose() {
        output::note("note: escaped for the terminal; --raw or a pipe gives the bytes as they are");
    }
    Ok(())
}
