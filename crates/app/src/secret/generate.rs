//! Values made here, so that nobody has seen them before they are stored.

use super::write::{NewValue, Written, put};
use crate::app::no_entropy;
use crate::grant::Authorized;
use crate::limits::{GENERATED_BITS_MIN, GENERATED_LENGTH_MAX};
use crate::reply::Changed;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto::{Entropy, SecretBytes};
use ledger::Refusal;
use ledger::code::{BUG, SECRET_INVALID};
use secrets::Encoding;
use secrets::command::MetadataEdit;

/// Sets of characters of a password.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Characters {
    /// `a` to `z`.
    Lower,
    /// `A` to `Z`.
    Upper,
    /// `0` to `9`.
    Digits,
    /// `!#$%&()*+,-./:;<=>?@[]^_{|}~`: printable ASCII without quotes, backslash and grave accent.
    Symbols,
}

impl Characters {
    const fn all(self) -> &'static [u8] {
        match self {
            Characters::Lower => b"abcdefghijklmnopqrstuvwxyz",
            Characters::Upper => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Characters::Digits => b"0123456789",
            Characters::Symbols => b"!#$%&()*+,-./:;<=>?@[]^_{|}~",
        }
    }
}

/// What to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recipe {
    /// So many characters of these sets, at least one of each; every such password is equally likely.
    Password {
        /// Characters.
        length: usize,
        /// Sets, each once.
        characters: Vec<Characters>,
    },
    /// So many random bytes as lower-case hex.
    Hex(usize),
    /// So many random bytes as standard base64 with padding.
    Base64(usize),
    /// So many random bytes.
    Bytes(usize),
}

/// Passwords drawn until one has a character of each set; of eight characters of four sets every second one has.
const DRAWS_MAX: usize = 256;

impl Recipe {
    /// Makes a value and says in which form. Errors: `secret.invalid`, `entropy.failed`.
    pub(super) fn make(&self, entropy: &dyn Entropy) -> Result<(SecretBytes, Encoding), Refusal> {
        let random = |length: usize| -> Result<SecretBytes, Refusal> {
            let mut bytes = SecretBytes::zeroed(checked(length, length.saturating_mul(8))?);
            entropy.fill_secret(bytes.expose_mut()).map_err(no_entropy)?;
            Ok(bytes)
        };
        match self {
            Recipe::Password { length, characters } => {
                password(*length, characters, entropy).map(|text| (text, Encoding::Text))
            }
            Recipe::Hex(length) => Ok((hex(random(*length)?.expose()), Encoding::Text)),
            Recipe::Base64(length) => {
                let text = STANDARD.encode(random(*length)?.expose());
                Ok((SecretBytes::new(text.into_bytes()), Encoding::Text))
            }
            Recipe::Bytes(length) => Ok((random(*length)?, Encoding::Bytes)),
        }
    }
}

fn checked(length: usize, bits: usize) -> Result<usize, Refusal> {
    if length > GENERATED_LENGTH_MAX {
        return Err(Refusal::new(&SECRET_INVALID, format!("`length` is more than {GENERATED_LENGTH_MAX}")));
    }
    if bits < GENERATED_BITS_MIN {
        let why = format!(
            "that has {bits} bits and is easily guessed; ask for at least {GENERATED_BITS_MIN}: more length or characters"
        );
        return Err(Refusal::new(&SECRET_INVALID, why));
    }
    Ok(length)
}

fn password(length: usize, sets: &[Characters], entropy: &dyn Entropy) -> Result<SecretBytes, Refusal> {
    let alphabet: Vec<u8> = sets.iter().flat_map(|set| set.all()).copied().collect();
    let all = u128::try_from(alphabet.len()).unwrap_or(0).saturating_pow(u32::try_from(length).unwrap_or(u32::MAX));
    checked(length, usize::try_from(all.checked_ilog2().unwrap_or(0)).unwrap_or(0))?;
    let mut text = SecretBytes::zeroed(length);
    for _ in 0..DRAWS_MAX {
        let mut filled = 0;
        let mut random = SecretBytes::zeroed(length.saturating_mul(2));
        while filled < length {
            entropy.fill_secret(random.expose_mut()).map_err(no_entropy)?;
            // Bytes past the last whole multiple would make some characters likelier than others.
            let fair = 256_usize.saturating_sub(256_usize.checked_rem(alphabet.len()).unwrap_or(0));
            let fair = random.expose().iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < fair);
            let chosen = fair.filter_map(|byte| alphabet.get(byte.checked_rem(alphabet.len())?));
            for (to, from) in text.expose_mut().iter_mut().skip(filled).zip(chosen) {
                *to = *from;
                filled = filled.saturating_add(1);
            }
        }
        if sets.iter().all(|set| text.expose().iter().any(|byte| set.all().contains(byte))) {
            return Ok(text);
        }
    }
    Err(Refusal::new(&BUG, "no password has a character of each set"))
}

