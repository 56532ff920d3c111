//! Keys: kind, shard, then what the kind says. Ordered as bytes, so scans by prefix follow the fields.

use crate::contract::BatchNumber;
use std::fmt;

/// Number of a shard: one ledger, one tree, one order of batches. Shard 0 always exists; every engine holds those below 512.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Shard(pub u32);

/// What a key prefix holds; decides who may write it and whether it can be rebuilt.
///
/// Batches are append only. `Key`, `Blob` and `Ring` are authoritative and deletable, written only
/// inside a [`crate::Batch`]. `Record` is derived. The others are written by [`crate::Storage::apply`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    /// Batch rows: sealed entries, for ever. Key: batch number.
    Batch = 1,
    /// Second row of a commit: intents and volatile of that batch until folded. Key: batch number.
    Side = 2,
    /// Wrapped data keys. Key: batch number, batch id, index.
    Key = 3,
    /// Sealed values. Key: batch number, batch id, index.
    Blob = 4,
    /// Wrapped keys of the hierarchy. Key: tenant id, then batch number, batch id, index.
    Ring = 5,
    /// Derived records, tree tiles included.
    Record = 6,
    /// Promises to the outside or to later. Key: due time, tenant, intent id.
    Intent = 7,
    /// Short-lived things with an expiry: lockouts, used codes, idempotent replies.
    Volatile = 8,
    /// Access log rows of the `store` sink. Key: segment, row number.
    Access = 9,
    /// Watermarks, reservations, the newest checkpoint.
    Meta = 10,
}

impl Kind {
    /// Every kind, in key order.
    pub const ALL: [Kind; 10] = [
        Kind::Batch,
        Kind::Side,
        Kind::Key,
        Kind::Blob,
        Kind::Ring,
        Kind::Record,
        Kind::Intent,
        Kind::Volatile,
        Kind::Access,
        Kind::Meta,
    ];

    /// The kind with this byte, if there is one.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A full key, or a prefix of one for scans.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    kind: Kind,
    shard: Shard,
    rest: Box<[u8]>,
}

impl Key {
    /// A key of this kind and shard whose remaining bytes are `rest` (at most 1,024).
    pub fn new(kind: Kind, shard: Shard, rest: impl Into<Box<[u8]>>) -> Key {
        Key { kind, shard, rest: rest.into() }
    }

    /// The key of a `Batch` or `Side` row.
    pub fn numbered(kind: Kind, shard: Shard, number: BatchNumber) -> Key {
        Key::new(kind, shard, number.0.to_be_bytes())
    }

    /// Whether this key is `prefix` or lies below it: same kind and shard, and its bytes begin with those of the prefix.
    pub fn starts_with(&self, prefix: &Key) -> bool {
        self.kind == prefix.kind && self.shard == prefix.shard && self.rest.starts_with(&prefix.rest)
    }

    /// What the key holds.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The shard that owns the key.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The bytes after kind and shard.
    pub fn rest(&self) -> &[u8] {
        &self.rest
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{}/", self.kind, self.shard.0)?;
        self.rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
