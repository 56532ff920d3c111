//! Passwords by rules.

use super::generate::checked;
use crate::app::no_entropy;
use crypto::{Entropy, SecretBytes};
use ledger::Refusal;
use ledger::code::{BUG, SECRET_INVALID};
use serde::{Deserialize, Serialize};

/// Sets of characters of a password. Part of what is stored of a named policy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Characters {
    /// `a` to `z`.
    Lower,
    /// `A` to `Z`.
    Upper,
    /// `0` to `9`.
    Digits,
    /// `!#$%&()*+,-./:;<=>?@[]^_{|}~`: printable ASCII without quotes, backslash and grave accent; or those that are named.
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

/// Which passwords may come out. Part of what is stored of a named policy.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Password {
    /// Characters.
    pub length: usize,
    /// Sets, each once, and how many characters of it there are at least.
    pub sets: Vec<(Characters, usize)>,
    /// Symbols in place of the usual ones: printable ASCII that is neither letter nor digit, each once.
    pub symbols: Option<String>,
    /// Characters that do not come.
    pub exclude: String,
}

/// The characters of each set, and how many of them there are at least.
type Sets = Vec<(Vec<u8>, usize)>;

/// Passwords drawn until one has a character of each set; of eight characters of four sets every second one has.
const DRAWS_MAX: usize = 256;

impl Password {
    /// Makes one. With at least one character of each set, every such password is equally likely; with more, none is likelier
    /// than the bits that are checked say. Errors: `secret.invalid`, `entropy.failed`.
    pub(super) fn make(&self, entropy: &dyn Entropy) -> Result<SecretBytes, Refusal> {
        let (sets, rare) = self.checked()?;
        let alphabet: Vec<u8> = sets.iter().flat_map(|(set, _)| set).copied().collect();
        let mut dice = Dice { entropy, drawn: SecretBytes::zeroed(512), used: 512 };
        if rare { self.composed(&sets, &alphabet, &mut dice) } else { self.drawn(&sets, &alphabet, &mut dice) }
    }

    /// Whether passwords can be made, and none that is easily guessed. Errors: `secret.invalid`.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        self.checked().map(drop)
    }

    /// The sets, and whether more than one character of any is wanted.
    fn checked(&self) -> Result<(Sets, bool), Refusal> {
        let sets = self.sets()?;
        let characters = sets.iter().fold(0usize, |all, (set, _)| all.saturating_add(set.len()));
        let wanted = sets.iter().fold(0usize, |all, (_, least)| all.saturating_add(*least));
        if wanted > self.length {
            return Err(invalid("the rules want more characters than the password has"));
        }
        let rare = sets.iter().any(|(_, least)| *least > 1);
        let free = if rare { self.length.saturating_sub(wanted) } else { self.length };
        let ways = |set: usize, count: usize| {
            u128::try_from(set).unwrap_or(0).saturating_pow(u32::try_from(count).unwrap_or(u32::MAX))
        };
        let named =
            sets.iter().filter(|_| rare).fold(1, |all: u128, (set, least)| all.saturating_mul(ways(set.len(), *least)));
        let bits = ways(characters, free).saturating_mul(named).checked_ilog2().unwrap_or(0);
        checked(self.length, usize::try_from(bits).unwrap_or(0))?;
        Ok((sets, rare))
    }

    /// Each set without what is excluded, and how many of it there are at least.
    fn sets(&self) -> Result<Sets, Refusal> {
        if let Some(symbols) = &self.symbols {
            let mut seen = std::collections::BTreeSet::new();
            if !symbols.bytes().all(|byte| byte.is_ascii_punctuation() && seen.insert(byte)) {
                return Err(invalid("`symbols` are printable ASCII but letters and digits, each once"));
            }
        }
        let of = |set: Characters| match (set, &self.symbols) {
            (Characters::Symbols, Some(symbols)) => symbols.as_bytes().to_vec(),
            _ => set.all().to_vec(),
        };
        let mut sets = Vec::with_capacity(self.sets.len());
        for (set, least) in &self.sets {
            let left: Vec<u8> = of(*set).into_iter().filter(|byte| !self.exclude.as_bytes().contains(byte)).collect();
            if left.is_empty() {
                return Err(invalid("a set of characters is empty once what is excluded is taken out"));
            }
            sets.push((left, *least));
        }
        Ok(sets)
    }

    /// Draws whole passwords until one has of each set.
    fn drawn(&self, sets: &[(Vec<u8>, usize)], alphabet: &[u8], dice: &mut Dice<'_>) -> Result<SecretBytes, Refusal> {
        let mut text = SecretBytes::zeroed(self.length);
        for _ in 0..DRAWS_MAX {
            for place in text.expose_mut() {
                *place = dice.one_of(alphabet)?;
            }
            let has = |set: &[u8]| text.expose().iter().any(|byte| set.contains(byte));
            if sets.iter().all(|(set, least)| *least == 0 || has(set)) {
                return Ok(text);
            }
        }
        Err(Refusal::new(&BUG, "no password has a character of each set"))
    }

    /// Draws what each set must give, the rest of all sets, and shuffles.
    fn composed(
        &self,
        sets: &[(Vec<u8>, usize)],
        alphabet: &[u8],
        dice: &mut Dice<'_>,
    ) -> Result<SecretBytes, Refusal> {
        let mut text = SecretBytes::zeroed(self.length);
        let named = sets.iter().flat_map(|(set, least)| std::iter::repeat_n(set.as_slice(), *least));
        let from = named.chain(std::iter::repeat(alphabet));
        for (place, set) in text.expose_mut().iter_mut().zip(from) {
            *place = dice.one_of(set)?;
        }
        for last in (1..self.length).rev() {
            text.expose_mut().swap(last, dice.below(last.saturating_add(1))?);
        }
        Ok(text)
    }
}

