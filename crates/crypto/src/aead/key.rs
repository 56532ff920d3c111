//! A key of any purpose: making, wrapping, sealing, opening, counting.

use core::fmt;
use core::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead::{Aad as RawAad, LessSafeKey, Nonce};
use zeroize::Zeroizing;

use super::aad::Aad;
use super::blob::{self, HEADER_BYTES, NONCE_BYTES, OVERHEAD_BYTES, OpenError, Parts, TAG_BYTES};
use super::purpose::{Cipher, Purpose};
use crate::id::KeyId;
use crate::memory::LockedKey;
use crate::seam::{Entropy, NoEntropy};
use crate::secret::SecretBytes;

/// How often one key seals before it refuses. SP 800-38D allows 2^32 random nonces per key; a new version is due well
/// before this limit.
pub const SEAL_LIMIT: u64 = 1 << 31;
/// Length of a wrapped key: the blob around id and bytes.
pub const WRAPPED_KEY_BYTES: usize = OVERHEAD_BYTES + KEY_ID_BYTES + KEY_BYTES;

const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;
/// Stands where a wrapped key has the code of its purpose.
const VALUE: u8 = 0;

/// Why nothing was sealed. No blob was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealFail {
    /// The random generator failed, gave zeros or repeated itself.
    NoEntropy,
    /// The key reached [`SEAL_LIMIT`]; make a new version.
    Exhausted,
    /// The cipher refused: out of memory, or more than 64 GiB of plaintext.
    Cipher,
}

impl fmt::Display for SealFail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntropy => "nothing was sealed because the random generator failed",
            Self::Exhausted => "nothing was sealed because the key has reached its limit",
            Self::Cipher => "nothing was sealed because the cipher refused",
        })
    }
}

impl core::error::Error for SealFail {}

impl From<NoEntropy> for SealFail {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

/// The bytes are no key: not 32 of them, or all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadKey;

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a usable key")
    }
}

impl core::error::Error for BadKey {}

/// A 256-bit key for one purpose, wiped on drop. No `Clone`; `Debug` shows purpose and id.
///
/// Seal, root and tenant keys lie in locked memory and are expanded for each use; log, state and name keys keep their
/// expanded form while they are in use, the checkpoint key always.
pub struct Key<P: Purpose> {
    id: KeyId,
    bytes: Home,
    ready: P::Ready,
    seals: AtomicU64,
    last_nonce: AtomicU64,
    purpose: PhantomData<P>,
}

/// Where the raw bytes live.
enum Home {
    Locked(LockedKey),
    Heap(Box<Zeroizing<[u8; KEY_BYTES]>>),
}

impl<P: Purpose> Key<P> {
    /// Makes a fresh key under a fresh id.
    ///
    /// # Errors
    /// [`NoEntropy`], also for all zeros; nothing was made.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let id = KeyId::generate(entropy)?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill_secret(bytes.as_mut())?;
        Self::build(id, &bytes).ok_or(NoEntropy)
    }

    /// Makes a key out of bytes from elsewhere, like a key file.
    ///
    /// # Errors
    /// [`BadKey`] unless there are 32 bytes that are not all zero.
    pub fn from_secret(id: KeyId, secret: SecretBytes) -> Result<Self, BadKey> {
        let bytes = secret.expose().try_into().map_err(|_| BadKey)?;
        Self::build(id, bytes).ok_or(BadKey)
    }

    /// The name that stands in everything this key seals.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn build(id: KeyId, bytes: &[u8; KEY_BYTES]) -> Option<Self> {
        if bytes.iter().all(|byte| *byte == 0) {
            return None;
        }
        let ready = P::ready(bytes)?;
        let bytes = if P::LOCKED {
            Home::Locked(LockedKey::new(bytes))
        } else {
            let mut home = Box::new(Zeroizing::new([0; KEY_BYTES]));
            home.copy_from_slice(bytes);
            Home::Heap(home)
        };
        let counter = || AtomicU64::new(0);
        Some(Self { id, bytes, ready, seals: counter(), last_nonce: counter(), purpose: PhantomData })
    }

    pub(super) fn ready(&self) -> &P::Ready {
        &self.ready
    }

    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        match &self.bytes {
            Home::Locked(key) => key.expose(),
            Home::Heap(key) => key,
        }
    }

    /// Id and bytes, as they are wrapped.
    pub(super) fn packed(&self) -> SecretBytes {
        let mut out = SecretBytes::zeroed(KEY_ID_BYTES + KEY_BYTES);
        let (id, bytes) = out.expose_mut().split_at_mut(KEY_ID_BYTES);
        id.copy_from_slice(self.id.as_bytes());
        bytes.copy_from_slice(self.expose());
        out
    }

    pub(super) fn unpacked(packed: &SecretBytes) -> Option<Self> {
        let (id, bytes) = packed.expose().split_first_chunk()?;
        Self::build(KeyId::from_bytes(*id), bytes.try_into().ok()?)
    }
}

