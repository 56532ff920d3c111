//! Small files sealed to one age key (C2SP age, version 1): X25519, HKDF-SHA-256, ChaCha20-Poly1305.
//!
//! What is written here the `age` tool opens, and the reverse for files of one X25519 recipient. Kept to what a share or a
//! key needs: one recipient, one chunk. The primitives are those of aws-lc-rs.

use core::fmt;
use core::str::FromStr;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::hash::{first_32, hmac_sha256};
use crate::seam::{Entropy, NoEntropy};
use crate::secret::SecretBytes;

/// Most bytes of a plaintext: one chunk of the format.
pub const PLAIN_BYTES_MAX: usize = 64 << 10;

const FIRST_LINE: &str = "age-encryption.org/v1\n";
const STANZA: &str = "-> X25519 ";
const MAC_LINE: &str = "\n---";
const FILE_KEY_BYTES: usize = 16;
const WRAP_LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// Whom a file is for: `age1…`, the public half of an X25519 key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Recipient([u8; 32]);

/// Who opens it: the secret half.
pub struct Identity {
    secret: SecretBytes,
    recipient: Recipient,
}

/// The text is no X25519 recipient of age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRecipient;

impl fmt::Display for BadRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an age key of the form age1…")
    }
}

impl core::error::Error for BadRecipient {}

/// The file is none of age, for another key, or altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadFile;

impl fmt::Display for BadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this key does not open the file, or the file is damaged")
    }
}

impl core::error::Error for BadFile {}

impl FromStr for Recipient {
    type Err = BadRecipient;

    fn from_str(text: &str) -> Result<Self, BadRecipient> {
        let parsed = CheckedHrpstring::new::<Bech32>(text).map_err(|_| BadRecipient)?;
        let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if parsed.hrp() != Hrp::parse_unchecked("age") || !lower {
            return Err(BadRecipient);
        }
        let mut bytes = [0; 32];
        let mut read = parsed.byte_iter();
        bytes.iter_mut().try_for_each(|to| read.next().map(|byte| *to = byte)).ok_or(BadRecipient)?;
        if read.next().is_none() { Ok(Self(bytes)) } else { Err(BadRecipient) }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = bech32::encode::<Bech32>(Hrp::parse_unchecked("age"), &self.0);
        f.write_str(&text.map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Recipient {
    /// The recipient with this public key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Identity {
    /// The identity with this secret key; `None` unless it is 32 bytes.
    #[must_use]
    pub fn from_secret(secret: SecretBytes) -> Option<Self> {
        let key = PrivateKey::from_private_key(&X25519, secret.expose()).ok()?;
        let recipient = Recipient(first_32(key.compute_public_key().ok()?.as_ref()));
        Some(Self { secret, recipient })
    }

    /// Whom files are for that it opens.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        self.recipient
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.recipient)
    }
}

/// Seals at most [`PLAIN_BYTES_MAX`] bytes to a recipient, as a binary age file.
///
/// # Errors
/// [`NoEntropy`], also for a recipient that is no usable key or a plaintext that is too long; nothing was sealed.
pub fn seal(entropy: &dyn Entropy, to: Recipient, plain: &[u8]) -> Result<Vec<u8>, NoEntropy> {
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(NoEntropy);
    }
    let mut drawn = Zeroizing::new([0; 32 + FILE_KEY_BYTES + 16]);
    entropy.fill_secret(drawn.as_mut())?;
    let (ephemeral, rest) = drawn.split_at(32);
    let (file_key, nonce) = rest.split_at(FILE_KEY_BYTES);
    let ephemeral = Identity::from_secret(SecretBytes::from_slice(ephemeral)).ok_or(NoEntropy)?;
    let wrap = wrapping_key(&ephemeral.secret, to, ephemeral.recipient, to).ok_or(NoEntropy)?;
    let wrapped = sealed(&wrap, [0; 12], file_key).ok_or(NoEntropy)?;
    let share = STANDARD_NO_PAD.encode(ephemeral.recipient.0);
    let head = format!("{FIRST_LINE}{STANZA}{share}\n{}{MAC_LINE}", STANDARD_NO_PAD.encode(wrapped));
    let mac = hmac_sha256(derived(&[], file_key, b"header").ok_or(NoEntropy)?.as_ref(), head.as_bytes());
    let mut file = format!("{head} {}\n", STANDARD_NO_PAD.encode(mac)).into_bytes();
    file.extend_from_slice(nonce);
    let payload = derived(nonce, file_key, b"payload").ok_or(NoEntropy)?;
    file.extend(sealed(&payload, LAST_CHUNK, plain).ok_or(NoEntropy)?);
    Ok(file)
}

