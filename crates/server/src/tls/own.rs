//! Certificates of our own: an authority and a server certificate, made at first start (RFC 5280).
//!
//! A file `digests` beside them holds the SHA-256 of each, so that a byte changed in any of them is
//! named at the next start instead of showing as a puzzling handshake failure.

use crate::files::{self, FileError};
use crypto::seam::{Clock, WallMs};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use std::path::PathBuf;
use std::time::Duration;

/// The PEM files that a listener serves, and what a client must trust.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain.
    pub certificate: PathBuf,
    /// Private key of its first certificate.
    pub key: PathBuf,
    /// The authority a client trusts, when it is ours.
    pub authority: Option<PathBuf>,
}

/// A folder with certificates of our own.
#[derive(Debug)]
pub struct OwnCertificates {
    folder: PathBuf,
    names: Vec<String>,
}

const AUTHORITY: &str = "ca.pem";
const AUTHORITY_KEY: &str = "ca.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";
const DIGESTS: &str = "digests";
const FILE_BYTES_MAX: u64 = 64 << 10;
const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
const SERVER_LIFE: Duration = Duration::from_secs(397 * 86_400);
/// A server certificate is replaced at the first start in the last part of its life.
const SERVER_RENEW: Duration = Duration::from_secs(90 * 86_400);
/// Clients whose clock is behind accept it too.
const CLOCK_SLACK: Duration = Duration::from_secs(3_600);

impl OwnCertificates {
    /// Names the folder and the further names beside localhost, 127.0.0.1 and ::1. Touches nothing.
    #[must_use]
    pub fn new(folder: PathBuf, names: &[String]) -> OwnCertificates {
        let always = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut all: Vec<String> = always.into_iter().chain(names.iter().cloned()).collect();
        all.dedup();
        OwnCertificates { folder, names: all }
    }

    /// Checks the files, or makes them at first start; makes a new server certificate when names changed or
    /// its time nears. When it returns all files are there, 0600 and as recorded.
    ///
    /// Errors name the file that is missing, damaged or open to others; nothing was changed then.
    pub fn ready(&self, clock: &dyn Clock) -> Result<TlsFiles, FileError> {
        files::private_folder(&self.folder)?;
        match self.read(DIGESTS)? {
            // They come to their names after the digests: whoever finds them alone has lost the digests.
            None if [SERVER, SERVER_KEY].iter().any(|name| self.folder.join(name).exists()) => {
                return Err(FileError::damaged(&self.folder.join(DIGESTS), "is missing"));
            }
            None => self.make_all(clock)?,
            Some(digests) => {
                let recorded = self.check(&digests)?;
                let stale = recorded.renew_at <= clock.wall().0 || recorded.names != self.names;
                if stale {
                    self.renew(clock)?;
                }
            }
        }
        Ok(TlsFiles {
            certificate: self.folder.join(SERVER),
            key: self.folder.join(SERVER_KEY),
            authority: Some(self.folder.join(AUTHORITY)),
        })
    }

    /// All files anew. A start that died in the middle left no digests: the next one starts over.
    fn make_all(&self, clock: &dyn Clock) -> Result<(), FileError> {
        let wrong = |error| FileError::new(&self.folder.join(AUTHORITY), error);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(wrong)?;
        let params = authority_params(clock.wall());
        let certificate = params.self_signed(&key).map_err(wrong)?;
        files::replace_private(&self.folder.join(AUTHORITY_KEY), key.serialize_pem().as_bytes())?;
        files::replace_private(&self.folder.join(AUTHORITY), certificate.pem().as_bytes())?;
        self.issue(clock.wall(), &Issuer::new(params, key))
    }

    /// A new server certificate under the authority that is there.
    fn renew(&self, clock: &dyn Clock) -> Result<(), FileError> {
        let path = self.folder.join(AUTHORITY_KEY);
        let pem =
            String::from_utf8(self.expect(AUTHORITY_KEY)?).map_err(|_bad| FileError::damaged(&path, "is damaged"))?;
        let key = KeyPair::from_pem(&pem).map_err(|_bad| FileError::damaged(&path, "is damaged"))?;
        self.issue(clock.wall(), &Issuer::new(authority_params(clock.wall()), key))
    }