fn hex(bytes: &[u8]) -> SecretBytes {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |byte: u8| DIGITS.get(usize::from(byte)).copied().unwrap_or(b'0');
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(2));
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
    SecretBytes::new(text)
}

/// Writes a new version with a value that is made here, and does not show it.
///
/// Errors: `secret.invalid` for a length or strength out of bounds, `entropy.failed`; otherwise as [`put`].
pub async fn generate(
    grant: Authorized,
    recipe: Recipe,
    cas: Option<u64>,
    edit: MetadataEdit,
) -> Result<Changed<Written>, Refusal> {
    let (value, encoding) = recipe.make(&*grant.app.parts().entropy)?;
    put(grant, NewValue { value, encoding, cas, edit }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::seam::SystemEntropy;
    use std::collections::BTreeMap;

    const SETS: [Characters; 4] = [Characters::Lower, Characters::Upper, Characters::Digits, Characters::Symbols];

    fn made(recipe: &Recipe) -> Result<Vec<u8>, Refusal> {
        recipe.make(&SystemEntropy::new()).map(|(value, _)| value.expose().to_vec())
    }

    #[test]
    fn a_password_has_its_length_its_sets_and_one_of_each() {
        for count in 1..=SETS.len() {
            let sets = &SETS[..count];
            for length in [20, 32, GENERATED_LENGTH_MAX] {
                let text = made(&Recipe::Password { length, characters: sets.to_vec() }).unwrap();
                assert_eq!(text.len(), length);
                assert!(text.iter().all(|byte| sets.iter().any(|set| set.all().contains(byte))));
                assert!(sets.iter().all(|set| text.iter().any(|byte| set.all().contains(byte))));
            }
        }
    }

    #[test]
    fn every_character_is_equally_likely() {
        let sets = vec![Characters::Lower, Characters::Upper, Characters::Digits];
        let mut seen = BTreeMap::<u8, f64>::new();
        for _ in 0..50 {
            let text = made(&Recipe::Password { length: GENERATED_LENGTH_MAX, characters: sets.clone() }).unwrap();
            text.iter().for_each(|byte| *seen.entry(*byte).or_default() += 1.0);
        }
        // Chi-squared with 61 degrees of freedom: past 130 once in a million runs.
        let wanted = 50.0 * GENERATED_LENGTH_MAX as f64 / 62.0;
        let off: f64 = seen.values().map(|count| (count - wanted).powi(2) / wanted).sum();
        assert_eq!(seen.len(), 62);
        assert!(off < 130.0, "{off}");
    }

    #[test]
    fn what_is_too_weak_or_too_long_is_refused_and_the_bounds_are_not() {
        let password = |length, characters: &[Characters]| Recipe::Password { length, characters: characters.to_vec() };
        for recipe in [
            password(GENERATED_LENGTH_MAX + 1, &SETS),
            password(9, &SETS),
            password(19, &[Characters::Digits]),
            password(32, &[]),
            password(0, &SETS),
            Recipe::Hex(7),
            Recipe::Base64(GENERATED_LENGTH_MAX + 1),
            Recipe::Bytes(0),
        ] {
            assert_eq!(made(&recipe).unwrap_err().code.name, "secret.invalid", "{recipe:?}");
        }
        for (recipe, length) in [
            (password(10, &SETS), 10),
            (password(20, &[Characters::Digits]), 20),
            (Recipe::Hex(8), 16),
            (Recipe::Base64(32), 44),
            (Recipe::Bytes(GENERATED_LENGTH_MAX), GENERATED_LENGTH_MAX),
        ] {
            assert_eq!(made(&recipe).unwrap().len(), length, "{recipe:?}");
        }
        assert!(made(&Recipe::Hex(32)).unwrap().iter().all(u8::is_ascii_hexdigit));
    }
}
