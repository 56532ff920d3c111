//! What only keys of one purpose do: the root key meets the seal, the name key names, the checkpoint key signs.

use core::convert::Infallible;
use core::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};

use super::aad::Aad;
use super::key::Key;
use super::purpose::{CheckpointKey, NameKey, RootKey, SealKey};
use crate::hash::first_32;
use crate::seam::{Entropy, Seal, SealError};

impl Key<RootKey> {
    /// Wraps the root key, with its id, under the seal. Open it with [`Key::unseal`].
    ///
    /// # Errors
    /// What the seal says; nothing happened.
    pub fn seal_under(&self, seal: &dyn Seal, entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        seal.wrap(entropy, &self.packed(), Aad::seal_root(self.id()))
    }

    /// Opens the root key `id` that [`Key::seal_under`] wrapped.
    ///
    /// # Errors
    /// What the seal says; `Damaged` if it opened to something else than that root key.
    pub fn unseal(seal: &dyn Seal, id: crate::id::KeyId, wrapped: &[u8]) -> Result<Self, SealError> {
        let packed = seal.unwrap(wrapped, Aad::seal_root(id))?;
        Self::unpacked(&packed).filter(|key| key.id() == id).ok_or(SealError::Damaged)
    }
}

impl Key<SealKey> {
    /// The key's bytes in an age file that the recipient opens: how a lost key file comes back.
    ///
    /// # Errors
    /// [`NoEntropy`](crate::NoEntropy); nothing was sealed.
    pub fn escrow(&self, entropy: &dyn Entropy, to: crate::age::Recipient) -> Result<Vec<u8>, crate::NoEntropy> {
        let packed = self.packed();
        // Its id follows from its bytes and is not kept.
        crate::age::seal(entropy, to, packed.expose().get(8..).unwrap_or_default())
    }
}

impl Key<NameKey> {
    /// Computes the id of one path segment under its parent, the first parent being the tenant id.
    ///
    /// The first 16 bytes of HMAC-SHA-256(name key, parent, segment); equal names under two parents or in two tenants
    /// get unrelated ids. Source: RFC 2104; ARCHITECTURE.md, record keys.
    #[must_use]
    pub fn id_of(&self, parent: [u8; 16], segment: &str) -> [u8; 16] {
        let Ok(id) = self.ready().with(
            || Ok::<_, Infallible>(hmac::Key::new(hmac::HMAC_SHA256, self.expose())),
            |key| {
                let mut context = hmac::Context::with_key(key);
                context.update(&parent);
                context.update(segment.as_bytes());
                *first_32(context.sign().as_ref()).first_chunk().unwrap_or(&[0; 16])
            },
        );
        id
    }
}

impl Key<CheckpointKey> {
    /// Signs `message`. Source: RFC 8032, Ed25519.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        for (to, from) in out.iter_mut().zip(self.ready().sign(message).as_ref()) {
            *to = *from;
        }
        out
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        first_32(self.ready().public_key().as_ref())
    }
}

/// The signature is not by that key over that message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature does not verify")
    }
}

impl core::error::Error for BadSignature {}

/// Checks an Ed25519 signature. Source: RFC 8032; refuses malleable signatures.
///
/// # Errors
/// [`BadSignature`], also for a public key that is none.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).map_err(|_| BadSignature)
}
