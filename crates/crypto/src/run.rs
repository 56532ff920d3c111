//! Runs of bytes in binary codecs, for `#[serde(with = "crypto::run")]` and `"crypto::run::fixed"`. They leave the stored form
//! as serde's own would be, which goes element by element and costs ten times as much.

use core::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;

/// Writes a length and the bytes.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes.as_ref())
}

/// Reads them back.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_bytes(Run)
}

struct Run;

impl Visitor<'_> for Run {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a run of bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }
}

/// Arrays of bytes whose length is a multiple of eight.
///
/// Only where eight bytes at once have a place in the format: postcard writes an `f64` as its eight bytes, little-endian,
/// whatever they are. Its integers have a length that depends on the number.
pub mod fixed {
    use core::array;
    use core::fmt;

    use serde::de::{Deserializer, Error, SeqAccess, Visitor};
    use serde::ser::{SerializeTuple, Serializer};

    const WORD: usize = 8;

    /// Writes the bytes alone.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<const N: usize, S: Serializer>(bytes: &[u8; N], serializer: S) -> Result<S::Ok, S::Error> {
        const { assert!(N.is_multiple_of(WORD)) };
        let (words, _none) = bytes.as_chunks::<WORD>();
        let mut tuple = serializer.serialize_tuple(words.len())?;
        for word in words {
            tuple.serialize_element(&f64::from_le_bytes(*word))?;
        }
        tuple.end()
    }

    /// Reads them back.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, const N: usize, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; N], D::Error> {
        const { assert!(N.is_multiple_of(WORD)) };
        deserializer.deserialize_tuple(N / WORD, Words)
    }

    struct Words<const N: usize>;

    impl<'de, const N: usize> Visitor<'de> for Words<N> {
        type Value = [u8; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{N} bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<[u8; N], A::Error> {
            let mut bytes = array::from_fn(|_| 0);
            for (at, word) in bytes.as_chunks_mut::<WORD>().0.iter_mut().enumerate() {
                let eight: f64 = from.next_element()?.ok_or_else(|| A::Error::invalid_length(at * WORD, &self))?;
                *word = eight.to_le_bytes();
            }
            Ok(bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Ours {
        #[serde(with = "crate::run::fixed")]
        fixed: [u8; 24],
        #[serde(with = "crate::run")]
        any: Vec<u8>,
    }

    #[derive(Serialize)]
    struct Plain {
        fixed: [u8; 24],
        any: Vec<u8>,
    }

    /// A quiet and a signalling NaN, infinity and zero among them: bytes must not be taken for numbers.
    fn words() -> impl Iterator<Item = [u8; 24]> {
        let odd = [0x7ff8_0000_0000_0001_u64, 0x7ff0_0000_0000_0001, 0xfff0_0000_0000_dead, u64::MAX, 0, 1 << 63];
        odd.into_iter().map(|word| [word, !word, word.rotate_left(17)]).map(|words| {
            let mut out = [0; 24];
            out.iter_mut().zip(words.iter().flat_map(|word| word.to_be_bytes())).for_each(|(to, from)| *to = from);
            out
        })
    }

    #[test]
    fn the_stored_form_is_that_of_serde_and_reads_back() {
        for fixed in words() {
            let bytes = postcard::to_allocvec(&Plain { fixed, any: vec![4, 5] }).unwrap();
            let ours = Ours { fixed, any: vec![4, 5] };
            assert_eq!(postcard::to_allocvec(&ours).unwrap(), bytes);
            assert_eq!(postcard::from_bytes::<Ours>(&bytes).unwrap(), ours);
            (0..bytes.len()).for_each(|end| assert!(postcard::from_bytes::<Ours>(&bytes[..end]).is_err(), "{end}"));
        }
    }
}
