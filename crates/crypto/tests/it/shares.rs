//! Shares of a key: what makes it again, what is refused and by which name.

use core::time::Duration;
use crypto::seam::{SystemEntropy, WallMs};
use crypto::secret::SecretBytes;
use crypto::shamir::{BadShare, Gathering, Rejected, Share, ShareSet, SplitError, Step, split};
use proptest::prelude::*;
use testkit::entropy::{EntropyFault, Failing, Seeded};

const NOW: Duration = Duration::from_secs(1);

fn key(fill: u8) -> SecretBytes {
    SecretBytes::from_slice(&[fill; 32])
}

fn of(threshold: u8, count: u8, seed: u64) -> (ShareSet, Vec<String>) {
    let (set, shares) = split(&Seeded::new(seed), &key(7), (threshold, count), WallMs(5), Vec::new()).unwrap();
    (set, shares.iter().map(|share| share.text().expose().to_owned()).collect())
}

fn gather(set: &ShareSet, texts: impl IntoIterator<Item = impl AsRef<str>>) -> Option<SecretBytes> {
    let mut gathering = Gathering::new(set.clone());
    let mut last = None;
    for text in texts {
        last = match gathering.give(text.as_ref(), NOW).unwrap() {
            Step::More => None,
            Step::Key(key) => Some(key),
        };
    }
    last
}

/// The checksum made right again, as one who alters a share would.
fn resummed(text: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let body = text.get("aum_share_".len()..text.len() - 7).unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(body).unwrap();
    change(&mut bytes);
    let mut text = format!("aum_share_{}_", URL_SAFE_NO_PAD.encode(&bytes));
    let sum = crypto::sha256(text.as_bytes());
    let head = u64::from_be_bytes(*sum.first_chunk().unwrap());
    let digits = b"0123456789abcdefghjkmnpqrstvwxyz";
    text.extend((0..6).map(|place| char::from(digits[(head >> (59 - 5 * place)) as usize & 31])));
    text
}

#[test]
fn the_text_of_a_share_is_frozen() {
    let (set, texts) = of(2, 3, 1);
    assert_eq!((set.threshold(), set.count(), set.created()), (2, 3, WallMs(5)));
    assert_eq!(texts[0], FIRST);
    let share = Share::parse(FIRST).unwrap();
    assert_eq!((share.index(), share.set()), (1, set.id()));
    assert_eq!(format!("{share:?}"), format!("Share(1 of set {})", set.id()));
}

/// Worked out from its parts with another SHA-256.
const FIRST: &str = "aum_share_AUbpv9j-OfcVAQIDXVBQUV2EArfBx1G4OkriT_2S3TovFwW66ScP-d0V02s_77yfbe";

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn seal_02_any_threshold_of_the_shares_in_any_order_make_the_key_and_one_less_makes_none(
        (threshold, count) in (2u8..=255).prop_flat_map(|count| (2..=count, Just(count))),
        seed in any::<u64>(),
        bytes in any::<[u8; 32]>(),
    ) {
        let key = SecretBytes::from_slice(&bytes);
        let (set, shares) = split(&Seeded::new(seed), &key, (threshold, count), WallMs(0), Vec::new()).unwrap();
        let mut texts: Vec<String> = shares.iter().map(|share| share.text().expose().to_owned()).collect();
        // An order of its own for each seed.
        texts.sort_by_key(|text| crypto::sha256(format!("{seed}{text}").as_bytes()));
        texts.truncate(threshold.into());
        prop_assert!(gather(&set, &texts).unwrap().ct_eq(&key));
        prop_assert!(gather(&set, &texts[1..]).is_none());
    }
}

