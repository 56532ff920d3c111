//! Key pairs for others to use: made from drawn bytes, written in the forms that tools read.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, X25519};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::seam::{Entropy, NoEntropy};
use crate::secret::{SecretBuffer, SecretBytes};

/// What a pair is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PairKind {
    /// Signatures (RFC 8032), PKCS#8 and SubjectPublicKeyInfo in PEM (RFC 8410).
    Ed25519,
    /// Key agreement (RFC 7748), in the same forms.
    X25519,
    /// ECDSA over P-256 (FIPS 186-5), PKCS#8 (RFC 5915, RFC 5958) and SubjectPublicKeyInfo in PEM (RFC 5480).
    EcdsaP256,
    /// Signatures by Ed25519 in the forms of OpenSSH.
    SshEd25519,
    /// RSA with the exponent 65537 (FIPS 186-5), PKCS#8 and SubjectPublicKeyInfo in PEM (RFC 8017).
    Rsa(RsaSize),
}

/// Bits of a modulus.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RsaSize {
    /// 2,048.
    Bits2048,
    /// 3,072.
    Bits3072,
    /// 4,096.
    Bits4096,
}

impl PairKind {
    /// Whether making one takes so long, up to seconds, that it belongs on a thread of its own.
    pub fn is_slow(self) -> bool {
        matches!(self, PairKind::Rsa(_))
    }
}

/// A pair as text.
#[derive(Debug)]
pub struct Pair {
    /// The private half.
    pub private_key: SecretBytes,
    /// The public half.
    pub public_key: String,
}

/// Scalars drawn until one is in the range of the curve; one in 2^32 is not.
const DRAWS_MAX: usize = 8;

/// Makes a pair. Errors: no randomness.
///
/// Primes of RSA are drawn by the generator of the library, once `entropy` has shown that there is randomness.
pub fn generate(kind: PairKind, entropy: &dyn Entropy) -> Result<Pair, NoEntropy> {
    for _ in 0..DRAWS_MAX {
        let mut seed = SecretBytes::zeroed(32);
        entropy.fill_secret(seed.expose_mut())?;
        if let PairKind::Rsa(size) = kind {
            return rsa(size).ok_or(NoEntropy);
        }
        if kind == PairKind::SshEd25519 {
            let mut check = [0; 4];
            entropy.fill_public(&mut check)?;
            return ssh(&seed, check).ok_or(NoEntropy);
        }
        if let Some(pair) = pem(kind, &seed) {
            return Ok(pair);
        }
    }
    Err(NoEntropy)
}

/// `None` for a seed that is no key of this kind.
fn pem(kind: PairKind, seed: &SecretBytes) -> Option<Pair> {
    let public = public_half(kind, seed.expose())?;
    let (head, spki): (&[u8], &[u8]) = match kind {
        PairKind::Ed25519 | PairKind::SshEd25519 => (ED25519_PKCS8, ED25519_SPKI),
        PairKind::X25519 => (X25519_PKCS8, X25519_SPKI),
        PairKind::EcdsaP256 => (P256_PKCS8, P256_SPKI),
        PairKind::Rsa(_) => return None,
    };
    let mut der = SecretBuffer::with_capacity(256);
    der.extend(head);
    der.extend(seed.expose());
    if kind == PairKind::EcdsaP256 {
        der.extend(P256_PUBLIC);
        der.extend(&public);
    }
    let public_key = armoured("PUBLIC KEY", &[spki, &public].concat()).into_text().ok()?;
    let private_key = armoured("PRIVATE KEY", der.finish().expose());
    Some(Pair { private_key, public_key: public_key.expose().to_owned() })
}

fn public_half(kind: PairKind, seed: &[u8]) -> Option<Vec<u8>> {
    let agreed = |algorithm| {
        let key = PrivateKey::from_private_key(algorithm, seed).ok()?;
        Some(key.compute_public_key().ok()?.as_ref().to_vec())
    };
    match kind {
        PairKind::Ed25519 | PairKind::SshEd25519 => {
            Some(Ed25519KeyPair::from_seed_unchecked(seed).ok()?.public_key().as_ref().to_vec())
        }
        PairKind::X25519 => agreed(&X25519),
        PairKind::EcdsaP256 => agreed(&ECDH_P256),
        PairKind::Rsa(_) => None,
    }
}

fn rsa(size: RsaSize) -> Option<Pair> {
    let size = match size {
        RsaSize::Bits2048 => KeySize::Rsa2048,
        RsaSize::Bits3072 => KeySize::Rsa3072,
        RsaSize::Bits4096 => KeySize::Rsa4096,
    };
    let pair = RsaKeyPair::generate(size).ok()?;
    let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let public_key = armoured("PUBLIC KEY", public.as_ref()).into_text().ok()?;
    let private_key = armoured("PRIVATE KEY", private.as_ref());
    Some(Pair { private_key, public_key: public_key.expose().to_owned() })
}

/// Text of PEM (RFC 7468), lines of 64 characters.
fn armoured(label: &str, der: &[u8]) -> SecretBytes {
    let body = SecretBytes::new(STANDARD.encode(der).into_bytes());
    let mut out = SecretBuffer::with_capacity(body.len().saturating_mul(2).saturating_add(128));
    out.extend(format!("-----BEGIN {label}-----\n").as_bytes());
    let width = if label.starts_with("OPENSSH") { 70 } else { 64 };
    for line in body.expose().chunks(width) {
        out.extend(line);
        out.extend(b"\n");
    }
    out.extend(format!("-----END {label}-----\n").as_bytes());
    out.finish()
}

