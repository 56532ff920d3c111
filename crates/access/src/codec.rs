//! Stored forms: postcard of versioned enums, no byte more and no byte less.

use ledger::code::{self, Refusal};
use ledger::{Damaged, Halt};
use serde::Serialize;
use serde::de::Deserialize;

/// Writes a stored form. Errors: `server.bug` (nothing happened); no value of ours fails to encode.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Halt> {
    postcard::to_allocvec(value).map_err(|_| Halt::Refuse(Refusal::new(&code::BUG, "a record could not be encoded")))
}

/// Writes a record in `evolve`, where the only error is damage.
pub(crate) fn record<T: Serialize>(value: &T) -> Result<Option<Vec<u8>>, Damaged> {
    postcard::to_allocvec(value).map(Some).map_err(|_| Damaged("a record that cannot be encoded".into()))
}

/// Reads a stored form; trailing bytes are damage. `what` names the thing in the error.
pub(crate) fn decode<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, Damaged> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Damaged(what.to_owned())),
    }
}

/// Lower-case hexadecimal of a token's digest: how records of tokens are named.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The digest behind the name of a token's record; `None` for a record of another name.
pub fn unhex(name: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = name.as_bytes().as_chunks::<2>() else { return None };
    let mut digest = [0; 32];
    if pairs.len() != digest.len() {
        return None;
    }
    for (out, [high, low]) in digest.iter_mut().zip(pairs) {
        *out = digit(*high)? << 4 | digit(*low)?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_comes_back_from_the_name_of_its_record_and_nothing_else_does() {
        let digest: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 7 % 256).unwrap());
        assert_eq!(unhex(&hex(&digest)), Some(digest));
        for bad in ["", "id", "swept", hex(&digest).get(1..).unwrap(), &hex(&digest).to_uppercase(), &"é".repeat(32)] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
