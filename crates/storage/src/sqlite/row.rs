//! One row: how it is written, checked and read.

use super::checksum::crc32c;
use super::fault::Fault;
use super::layout::{DbFile, Spot, Table, keyed, unkeyed, unplaced};
use crate::contract::{BatchId, StorageError};
use crate::key::{Key, Kind};
use bytes::Bytes;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

/// Writes one row; an append-order row must be new.
pub(super) fn put(conn: &Connection, key: &Key, id: Option<BatchId>, value: &[u8]) -> Result<(), rusqlite::Error> {
    let table = Table::of(key.kind());
    let mut statement = conn.prepare_cached(table.put)?;
    match Spot::of(key) {
        Spot::Placed(place, own) => {
            let id = own.or(id).ok_or(rusqlite::Error::InvalidQuery)?;
            let crc = crc32c(&[&[key.kind() as u8], &place.to_be_bytes(), &id.0, value]);
            statement.execute(params![place, crc, id.0.as_slice(), value])?;
        }
        Spot::Keyed(bytes) => {
            let crc = crc32c(&[&[key.kind() as u8], &bytes, value]);
            statement.execute(params![bytes, crc, value])?;
        }
        Spot::Nowhere => return Err(rusqlite::Error::InvalidQuery),
    }
    Ok(())
}

/// Removes one row if it is there.
pub(super) fn delete(conn: &Connection, key: &Key) -> Result<(), rusqlite::Error> {
    let mut statement = conn.prepare_cached(Table::of(key.kind()).delete)?;
    match Spot::of(key) {
        Spot::Placed(place, id) => statement.execute(params![place, id.as_ref().map(|id| id.0.as_slice())])?,
        Spot::Keyed(bytes) => statement.execute([bytes])?,
        Spot::Nowhere => 0,
    };
    Ok(())
}

/// Reads one row.
pub(super) fn get(conn: &Connection, key: &Key) -> Result<Option<Bytes>, ReadFault> {
    let table = Table::of(key.kind());
    match Spot::of(key) {
        Spot::Placed(place, wanted) => {
            let mut statement = conn.prepare_cached(table.get)?;
            let mut rows = statement.query([place])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            let (id, value) = placed(row, table.kind, place)?;
            Ok(wanted.is_none_or(|wanted| wanted == id).then_some(value))
        }
        Spot::Keyed(bytes) => {
            let mut statement = conn.prepare_cached(table.get)?;
            let mut rows = statement.query([&bytes])?;
            let Some(row) = rows.next()? else { return Ok(None) };
            entry(row, table.kind, &bytes).map(Some)
        }
        Spot::Nowhere => Ok(None),
    }
}

/// Columns `crc, id, value` of an append-order row, checked.
pub(super) fn placed(row: &Row<'_>, kind: Kind, place: i64) -> Result<(BatchId, Bytes), ReadFault> {
    placed_at(row, kind, place, 0)
}

/// The same, when the columns begin at `first`.
pub(super) fn placed_at(row: &Row<'_>, kind: Kind, place: i64, first: usize) -> Result<(BatchId, Bytes), ReadFault> {
    let columns = (row.get_ref(first)?, row.get_ref(first + 1)?, row.get_ref(first + 2)?);
    if let (ValueRef::Integer(crc), ValueRef::Blob(id), ValueRef::Blob(value)) = columns
        && i64::from(crc32c(&[&[kind as u8], &place.to_be_bytes(), id, value])) == crc
        && let Ok(id) = <[u8; 16]>::try_from(id)
    {
        return Ok((BatchId(id), Bytes::copy_from_slice(value)));
    }
    Err(damaged(&unplaced(kind, place, BatchId([0; 16]))))
}

/// Columns `crc, value` of a keyed row, checked.
pub(super) fn entry(row: &Row<'_>, kind: Kind, key: &[u8]) -> Result<Bytes, ReadFault> {
    if let (ValueRef::Integer(crc), ValueRef::Blob(value)) = (row.get_ref(0)?, row.get_ref(1)?)
        && i64::from(crc32c(&[&[kind as u8], key, value])) == crc
    {
        return Ok(Bytes::copy_from_slice(value));
    }
    Err(unkeyed(kind, key)
        .map_or_else(|| ReadFault::Damaged(format!("a {kind:?} row has no key")), |key| damaged(&key)))
}

/// Smallest key bytes of a keyed table below a prefix.
pub(super) fn floor(prefix: &Key) -> Option<Vec<u8>> {
    keyed(prefix.shard(), prefix.rest())
}

/// Why a read on a connection failed.
#[derive(Debug)]
pub(super) enum ReadFault {
    Sql(rusqlite::Error),
    Damaged(String),
}

impl From<rusqlite::Error> for ReadFault {
    fn from(error: rusqlite::Error) -> ReadFault {
        ReadFault::Sql(error)
    }
}

impl ReadFault {
    pub(super) fn storage(self, file: DbFile) -> StorageError {
        match self {
            ReadFault::Sql(error) => Fault::of(file, &error).read(),
            ReadFault::Damaged(what) => StorageError::Damaged(format!("{}: {what}", file.name())),
        }
    }
}

/// Names the row; its key holds no secret.
fn damaged(key: &Key) -> ReadFault {
    ReadFault::Damaged(format!("the row {key:?} fails its checksum"))
}