/// Fair numbers from random bytes.
struct Dice<'a> {
    entropy: &'a dyn Entropy,
    drawn: SecretBytes,
    used: usize,
}

impl Dice<'_> {
    /// A number below `sides`, which are 1 to 65,536, each equally likely.
    fn below(&mut self, sides: usize) -> Result<usize, Refusal> {
        // Numbers past the last whole multiple would make some likelier than others.
        let fair = 65_536_usize.saturating_sub(65_536_usize.checked_rem(sides).unwrap_or(0));
        loop {
            if self.used >= self.drawn.len() {
                self.entropy.fill_secret(self.drawn.expose_mut()).map_err(no_entropy)?;
                self.used = 0;
            }
            let pair =
                self.drawn.expose().get(self.used..).and_then(<[u8]>::first_chunk::<2>).copied().unwrap_or_default();
            self.used = self.used.saturating_add(2);
            let number = usize::from(u16::from_be_bytes(pair));
            if number < fair {
                return Ok(number.checked_rem(sides).unwrap_or(0));
            }
        }
    }

    fn one_of(&mut self, set: &[u8]) -> Result<u8, Refusal> {
        let at = self.below(set.len())?;
        set.get(at).copied().ok_or_else(|| Refusal::new(&BUG, "a set of characters without characters"))
    }
}

