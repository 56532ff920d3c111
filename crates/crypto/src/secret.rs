//! Bytes and text that must not leak: wiped on drop, never printed, never copied by accident.
//!
//! ```
//! use crypto::secret::SecretBytes;
//! let secret = SecretBytes::from_slice(b"hunter2");
//! assert_eq!(format!("{secret:?}"), "SecretBytes");
//! assert_eq!(secret.expose(), b"hunter2");
//! ```
//!
//! None of these compile:
//!
//! ```compile_fail,E0599
//! let secret = crypto::secret::SecretBytes::from_slice(b"x");
//! let copy = secret.clone();
//! ```
//! ```compile_fail,E0277
//! println!("{}", crypto::secret::SecretBytes::from_slice(b"x"));
//! ```
//! ```compile_fail,E0277
//! println!("{}", crypto::secret::SecretText::new("x".to_owned()));
//! ```
//! ```compile_fail,E0369
//! use crypto::secret::SecretBytes;
//! let same = SecretBytes::from_slice(b"x") == SecretBytes::from_slice(b"x");
//! ```
//! ```compile_fail,E0369
//! use crypto::secret::SecretText;
//! let same = SecretText::new("x".to_owned()) == SecretText::new("x".to_owned());
//! ```
//! ```compile_fail,E0599
//! let copy = crypto::secret::SecretText::new("x".to_owned()).clone();
//! ```
//! ```compile_fail,E0277
//! fn stored<T: serde::Serialize>(_: &T) {}
//! stored(&crypto::secret::SecretBytes::from_slice(b"x"));
//! ```
//! ```compile_fail,E0277
//! fn stored<T: serde::Serialize>(_: &T) {}
//! stored(&crypto::secret::SecretText::new("x".to_owned()));
//! ```
//! ```compile_fail,E0277
//! fn read<T: serde::de::DeserializeOwned>() {}
//! read::<crypto::secret::SecretBytes>();
//! ```

use core::fmt;
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, optimization_barrier};

pub use crate::memory::{HardenReport, LockedKey, harden_process, lock_failures};

/// Secret bytes on the heap, wiped when dropped.
///
/// Moving it moves a pointer, so no copy stays behind. There is no `Clone`, `Display`, `Serialize` or `PartialEq`;
/// [`SecretBytes::expose`] is the one door to the content and [`SecretBytes::ct_eq`] the one comparison.
#[derive(Default)]
// INVARIANT: the vector never changes its length, so it is never moved to a new allocation and its spare capacity holds
// nothing.
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    /// Takes over `bytes` and wipes its spare capacity, where earlier content may stand.
    #[must_use]
    pub fn new(mut bytes: Vec<u8>) -> Self {
        bytes.spare_capacity_mut().zeroize();
        Self(bytes)
    }

    /// Copies `bytes`; wiping the original is the caller's business.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Makes `length` zero bytes, to be filled through [`SecretBytes::expose_mut`].
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        Self(vec![0; length])
    }

    /// The content.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The content, to be changed in place.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Length in bytes, which is not held to be secret.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Compares in time that depends only on the lengths.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_slice().ct_eq(other.0.as_slice()).into()
    }

    /// Makes a second copy, on purpose and greppable.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::from_slice(&self.0)
    }

    /// Reads the bytes as text without copying them; gives them back when they are not UTF-8.
    ///
    /// # Errors
    /// The bytes themselves, unchanged.
    pub fn into_text(mut self) -> Result<SecretText, Self> {
        match String::from_utf8(core::mem::take(&mut self.0)) {
            Ok(text) => Ok(SecretText(text)),
            Err(error) => Err(Self::new(error.into_bytes())),
        }
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        // One block at once instead of a volatile write per byte, which took a fifth of opening a 1 KiB value. The
        // barrier keeps the compiler from leaving it out.
        self.0.fill(0);
        optimization_barrier(self.0.as_slice());
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes")
    }
}

