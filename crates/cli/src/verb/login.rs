//! `aumbry login`: trades a one-time login for a session and keeps it.

use std::path::PathBuf;

use api::session::Login as Message;
use clap::Args;

use crate::connect::{self, Global};
use crate::login_file::{self, Saved};
use crate::{exit, fault, output};

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
        let token = connect::token_from(self.file.as_deref(), "one-time login: ")?;
        let issued = client.sessions().login(&Message { token }).await?;
        let session = issued.session.clone();
        let pem = global.cacert_pem()?.and_then(|pem| String::from_utf8(pem).ok());
        let saved = Saved::new(client.addr(), global.tenant().map(str::to_owned), pem, issued);
        let place = login_file::save(&saved)?;
        global.output().answer(&session, |session| {
            format!("logged in as {} until {}; kept in {}", session.principal, session.expires_at, place.display())
        })?;
        if let Some(name) =
            ["AUMBRY_TOKEN", "AUMBRY_TOKEN_FILE"].into_iter().find(|name| std::env::var_os(name).is_some())
        {
            output::note(&format!("note: {name} is set and is used instead of this login; `unset {name}` first"));
        }
        Ok(exit::OK)
    }
}
