//! Which server, as whom: flags, then the environment, then the saved login.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use client::{Client, Error, Options};
use crypto::secret::{SecretBytes, SecretText};

use crate::output::Output;
use crate::{fault, input, login_file, private};

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Address of the server [default: the saved login's, or https://127.0.0.1:7480]
    #[arg(long, global = true, env = "AUMBRY_ADDR", hide_env_values = true, value_name = "URL")]
    pub(crate) addr: Option<String>,
    /// Tenant to act in, by name or id
    #[arg(long, global = true, env = "AUMBRY_TENANT", hide_env_values = true, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// File with the session token, mode 0600 [default: AUMBRY_TOKEN, or the saved login]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Certificates (PEM) that the server's must lead to
    #[arg(long, global = true, env = "AUMBRY_CACERT", hide_env_values = true, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Do not ask before something that cannot be undone
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
}

impl Global {
    /// How to print.
    pub(crate) fn output(&self) -> Output {
        Output { json: self.json }
    }

    /// A client for this server as this principal.
    pub(crate) fn client(&self) -> Result<Client, Error> {
        self.client_for(None)
    }

    /// The same in another tenant.
    pub(crate) fn client_for(&self, tenant: Option<&str>) -> Result<Client, Error> {
        let saved = login_file::load(tenant.or(self.tenant()))?;
        let mut options = self.options(saved.as_ref())?;
        options.token = match self.given_token()? {
            Some(token) => {
                // The tenant of a saved login goes with its token, not with another.
                options.tenant = self.tenant().map(str::to_owned);
                Some(token)
            }
            None => saved.and_then(|saved| saved.into_token(&options.addr)),
        };
        if let Some(tenant) = tenant {
            options.tenant = Some(tenant.to_owned());
        }
        Client::new(options)
    }

    /// A client without a token, for what is open to everybody.
    pub(crate) fn anonymous(&self) -> Result<Client, Error> {
        Client::new(self.options(login_file::load(self.tenant())?.as_ref())?)
    }

    /// The tenant that was named; an empty name is none.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref().filter(|tenant| !tenant.is_empty())
    }

    /// The certificates that were named, as PEM.
    pub(crate) fn cacert_pem(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(path) = self.cacert.as_ref().filter(|path| !path.as_os_str().is_empty()) else { return Ok(None) };
        let read = std::fs::read(path);
        read.map(Some).map_err(|error| fault::local(&format!("`{}` cannot be read", path.display()), &error))
    }

    fn options(&self, saved: Option<&login_file::Saved>) -> Result<Options, Error> {
        let addr = self.addr.clone().filter(|addr| !addr.is_empty()).or_else(|| saved.map(|saved| saved.addr.clone()));
        let addr = addr.unwrap_or_else(|| ADDR.to_owned());
        let mut options = Options::new(addr.trim_end_matches('/'));
        options.tenant =
            self.tenant().map(str::to_owned).or_else(|| saved.and_then(|saved| saved.tenant_at(&options.addr)));
        options.cacert_pem = match self.cacert_pem()? {
            Some(pem) => Some(pem),
            None => saved.and_then(|saved| saved.cacert_at(&options.addr)),
        };
        Ok(options)
    }

    fn given_token(&self) -> Result<Option<SecretText>, Error> {
        if let Some(path) = &self.token_file {
            let missing = || fault::invalid(format!("`{}` does not exist", path.display()), "name the token's file");
            let bytes = private::read(path, TOKEN_BYTES_MAX)?.ok_or_else(missing)?;
            return token(bytes).map(Some);
        }
        match std::env::var_os("AUMBRY_TOKEN").filter(|token| !token.is_empty()) {
            Some(text) => token(SecretBytes::new(OsString::into_vec(text))).map(Some),
            None => Ok(None),
        }
    }
}

/// Reads a token from bytes that may end with a line break.
///
/// Errors: `Invalid`; the message holds none of it.
pub(crate) fn token(bytes: SecretBytes) -> Result<SecretText, Error> {
    let text = bytes.into_text().map_err(|_| not_a_token())?;
    let trimmed = text.expose().trim();
    crypto::token::Token::parse(trimmed).map_err(|_| not_a_token())?;
    Ok(SecretText::new(trimmed.to_owned()))
}

/// A token from a file of mode 0600, from standard input (`-`), or asked for without showing it.
///
/// Errors: `Invalid`; the message holds none of it.
pub(crate) fn token_from(file: Option<&Path>, prompt: &str) -> Result<SecretText, Error> {
    let bytes = match file {
        Some(path) if path.as_os_str() != "-" => {
            let missing = || fault::invalid(format!("`{}` does not exist", path.display()), "name the token's file");
            private::read(path, TOKEN_BYTES_MAX)?.ok_or_else(missing)?
        }
        None if input::interactive() => input::hidden(prompt)?.into_bytes(),
        _ => input::stdin(4096)?,
    };
    token(bytes)
}

/// Longest file that is read as a token.
pub(crate) const TOKEN_BYTES_MAX: u64 = 4096;

const ADDR: &str = "https://127.0.0.1:7480";

fn not_a_token() -> Error {
    fault::invalid(
        "what was given as a token is none",
        "a token looks like aum_ses_… or aum_wrap_…; log in again, or ask for a new one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leak_01_what_is_no_token_is_not_repeated() {
        for bad in ["canary", "aum_ses_canary", "", "\u{1b}canary"] {
            let refused = token(SecretBytes::from_slice(bad.as_bytes())).unwrap_err();
            assert!(!format!("{refused:?}").contains("canary"));
        }
    }

    #[test]
    fn a_token_may_end_with_a_line_break() {
        let minted = crypto::token::Token::mint("ses", &crypto::seam::SystemEntropy::new()).unwrap();
        let read = token(SecretBytes::from_slice(format!("{}\n", minted.expose()).as_bytes())).unwrap();
        assert!(read.ct_eq(&minted));
    }
}
