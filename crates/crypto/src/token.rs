//! Bearer tokens: `aum_<kind>_<43 characters>_<6 checksum>`.
//!
//! The prefix lets secret scanners find a token that got into a repository; the checksum spares them false alarms
//! and is no security. The middle is 256 random bits in base64url, which is why the text is taken apart by length,
//! from the end, and never by splitting.

use core::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::aead::{BadKey, BearerKey, Key};
use crate::crockford;
use crate::hash::{Hash, sha256};
use crate::id::KeyId;
use crate::seam::{Entropy, NoEntropy};
use crate::secret::{SecretBytes, SecretText};

const PREFIX: &str = "aum_";
const KIND_MAX_CHARS: usize = 16;
const BODY_CHARS: usize = 43;
const CHECKSUM_CHARS: usize = 6;
/// Body, checksum and the underscores before each.
const TAIL_CHARS: usize = 1 + BODY_CHARS + 1 + CHECKSUM_CHARS;

/// Namespace for making and reading tokens.
#[derive(Debug)]
pub struct Token;

/// What the text of a token says in clear. It proves nothing: look the digest up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedToken<'a> {
    /// What the token is for, like `ses`.
    pub kind: &'a str,
}

/// The text is not a token: wrong prefix, kind, length, alphabet or checksum. Says no more, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadToken;

impl fmt::Display for BadToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a well-formed token")
    }
}

impl core::error::Error for BadToken {}

impl Token {
    /// Makes a fresh token with 256 random bits. `kind` is 1 to 16 letters `a` to `z`; others are left out.
    ///
    /// Never stored by the caller: store [`digest`].
    ///
    /// # Errors
    /// [`NoEntropy`]; nothing was made.
    pub fn mint(kind: &str, entropy: &dyn Entropy) -> Result<SecretText, NoEntropy> {
        let mut random = Zeroizing::new([0; 32]);
        entropy.fill_secret(random.as_mut())?;
        if random.iter().all(|byte| *byte == 0) {
            return Err(NoEntropy);
        }
        // Of full length from the start, so that it is never moved while it grows.
        let mut text = String::with_capacity(PREFIX.len() + KIND_MAX_CHARS + TAIL_CHARS);
        text.push_str(PREFIX);
        text.extend(kind.chars().filter(char::is_ascii_lowercase).take(KIND_MAX_CHARS));
        text.push('_');
        let mut body = Zeroizing::new([0; BODY_CHARS]);
        URL_SAFE_NO_PAD.encode_slice(random.as_ref(), body.as_mut()).map_err(|_| NoEntropy)?;
        text.extend(body.iter().copied().map(char::from));
        text.push('_');
        let sum = checksum(&text);
        text.extend(sum);
        Ok(SecretText::new(text))
    }

    /// Checks the form and tells the kind.
    ///
    /// # Errors
    /// [`BadToken`], without saying what is wrong.
    pub fn parse(text: &str) -> Result<ParsedToken<'_>, BadToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(BadToken)?;
        let kind_chars = rest.len().checked_sub(TAIL_CHARS).ok_or(BadToken)?;
        let (kind, tail) = rest.split_at_checked(kind_chars).ok_or(BadToken)?;
        let known = (1..=KIND_MAX_CHARS).contains(&kind_chars) && kind.bytes().all(|byte| byte.is_ascii_lowercase());
        let tail = tail.strip_prefix('_').ok_or(BadToken)?;
        let (body, tail) = tail.split_at_checked(BODY_CHARS).ok_or(BadToken)?;
        let sum = tail.strip_prefix('_').ok_or(BadToken)?;
        let mut random = Zeroizing::new([0; 33]);
        let canonical = URL_SAFE_NO_PAD.decode_slice(body, random.as_mut()) == Ok(32);
        let (summed, _) = text.split_at_checked(text.len() - CHECKSUM_CHARS).ok_or(BadToken)?;
        if known && canonical && checksum(summed).eq(sum.chars()) { Ok(ParsedToken { kind }) } else { Err(BadToken) }
    }
}

/// The form in which a token is stored: SHA-256 over its text. One guess in 2^256, so no salt and no stretching.
#[must_use]
pub fn digest(text: &str) -> Hash {
    sha256(text.as_bytes())
}

/// The key that only the bearer of a token has: what is sealed under it opens with the token's text, and with nothing that is
/// stored of the token. Source: RFC 5869, HKDF-SHA-256.
///
/// # Errors
/// [`BadKey`], which does not happen.
pub fn bearer_key(text: &str) -> Result<Key<BearerKey>, BadKey> {
    let mut bytes = SecretBytes::zeroed(32);
    let secret = Salt::new(HKDF_SHA256, b"aumbry token").extract(text.as_bytes());
    let drawn = secret.expand(&[b"bearer key"], HKDF_SHA256).and_then(|key| key.fill(bytes.expose_mut()));
    drawn.map_err(|_unspecified| BadKey)?;
    Key::from_secret(KeyId::from_bytes([0; 8]), bytes)
}

/// Characters of a checksum.
pub(crate) const fn checksum_chars() -> usize {
    CHECKSUM_CHARS
}

/// First six Crockford characters of SHA-256 over all before the checksum.
pub(crate) fn checksum(text: &str) -> impl Iterator<Item = char> + use<> {
    let head = u64::from_be_bytes(*sha256(text.as_bytes()).first_chunk().unwrap_or(&[0; 8]));
    (0..CHECKSUM_CHARS as u32).map(move |place| crockford::digit((head >> (59 - 5 * place)) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting;

    impl Entropy for Counting {
        fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
            out.iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
            Ok(())
        }

        fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
            self.fill_secret(out)
        }
    }

    /// Worked out by hand with another SHA-256.
    const GOLDEN: &str = "aum_ses_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA_c16ab4";

    #[test]
    fn the_form_is_frozen() {
        let token = Token::mint("ses", &Counting).unwrap();
        assert_eq!(token.expose(), GOLDEN);
        assert_eq!(Token::parse(GOLDEN), Ok(ParsedToken { kind: "ses" }));
    }

    #[test]
    fn tokens_are_taken_apart_by_length() {
        let tricky = |kind: &str| {
            let summed = format!("aum_{kind}_{}_", "_".repeat(42) + "8");
            let sum: String = checksum(&summed).collect();
            summed + &sum
        };
        assert_eq!(Token::parse(&tricky("login")), Ok(ParsedToken { kind: "login" }));
        assert_eq!(Token::parse(&tricky("")), Err(BadToken));
        assert_eq!(Token::parse(&tricky("a_b")), Err(BadToken));
        assert_eq!(Token::parse(&tricky("seventeenseventee")), Err(BadToken));
        assert_eq!(Token::parse(&tricky("SES")), Err(BadToken));
    }

    #[test]
    fn any_other_text_is_refused() {
        for end in 0..GOLDEN.len() {
            assert_eq!(Token::parse(GOLDEN.get(..end).unwrap()), Err(BadToken));
        }
        for place in 0..GOLDEN.len() {
            for byte in [b'A', b'_', b'~', b' ', b'0'] {
                let mut changed = GOLDEN.as_bytes().to_vec();
                if changed[place] != byte {
                    changed[place] = byte;
                    assert_eq!(Token::parse(&String::from_utf8(changed).unwrap()), Err(BadToken), "{place}");
                }
            }
        }
        assert_eq!(Token::parse(&format!("{GOLDEN} ")), Err(BadToken));
        assert_eq!(Token::parse(&"é".repeat(60)), Err(BadToken));
    }
}