/// Opens a binary age file for one X25519 recipient.
///
/// # Errors
/// [`BadFile`]; no plaintext came out.
pub fn open(identity: &Identity, file: &[u8]) -> Result<SecretBytes, BadFile> {
    let rest = file.strip_prefix(FIRST_LINE.as_bytes()).ok_or(BadFile)?;
    let Head { share, wrapped, mac, payload } = head(rest).ok_or(BadFile)?;
    let share = Recipient(decoded::<32>(share).ok_or(BadFile)?);
    let wrap = wrapping_key(&identity.secret, share, share, identity.recipient).ok_or(BadFile)?;
    let file_key = opened(&wrap, [0; 12], &decoded::<32>(wrapped).ok_or(BadFile)?).ok_or(BadFile)?;
    let head_bytes = file.len().checked_sub(payload.len() + mac.len() + 2).ok_or(BadFile)?;
    let key = derived(&[], file_key.expose(), b"header").ok_or(BadFile)?;
    let wanted = hmac_sha256(key.as_ref(), file.get(..head_bytes).ok_or(BadFile)?);
    if !bool::from(wanted.ct_eq(&decoded::<32>(mac).ok_or(BadFile)?)) {
        return Err(BadFile);
    }
    let (nonce, chunk) = payload.split_at_checked(16).ok_or(BadFile)?;
    opened(&*derived(nonce, file_key.expose(), b"payload").ok_or(BadFile)?, LAST_CHUNK, chunk).ok_or(BadFile)
}

/// The file as text, as `age --armor` writes it.
#[must_use]
pub fn armored(file: &[u8]) -> String {
    let text = STANDARD.encode(file);
    let mut out = String::from("-----BEGIN AGE ENCRYPTED FILE-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str("-----END AGE ENCRYPTED FILE-----\n");
    out
}

/// What stands before the payload, still in base64.
struct Head<'a> {
    share: &'a [u8],
    wrapped: &'a [u8],
    mac: &'a [u8],
    payload: &'a [u8],
}

/// Reads stanzas up to the first X25519 one, which must be the only one of its kind, and the line with the MAC.
fn head(mut rest: &[u8]) -> Option<Head<'_>> {
    let mut found = None;
    loop {
        let (first, after) = line(rest)?;
        if let Some(mac) = first.strip_prefix(b"--- ") {
            let (share, wrapped) = found?;
            return Some(Head { share, wrapped, mac, payload: after });
        }
        let share = first.strip_prefix(STANZA.as_bytes());
        let (mut body, mut after) = line(first.strip_prefix(b"-> ").and(Some(after))?)?;
        if let Some(share) = share {
            found = found.xor(Some((share, body)));
        }
        // A body ends with its first line that is shorter than 64 characters.
        while body.len() == 64 {
            (body, after) = line(after)?;
        }
        rest = after;
    }
}

/// Counter 0, and the mark of the last chunk.
const LAST_CHUNK: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((line, rest.get(1..)?))
}

fn decoded<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// HKDF over what both sides share. aws-lc refuses points that make it zero.
fn wrapping_key(secret: &SecretBytes, peer: Recipient, share: Recipient, to: Recipient) -> Option<Zeroizing<[u8; 32]>> {
    let own = PrivateKey::from_private_key(&X25519, secret.expose()).ok()?;
    let salt = [share.0, to.0].concat();
    agreement::agree(&own, UnparsedPublicKey::new(&X25519, peer.0), (), |shared| Ok(derived(&salt, shared, WRAP_LABEL)))
        .ok()
        .flatten()
}

fn derived(salt: &[u8], secret: &[u8], info: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut out = Zeroizing::new([0; 32]);
    let extracted = Salt::new(HKDF_SHA256, salt).extract(secret);
    extracted.expand(&[info], HKDF_SHA256).ok()?.fill(out.as_mut()).ok()?;
    Some(out)
}

