//! The operating system's randomness, with a watch on gross failure.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use aws_lc_rs::rand;
use zeroize::Zeroize;

use crate::seam::{Entropy, NoEntropy};

/// Shorter draws are not judged: they may be equal by chance.
const JUDGED_FROM_BYTES: usize = 8;

/// Refuses output that no working generator gives: one byte value throughout, a block that repeats itself, or the
/// same start as the draw before.
///
/// Buffers under 8 bytes pass unjudged; from there on a healthy generator is refused with a chance below 2^-56.
/// What is refused is wiped. Of the draw before, a keyed hash of its head is kept, which does not tell it. Source: SP
/// 800-90B section 4.4, repetition count test; RUSTSEC-2026-0075.
#[derive(Debug, Default)]
pub struct Guarded<E> {
    source: E,
    last: AtomicU64,
    /// Key of the hash: SipHash under 128 bits of the operating system, drawn at the first use.
    marks: LazyLock<RandomState>,
}

impl<E: Entropy> Guarded<E> {
    /// Watches over `source`.
    pub const fn new(source: E) -> Self {
        Self { source, last: AtomicU64::new(0), marks: LazyLock::new(RandomState::new) }
    }

    fn judge(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        // The head alone is compared, so that a generator set back is noticed though the draws differ in length.
        let Some(head) = out.first_chunk::<JUDGED_FROM_BYTES>() else { return Ok(()) };
        let mark = self.marks.hash_one(head);
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
///
/// What may become public is drawn in stocks, because a draw costs a microsecond however short it is; each byte is given
/// out once. Keys and nonces are drawn one by one: a copied machine must not find its twin's in memory.
#[derive(Debug)]
pub struct SystemEntropy {
    source: Guarded<Unwatched>,
    stock: Mutex<Stock>,
}

#[derive(Debug)]
struct Stock {
    bytes: [u8; STOCK_BYTES],
    given: usize,
}

const STOCK_BYTES: usize = 2048;

impl SystemEntropy {
    /// The generator; nothing is drawn yet.
    #[must_use]
    pub const fn new() -> Self {
        let stock = Stock { bytes: [0; STOCK_BYTES], given: STOCK_BYTES };
        Self { source: Guarded::new(Unwatched), stock: Mutex::new(stock) }
    }
}

impl Default for SystemEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Stock {
    /// Gives out the next bytes, of a fresh stock where too few are left.
    fn give(&mut self, source: &impl Entropy, out: &mut [u8]) -> Result<(), NoEntropy> {
        if self.bytes.len().saturating_sub(self.given) < out.len() {
            source.fill_public(&mut self.bytes)?;
            self.given = 0;
        }
        let end = self.given.saturating_add(out.len());
        let bytes = self.bytes.get_mut(self.given..end).ok_or(NoEntropy)?;
        out.copy_from_slice(bytes);
        bytes.zeroize();
        self.given = end;
        Ok(())
    }
}

impl Entropy for SystemEntropy {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.source.fill_secret(out)
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        if out.len() > STOCK_BYTES {
            return self.source.fill_public(out);
        }
        self.stock.lock().unwrap_or_else(PoisonError::into_inner).give(&self.source, out)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that count on from draw to draw.
    #[derive(Debug, Default)]
    struct Counting(Mutex<u8>);

    impl Entropy for Counting {
        fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
            let mut last = self.0.lock().unwrap();
            for byte in out {
                *last = last.wrapping_add(1);
                *byte = *last;
            }
            Ok(())
        }

        fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
            self.fill_secret(out)
        }
    }

    #[test]
    fn a_stock_gives_each_byte_once_and_keeps_none_it_gave() {
        let source = Counting::default();
        let mut stock = Stock { bytes: [0; STOCK_BYTES], given: STOCK_BYTES };
        let mut next = 0u8;
        for _ in 0..300 {
            let mut out = [0; 16];
            stock.give(&source, &mut out).unwrap();
            for byte in out {
                next = next.wrapping_add(1);
                assert_eq!(byte, next);
            }
            assert!(stock.bytes[..stock.given].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn draws_longer_than_the_stock_and_none_at_all_are_given_too() {
        let entropy = SystemEntropy::new();
        let mut long = vec![0; STOCK_BYTES + 1];
        entropy.fill_public(&mut long).unwrap();
        assert!(long.iter().any(|byte| *byte != 0));
        entropy.fill_public(&mut []).unwrap();
    }
}
