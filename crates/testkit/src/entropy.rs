//! Randomness out of a seed, and randomness that fails in a chosen way.

use std::sync::atomic::{AtomicU64, Ordering};

use crypto::hmac_sha256;
use crypto::seam::{Entropy, NoEntropy};

/// A stream of bytes that depends only on the seed and on how many were drawn before. Not secret at all.
///
/// HMAC-SHA-256 of a counter under the seed. Threads that draw at the same time share the stream; which gets which
/// part is the scheduler's choice, so draw from one thread where a run must repeat.
#[derive(Debug)]
pub struct Seeded {
    seed: u64,
    drawn: AtomicU64,
}

impl Seeded {
    /// The stream of `seed`, from its start.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, drawn: AtomicU64::new(0) }
    }

    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = self.drawn.fetch_add(1, Ordering::Relaxed);
            let bytes = hmac_sha256(&self.seed.to_be_bytes(), &block.to_be_bytes());
            chunk.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        }
    }
}

impl Entropy for Seeded {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.fill(out);
        Ok(())
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.fill(out);
        Ok(())
    }
}

/// How a [`Failing`] generator fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntropyFault {
    /// It says so.
    Error,
    /// It claims success and leaves zeros.
    Zeros,
    /// It claims success and gives the same bytes each time.
    Repeat,
}

/// A generator that works for a while and then fails.
#[derive(Debug)]
pub struct Failing {
    source: Seeded,
    fault: EntropyFault,
    good_draws: AtomicU64,
}

impl Failing {
    /// Fails with `fault` after `good_draws` draws that work.
    #[must_use]
    pub const fn after(good_draws: u64, fault: EntropyFault) -> Self {
        Self { source: Seeded::new(0), fault, good_draws: AtomicU64::new(good_draws) }
    }
}

impl Entropy for Failing {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        let less = |left: u64| left.checked_sub(1);
        if self.good_draws.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
            return self.source.fill_secret(out);
        }
        match self.fault {
            EntropyFault::Error => return Err(NoEntropy),
            EntropyFault::Zeros => out.fill(0),
            EntropyFault::Repeat => Seeded::new(u64::MAX).fill(out),
        }
        Ok(())
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.fill_secret(out)
    }
}
