//! A certificate authority of the test, and a certificate of it for the loopback.

use super::fail;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};

/// Files of PEM in a folder of the test.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Certificate of the authority.
    pub authority: PathBuf,
    /// Certificate of the server, for `127.0.0.1` and `localhost`.
    pub certificate: PathBuf,
    /// Key of that certificate; private to this user.
    pub key: PathBuf,
}

impl Authority {
    /// Makes authority and certificate below a folder.
    pub fn make(folder: &Path) -> Authority {
        Authority::try_make(folder).unwrap_or_else(|error| fail(&format!("no certificate: {error}")))
    }

    fn try_make(folder: &Path) -> Result<Authority, Box<dyn std::error::Error>> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key)?;
        let issuer = Issuer::new(params, key);
        let server_key = KeyPair::generate()?;
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let server = CertificateParams::new(names)?.signed_by(&server_key, &issuer)?;
        let made = Authority {
            authority: folder.join("authority.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        std::fs::write(&made.authority, own.pem())?;
        std::fs::write(&made.certificate, server.pem())?;
        std::fs::write(&made.key, server_key.serialize_pem())?;
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&made.key, std::fs::Permissions::from_mode(0o600))?;
        Ok(made)
    }
}