#[test]
fn seal_01_a_share_that_is_not_the_one_handed_out_is_refused_by_name_and_costs_nothing() {
    let (set, texts) = of(3, 5, 2);
    let (other, foreign) = of(3, 5, 3);
    let mut gathering = Gathering::new(set.clone());
    assert!(matches!(gathering.give(&texts[0], NOW), Ok(Step::More)));
    let altered = |index| Rejected::Altered { index, set: set.id() };
    for (text, wanted) in [
        (texts[0].clone(), Rejected::Given { index: 1, set: set.id() }),
        (foreign[1].clone(), Rejected::Foreign { index: 2, set: other.id(), wanted: set.id() }),
        // Its index is 0: the place of the key itself.
        (resummed(&texts[1], |bytes| bytes[9] = 0), Rejected::Bad(BadShare::Form)),
        // It passes for another of its set, or past the last one.
        (resummed(&texts[1], |bytes| bytes[9] = 3), altered(3)),
        (resummed(&texts[1], |bytes| (bytes[9], bytes[11]) = (6, 6)), altered(6)),
        // Another threshold or number.
        (resummed(&texts[1], |bytes| bytes[10] = 2), altered(2)),
        (resummed(&texts[1], |bytes| bytes[11] = 6), altered(2)),
        // A bit of its data.
        (resummed(&texts[1], |bytes| bytes[12] ^= 1), altered(2)),
        (resummed(&texts[1], |bytes| bytes[43] ^= 0x80), altered(2)),
        // Data of another polynomial under the name of this set.
        (resummed(&foreign[1], |bytes| bytes[1..9].copy_from_slice(set.id().as_bytes())), altered(2)),
        // Longer, shorter, of a later version.
        (resummed(&texts[1], |bytes| bytes.push(0)), Rejected::Bad(BadShare::Form)),
        (resummed(&texts[1], |bytes| bytes.truncate(43)), Rejected::Bad(BadShare::Form)),
        (resummed(&texts[1], |bytes| bytes[0] = 2), Rejected::Bad(BadShare::Newer)),
    ] {
        assert_eq!(gathering.give(&text, NOW).unwrap_err(), wanted, "{text}");
        assert_eq!(gathering.given(), 1);
    }
    assert!(matches!(gathering.give(&texts[4], NOW), Ok(Step::More)));
    let Ok(Step::Key(made)) = gathering.give(&texts[2], NOW) else { panic!("three of three") };
    assert!(made.ct_eq(&key(7)) && gathering.given() == 0);
}

#[test]
fn seal_01_every_single_wrong_character_is_noticed() {
    let (set, texts) = of(2, 2, 4);
    let text = &texts[0];
    for at in 0..text.len() {
        for wrong in [b'A', b'b', b'_', b'-', b'0', b' '] {
            let mut bytes = text.clone().into_bytes();
            if bytes[at] != wrong {
                bytes[at] = wrong;
                let wrong = String::from_utf8(bytes).unwrap();
                let refused = Gathering::new(set.clone()).give(&wrong, NOW).unwrap_err();
                assert_eq!(refused, Rejected::Bad(BadShare::Form), "{at}");
            }
        }
        assert!(Share::parse(text.get(..at).unwrap()).is_err());
    }
    for strange in ["", "aum_share_", &"é".repeat(38), &format!("{text} "), &"a".repeat(10_000)] {
        assert_eq!(Share::parse(strange).unwrap_err(), BadShare::Form);
    }
}

#[test]
fn seal_03_a_threshold_of_0_or_1_or_above_the_number_is_refused() {
    let split =
        |threshold, count| split(&SystemEntropy::new(), &key(1), (threshold, count), WallMs(0), Vec::new()).map(drop);
    for (threshold, count) in [(0, 0), (0, 5), (1, 1), (1, 5), (6, 5), (2, 1), (255, 254)] {
        assert_eq!(split(threshold, count), Err(SplitError::Threshold), "{threshold} of {count}");
    }
    for (threshold, count) in [(2, 2), (2, 255), (255, 255)] {
        assert_eq!(split(threshold, count), Ok(()), "{threshold} of {count}");
    }
    let short = SecretBytes::from_slice(&[1; 31]);
    let refused = crypto::shamir::split(&SystemEntropy::new(), &short, (2, 3), WallMs(0), Vec::new());
    assert_eq!(refused.map(drop), Err(SplitError::Key));
}

