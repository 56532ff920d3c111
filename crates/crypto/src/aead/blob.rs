//! The form of a sealed blob.

use core::fmt;

use crate::id::KeyId;

/// The version this build writes. It reads this one and no other.
pub const FORMAT_VERSION: u8 = 1;
/// Bytes before the ciphertext.
pub const HEADER_BYTES: usize = 2 + KEY_ID_BYTES + NONCE_BYTES;
/// How much longer a blob is than its plaintext.
pub const OVERHEAD_BYTES: usize = HEADER_BYTES + TAG_BYTES;

const MARK: u8 = 0xA5;
const KEY_ID_BYTES: usize = 8;
pub(super) const NONCE_BYTES: usize = 12;
pub(super) const TAG_BYTES: usize = 16;

/// Why a blob was not opened. Nothing of its content came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The bytes were never a sealed blob. Plaintext found where a blob should be is refused, not taken for old data.
    NotABlob,
    /// A newer build wrote it; upgrade. The blob is untouched.
    TooNew {
        /// The format version it names.
        version: u8,
    },
    /// It names another key than the one at hand, or one that nobody knows.
    UnknownKey(KeyId),
    /// It names a key that was destroyed: the content is gone for good. Given by who holds the ring of keys.
    DestroyedKey(KeyId),
    /// Changed, put in another place, or of another kind.
    Integrity,
    /// Shorter than any blob.
    Truncated,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABlob => f.write_str("not a sealed blob"),
            Self::TooNew { version } => write!(f, "sealed in format version {version}, which this build cannot read"),
            Self::UnknownKey(id) => write!(f, "sealed under the unknown key {id}"),
            Self::DestroyedKey(id) => write!(f, "sealed under the key {id}, which was destroyed"),
            Self::Integrity => f.write_str("the sealed blob was changed or moved"),
            Self::Truncated => f.write_str("the sealed blob is cut short"),
        }
    }
}

impl core::error::Error for OpenError {}

/// What a blob says about itself in clear; believed only after it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The key to open it with.
    pub key_id: KeyId,
}

impl Header {
    /// Reads the header, to find the key.
    ///
    /// # Errors
    /// `Truncated`, `NotABlob` or `TooNew`.
    pub fn parse(sealed: &[u8]) -> Result<Self, OpenError> {
        Parts::split(sealed).map(|parts| Self { key_id: parts.key_id })
    }
}

/// A blob taken apart, not yet believed.
pub(super) struct Parts<'a> {
    pub(super) key_id: KeyId,
    pub(super) header: &'a [u8; HEADER_BYTES],
    pub(super) nonce: [u8; NONCE_BYTES],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    pub(super) fn split(sealed: &'a [u8]) -> Result<Self, OpenError> {
        match *sealed {
            [] | [MARK] => return Err(OpenError::Truncated),
            [MARK, FORMAT_VERSION, ..] => {}
            [MARK, version, ..] if version > FORMAT_VERSION => return Err(OpenError::TooNew { version }),
            _ => return Err(OpenError::NotABlob),
        }
        let (header, rest) = sealed.split_first_chunk::<HEADER_BYTES>().ok_or(OpenError::Truncated)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(OpenError::Truncated)?;
        let [_, _, named @ ..] = header;
        let (key_id, nonce) = named.split_first_chunk().ok_or(OpenError::Truncated)?;
        let nonce = *nonce.first_chunk().ok_or(OpenError::Truncated)?;
        Ok(Self { key_id: KeyId::from_bytes(*key_id), header, nonce, ciphertext, tag })
    }
}

/// The header of a new blob.
pub(super) fn header(key_id: KeyId, nonce: [u8; NONCE_BYTES]) -> [u8; HEADER_BYTES] {
    let mut out = [0; HEADER_BYTES];
    let all = [MARK, FORMAT_VERSION].into_iter().chain(*key_id.as_bytes()).chain(nonce);
    for (to, from) in out.iter_mut().zip(all) {
        *to = from;
    }
    out
}
