//! Lower-case Crockford base32 for 128-bit ids, and hex.

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Characters of a 128-bit number in base 32.
pub(crate) const LENGTH: usize = 26;

/// Writes 128 bits as 26 characters, most significant first; the first one is at most `7`.
pub(crate) fn encode(bytes: &[u8; 16]) -> String {
    let number = u128::from_be_bytes(*bytes);
    (0..LENGTH).rev().map(|place| digit((number >> (5 * place)) as u8)).collect()
}

/// Reads back what [`encode`] wrote and nothing else: no upper case, no look-alikes, no overflow.
pub(crate) fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != LENGTH || text.as_bytes().first().is_none_or(|first| *first > b'7') {
        return None;
    }
    let mut number: u128 = 0;
    for byte in text.bytes() {
        let value = DIGITS.iter().position(|digit| *digit == byte)?;
        number = (number << 5) | value as u128;
    }
    Some(number.to_be_bytes())
}

/// The character for the low five bits.
pub(crate) fn digit(bits: u8) -> char {
    DIGITS.get(usize::from(bits & 31)).map_or('0', |digit| char::from(*digit))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|n| char::from_digit(n.into(), 16)).collect()
}

/// Reads lower-case hex of exactly `N` bytes.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (to, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *to = (nibble(high)? << 4) | nibble(low)?;
    }
    Some(out)
}

fn nibble(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_from_text() {
        for number in [0, 1, 31, 32, u128::MAX, u128::MAX - 1, 1 << 127, 0x0123_4567_89ab_cdef] {
            let bytes = number.to_be_bytes();
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
            assert_eq!(unhex(&hex(&bytes)), Some(bytes));
        }
        assert_eq!(encode(&u128::MAX.to_be_bytes()), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
    }

    #[test]
    fn only_the_canonical_spelling_is_read() {
        let check = |text: &str| assert_eq!(decode(text), None, "{text}");
        check("");
        check("0000000000000000000000000");
        check("000000000000000000000000000");
        check("80000000000000000000000000");
        check("7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        check("0000000000000000000000000o");
        check("0000000000000000000000000u");
        check("000000000000000000000000\u{e9}");
        assert_eq!(unhex::<1>("0G"), None);
        assert_eq!(unhex::<1>("AA"), None);
        assert_eq!(unhex::<2>("aa"), None);
    }
}