    fn issue(&self, now: WallMs, issuer: &Issuer<'_, KeyPair>) -> Result<(), FileError> {
        let wrong = |error| FileError::new(&self.folder.join(SERVER), error);
        let mut params = CertificateParams::new(self.names.clone()).map_err(wrong)?;
        params.distinguished_name = named("aumbry server");
        params.not_before = date(now, Duration::ZERO);
        params.not_after = date(now, SERVER_LIFE + CLOCK_SLACK);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(wrong)?;
        let certificate = params.signed_by(&key, issuer).map_err(wrong)?;
        // Without digests the next start makes everything anew: a crash between these writes leaves no mixture.
        let authority = self.expect(AUTHORITY)?;
        let authority_key = self.expect(AUTHORITY_KEY)?;
        let (key_pem, chain) = (key.serialize_pem(), certificate.pem());
        let parts: [(&str, &[u8]); 4] = [
            (AUTHORITY, &authority),
            (AUTHORITY_KEY, &authority_key),
            (SERVER, chain.as_bytes()),
            (SERVER_KEY, key_pem.as_bytes()),
        ];
        let renew_at = now.0.saturating_add(millis(SERVER_LIFE - SERVER_RENEW));
        let digests = Recorded { renew_at, names: self.names.clone() }.render(&parts);
        files::replace_private(&self.folder.join(format!("{SERVER}.new")), chain.as_bytes())?;
        files::replace_private(&self.folder.join(format!("{SERVER_KEY}.new")), key_pem.as_bytes())?;
        files::replace_private(&self.folder.join(DIGESTS), digests.as_bytes())?;
        self.finish_swap()
    }

