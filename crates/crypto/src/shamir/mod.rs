//! A key in shares: any `threshold` of them make it again, fewer say nothing about it (Shamir, 1979).
//!
//! The arithmetic over GF(256) is that of `vsss-rs`, in constant time and without tables. Here is what it leaves open: the
//! text of a share, and the public description of a set, by whose digests a share that is damaged, of another set, of
//! an earlier one or given twice is told by name, so that a wrong key never comes out.

mod gathering;
mod set;
mod share;

pub use gathering::{Gathering, Step};
pub use set::{Earlier, Rejected, SetId, ShareSet};
pub use share::{BadShare, Share};

use crate::seam::{Entropy, NoEntropy, WallMs};
use crate::secret::SecretBytes;
use core::convert::Infallible;
use core::fmt;
use rand_core::{TryCryptoRng, TryRng};
use vsss_rs::Gf256;
use zeroize::Zeroizing;

/// Bytes of a key that is split.
pub const KEY_BYTES: usize = 32;

/// Why a key was not split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitError {
    /// The threshold is below 2, or above the number of shares.
    Threshold,
    /// The key is not of [`KEY_BYTES`].
    Key,
    /// No randomness.
    NoEntropy,
}

impl fmt::Display for SplitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threshold => "a set has 2 to 255 shares and a threshold from 2 up to their number",
            Self::Key => "only a key of 32 bytes is split",
            Self::NoEntropy => "the random generator failed",
        })
    }
}

impl core::error::Error for SplitError {}

impl From<NoEntropy> for SplitError {
    fn from(_: NoEntropy) -> Self {
        Self::NoEntropy
    }
}

/// Splits `key` into `count` shares, of which `threshold` make it again. `earlier` are the sets that this one follows,
/// the newest last.
///
/// # Errors
/// [`SplitError`]; nothing was made.
pub fn split(
    entropy: &dyn Entropy,
    key: &SecretBytes,
    (threshold, count): (u8, u8),
    now: WallMs,
    earlier: Vec<Earlier>,
) -> Result<(ShareSet, Vec<Share>), SplitError> {
    if threshold < 2 || threshold > count {
        return Err(SplitError::Threshold);
    }
    if key.len() != KEY_BYTES {
        return Err(SplitError::Key);
    }
    let mut id = [0; 8];
    entropy.fill_public(&mut id)?;
    let id = SetId::from_bytes(id);
    let mut source = Source { entropy, drawn: Zeroizing::new([0; DRAW_BYTES]), used: DRAW_BYTES, failed: false };
    let parts = Gf256::split_array(threshold.into(), count.into(), key.expose(), &mut source);
    let parts = Zeroizing::new(parts.map_err(|_| SplitError::Threshold)?);
    if source.failed {
        return Err(SplitError::NoEntropy);
    }
    let shares: Option<Vec<Share>> = parts.iter().map(|part| Share::of_part(id, (threshold, count), part)).collect();
    let shares = shares.ok_or(SplitError::Key)?;
    Ok((ShareSet::of(id, threshold, &shares, now, earlier), shares))
}

/// The key that these shares of one set make. They were accepted by their set before.
fn combine(shares: &[Share]) -> Option<SecretBytes> {
    let parts: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(shares.iter().map(Share::part).collect());
    Gf256::combine_array(&*parts).ok().map(SecretBytes::new).filter(|key| key.len() == KEY_BYTES)
}

/// Our randomness in the form the arithmetic takes. A failure is remembered, and what was made then is thrown away.
///
/// It is drawn in runs long enough for a failing generator to be told from a good one, and handed on byte by byte.
struct Source<'a> {
    entropy: &'a dyn Entropy,
    drawn: Zeroizing<[u8; DRAW_BYTES]>,
    used: usize,
    failed: bool,
}

const DRAW_BYTES: usize = 64;

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        if self.used >= DRAW_BYTES {
            self.failed |= self.entropy.fill_secret(self.drawn.as_mut()).is_err();
            self.used = 0;
        }
        let byte = self.drawn.get(self.used).copied().unwrap_or_default();
        self.used = self.used.saturating_add(1);
        byte
    }
}

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(core::array::from_fn(|_| self.byte())))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(core::array::from_fn(|_| self.byte())))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.iter_mut().for_each(|byte| *byte = self.byte());
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}
