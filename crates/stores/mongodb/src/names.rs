//! Keys as strings whose order is that of their bytes.
//!
//! MongoDB compares binary data by its length first, so keys are text of six bits to a letter. The letters stand in the
//! order of their codes, which the simple collation compares.

use storage::{Key, Kind, Shard};

const LETTERS: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
/// Behind every encoded key.
const END: &str = "~";

/// Writes bytes as text of the same order; what has them as a prefix follows them.
fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let letters = [18, 12, 6, 0].into_iter().take(chunk.len() + 1);
        out.extend(
            letters.filter_map(|shift| LETTERS.get((bits >> shift & 63) as usize)).map(|byte| char::from(*byte)),
        );
    }
    out
}

/// Reads what [`encode`] wrote.
fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for chunk in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for letter in chunk {
            bits = bits << 6 | u32::try_from(LETTERS.binary_search(letter).ok()?).ok()?;
        }
        bits <<= 6 * (4 - chunk.len());
        out.extend([16, 8, 0].into_iter().take(chunk.len() - 1).map(|shift| (bits >> shift) as u8));
    }
    Some(out)
}

/// What a key is below the collection that holds its kind: batches with their sides have one of their own.
fn plain(kind: Kind, shard: Shard, rest: &[u8]) -> Vec<u8> {
    let shard = shard.0.to_be_bytes();
    match kind {
        Kind::Batch | Kind::Side => [shard.as_slice(), rest].concat(),
        _ => [[kind as u8].as_slice(), shard.as_slice(), rest].concat(),
    }
}

/// The `_id` of a key.
pub(crate) fn id(key: &Key) -> String {
    encode(&plain(key.kind(), key.shard(), key.rest()))
}

/// The key of an `_id`, of this kind.
pub(crate) fn key(kind: Kind, id: &str) -> Option<Key> {
    let bytes = decode(id)?;
    let rest = match kind {
        Kind::Batch | Kind::Side => bytes.as_slice(),
        _ => bytes.strip_prefix(&[kind as u8])?,
    };
    let (shard, rest) = rest.split_first_chunk::<4>()?;
    Some(Key::new(kind, Shard(u32::from_be_bytes(*shard)), rest))
}

/// What an `_id` must be at least and below, to be under `prefix`.
pub(crate) fn bounds(prefix: &Key) -> (String, String) {
    let mut bytes = plain(prefix.kind(), prefix.shard(), prefix.rest());
    let low = encode(&bytes);
    while let Some(last) = bytes.pop() {
        if let Some(next) = last.checked_add(1) {
            bytes.push(next);
            return (low, encode(&bytes));
        }
    }
    (low, END.to_owned())
}

/// The `_id` that holds the latest turn of a shard; no key is written as it.
pub(crate) fn turn(shard: Shard) -> String {
    format!("turn:{:08x}", shard.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_the_order_of_its_bytes_and_reads_back() {
        let mut all: Vec<Vec<u8>> = vec![Vec::new()];
        for length in 1..=5_usize {
            for seed in 0..400_usize {
                let byte =
                    |at: usize| [0, 1, 2, 0x3f, 0x40, 0x7f, 0x80, 0xfe, 0xff][(seed >> (2 * at)).wrapping_mul(7) % 9];
                all.push((0..length).map(byte).collect());
            }
        }
        all.sort();
        all.dedup();
        assert!(all.len() > 300);
        for pair in all.windows(2) {
            assert!(encode(&pair[0]) < encode(&pair[1]), "{pair:?}");
        }
        for bytes in all {
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
        assert!(LETTERS.is_sorted());
        assert_eq!(decode("a!"), None);
    }

    #[test]
    fn ids_give_their_keys_and_bounds_hold_what_is_below() {
        for kind in Kind::ALL {
            for rest in [b"".as_slice(), b"a", b"a\xff", b"\xff\xff", b"b"] {
                let one = Key::new(kind, Shard(u32::MAX), rest);
                assert_eq!(key(kind, &id(&one)), Some(one.clone()));
                let (low, high) = bounds(&Key::new(kind, Shard(u32::MAX), *b"a"));
                assert_eq!((low..high).contains(&id(&one)), rest.starts_with(b"a"), "{one:?}");
            }
        }
    }
}