    /// Second half of a renewal, also done at a start that finds the first half.
    fn finish_swap(&self) -> Result<(), FileError> {
        for name in [SERVER, SERVER_KEY] {
            let from = self.folder.join(format!("{name}.new"));
            if from.exists() {
                files::rename(&from, &self.folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Compares each file with its digest.
    fn check(&self, digests: &[u8]) -> Result<Recorded, FileError> {
        let damaged =
            || FileError::damaged(&self.folder.join(DIGESTS), "is damaged; restore the folder or remove it whole");
        let text = std::str::from_utf8(digests).map_err(|_bad| damaged())?;
        let (body, own) = text.trim_end_matches('\n').rsplit_once('\n').ok_or_else(damaged)?;
        if own != line(DIGESTS, format!("{body}\n").as_bytes()) {
            return Err(damaged());
        }
        let recorded = Recorded::parse(body).ok_or_else(damaged)?;
        for name in [SERVER, SERVER_KEY] {
            let fresh = self.read(&format!("{name}.new"))?;
            if fresh.is_some_and(|content| body.lines().any(|had| had == line(name, &content))) {
                files::rename(&self.folder.join(format!("{name}.new")), &self.folder.join(name))?;
            }
        }
        for name in [AUTHORITY, AUTHORITY_KEY, SERVER, SERVER_KEY] {
            let content = self.expect(name)?;
            if !body.lines().any(|had| had == line(name, &content)) {
                let problem = "is not the file that was made at first start; restore the folder or remove it whole";
                return Err(FileError::damaged(&self.folder.join(name), problem));
            }
        }
        Ok(recorded)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, FileError> {
        files::read_private(&self.folder.join(name), FILE_BYTES_MAX)
    }

    fn expect(&self, name: &str) -> Result<Vec<u8>, FileError> {
        self.read(name)?
            .ok_or_else(|| FileError::damaged(&self.folder.join(name), "is missing; remove the folder to start anew"))
    }
}

/// What stands in `digests` beside the digests.
struct Recorded {
    renew_at: u64,
    names: Vec<String>,
}

impl Recorded {
    fn render(&self, parts: &[(&str, &[u8])]) -> String {
        let mut body = format!("renew {}\nnames {}\n", self.renew_at, self.names.join(","));
        for (name, content) in parts {
            body.push_str(&line(name, content));
            body.push('\n');
        }
        let own = line(DIGESTS, body.as_bytes());
        format!("{body}{own}\n")
    }

    fn parse(body: &str) -> Option<Recorded> {
        let mut lines = body.lines();
        let renew_at = lines.next()?.strip_prefix("renew ")?.parse().ok()?;
        let names = lines.next()?.strip_prefix("names ")?.split(',').map(str::to_owned).collect();
        Some(Recorded { renew_at, names })
    }
}

fn line(name: &str, content: &[u8]) -> String {
    let digest: String = crypto::sha256(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digest}  {name}")
}

fn authority_params(now: WallMs) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = named("aumbry authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = date(now, Duration::ZERO);
    params.not_after = date(now, AUTHORITY_LIFE + CLOCK_SLACK);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// `now - slack + later` in the certificate's own type.
fn date(now: WallMs, later: Duration) -> time::OffsetDateTime {
    let start = time::OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::milliseconds(
        i64::try_from(now.0.saturating_sub(millis(CLOCK_SLACK))).unwrap_or(0),
    ));
    start.saturating_add(time::Duration::try_from(later).unwrap_or(time::Duration::ZERO))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[derive(Debug)]
    struct At(u64);

    impl Clock for At {
        fn wall(&self) -> WallMs {
            WallMs(self.0)
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }
    }

    const NOW: At = At(1_800_000_000_000);

    fn server_pem(folder: &Path) -> String {
        std::fs::read_to_string(folder.join(SERVER)).unwrap()
    }

    #[test]
    fn a_second_start_keeps_the_certificate_and_a_new_name_replaces_only_the_servers() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("tls");
        OwnCertificates::new(folder.clone(), &[]).ready(&NOW).unwrap();
        let first = (server_pem(&folder), std::fs::read(folder.join(AUTHORITY)).unwrap());
        OwnCertificates::new(folder.clone(), &[]).ready(&NOW).unwrap();
        assert_eq!(server_pem(&folder), first.0);
        OwnCertificates::new(folder.clone(), &["vault.example".to_owned()]).ready(&NOW).unwrap();
        assert_ne!(server_pem(&folder), first.0);
        assert_eq!(std::fs::read(folder.join(AUTHORITY)).unwrap(), first.1);
        let renewed = server_pem(&folder);
        let late = At(NOW.0 + millis(SERVER_LIFE - SERVER_RENEW) + 1);
        OwnCertificates::new(folder.clone(), &["vault.example".to_owned()]).ready(&late).unwrap();
        assert_ne!(server_pem(&folder), renewed);
    }

    #[test]
    fn ft_06_a_flipped_byte_in_any_certificate_file_is_refused_by_name() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("tls");
        let own = OwnCertificates::new(folder.clone(), &[]);
        own.ready(&NOW).unwrap();
        for name in [AUTHORITY, AUTHORITY_KEY, SERVER, SERVER_KEY, DIGESTS] {
            let good = std::fs::read(folder.join(name)).unwrap();
            for at in (0..good.len()).step_by(17) {
                let mut bad = good.clone();
                bad[at] ^= 1;
                std::fs::write(folder.join(name), &bad).unwrap();
                let told = own.ready(&NOW).unwrap_err().to_string();
                assert!(told.contains(name), "byte {at} of {name}: {told}");
            }
            std::fs::remove_file(folder.join(name)).unwrap();
            let told = own.ready(&NOW).unwrap_err().to_string();
            assert!(told.contains("missing") && told.contains(name), "{told}");
            files::create_private(&folder.join(name), &good).unwrap();
        }
        own.ready(&NOW).unwrap();
    }
}
