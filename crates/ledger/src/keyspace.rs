//! From logical names to store keys.

use crate::unit::{IntentKey, RecordKind};
use crypto::aead::{Key, NameKey};
use crypto::id::TenantId;
use std::hash::{Hash, Hasher};
use storage::{BatchNumber, Key as StoreKey, Kind, Shard};

/// Physical key of a record: kind, parent id, child id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct RecordKey {
    pub(crate) kind: RecordKind,
    pub(crate) parent: [u8; 16],
    pub(crate) child: [u8; 16],
}

/// Child id before every real one, for scans.
pub(crate) const RECORD_KEY_BYTES: usize = 33;

/// Children are keyed hashes already: eight bytes of one tell records apart, and nobody can choose them.
impl Hash for RecordKey {
    fn hash<H: Hasher>(&self, to: &mut H) {
        let head = self.child.first_chunk().map_or(0, |head| u64::from_ne_bytes(*head));
        to.write_u64(head);
    }
}

impl RecordKey {
    pub(crate) fn bytes(&self) -> [u8; RECORD_KEY_BYTES] {
        let mut out = [0; RECORD_KEY_BYTES];
        let (kind, rest) = out.split_at_mut(1);
        let (parent, child) = rest.split_at_mut(16);
        kind.copy_from_slice(&[self.kind.0]);
        parent.copy_from_slice(&self.parent);
        child.copy_from_slice(&self.child);
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<RecordKey> {
        let bytes = <&[u8; RECORD_KEY_BYTES]>::try_from(bytes).ok()?;
        let (kind, rest) = bytes.split_first()?;
        let (parent, child) = rest.split_first_chunk::<16>()?;
        Some(RecordKey { kind: RecordKind(*kind), parent: *parent, child: child.try_into().ok()? })
    }

    pub(crate) fn store_key(&self, shard: Shard) -> StoreKey {
        StoreKey::new(Kind::Record, shard, self.bytes().to_vec())
    }
}

/// Id of a folder: the parent id of what lies directly below it.
pub(crate) fn folder_id(ids: &Key<NameKey>, tenant: TenantId, path: &[Box<str>]) -> [u8; 16] {
    path.iter().fold(*tenant.as_bytes(), |parent, segment| ids.id_of(parent, segment))
}

/// Store key of an open intent: due time first, so that a scan finds what is due.
pub(crate) fn intent_key(shard: Shard, tenant: TenantId, key: &IntentKey) -> StoreKey {
    StoreKey::new(Kind::Intent, shard, [key.due.0.to_be_bytes().as_slice(), tenant.as_bytes(), &key.id].concat())
}

/// Store key of a volatile thing.
pub(crate) fn volatile_key(shard: Shard, tenant: TenantId, key: &[u8; 16]) -> StoreKey {
    StoreKey::new(Kind::Volatile, shard, [tenant.as_bytes().as_slice(), key].concat())
}

/// Store key of a side row.
pub(crate) fn side_key(shard: Shard, number: BatchNumber) -> StoreKey {
    StoreKey::new(Kind::Side, shard, number.0.to_be_bytes().to_vec())
}

/// Reserved record kind of the ledger itself: tree tiles and the watermark.
pub(crate) const LEDGER_RECORDS: u8 = 9;

/// Store key of a tree tile, a derived record.
pub(crate) fn tile_key(shard: Shard, level: u8, index: u64) -> StoreKey {
    StoreKey::new(Kind::Record, shard, [&[LEDGER_RECORDS, b't', level], index.to_be_bytes().as_slice()].concat())
}

/// Store key of the fold's watermark, the last record a fold writes.
pub(crate) fn watermark_key(shard: Shard) -> StoreKey {
    StoreKey::new(Kind::Record, shard, [LEDGER_RECORDS, b'w'].to_vec())
}

/// Store key of one of the ledger's own notes.
pub(crate) fn meta_key(shard: Shard, name: &str) -> StoreKey {
    StoreKey::new(Kind::Meta, shard, name.as_bytes().to_vec())
}

/// Prefix of all tree tiles.
pub(crate) fn tiles_prefix(shard: Shard) -> StoreKey {
    StoreKey::new(Kind::Record, shard, [LEDGER_RECORDS, b't'].to_vec())
}

/// Level and index of a tile's key.
pub(crate) fn tile_of(key: &StoreKey) -> Option<(u8, u64)> {
    let [LEDGER_RECORDS, b't', level, index @ ..] = key.rest() else { return None };
    Some((*level, u64::from_be_bytes(index.try_into().ok()?)))
}
