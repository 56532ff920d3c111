//! Keys with a purpose and the blobs they seal: AES-256-GCM (FIPS 197, SP 800-38D).
//!
//! A sealed blob is `[0xA5][version 1][key id, 8][nonce, 12][ciphertext][tag, 16]`. The 22 bytes before the
//! ciphertext are authenticated, and so is what the caller says about the place ([`Aad`]): a blob opens nowhere
//! else. The length of the plaintext is visible from outside; nothing pads it.
//!
//! ```
//! use crypto::aead::{Aad, DataKey, Key};
//! use crypto::id::{BlobId, TenantId};
//! use crypto::seam::SystemEntropy;
//!
//! let entropy = SystemEntropy::new();
//! let key = Key::<DataKey>::generate(&entropy)?;
//! let here = Aad::blob(TenantId::SYSTEM, BlobId::from_bytes([1; 16]));
//! let there = Aad::blob(TenantId::SYSTEM, BlobId::from_bytes([2; 16]));
//! let sealed = key.seal(&entropy, here, b"value")?;
//! assert_eq!(key.open(here, &sealed)?.expose(), b"value");
//! assert!(key.open(there, &sealed).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A key of one purpose is not accepted for another, and a name key seals nothing:
//!
//! ```compile_fail,E0308
//! use crypto::aead::{DataKey, Key, TenantKey};
//! fn wrap(_: &Key<TenantKey>) {}
//! fn wrong(key: &Key<DataKey>) { wrap(key) }
//! ```
//! ```compile_fail,E0277
//! use crypto::aead::{Aad, Key, NameKey};
//! use crypto::seam::SystemEntropy;
//! fn wrong(key: &Key<NameKey>, at: Aad<'_>) { let _ = key.seal(&SystemEntropy::new(), at, b"x"); }
//! ```
//! ```compile_fail,E0599
//! use crypto::aead::{DataKey, Key};
//! fn wrong(key: &Key<DataKey>) -> Key<DataKey> { key.clone() }
//! ```

mod aad;
mod blob;
mod key;
mod purpose;
mod special;
mod warm;

pub use aad::Aad;
pub use blob::{FORMAT_VERSION, HEADER_BYTES, Header, OVERHEAD_BYTES, OpenError};
pub use key::{BadKey, Key, SEAL_LIMIT, SealFail, WRAPPED_KEY_BYTES};
pub use purpose::{
    BackupKey, BearerKey, CheckpointKey, Cipher, DataKey, LogKey, NameKey, Purpose, RootKey, SealKey, StateKey,
    TenantKey,
};
pub use special::{BadSignature, verify};
