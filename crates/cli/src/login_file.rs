//! Saved logins: files of mode 0600 in the user's configuration folder, one for each tenant of a server.
//!
//! Each belongs to one address; its token goes nowhere else, and there it opens the tenant it was minted in and no other.

use std::path::{Path, PathBuf};

use client::Error;
use crypto::secret::SecretText;
use serde::{Deserialize, Serialize};

use crate::{fault, private};

/// What `aumbry login` keeps.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// Address of the server, without a slash at its end.
    pub(crate) addr: String,
    /// Tenant that was named at login.
    pub(crate) tenant: Option<String>,
    /// Certificates (PEM) that were named at login.
    pub(crate) cacert: Option<String>,
    /// Id of the session.
    pub(crate) session: String,
    #[serde(serialize_with = "api::reveal")]
    token: SecretText,
}

impl Saved {
    /// A login to keep.
    pub(crate) fn new(
        addr: &str,
        tenant: Option<String>,
        cacert: Option<String>,
        issued: api::session::IssuedSession,
    ) -> Self {
        Self { addr: addr.to_owned(), tenant, cacert, session: issued.session.id, token: issued.token }
    }

    /// The token, if it is for this address. Whether it opens the tenant that is named, by name or id, the server knows.
    pub(crate) fn into_token(self, addr: &str) -> Option<SecretText> {
        (self.addr == addr).then_some(self.token)
    }

    /// The tenant, if it is for this address.
    pub(crate) fn tenant_at(&self, addr: &str) -> Option<String> {
        self.tenant.clone().filter(|_| self.addr == addr)
    }

    /// The certificates, if they are for this address.
    pub(crate) fn cacert_at(&self, addr: &str) -> Option<Vec<u8>> {
        self.cacert.as_ref().filter(|_| self.addr == addr).map(|pem| pem.as_bytes().to_vec())
    }
}

/// Reads the saved login: the one for the tenant that is named, if there is one, else the first that was made.
pub(crate) fn load(tenant: Option<&str>) -> Result<Option<Saved>, Error> {
    let beside = tenant.and_then(beside).map(|place| read(&place)).transpose()?.flatten();
    match beside {
        Some(saved) => Ok(Some(saved)),
        None => read(&place()),
    }
}

fn read(place: &Path) -> Result<Option<Saved>, Error> {
    let Some(bytes) = private::read(place, BYTES_MAX)? else { return Ok(None) };
    let broken = || fault::invalid(format!("`{}` cannot be read", place.display()), "remove it and log in again");
    serde_json::from_slice(bytes.expose()).map(Some).map_err(|_| broken())
}

/// Keeps a login in place of the one before; beside it, where that is one to another tenant of the same server. Gives the file's
/// name.
pub(crate) fn save(saved: &Saved) -> Result<PathBuf, Error> {
    private::folder("")?;
    let bytes = api::encode(saved).map_err(|_| fault::invalid("the login cannot be written", ""))?;
    let elsewhere =
        read(&place()).ok().flatten().filter(|there| there.addr == saved.addr && there.tenant != saved.tenant);
    let beside = elsewhere.and_then(|_| beside(saved.tenant.as_deref().unwrap_or(HOME)));
    let place = beside.unwrap_or_else(place);
    private::write(&place, bytes.expose())?;
    Ok(place)
}

fn folder() -> PathBuf {
    server::config::Environment::of_process().configuration_folder()
}

fn place() -> PathBuf {
    folder().join("login.json")
}

/// Where a login to this tenant lies beside another.
fn beside(tenant: &str) -> Option<PathBuf> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    tenant.bytes().all(plain).then(|| folder().join(format!("login-{tenant}.json")))
}

/// The tenant of a login that named none.
const HOME: &str = "main";
const BYTES_MAX: u64 = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        let session = r#"{"id":"ses_1","principal":"p","entity":"e","tenant":"t","created_at":"x","expires_at":"x"}"#;
        let issued = format!(r#"{{"session":{session},"token":"aum_ses_canary"}}"#);
        let issued = serde_json::from_str(&issued).unwrap();
        Saved::new("https://a:1", Some("acme".into()), Some("PEM".into()), issued)
    }

    #[test]
    fn cli_11_a_saved_token_goes_to_its_own_address_only() {
        assert!(saved().into_token("https://a:1").is_some());
        assert!(saved().into_token("https://b:1").is_none());
        assert_eq!(saved().tenant_at("https://b:1"), None);
        assert_eq!(saved().cacert_at("https://b:1"), None);
    }

    #[test]
    fn leak_02_a_saved_login_prints_no_token() {
        assert!(!format!("{:?}", saved()).contains("canary"));
    }

    #[test]
    fn a_saved_login_reads_back() {
        let bytes = api::encode(&saved()).unwrap();
        let read: Saved = serde_json::from_slice(bytes.expose()).unwrap();
        assert_eq!(read.into_token("https://a:1").unwrap().expose(), "aum_ses_canary");
    }
}