fn cipher(key: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&CHACHA20_POLY1305, key).ok().map(LessSafeKey::new)
}

fn sealed(key: &[u8; 32], nonce: [u8; 12], plain: &[u8]) -> Option<Vec<u8>> {
    // With room for the tag from the start, so that no plaintext is left behind by a move.
    let mut out = Vec::with_capacity(plain.len() + CHACHA20_POLY1305.tag_len());
    out.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher(key)?.seal_in_place_append_tag(nonce, Aad::empty(), &mut out).ok().map(|()| out)
}

fn opened(key: &[u8; 32], nonce: [u8; 12], sealed: &[u8]) -> Option<SecretBytes> {
    let mut out = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = cipher(key)?.open_in_place(nonce, Aad::empty(), &mut out).ok()?;
    Some(SecretBytes::from_slice(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::SystemEntropy;

    fn identity(fill: u8) -> Identity {
        Identity::from_secret(SecretBytes::from_slice(&[fill; 32])).unwrap()
    }

    #[test]
    fn what_is_sealed_to_a_key_opens_with_it_alone_and_unaltered() {
        let (one, two) = (identity(1), identity(2));
        let text = one.recipient().to_string();
        assert_eq!(text.parse(), Ok(one.recipient()));
        for plain in [&b""[..], b"a share", &[7; PLAIN_BYTES_MAX]] {
            let file = seal(&SystemEntropy::new(), one.recipient(), plain).unwrap();
            assert_eq!(open(&one, &file).unwrap().expose(), plain);
            assert_eq!(open(&two, &file).unwrap_err(), BadFile);
            for at in (0..file.len()).step_by(if plain.len() > 100 { 999 } else { 1 }) {
                let mut bad = file.clone();
                bad[at] ^= 1;
                assert_eq!(open(&one, &bad).unwrap_err(), BadFile, "{at}");
                assert!(open(&one, &file[..at]).is_err());
            }
        }
        assert!(seal(&SystemEntropy::new(), one.recipient(), &[0; PLAIN_BYTES_MAX + 1]).is_err());
        assert!(seal(&SystemEntropy::new(), Recipient([0; 32]), b"x").is_err(), "a point that shares nothing");
    }

    #[test]
    fn only_an_x25519_recipient_of_age_is_read() {
        let good = identity(1).recipient().to_string();
        for bad in [
            "",
            "age1",
            good.get(..good.len() - 1).unwrap(),
            &good.to_uppercase(),
            &good.replace("age1", "agf1"),
            "ssh-ed25519 x",
        ] {
            assert_eq!(bad.parse::<Recipient>(), Err(BadRecipient), "{bad}");
        }
    }

    /// Made by the `age` crate 0.11.5 for the key of thirty-two times 1.
    const FOREIGN: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBrSXZmdmFHRElQS2doQ1YzUEF6TWVqRkNjb2x3YTZXcE9HTmc3NVAvYW5JCmJOUTFFZFl2OVg0UzhHcjNtTEVPRGcxcnZUVjh5U2NIcWYwZForYVFKMXMKLT4geS1ncmVhc2UgYE1iLU02TiAwMlggdSAjay90UTcKclRHWU41VG80VFk4VUE3WFliK2ZtK21Wbk0venBKaTdudm1hMTFiT3FOZUc1bGpGOUNUTDdxSS9Hd2pac2lzNQoyaXZzbzJyZWNkY0ZDVU1OWThoVGZtOWVtcUlVdlAwSEcyVzRTNzFmN0hZYlV1bCtEYWwreUEKLS0tIHN4VVVhdUo4NEVwcEZTbURIbC9rSWc1ZGJsbS9IREFLZENhd1dYbFJSYXcKvnKYv4wf0GXT7alo1YPfIEfSKvYd0cQ43XvXmMQ6dK5NhQynFRwB2LoRcX3wssTK";

    #[test]
    fn a_file_of_another_implementation_opens() {
        let file = STANDARD.decode(FOREIGN).unwrap();
        assert_eq!(open(&identity(1), &file).unwrap().expose(), b"sealed elsewhere");
        assert!(armored(&file).lines().all(|line| line.len() <= 64));
    }
}
