//! `aumbry wrap` and `aumbry unwrap`: hand something over by a token that opens once.

use std::path::PathBuf;

use api::wrap::{MadeWrap, MakeWrap, OpenWrap};
use clap::Args;
use client::Error;
use crypto::secret::SecretText;

use crate::connect::{self, Global};
use crate::verb::get;
use crate::{exit, fault, input, output, private};

/// Most bytes of a text that is wrapped.
const TEXT_BYTES_MAX: usize = 48 << 10;

/// Hand a secret or a text over: whoever has the token opens it, once
#[derive(Debug, Args)]
#[command(
    after_help = "Send the token, not the secret. If it was opened when it should not be, opening it fails and says so."
)]
pub(crate) struct Wrap {
    /// Path of a secret [default: a text from standard input]
    path: Option<String>,
    /// Version of the secret [default: the current one]
    #[arg(long, value_name = "VERSION", requires = "path")]
    version: Option<u64>,
    /// How long it waits, like 15m or 24h, at most 7 days
    #[arg(long, value_name = "DURATION", default_value = "1h")]
    ttl: String,
    /// Write the token to this file, with mode 0600
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Open what was handed over
#[derive(Debug, Args)]
pub(crate) struct Unwrap {
    /// File with the token, mode 0600; `-` for standard input [default: ask]
    file: Option<PathBuf>,
    /// Write what was in it to this file, with mode 0600
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the bytes as they are on a terminal too
    #[arg(long)]
    raw: bool,
}

impl Wrap {
    /// Wraps it and shows the token.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let text = match &self.path {
            Some(_) => None,
            None if input::interactive() => Some(input::hidden("text: ")?),
            None => Some(text()?),
        };
        let message = MakeWrap { text, secret: self.path, version: self.version, ttl: Some(api::Ttl(self.ttl)) };
        let made = global.client()?.wraps().make(&message).await?;
        let note = format!("opens once, until {}: aumbry unwrap", made.expires_at);
        hand_over(&made, self.out, &note, global.output())?;
        Ok(exit::OK)
    }
}

fn text() -> Result<SecretText, Error> {
    let text = input::stdin(TEXT_BYTES_MAX)?.into_text();
    text.map_err(|_| fault::invalid("the text is not UTF-8", "put the bytes into a secret and wrap that"))
}

fn hand_over(made: &MadeWrap, out: Option<PathBuf>, note: &str, output: output::Output) -> Result<(), Error> {
    if let Some(file) = out {
        private::write(&file, made.token.expose().as_bytes())?;
        output::note(note);
        return Ok(());
    }
    if output.json {
        return get::print(made);
    }
    output::note(note);
    output::write(made.token.expose().as_bytes())?;
    output::write(b"\n")
}

impl Unwrap {
    /// Opens it and shows what was in it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let client = global.anonymous()?;
        let opened = client.wraps().open(&OpenWrap { token: self.token()? }).await?;
        if global.json && self.out.is_none() {
            get::print(&opened)?;
            return Ok(exit::OK);
        }
        let value = match (opened.text, opened.secret) {
            (Some(text), _) => text.into_bytes(),
            (None, Some(secret)) => {
                let why =
                    |_| fault::invalid("the server's answer holds no value", "use a client of the server's version");
                secret.value.into_bytes(Some(secret.encoding)).map_err(why)?.0
            }
            (None, None) => return Err(fault::invalid("the server's answer holds nothing", "update this client")),
        };
        match &self.out {
            Some(file) => private::write(file, value.expose())?,
            None => get::show(&value, self.raw, global.output())?,
        }
        Ok(exit::OK)
    }

    fn token(&self) -> Result<SecretText, Error> {
        connect::token_from(self.file.as_deref(), "token: ")
    }
}