/// Source: PROTOCOL.key of OpenSSH; RFC 4253, section 6.6; RFC 8709.
fn ssh(seed: &SecretBytes, check: [u8; 4]) -> Option<Pair> {
    const NAME: &[u8] = b"ssh-ed25519";
    let public = public_half(PairKind::SshEd25519, seed.expose())?;
    let mut blob = SecretBuffer::with_capacity(64);
    field(&mut blob, NAME);
    field(&mut blob, &public);
    let blob = blob.finish();
    let mut inner = SecretBuffer::with_capacity(256);
    inner.extend(&check);
    inner.extend(&check);
    field(&mut inner, NAME);
    field(&mut inner, &public);
    let mut both = SecretBuffer::with_capacity(64);
    both.extend(seed.expose());
    both.extend(&public);
    field(&mut inner, both.finish().expose());
    field(&mut inner, b"");
    for padding in 1u8.. {
        if inner.len().is_multiple_of(8) {
            break;
        }
        inner.extend(&[padding]);
    }
    let mut whole = SecretBuffer::with_capacity(512);
    whole.extend(b"openssh-key-v1\0");
    for part in [&b"none"[..], b"none", b""] {
        field(&mut whole, part);
    }
    whole.extend(&1u32.to_be_bytes());
    field(&mut whole, blob.expose());
    field(&mut whole, inner.finish().expose());
    Some(Pair {
        private_key: armoured("OPENSSH PRIVATE KEY", whole.finish().expose()),
        public_key: format!("ssh-ed25519 {}\n", STANDARD.encode(blob.expose())),
    })
}

/// A string of SSH: its length, then its bytes. All are short.
fn field(out: &mut SecretBuffer, bytes: &[u8]) {
    out.extend(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

const ED25519_PKCS8: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const ED25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];
const X25519_PKCS8: &[u8] = &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];
const X25519_SPKI: &[u8] = &[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0];
const P256_PKCS8: &[u8] = &[
    0x30, 0x81, 0x87, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 3, 1, 7, 4, 0x6d, 0x30, 0x6b, 2, 1, 1, 4, 0x20,
];
/// Between the private half and the public one.
const P256_PUBLIC: &[u8] = &[0xa1, 0x44, 3, 0x42, 0];
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3,
    0x42, 0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::SystemEntropy;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
    };

    fn der(pem: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(pem).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(text.lines().all(|line| line.len() <= 70) && text.ends_with("-----\n"));
        STANDARD.decode(body).unwrap()
    }

    #[test]
    fn a_pair_reads_back_and_its_halves_belong_together() {
        let made = |kind| generate(kind, &SystemEntropy::new()).unwrap();
        let pair = made(PairKind::Ed25519);
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(pair.private_key.expose())).unwrap();
        assert!(der(pair.public_key.as_bytes()).ends_with(key.public_key().as_ref()));
        let pair = made(PairKind::EcdsaP256);
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der(pair.private_key.expose())).unwrap();
        let signature = key.sign(&SystemRandom::new(), b"x").unwrap();
        let public = der(pair.public_key.as_bytes()).split_off(P256_SPKI.len());
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public).verify(b"x", signature.as_ref()).unwrap();
        let pair = made(PairKind::X25519);
        let seed = der(pair.private_key.expose()).split_off(X25519_PKCS8.len());
        let public = PrivateKey::from_private_key(&X25519, &seed).unwrap().compute_public_key().unwrap();
        assert!(der(pair.public_key.as_bytes()).ends_with(public.as_ref()));
        assert_ne!(made(PairKind::Ed25519).public_key, made(PairKind::Ed25519).public_key);
    }

    #[test]
    fn an_rsa_pair_has_the_size_asked_for_and_its_halves_belong_together() {
        for (size, bytes) in [(RsaSize::Bits2048, 256), (RsaSize::Bits3072, 384), (RsaSize::Bits4096, 512)] {
            let pair = generate(PairKind::Rsa(size), &SystemEntropy::new()).unwrap();
            let key = RsaKeyPair::from_pkcs8(&der(pair.private_key.expose())).unwrap();
            assert_eq!(key.public_modulus_len(), bytes);
            let public: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
            assert_eq!(der(pair.public_key.as_bytes()), public.as_ref());
        }
    }

    #[test]
    fn the_vector_of_rfc_8410_comes_out() {
        let seed = "1O5y2/kTWErVttjx92n4rTr+fCjL8dT74Jeoj0R1WEI=";
        let pair = pem(PairKind::Ed25519, &SecretBytes::new(STANDARD.decode(seed).unwrap())).unwrap();
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!((pair.private_key.expose(), pair.public_key.as_str()), (private.as_bytes(), public));
    }

    #[test]
    fn an_ssh_key_has_the_form_of_openssh() {
        let pair = ssh(&SecretBytes::new(vec![7; 32]), [1, 2, 3, 4]).unwrap();
        let whole = der(pair.private_key.expose());
        assert!(whole.starts_with(
            b"openssh-key-v1\0\0\0\0\x04none\0\0\0\x04none\0\0\0\0\0\0\0\x01\0\0\0\x33\0\0\0\x0bssh-ed25519\0\0\0\x20"
        ));
        let public = STANDARD.decode(pair.public_key.trim_end().strip_prefix("ssh-ed25519 ").unwrap()).unwrap();
        let inner = whole.windows(public.len()).filter(|part| *part == public).count();
        assert_eq!((public.len(), inner), (51, 2), "the public half stands before and in the private part");
        assert!(whole.len() % 2 == 1 || whole.ends_with(&[1, 2, 3]) || whole.ends_with(&[1, 2, 3, 4, 5]));
    }

    #[test]
    fn a_scalar_out_of_range_is_no_key() {
        assert!(pem(PairKind::EcdsaP256, &SecretBytes::new(vec![0xff; 32])).is_none());
        assert!(pem(PairKind::EcdsaP256, &SecretBytes::new(vec![0; 32])).is_none());
    }
}