#[test]
fn seal_04_coefficients_are_uniform_over_all_256_values_in_every_position() {
    // Of a 3-of-3 split of zeros: f(x) = a x + b x^2 over GF(256), so shares at 1 and 2 give both coefficients back.
    fn times(a: u8, b: u8) -> u8 {
        let (mut a, mut b, mut product) = (a, b, 0);
        while b > 0 {
            product ^= if b & 1 == 1 { a } else { 0 };
            a = (a << 1) ^ if a & 0x80 == 0 { 0 } else { 0x1b };
            b >>= 1;
        }
        product
    }
    let sixth = (1..=255).find(|inverse| times(*inverse, 2 ^ 4) == 1).unwrap();
    let mut counts = [[0u32; 256]; 2];
    let (entropy, zeros) = (SystemEntropy::new(), SecretBytes::from_slice(&[0; 32]));
    const SPLITS: u32 = 31_250;
    for _ in 0..SPLITS {
        let (_, shares) = split(&entropy, &zeros, (3, 3), WallMs(0), Vec::new()).unwrap();
        let data: Vec<Vec<u8>> = shares.iter().map(|share| data_of(share.text().expose())).collect();
        for (one, two) in data[0].iter().zip(&data[1]) {
            // f(1) = a + b, f(2) = 2a + 4b
            let square = times(times(*one, 2) ^ two, sixth);
            counts[0][usize::from(one ^ square)] += 1;
            counts[1][usize::from(square)] += 1;
        }
    }
    for counts in counts {
        let expected = f64::from(SPLITS) * 32.0 / 256.0;
        let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
        // 255 degrees of freedom: above 360 or below 165 less than once in a hundred thousand runs.
        assert!((165.0..360.0).contains(&chi), "{chi}: {counts:?}");
    }
}

fn data_of(text: &str) -> Vec<u8> {
    use base64::Engine;
    let body = text.get("aum_share_".len()..text.len() - 7).unwrap();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(body).unwrap()[12..].to_vec()
}

#[test]
fn seal_06_a_share_of_an_earlier_set_is_refused_with_the_name_of_that_set() {
    let (first, old) = of(2, 3, 5);
    let next = split(&Seeded::new(6), &key(8), (2, 3), WallMs(70), first.replaced(WallMs(70))).unwrap().0;
    let mut gathering = Gathering::new(next.clone());
    let Rejected::Stale { index: 2, set } = gathering.give(&old[1], NOW).unwrap_err() else { panic!("not stale") };
    assert_eq!((set.id, set.replaced), (first.id(), WallMs(70)));
    assert!(gathering.give(&old[1], NOW).unwrap_err().to_string().contains(&first.id().to_string()));
    let mut last = next;
    for round in 0..40 {
        last = split(&Seeded::new(round), &key(8), (2, 3), WallMs(0), last.replaced(WallMs(round))).unwrap().0;
    }
    assert!(matches!(Gathering::new(last).give(&old[1], NOW), Err(Rejected::Foreign { .. })), "long forgotten");
}

#[test]
fn seal_08_shares_that_wait_too_long_are_forgotten() {
    let (set, texts) = of(2, 2, 9);
    let mut gathering = Gathering::new(set);
    let longest = Duration::from_secs(600);
    gathering.give(&texts[0], NOW).unwrap();
    assert!(!gathering.expire(NOW + longest, longest) && gathering.given() == 1);
    assert!(gathering.expire(NOW + longest + Duration::from_millis(1), longest) && gathering.given() == 0);
    assert!(!gathering.expire(NOW + longest * 2, longest), "nothing left to forget");
}

#[test]
fn ft_38_no_shares_come_from_a_generator_that_fails() {
    for after in 0..4 {
        let entropy = crypto::seam::Guarded::new(Failing::after(after, EntropyFault::Zeros));
        let made = split(&entropy, &key(1), (3, 5), WallMs(0), Vec::new());
        assert_eq!(made.map(drop), Err(SplitError::NoEntropy), "{after}");
    }
}