impl<P: Cipher> Key<P> {
    /// Seals `plain` for one place. Equal plaintexts give different blobs; their length shows.
    ///
    /// # Errors
    /// [`SealFail`]; nothing was sealed.
    pub fn seal(&self, entropy: &dyn Entropy, aad: Aad<'_>, plain: &[u8]) -> Result<Vec<u8>, SealFail> {
        self.seal_as(VALUE, entropy, aad, plain)
    }

    /// Opens what [`Key::seal`] made for the same place.
    ///
    /// # Errors
    /// [`OpenError`], but never `DestroyedKey`; no plaintext came out.
    pub fn open(&self, aad: Aad<'_>, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        self.open_as(VALUE, aad, sealed)
    }

    /// Wraps another key with its id. A wrapped key and a sealed value never pass for each other, nor do wrapped keys
    /// of two purposes.
    ///
    /// # Errors
    /// [`SealFail`]; nothing was sealed.
    pub fn wrap_key<Q: Purpose>(&self, entropy: &dyn Entropy, aad: Aad<'_>, key: &Key<Q>) -> Result<Vec<u8>, SealFail> {
        self.seal_as(Q::CODE, entropy, aad, key.packed().expose())
    }

    /// Opens what [`Key::wrap_key`] made for the same purpose and place. The seal counter of the key starts at zero.
    ///
    /// # Errors
    /// [`OpenError`], but never `DestroyedKey`; no key came out.
    pub fn unwrap_key<Q: Purpose>(&self, aad: Aad<'_>, wrapped: &[u8]) -> Result<Key<Q>, OpenError> {
        Key::unpacked(&self.open_as(Q::CODE, aad, wrapped)?).ok_or(OpenError::Integrity)
    }

    /// How many seals this key made or had reserved.
    #[must_use]
    pub fn seals(&self) -> u64 {
        self.seals.load(Ordering::Relaxed)
    }

    /// Counts on from `seals`, the end of the block that was reserved in storage. Never counts down.
    pub fn resume_seals(&self, seals: u64) {
        self.seals.fetch_max(seals, Ordering::Relaxed);
    }

    fn seal_as(&self, content: u8, entropy: &dyn Entropy, aad: Aad<'_>, plain: &[u8]) -> Result<Vec<u8>, SealFail> {
        let nonce = self.fresh_nonce(entropy)?;
        let header = blob::header(self.id, nonce);
        let bound = bound(&header, content, aad);
        let mut out = vec![0; plain.len() + OVERHEAD_BYTES];
        let (head, rest) = out.split_at_mut(HEADER_BYTES);
        let (ciphertext, tag) = rest.split_at_mut(plain.len());
        head.copy_from_slice(&header);
        let seal = |key: &LessSafeKey| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.seal_out_of_place_scatter(nonce, RawAad::from(&bound), plain, ciphertext, &[], tag)
        };
        match P::with(&self.ready, self.expose(), seal) {
            Some(Ok(())) => Ok(out),
            _ => Err(SealFail::Cipher),
        }
    }

    fn open_as(&self, content: u8, aad: Aad<'_>, sealed: &[u8]) -> Result<SecretBytes, OpenError> {
        let Parts { key_id, header, nonce, ciphertext, tag } = Parts::split(sealed)?;
        if key_id != self.id {
            return Err(OpenError::UnknownKey(key_id));
        }
        let bound = bound(header, content, aad);
        // Straight into memory that is wiped when it is dropped, which is what a failure does.
        let mut out = SecretBytes::zeroed(ciphertext.len());
        let open = |key: &LessSafeKey| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.open_separate_gather(nonce, RawAad::from(&bound), ciphertext, tag, out.expose_mut())
        };
        match P::with(&self.ready, self.expose(), open) {
            Some(Ok(())) => Ok(out),
            _ => Err(OpenError::Integrity),
        }
    }

    /// Counts the seal first, so that a failure loses allowance and never grants it.
    fn fresh_nonce(&self, entropy: &dyn Entropy) -> Result<[u8; NONCE_BYTES], SealFail> {
        let count = |seals| (seals < SEAL_LIMIT).then_some(seals + 1);
        self.seals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).map_err(|_| SealFail::Exhausted)?;
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill_secret(&mut nonce)?;
        let head = u64::from_be_bytes(*nonce.first_chunk().unwrap_or(&[0; 8]));
        let repeated = self.last_nonce.swap(head, Ordering::Relaxed) == head;
        if repeated || nonce == [0; NONCE_BYTES] { Err(SealFail::NoEntropy) } else { Ok(nonce) }
    }
}

/// Everything that is authenticated: header, kind of content, place.
fn bound(header: &[u8; HEADER_BYTES], content: u8, aad: Aad<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES + 1 + aad.length());
    out.extend_from_slice(header);
    out.push(content);
    aad.write(&mut out);
    out
}

impl<P: Purpose> fmt::Debug for Key<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {})", P::NAME, self.id)
    }
}

const _: () = assert!(WRAPPED_KEY_BYTES == HEADER_BYTES + 40 + TAG_BYTES, "the stored length is part of the format");
