//! What the machine gives and a simulation replaces: time, randomness, the seal of the root key.

use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::aead::Aad;
use crate::secret::SecretBytes;

pub use crate::entropy::{Guarded, SystemEntropy};

/// Milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WallMs(pub u64);

impl WallMs {
    /// Adds `span`, whole milliseconds; stays at the greatest time instead of wrapping round.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Tells the time.
///
/// Deadlines are stored as wall time; waiting is done by monotonic time, which never goes back and whose zero
/// means nothing.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The civil time, which may jump either way.
    fn wall(&self) -> WallMs;
    /// The time since some fixed moment.
    fn monotonic(&self) -> Duration;
}

/// No randomness could be had, or what came looks broken. Nothing was made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoEntropy;

impl fmt::Display for NoEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the random generator failed or gave broken output")
    }
}

impl core::error::Error for NoEntropy {}

/// Gives random bytes.
///
/// An implementation that cannot fill the whole buffer with fresh, unpredictable bytes answers [`NoEntropy`]; it
/// never leaves zeros, never repeats itself, never gives up quietly. Wrap a source in [`Guarded`] to have gross
/// failures noticed.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `out` for keys, nonces, tokens.
    ///
    /// # Errors
    /// [`NoEntropy`]; the content of `out` must not be used.
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy>;
    /// Fills `out` for request ids and jitter, which are seen by others.
    ///
    /// # Errors
    /// [`NoEntropy`]; the content of `out` must not be used.
    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy>;
}

/// Why a seal gave no answer. Nothing happened in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealError {
    /// The seal's file, device or service cannot be reached; try later.
    Unavailable,
    /// The blob was sealed by another seal, or for another place.
    Mismatch,
    /// The blob is not of the form this seal writes, or is cut short.
    Damaged,
    /// The random generator failed.
    NoEntropy,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the seal cannot be reached",
            Self::Mismatch => "this seal does not open the root key",
            Self::Damaged => "the sealed root key is damaged",
            Self::NoEntropy => "the random generator failed",
        })
    }
}

impl core::error::Error for SealError {}

impl From<NoEntropy> for SealError {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

/// Protects the root key while the server is down: a key file, a hardware module, a quorum.
///
/// What `wrap` returned, `unwrap` of the same seal opens under the same associated data and under no other. The blob
/// may be kept for years. Both may block; callers run them on worker threads.
pub trait Seal: Send + Sync + fmt::Debug {
    /// What an operator reads, like `key file`. Holds no secret.
    fn name(&self) -> String;
    /// Wraps `secret`.
    ///
    /// # Errors
    /// Any [`SealError`] but `Mismatch`; nothing happened.
    fn wrap(&self, entropy: &dyn Entropy, secret: &SecretBytes, aad: Aad<'_>) -> Result<Vec<u8>, SealError>;
    /// Opens what [`Seal::wrap`] made.
    ///
    /// # Errors
    /// `Unavailable`, `Mismatch` or `Damaged`.
    fn unwrap(&self, wrapped: &[u8], aad: Aad<'_>) -> Result<SecretBytes, SealError>;
}
