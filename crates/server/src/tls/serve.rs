//! What a listener shows in a handshake, and how it is replaced while running.

use super::own::TlsFiles;
use crate::files;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;

/// Why a certificate cannot be served. What was served before still is.
#[derive(Debug)]
pub struct TlsError(String);

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

impl From<files::FileError> for TlsError {
    fn from(error: files::FileError) -> TlsError {
        TlsError(error.to_string())
    }
}

/// The certificate in use; cheap to clone, replaced by [`Identity::reload`] for later handshakes.
#[derive(Clone, Debug)]
pub struct Identity {
    files: TlsFiles,
    config: Arc<RwLock<Arc<ServerConfig>>>,
}

const CERTIFICATE_BYTES_MAX: u64 = 1 << 20;

impl Identity {
    /// Reads certificate and key and checks that they belong together. TLS 1.3 only, h2 and HTTP/1.1.
    pub fn load(files: TlsFiles) -> Result<Identity, TlsError> {
        let config = Arc::new(RwLock::new(Arc::new(server_config(&files)?)));
        Ok(Identity { files, config })
    }

    /// Reads the files again. With an error the certificate in use stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = Arc::new(server_config(&self.files)?);
        *self.config.write() = fresh;
        Ok(())
    }

    /// What the next handshake uses.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.read())
    }

    /// The files behind it.
    #[must_use]
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }
}

fn server_config(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let certified = certified(files, &provider)?;
    let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(certified));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| TlsError(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    Ok(config)
}

fn certified(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let told = |path: &Path, problem: &str| TlsError(format!("{}: {problem}", path.display()));
    // A certificate is public: only its key must be closed to others.
    let content = std::fs::read(&files.certificate).map_err(|error| told(&files.certificate, &error.to_string()))?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&content)
        .collect::<Result<_, _>>()
        .map_err(|_bad| told(&files.certificate, "is not PEM"))?;
    if chain.is_empty() {
        return Err(told(&files.certificate, "holds no certificate"));
    }
    let content = files::read_private(&files.key, CERTIFICATE_BYTES_MAX)?;
    let content = content.ok_or_else(|| told(&files.key, "is missing"))?;
    let content = crypto::secret::SecretBytes::new(content);
    let key =
        PrivateKeyDer::from_pem_slice(content.expose()).map_err(|_bad| told(&files.key, "holds no private key"))?;
    let key = provider.key_provider.load_private_key(key).map_err(|_bad| told(&files.key, "holds no usable key"))?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_bad| told(&files.certificate, "does not belong to the key, or is damaged"))?;
    Ok(certified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::tls::OwnCertificates;

    #[test]
    fn cfg_08_a_reload_with_a_key_that_does_not_match_keeps_the_old_certificate() {
        let top = tempfile::tempdir().unwrap();
        let made = |name: &str| OwnCertificates::new(top.path().join(name), &[]).ready(&SystemClock::new()).unwrap();
        let (one, two) = (made("one"), made("two"));
        let identity = Identity::load(one.clone()).unwrap();
        let before = identity.current();
        std::fs::copy(&two.key, &one.key).unwrap();
        assert!(identity.reload().unwrap_err().to_string().contains("server.pem"));
        assert!(Arc::ptr_eq(&before, &identity.current()));
        std::fs::copy(&two.certificate, &one.certificate).unwrap();
        identity.reload().unwrap();
        assert!(!Arc::ptr_eq(&before, &identity.current()));
    }
}
