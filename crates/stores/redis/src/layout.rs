//! Names of keys in Redis, and ranges in its sorted sets.

use storage::{Key, Kind, Shard};

/// Names below one prefix.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    tag: String,
}

impl Layout {
    pub(crate) fn new(prefix: &str) -> Layout {
        Layout { tag: format!("{{{prefix}}}") }
    }

    /// A string: format and id of the store.
    pub(crate) fn store(&self) -> String {
        format!("{}:store", self.tag)
    }

    /// A string: the number of the newest batch of a shard, in decimal; absent is 0.
    pub(crate) fn head(&self, shard: Shard) -> String {
        format!("{}:head:{}", self.tag, shard.0)
    }

    /// A string: the latest turn at carrying out runs of a shard, in decimal.
    pub(crate) fn turn(&self, shard: Shard) -> String {
        format!("{}:turn:{}", self.tag, shard.0)
    }

    /// A hash: rows by what follows kind and shard in their keys.
    pub(crate) fn rows(&self, kind: Kind, shard: Shard) -> String {
        format!("{}:{}:{}", self.tag, word(kind), shard.0)
    }

    /// A sorted set of the fields of [`Layout::rows`], all with score 0 and so in the order of their bytes.
    pub(crate) fn order(&self, kind: Kind, shard: Shard) -> String {
        format!("{}:{}:{}:order", self.tag, word(kind), shard.0)
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Batch => "batch",
        Kind::Side => "side",
        Kind::Key => "key",
        Kind::Blob => "blob",
        Kind::Ring => "ring",
        Kind::Record => "record",
        Kind::Intent => "intent",
        Kind::Volatile => "volatile",
        Kind::Access => "access",
        Kind::Meta => "meta",
    }
}

/// Bounds of a `ZRANGEBYLEX` over what lies below `prefix` and behind `after`; `None` when nothing can.
pub(crate) fn range(prefix: &Key, after: Option<&Key>) -> Option<(Vec<u8>, Vec<u8>)> {
    let min = match after {
        Some(after) if after >= prefix => {
            if !after.starts_with(prefix) {
                return None;
            }
            [b"(", after.rest()].concat()
        }
        _ => [b"[", prefix.rest()].concat(),
    };
    let kept = prefix.rest().iter().rposition(|byte| *byte != 0xff);
    let max = match kept.and_then(|last| prefix.rest().get(..=last)).and_then(<[u8]>::split_last) {
        Some((last, head)) => [b"(", head, &[last.wrapping_add(1)]].concat(),
        None => b"+".to_vec(),
    };
    Some((min, max))
}

/// Numbers of the batches below `prefix` and behind `after`, at most `limit`; they have no gaps.
pub(crate) fn numbers(prefix: &Key, after: Option<&Key>, limit: usize) -> Vec<u64> {
    let padded = |fill: u8| {
        let mut bytes = [fill; 8];
        bytes.iter_mut().zip(prefix.rest()).for_each(|(to, from)| *to = *from);
        u64::from_be_bytes(bytes)
    };
    if prefix.rest().len() > 8 {
        return Vec::new();
    }
    let low = match after {
        Some(after) if after >= prefix => match (after.starts_with(prefix), number_at_or_below(after.rest())) {
            (true, Some(number)) => number.checked_add(1),
            (true, None) => Some(padded(0)),
            (false, _) => None,
        },
        _ => Some(padded(0)),
    };
    let Some(low) = low.map(|low| low.max(1)) else { return Vec::new() };
    (low..=padded(0xff)).take(limit).collect()
}

/// The greatest number whose eight bytes are not behind these; `None` when all are.
fn number_at_or_below(rest: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let padded = u64::from_be_bytes(bytes);
    if rest.len() < 8 { padded.checked_sub(1) } else { Some(padded) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: Kind, rest: &[u8]) -> Key {
        Key::new(kind, Shard(0), rest)
    }

    #[test]
    fn names_hold_one_tag() {
        let layout = Layout::new("a.b");
        assert_eq!(layout.order(Kind::Blob, Shard(7)), "{a.b}:blob:7:order");
        assert_eq!((layout.head(Shard(0)), layout.store()), ("{a.b}:head:0".into(), "{a.b}:store".into()));
    }

    #[test]
    fn ranges_end_before_the_next_prefix() {
        let of = |rest: &[u8], after: Option<&[u8]>| {
            range(&key(Kind::Record, rest), after.map(|after| key(Kind::Record, after)).as_ref())
        };
        let pair = |min: &[u8], max: &[u8]| Some((min.to_vec(), max.to_vec()));
        assert_eq!(of(b"", None), pair(b"[", b"+"));
        assert_eq!(of(b"a", None), pair(b"[a", b"(b"));
        assert_eq!(of(b"a\xff\xff", None), pair(b"[a\xff\xff", b"(b"));
        assert_eq!(of(b"\xff", None), pair(b"[\xff", b"+"));
        assert_eq!(of(b"b", Some(b"a")), pair(b"[b", b"(c"));
        assert_eq!(of(b"b", Some(b"bz")), pair(b"(bz", b"(c"));
        assert_eq!(of(b"b", Some(b"c")), None);
        let other = range(&key(Kind::Record, b"a"), Some(&key(Kind::Meta, b"")));
        assert_eq!(other, None, "all of a later kind is behind");
    }

    #[test]
    fn numbers_follow_prefix_and_after() {
        let of = |rest: &[u8], after: Option<&[u8]>| {
            numbers(&key(Kind::Batch, rest), after.map(|after| key(Kind::Batch, after)).as_ref(), 3)
        };
        assert_eq!(of(b"", None), [1, 2, 3]);
        assert_eq!(of(&[0; 7], Some(&254_u64.to_be_bytes())), [255]);
        assert_eq!(of(&[0, 0, 0, 0, 0, 0, 1], None), [256, 257, 258]);
        assert_eq!(of(&5_u64.to_be_bytes(), None), [5]);
        assert_eq!(of(&5_u64.to_be_bytes(), Some(&5_u64.to_be_bytes())), [0; 0]);
        assert_eq!(of(b"", Some(&u64::MAX.to_be_bytes())), [0; 0]);
        assert_eq!(of(b"", Some(&[0, 0, 0, 0, 0, 0, 1])), [256, 257, 258], "a short key stands before its extensions");
        assert_eq!(of(b"", Some(&[0, 0, 0, 0, 0, 0, 0, 1, 0])), [2, 3, 4]);
        assert_eq!(of(&[0; 9], None), [0; 0]);
    }
}
