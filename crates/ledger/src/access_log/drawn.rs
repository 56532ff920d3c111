//! Randomness drawn once for a whole group: one call of the generator instead of one for each row.

use crypto::seam::{Entropy, NoEntropy};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of randomness that a row takes: its salt and the nonce it is sealed with.
pub(super) const ROW_RANDOM_BYTES: usize = 28;

/// Gives each byte of a draw out once, then asks the generator again.
#[derive(Debug)]
pub(super) struct Drawn<'a> {
    bytes: &'a [u8],
    taken: AtomicUsize,
    source: &'a dyn Entropy,
}

impl<'a> Drawn<'a> {
    /// Fills `buffer` for so many rows.
    pub(super) fn for_rows(rows: usize, buffer: &'a mut Vec<u8>, source: &'a dyn Entropy) -> Result<Self, NoEntropy> {
        buffer.clear();
        buffer.resize(rows.saturating_mul(ROW_RANDOM_BYTES), 0);
        source.fill_secret(buffer)?;
        Ok(Drawn { bytes: buffer, taken: AtomicUsize::new(0), source })
    }
}

impl Entropy for Drawn<'_> {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        let from = self.taken.fetch_add(out.len(), Ordering::Relaxed);
        match self.bytes.get(from..from.saturating_add(out.len())) {
            Some(bytes) => {
                out.copy_from_slice(bytes);
                Ok(())
            }
            None => self.source.fill_secret(out),
        }
    }

    fn fill_public(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        self.source.fill_public(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use testkit::entropy::Seeded;

    #[test]
    fn no_byte_is_given_twice_and_past_the_draw_the_generator_is_asked() {
        let (source, mut buffer) = (Seeded::new(3), Vec::new());
        let drawn = Drawn::for_rows(4, &mut buffer, &source).unwrap();
        let mut seen = BTreeSet::new();
        for size in [16, 12].into_iter().cycle().take(20) {
            let mut out = vec![0; size];
            drawn.fill_secret(&mut out).unwrap();
            assert!(seen.insert(out));
        }
    }
}
