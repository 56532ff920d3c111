//! One share and its text.

use super::KEY_BYTES;
use super::set::SetId;
use crate::hash::sha256;
use crate::secret::{SecretBytes, SecretText};
use crate::token::{checksum, checksum_chars};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use core::fmt;
use zeroize::Zeroizing;

const PREFIX: &str = "aum_share_";
const VERSION: u8 = 1;
/// Version, set, index, threshold, count, data.
const BODY_BYTES: usize = 1 + 8 + 3 + KEY_BYTES;
const BODY_CHARS: usize = (BODY_BYTES * 4).div_ceil(3);
/// Characters of a share's text.
const TEXT_CHARS: usize = PREFIX.len() + BODY_CHARS + 1 + checksum_chars();

/// One share of a key. Its text is `aum_share_`, 59 characters of base64url and a checksum of 6.
pub struct Share {
    pub(super) set: SetId,
    pub(super) index: u8,
    pub(super) threshold: u8,
    pub(super) count: u8,
    data: SecretBytes,
}

/// The text is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadShare {
    /// It has another form, or a character of it is wrong.
    Form,
    /// A later version wrote it.
    Newer,
}

impl fmt::Display for BadShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "this is no share, or a character of it is wrong or missing",
            Self::Newer => "this share is of a form that a later version writes",
        })
    }
}

impl core::error::Error for BadShare {}

impl Share {
    /// Reads the text of a share.
    ///
    /// # Errors
    /// [`BadShare`], without repeating any of it.
    pub fn parse(text: &str) -> Result<Self, BadShare> {
        let summed = text.len().checked_sub(checksum_chars()).and_then(|end| text.split_at_checked(end));
        let (summed, sum) = summed.filter(|_| text.len() == TEXT_CHARS).ok_or(BadShare::Form)?;
        let body = summed.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix('_')).ok_or(BadShare::Form)?;
        if !checksum(summed).eq(sum.chars()) {
            return Err(BadShare::Form);
        }
        let mut bytes = Zeroizing::new([0; BODY_BYTES + 1]);
        let decoded = URL_SAFE_NO_PAD.decode_slice(body, bytes.as_mut());
        if decoded != Ok(BODY_BYTES) {
            return Err(BadShare::Form);
        }
        let (&[version], rest) = bytes.split_first_chunk().ok_or(BadShare::Form)?;
        if version != VERSION {
            return Err(BadShare::Newer);
        }
        let (set, rest) = rest.split_first_chunk().ok_or(BadShare::Form)?;
        let (&[index, threshold, count], rest) = rest.split_first_chunk().ok_or(BadShare::Form)?;
        let data: &[u8; KEY_BYTES] = rest.first_chunk().ok_or(BadShare::Form)?;
        let set = SetId::from_bytes(*set);
        let share = Self { set, index, threshold, count, data: SecretBytes::from_slice(data) };
        // Index 0 would be the key itself.
        if index == 0 || index > count || threshold < 2 || threshold > count { Err(BadShare::Form) } else { Ok(share) }
    }

    /// The text, to be shown once to the one who holds it.
    #[must_use]
    pub fn text(&self) -> SecretText {
        let mut body = Zeroizing::new(Vec::with_capacity(BODY_BYTES));
        body.push(VERSION);
        body.extend_from_slice(self.set.as_bytes());
        body.extend_from_slice(&[self.index, self.threshold, self.count]);
        body.extend_from_slice(self.data.expose());
        let mut chars = Zeroizing::new([0; BODY_CHARS]);
        let _length = URL_SAFE_NO_PAD.encode_slice(&*body, chars.as_mut());
        // Of full length from the start, so that it is never moved while it grows.
        let mut text = String::with_capacity(TEXT_CHARS);
        text.push_str(PREFIX);
        text.extend(chars.iter().copied().map(char::from));
        text.push('_');
        let sum = checksum(&text);
        text.extend(sum);
        SecretText::new(text)
    }

    /// Which one of its set, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Its set.
    #[must_use]
    pub fn set(&self) -> SetId {
        self.set
    }

    /// What a set keeps of it: the head of SHA-256 over all that it is. Nobody finds 256 random bits by their digest.
    pub(super) fn digest(&self) -> [u8; 16] {
        let mut all = Zeroizing::new(Vec::with_capacity(64));
        all.extend_from_slice(b"aumbry share");
        all.extend_from_slice(self.set.as_bytes());
        all.extend_from_slice(&[self.index, self.threshold, self.count]);
        all.extend_from_slice(self.data.expose());
        *sha256(&all).first_chunk().unwrap_or(&[0; 16])
    }

    pub(super) fn of_part(set: SetId, (threshold, count): (u8, u8), part: &[u8]) -> Option<Self> {
        let (&index, data) = part.split_first()?;
        Some(Self { set, index, threshold, count, data: SecretBytes::from_slice(data) })
    }

    pub(super) fn part(&self) -> Vec<u8> {
        let mut part = Vec::with_capacity(1 + KEY_BYTES);
        part.push(self.index);
        part.extend_from_slice(self.data.expose());
        part
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({} of set {})", self.index, self.set)
    }
}
