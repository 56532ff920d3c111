//! `aumbry login`: trades a one-time login for a session and keeps it.

use std::path::PathBuf;

use api::session::Login as Message;
use clap::Args;
use client::Error;
use crypto::secret::SecretText;

use crate::connect::{self, Global};
use crate::login_file::{self, Saved};
use crate::{exit, fault, input, private};

/// Log in with a one-time login
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// File with the one-time login, mode 0600; `-` for standard input [default: ask]
    file: Option<PathBuf>,
}

impl Login {
    /// Trades the login, keeps the session for later commands.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let client = global.anonymous()?;
        let token = self.token()?;
        let issued = client.sessions().login(&Message { token }).await?;
        let session = issued.session.clone();
        let pem = global.cacert_pem()?.and_then(|pem| String::from_utf8(pem).ok());
        let saved = Saved::new(client.addr(), global.tenant().map(str::to_owned), pem, issued);
        let place = login_file::save(&saved)?;
        global.output().answer(&session, |session| {
            format!("logged in as {} until {}; kept in {}", session.principal, session.expires_at, place.display())
        })?;
        Ok(exit::OK)
    }

    fn token(&self) -> Result<SecretText, Error> {
        let bytes = match &self.file {
            Some(path) if path.as_os_str() != "-" => {
                let missing =
                    || fault::invalid(format!("`{}` does not exist", path.display()), "name the login's file");
                private::read(path, connect::TOKEN_BYTES_MAX)?.ok_or_else(missing)?
            }
            None if input::interactive() => input::hidden("one-time login: ")?.into_bytes(),
            _ => input::stdin(4096)?,
        };
        connect::token(bytes)
    }
}
