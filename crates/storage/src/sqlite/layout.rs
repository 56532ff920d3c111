//! Which key stands in which file, table and row, and the statements of each table.

use crate::contract::{BatchId, BatchNumber, Place};
use crate::key::{Key, Kind, Shard};
use crate::limits::PLACE_BYTES;

/// The two files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DbFile {
    Ledger,
    Records,
}

impl DbFile {
    /// The file that holds rows of this kind.
    pub(super) fn of(kind: Kind) -> DbFile {
        match kind {
            Kind::Record => DbFile::Records,
            _ => DbFile::Ledger,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            DbFile::Ledger => "ledger.db",
            DbFile::Records => "records.db",
        }
    }

    /// "Auml" and "Aumr".
    pub(super) fn application_id(self) -> u32 {
        match self {
            DbFile::Ledger => 0x4175_6d6c,
            DbFile::Records => 0x4175_6d72,
        }
    }

    /// Kinds whose tables are in this file.
    pub(super) fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| DbFile::of(*kind) == self)
    }

    pub(super) fn schema(self) -> &'static str {
        match self {
            DbFile::Ledger => {
                "CREATE TABLE store (id BLOB NOT NULL) STRICT;
                 CREATE TABLE batch (place INTEGER PRIMARY KEY, crc INTEGER NOT NULL, id BLOB NOT NULL, value BLOB NOT NULL) STRICT;
                 CREATE TABLE side (place INTEGER PRIMARY KEY, crc INTEGER NOT NULL, id BLOB NOT NULL, value BLOB NOT NULL) STRICT;
                 CREATE TABLE key (place INTEGER PRIMARY KEY, crc INTEGER NOT NULL, id BLOB NOT NULL, value BLOB NOT NULL) STRICT;
                 CREATE TABLE blob (place INTEGER PRIMARY KEY, crc INTEGER NOT NULL, id BLOB NOT NULL, value BLOB NOT NULL) STRICT;
                 CREATE TABLE ring (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
                 CREATE TABLE intent (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
                 CREATE TABLE volatile (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
                 CREATE TABLE access (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
                 CREATE TABLE meta (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
            }
            DbFile::Records => {
                "CREATE TABLE store (id BLOB NOT NULL) STRICT;
                 CREATE TABLE flushed (times INTEGER NOT NULL) STRICT;
                 INSERT INTO flushed (times) VALUES (0);
                 CREATE TABLE record (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
            }
        }
    }
}

/// Statements of one table. Append-order tables have rowid `place` and the batch id beside it, the others a blob key.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) kind: Kind,
    /// Append order: columns `place`, `id`. Otherwise: column `key`.
    pub(super) placed: bool,
    pub(super) get: &'static str,
    pub(super) scan: &'static str,
    pub(super) put: &'static str,
    pub(super) delete: &'static str,
}

macro_rules! placed {
    ($kind:expr, $name:literal) => {
        Table {
            kind: $kind,
            placed: true,
            get: concat!("SELECT crc, id, value FROM ", $name, " WHERE place = ?1"),
            scan: concat!("SELECT crc, id, value, place FROM ", $name, " WHERE place BETWEEN ?1 AND ?2 ORDER BY place"),
            put: concat!("INSERT INTO ", $name, " (place, crc, id, value) VALUES (?1, ?2, ?3, ?4)"),
            delete: concat!("DELETE FROM ", $name, " WHERE place = ?1 AND (?2 IS NULL OR id = ?2)"),
        }
    };
}

macro_rules! ordered {
    ($kind:expr, $name:literal) => {
        Table {
            kind: $kind,
            placed: false,
            get: concat!("SELECT crc, value FROM ", $name, " WHERE key = ?1"),
            scan: concat!("SELECT crc, value, key FROM ", $name, " WHERE key >= ?1 ORDER BY key"),
            put: concat!(
                "INSERT INTO ",
                $name,
                " (key, crc, value) VALUES (?1, ?2, ?3)",
                " ON CONFLICT (key) DO UPDATE SET crc = excluded.crc, value = excluded.value"
            ),
            delete: concat!("DELETE FROM ", $name, " WHERE key = ?1"),
        }
    };
}

impl Table {
    /// The table of a kind.
    pub(super) fn of(kind: Kind) -> &'static Table {
        match kind {
            Kind::Batch => &BATCH,
            Kind::Side => &SIDE,
            Kind::Key => &KEY,
            Kind::Blob => &BLOB,
            Kind::Ring => &RING,
            Kind::Record => &RECORD,
            Kind::Intent => &INTENT,
            Kind::Volatile => &VOLATILE,
            Kind::Access => &ACCESS,
            Kind::Meta => &META,
        }
    }

    /// Every statement of the table, to prepare them once at the start.
    pub(super) fn statements(&self) -> [&'static str; 4] {
        [self.get, self.scan, self.put, self.delete]
    }
}

static BATCH: Table = placed!(Kind::Batch, "batch");
static SIDE: Table = placed!(Kind::Side, "side");
static KEY: Table = placed!(Kind::Key, "key");
static BLOB: Table = placed!(Kind::Blob, "blob");
static RING: Table = ordered!(Kind::Ring, "ring");
static RECORD: Table = ordered!(Kind::Record, "record");
static INTENT: Table = ordered!(Kind::Intent, "intent");
static VOLATILE: Table = ordered!(Kind::Volatile, "volatile");
static ACCESS: Table = ordered!(Kind::Access, "access");
static META: Table = ordered!(Kind::Meta, "meta");

/// Newest batch of a shard: the last place in its range.
pub(super) const HEAD: &str = "SELECT place FROM batch WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT 1";

/// Changes a page of `records.db`, so that its transaction is flushed.
pub(super) const FLUSHED: &str = "UPDATE flushed SET times = times + 1";

/// Batches with their sides.
pub(super) const TAIL: &str = "SELECT batch.place, batch.crc, batch.id, batch.value, side.crc, side.id, side.value \
     FROM batch LEFT JOIN side ON side.place = batch.place \
     WHERE batch.place BETWEEN ?1 AND ?2 ORDER BY batch.place LIMIT ?3";

/// Where a key stands in its table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Spot {
    /// Row of an append-order table; the id is absent for batch and side keys, which do not carry it.
    Placed(i64, Option<BatchId>),
    /// Row of a keyed table.
    Keyed(Vec<u8>),
    /// No row of this store can have this key.
    Nowhere,
}

impl Spot {
    pub(super) fn of(key: &Key) -> Spot {
        if !Table::of(key.kind()).placed {
            return keyed(key.shard(), key.rest()).map_or(Spot::Nowhere, Spot::Keyed);
        }
        let numbered = matches!(key.kind(), Kind::Batch | Kind::Side);
        let (place, id) = if numbered {
            let Ok(number) = <[u8; 8]>::try_from(key.rest()) else { return Spot::Nowhere };
            (pack(key.shard(), BatchNumber(u64::from_be_bytes(number)), 0), None)
        } else {
            let Ok(place) = <[u8; PLACE_BYTES]>::try_from(key.rest()) else { return Spot::Nowhere };
            let place = Place::from_bytes(&place);
            (pack(key.shard(), place.number, place.index), Some(place.id))
        };
        place.map_or(Spot::Nowhere, |place| Spot::Placed(place, id))
    }
}

/// Shard in two bytes, then the rest; nothing when this engine cannot hold the shard.
pub(super) fn keyed(shard: Shard, rest: &[u8]) -> Option<Vec<u8>> {
    let short = u16::try_from(shard.0).ok().filter(|_| shard.0 < SHARDS)?;
    Some([short.to_be_bytes().as_slice(), rest].concat())
}

/// The key of a row of a keyed table.
pub(super) fn unkeyed(kind: Kind, bytes: &[u8]) -> Option<Key> {
    let (shard, rest) = bytes.split_first_chunk::<2>()?;
    Some(Key::new(kind, Shard(u32::from(u16::from_be_bytes(*shard))), rest))
}

/// The key of a row of an append-order table.
pub(super) fn unplaced(kind: Kind, place: i64, id: BatchId) -> Key {
    let (shard, number, index) = unpack(place);
    match kind {
        Kind::Batch | Kind::Side => Key::numbered(kind, shard, number),
        _ => Place { number, id, index }.key(kind, shard),
    }
}

/// Shards of one store: 9 bits of a rowid. An embedded store rarely has a second one.
pub(super) const SHARDS: u32 = 1 << (63 - NUMBER_BITS - INDEX_BITS);
/// Batches of one shard: at a thousand a second, eight years.
pub(super) const NUMBER_MAX: u64 = (1 << NUMBER_BITS) - 1;
const NUMBER_BITS: u32 = 38;
const INDEX_BITS: u32 = 16;
const INDEX_MAX: u32 = (1 << INDEX_BITS) - 1;

/// Rowid of a place: shard, number, index from high to low bits, so that shard 0 has small rowids in append order.
pub(super) fn pack(shard: Shard, number: BatchNumber, index: u32) -> Option<i64> {
    if shard.0 >= SHARDS || number.0 > NUMBER_MAX || index > INDEX_MAX {
        return None;
    }
    let packed = u64::from(shard.0) << (NUMBER_BITS + INDEX_BITS) | number.0 << INDEX_BITS | u64::from(index);
    i64::try_from(packed).ok()
}

/// The place of a rowid.
pub(super) fn unpack(place: i64) -> (Shard, BatchNumber, u32) {
    let packed = place.cast_unsigned();
    let shard = (packed >> (NUMBER_BITS + INDEX_BITS)) & u64::from(SHARDS - 1);
    let index = packed & u64::from(INDEX_MAX);
    let number = (packed >> INDEX_BITS) & NUMBER_MAX;
    (Shard(u32::try_from(shard).unwrap_or(0)), BatchNumber(number), u32::try_from(index).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rowid_gives_back_its_place_up_to_the_last_bit() {
        for shard in [0, 1, SHARDS - 1] {
            for number in [0, 1, NUMBER_MAX] {
                for index in [0, 1, INDEX_MAX] {
                    let place = pack(Shard(shard), BatchNumber(number), index).unwrap();
                    assert!(place >= 0, "negative rowids would sort before all others");
                    assert_eq!(unpack(place), (Shard(shard), BatchNumber(number), index));
                }
            }
        }
    }

    #[test]
    fn places_past_the_last_bit_have_no_rowid() {
        assert_eq!(pack(Shard(SHARDS), BatchNumber(1), 0), None);
        assert_eq!(pack(Shard(0), BatchNumber(NUMBER_MAX + 1), 0), None);
        assert_eq!(pack(Shard(0), BatchNumber(1), INDEX_MAX + 1), None);
    }

    #[test]
    fn rowids_follow_the_order_of_shard_number_index() {
        let places = [(0, 1, 9), (0, 2, 0), (0, NUMBER_MAX, 0), (1, 0, 0), (1, 0, 1), (2, 0, 0)];
        let packed: Vec<_> = places.iter().map(|(s, n, i)| pack(Shard(*s), BatchNumber(*n), *i).unwrap()).collect();
        assert!(packed.is_sorted());
    }
}
