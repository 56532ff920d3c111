//! Secret bytes, sealed blobs, keys with a purpose, ids, tokens, the Merkle tree and its signed checkpoints.
//!
//! Nothing here does input or output, reads a clock or draws randomness on its own: clock, entropy and seal are
//! traits ([`seam`]). Every primitive comes from aws-lc-rs; this crate only joins them.

#![deny(unsafe_code)]

pub mod aead;
pub mod age;
mod crockford;
mod drawn;
mod entropy;
mod hash;
pub mod id;
#[expect(unsafe_code, reason = "mmap, mlock, madvise and prctl have no safe form; each call has its SAFETY note")]
mod memory;
pub mod merkle;
pub mod note;
pub mod pair;
pub mod run;
pub mod seam;
pub mod secret;
pub mod shamir;
pub mod token;

pub use drawn::Drawn;
pub use hash::{Hash, hmac_sha256, sha256};
pub use seam::{Clock, Entropy, NoEntropy, Seal, SealError, WallMs};
pub use secret::{SecretBuffer, SecretBytes, SecretText};