fn invalid(why: &str) -> Refusal {
    Refusal::new(&SECRET_INVALID, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::GENERATED_LENGTH_MAX;
    use crypto::seam::SystemEntropy;
    use std::collections::BTreeMap;

    const SETS: [Characters; 4] = [Characters::Lower, Characters::Upper, Characters::Digits, Characters::Symbols];

    fn of(length: usize, sets: &[(Characters, usize)]) -> Password {
        Password { length, sets: sets.to_vec(), ..Password::default() }
    }

    fn each_once(length: usize, sets: &[Characters]) -> Password {
        of(length, &sets.iter().map(|set| (*set, 1)).collect::<Vec<_>>())
    }

    fn made(password: &Password) -> Result<Vec<u8>, Refusal> {
        password.make(&SystemEntropy::new()).map(|value| value.expose().to_vec())
    }

    #[test]
    fn a_password_has_its_length_its_sets_and_one_of_each() {
        for count in 1..=SETS.len() {
            let sets = &SETS[..count];
            for length in [20, 32, GENERATED_LENGTH_MAX] {
                let text = made(&each_once(length, sets)).unwrap();
                assert_eq!(text.len(), length);
                assert!(text.iter().all(|byte| sets.iter().any(|set| set.all().contains(byte))));
                assert!(sets.iter().all(|set| text.iter().any(|byte| set.all().contains(byte))));
            }
        }
    }

    #[test]
    fn rules_are_kept() {
        let rules = Password {
            length: 24,
            sets: vec![
                (Characters::Lower, 0),
                (Characters::Upper, 1),
                (Characters::Digits, 6),
                (Characters::Symbols, 5),
            ],
            symbols: Some("!?".to_owned()),
            exclude: "0O1lI".to_owned(),
        };
        for _ in 0..200 {
            let text = made(&rules).unwrap();
            let count = |set: &[u8]| text.iter().filter(|byte| set.contains(byte)).count();
            assert!(count(b"23456789") >= 6 && count(b"!?") >= 5 && count(Characters::Upper.all()) >= 1);
            assert_eq!((text.len(), count(b"0O1lI")), (24, 0));
            assert!(text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!?".contains(byte)));
        }
    }

    fn chi_squared(password: &Password, rounds: usize, characters: usize) -> f64 {
        let mut seen = BTreeMap::<u8, f64>::new();
        for _ in 0..rounds {
            made(password).unwrap().iter().for_each(|byte| *seen.entry(*byte).or_default() += 1.0);
        }
        assert_eq!(seen.len(), characters);
        let wanted = (rounds * password.length) as f64 / characters as f64;
        seen.values().map(|count| (count - wanted).powi(2) / wanted).sum()
    }

    #[test]
    fn every_character_is_equally_likely() {
        // Chi-squared with 61 degrees of freedom: past 130 once in a million runs.
        let sets = each_once(GENERATED_LENGTH_MAX, &[Characters::Lower, Characters::Upper, Characters::Digits]);
        assert!(chi_squared(&sets, 50, 62) < 130.0);
        assert!(chi_squared(&of(GENERATED_LENGTH_MAX, &[(Characters::Lower, 2)]), 50, 26) < 80.0);
    }

    #[test]
    fn every_place_is_equally_likely_for_what_a_rule_wants() {
        let rules = of(20, &[(Characters::Lower, 0), (Characters::Digits, 2)]);
        let rules = Password { exclude: "01234567".to_owned(), ..rules };
        let mut places = [0.0_f64; 20];
        for _ in 0..4_000 {
            let text = made(&rules).unwrap();
            text.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()).for_each(|(at, _)| places[at] += 1.0);
        }
        let wanted = places.iter().sum::<f64>() / 20.0;
        let off: f64 = places.iter().map(|count| (count - wanted).powi(2) / wanted).sum();
        assert!(off < 65.0, "19 degrees of freedom: past 65 once in a million runs: {off}");
    }

    #[test]
    fn what_is_too_weak_too_long_or_impossible_is_refused_and_the_bounds_are_not() {
        let with = |symbols: &str, exclude: &str| Password {
            symbols: Some(symbols.to_owned()),
            exclude: exclude.to_owned(),
            ..each_once(32, &SETS)
        };
        for password in [
            each_once(GENERATED_LENGTH_MAX + 1, &SETS),
            each_once(9, &SETS),
            each_once(19, &[Characters::Digits]),
            each_once(32, &[]),
            each_once(0, &SETS),
            of(32, &[(Characters::Digits, 33)]),
            of(20, &[(Characters::Lower, 0), (Characters::Digits, 20)]).tap(|rules| rules.exclude = "89".to_owned()),
            with("", ""),
            with("!!", ""),
            with("a", ""),
            with("\u{e9}", ""),
            with("!", "!"),
        ] {
            assert_eq!(made(&password).unwrap_err().code.name, "secret.invalid", "{password:?}");
        }
        for password in
            [each_once(10, &SETS), each_once(20, &[Characters::Digits]), of(20, &[(Characters::Digits, 20)])]
        {
            assert_eq!(made(&password).unwrap().len(), password.length, "{password:?}");
        }
    }

    impl Password {
        fn tap(mut self, change: impl FnOnce(&mut Password)) -> Password {
            change(&mut self);
            self
        }
    }
}
