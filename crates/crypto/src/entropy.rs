//! The operating system's randomness, with a watch on gross failure.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use zeroize::Zeroize;

use crate::hash::sha256;
use crate::seam::{Entropy, NoEntropy};

/// Shorter draws are not judged: they may be equal by chance.
const JUDGED_FROM_BYTES: usize = 8;

/// Refuses output that no working generator gives: one byte value throughout, a block that repeats itself, or the
/// same start as the draw before.
///
/// Buffers under 8 bytes pass unjudged; from there on a healthy generator is refused with a chance below 2^-56.
/// What is refused is wiped. Of the draw before, 64 bits of a digest are kept. Source: SP 800-90B section 4.4,
/// repetition count test; RUSTSEC-2026-0075.
#[derive(Debug, Default)]
pub struct Guarded<E> {
    source: E,
    last: AtomicU64,
}

impl<E: Entropy> Guarded<E> {
    /// Watches over `source`.
    pub const fn new(source: E) -> Self {
        Self { source, last: AtomicU64::new(0) }
    }

    fn judge(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        // The head alone is compared, so that a generator set back is noticed though the draws differ in length.
        let Some(head) = out.first_chunk::<JUDGED_FROM_BYTES>() else { return Ok(()) };
        let mark = u64::from_be_bytes(*sha256(head).first_chunk().unwrap_or(&[0; 8]));
        let repeated = self.last.swap(mark, Ordering::Relaxed) == mark;
        if repeated || stuck(out) {
            out.zeroize();
            return Err(NoEntropy);
        }
        Ok(())
    }
}

/// Whether all bytes are equal or two neighbouring blocks of eight are.
fn stuck(out: &[u8]) -> bool {
    let constant = out.iter().all(|byte| out.first() == Some(byte));
    let (blocks, _) = out.as_chunks::<8>();
    constant || blocks.windows(2).any(|pair| pair.first() == pair.last())
}

impl<E: Entropy> Entropy for Guarded<E> {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.source.fill_secret(out)?;
        self.judge(out)
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.source.fill_public(out)?;
        self.judge(out)
    }
}

/// The random generator of aws-lc, seeded by the operating system and guarded against gross failure.
#[derive(Debug, Default)]
pub struct SystemEntropy(Guarded<Unwatched>);

impl SystemEntropy {
    /// The generator; nothing is drawn yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Guarded::new(Unwatched))
    }
}

impl Entropy for SystemEntropy {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.fill_secret(out)
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.0.fill_public(out)
    }
}

#[derive(Debug, Default)]
struct Unwatched;

impl Entropy for Unwatched {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        rand::fill(out).map_err(|_| NoEntropy)
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        rand::fill(out).map_err(|_| NoEntropy)
    }
}