/// Secret bytes while they are put together; the old allocation is wiped when it grows, the last one when it is dropped.
#[derive(Default)]
pub struct SecretBuffer(Vec<u8>);

impl SecretBuffer {
    /// An empty buffer with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Adds bytes at the end.
    pub fn extend(&mut self, bytes: &[u8]) {
        let wanted = self.0.len().saturating_add(bytes.len());
        if wanted > self.0.capacity() {
            let mut larger = Vec::with_capacity(wanted.saturating_mul(2));
            larger.extend_from_slice(&self.0);
            drop(SecretBytes::new(core::mem::replace(&mut self.0, larger)));
        }
        self.0.extend_from_slice(bytes);
    }

    /// Bytes added so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What was put together.
    #[must_use]
    pub fn finish(mut self) -> SecretBytes {
        SecretBytes::new(core::mem::take(&mut self.0))
    }
}

impl std::io::Write for SecretBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBuffer")
    }
}

impl Drop for SecretBuffer {
    fn drop(&mut self) {
        drop(SecretBytes::new(core::mem::take(&mut self.0)));
    }
}

/// Secret UTF-8 text on the heap, wiped when dropped. The rules of [`SecretBytes`] hold for it too.
#[derive(Default)]
// INVARIANT: the string is never grown, so it is never moved to a new allocation.
pub struct SecretText(String);

impl SecretText {
    /// Takes over `text` and wipes its spare capacity.
    #[must_use]
    pub fn new(text: String) -> Self {
        let mut bytes = text.into_bytes();
        bytes.spare_capacity_mut().zeroize();
        // The bytes came out of a string, so the empty answer cannot be reached.
        Self(String::from_utf8(bytes).unwrap_or_default())
    }

    /// The content.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Gives up being text; no copy is made.
    #[must_use]
    pub fn into_bytes(mut self) -> SecretBytes {
        SecretBytes::new(core::mem::take(&mut self.0).into_bytes())
    }

    /// Makes a second copy, on purpose and greppable.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.expose().to_owned())
    }

    /// Compares in time that depends only on the lengths.
    #[must_use]
    pub fn ct_eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        drop(SecretBytes(core::mem::take(&mut self.0).into_bytes()));
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

impl FromStr for SecretText {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// Reads a string straight into the secret. The format's own buffers are its business: serde_json copies a string
/// that contains escapes through a scratch buffer that nobody can wipe.
impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = SecretText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<SecretText, E> {
                Ok(SecretText::new(text))
            }
        }
        deserializer.deserialize_str(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_capacity_of_a_taken_vector_is_wiped() {
        let mut bytes = b"canary-canary".to_vec();
        bytes.truncate(3);
        let mut secret = SecretBytes::new(bytes);
        assert!(secret.0.capacity() >= 13);
        secret.0.resize(13, 1);
        assert_eq!(secret.expose(), b"can\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
    }

    #[test]
    fn leak_02_secrets_print_as_their_type_name() {
        let bytes = SecretBytes::from_slice(b"canary");
        let text = SecretText::new("canary".to_owned());
        assert_eq!(format!("{bytes:?} {bytes:#?} {text:?} {text:#?}"), "SecretBytes SecretBytes SecretText SecretText");
    }

    #[test]
    fn equality_looks_at_length_and_content() {
        let check = |a: &[u8], b: &[u8], expected| {
            assert_eq!(SecretBytes::from_slice(a).ct_eq(&SecretBytes::from_slice(b)), expected);
        };
        check(b"", b"", true);
        check(b"same", b"same", true);
        check(b"same", b"sama", false);
        check(b"same", b"same ", false);
    }

    #[test]
    fn text_becomes_bytes_and_bytes_text() {
        let text = SecretText::new("grüße".to_owned()).into_bytes().into_text().unwrap();
        assert_eq!(text.expose(), "grüße");
        let bytes = SecretBytes::from_slice(b"\xff").into_text().unwrap_err();
        assert_eq!(bytes.expose(), b"\xff");
    }
}
