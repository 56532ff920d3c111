//! Randomness drawn once for many uses: a draw of the generator costs a microsecond however short it is.

use std::fmt::{self, Debug, Formatter};
use std::sync::atomic::{AtomicUsize, Ordering};

use zeroize::Zeroize;

use crate::seam::{Entropy, NoEntropy};

/// Gives each byte of a draw out once, then asks the generator again. What it held is wiped when it is dropped.
///
/// It lives as long as one piece of work: a stock that outlived it could be found twice in a copied machine.
pub struct Drawn<'a, B: AsMut<[u8]>> {
    bytes: B,
    taken: AtomicUsize,
    source: &'a dyn Entropy,
}

impl<'a, B: AsMut<[u8]>> Drawn<'a, B> {
    /// Fills the buffer.
    ///
    /// # Errors
    /// [`NoEntropy`]; nothing was given out.
    pub fn new(mut buffer: B, source: &'a dyn Entropy) -> Result<Self, NoEntropy> {
        source.fill_secret(buffer.as_mut())?;
        Ok(Drawn { bytes: buffer, taken: AtomicUsize::new(0), source })
    }
}

impl<B: AsMut<[u8]>> Drop for Drawn<'_, B> {
    fn drop(&mut self) {
        self.bytes.as_mut().zeroize();
    }
}

impl<B: AsMut<[u8]>> Debug for Drawn<'_, B> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Drawn")
    }
}

impl<B: AsMut<[u8]> + AsRef<[u8]> + Send + Sync> Entropy for Drawn<'_, B> {
    fn fill_secret(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        let from = self.taken.fetch_add(out.len(), Ordering::Relaxed);
        match self.bytes.as_ref().get(from..from.saturating_add(out.len())) {
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
    use std::collections::BTreeSet;

    use super::*;
    use crate::entropy::SystemEntropy;

    #[test]
    fn no_byte_is_given_twice_past_the_draw_the_generator_is_asked_and_nothing_is_left() {
        let (source, mut buffer) = (SystemEntropy::new(), [0; 112]);
        let drawn = Drawn::new(buffer.as_mut_slice(), &source).unwrap();
        let mut seen = BTreeSet::new();
        for size in [16, 12].into_iter().cycle().take(20) {
            let mut out = vec![0; size];
            drawn.fill_secret(&mut out).unwrap();
            assert!(seen.insert(out));
        }
        drop(drawn);
        assert_eq!(buffer, [0; 112]);
    }
}
