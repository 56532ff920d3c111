//! Reads: on the calling thread, over connections that cannot write.

mod inspect;

use super::file;
use super::layout::{DbFile, HEAD, NUMBER_MAX, TAIL, Table, pack, unkeyed, unpack, unplaced};
use super::row::{self, ReadFault};
use crate::contract::{BatchNumber, Page, StorageError, StoredBatch};
use crate::key::{Key, Kind, Shard};
use bytes::Bytes;
use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};

/// Connections of one file. As many are open as threads read at once; a few are kept.
#[derive(Debug)]
pub(super) struct Readers {
    file: DbFile,
    path: PathBuf,
    kept: Mutex<Vec<Connection>>,
    open: fn(&Path) -> Result<Connection, rusqlite::Error>,
}

/// Connections kept open between reads.
const KEPT_MAX: usize = 16;

impl Readers {
    pub(super) fn new(file: DbFile, path: PathBuf) -> Readers {
        Readers { file, path, kept: Mutex::new(Vec::with_capacity(KEPT_MAX)), open: file::reader }
    }

    /// Connections that leave no trace, for a file that nobody writes.
    pub(super) fn still(file: DbFile, path: PathBuf) -> Readers {
        Readers { open: file::still_reader, ..Readers::new(file, path) }
    }

    /// Lends a connection. One that saw an error is closed, not kept.
    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, ReadFault>) -> Result<T, StorageError> {
        let kept = self.kept.lock().pop();
        let conn = match kept {
            Some(conn) => conn,
            None => (self.open)(&self.path).map_err(|error| ReadFault::from(error).storage(self.file))?,
        };
        let value = read(&conn).map_err(|fault| fault.storage(self.file))?;
        let mut kept = self.kept.lock();
        if kept.len() < KEPT_MAX {
            kept.push(conn);
        }
        Ok(value)
    }

    /// Closes what is kept.
    pub(super) fn close(&self) {
        self.kept.lock().clear();
    }

    /// Values of those of the keys that are in this file, into their slots, all as of one moment.
    pub(super) fn get(&self, keys: &[Key], values: &mut [Option<Bytes>]) -> Result<(), StorageError> {
        let mut wanted = keys.iter().zip(values).filter(|(key, _)| DbFile::of(key.kind()) == self.file);
        let Some((key, slot)) = wanted.next() else { return Ok(()) };
        self.with(|conn| {
            let Some((second, second_slot)) = wanted.next() else {
                *slot = row::get(conn, key)?;
                return Ok(());
            };
            at_one_moment(conn, || {
                *slot = row::get(conn, key)?;
                *second_slot = row::get(conn, second)?;
                wanted.try_for_each(|(key, slot)| {
                    *slot = row::get(conn, key)?;
                    Ok(())
                })
            })
        })
    }

    pub(super) fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page, StorageError> {
        let after = after.filter(|after| *after >= prefix);
        let beyond = after.is_some_and(|after| (after.kind(), after.shard()) != (prefix.kind(), prefix.shard()));
        if limit == 0 || beyond {
            return Ok(Page::new());
        }
        let placed = Table::of(prefix.kind()).placed;
        self.with(
            |conn| {
                if placed { scan_placed(conn, prefix, after, limit) } else { scan_keyed(conn, prefix, after, limit) }
            },
        )
    }

    pub(super) fn head(&self, shard: Shard) -> Result<BatchNumber, StorageError> {
        self.with(|conn| Ok(head(conn, shard)?))
    }

    pub(super) fn tail(&self, shard: Shard, from: BatchNumber, limit: usize) -> Result<Vec<StoredBatch>, StorageError> {
        let from = from.max(BatchNumber(1));
        let (Some(low), Some(high)) = (pack(shard, from, 0), pack(shard, BatchNumber(NUMBER_MAX), 0)) else {
            return Ok(Vec::new());
        };
        self.with(|conn| {
            let mut batches = Vec::new();
            let mut expected = from;
            let mut statement = conn.prepare_cached(TAIL)?;
            let mut rows = statement.query(params![low, high, i64::try_from(limit).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let place = row.get(0)?;
                let (_, number, index) = unpack(place);
                if number != expected || index != 0 {
                    return Err(ReadFault::Damaged(format!("batch {} of shard {} is missing", expected.0, shard.0)));
                }
                let (id, value) = row::placed_at(row, Kind::Batch, place, 1)?;
                let side = match row.get_ref(4)? {
                    rusqlite::types::ValueRef::Null => None,
                    _ => Some(row::placed_at(row, Kind::Side, place, 4)?.1),
                };
                batches.push(StoredBatch { number, id, row: value, side });
                expected = expected.next();
            }
            Ok(batches)
        })
    }

    /// Everything wrong with the file: its trees, then each row.
    pub(super) fn verify(&self) -> Result<Vec<String>, StorageError> {
        self.with(|conn| {
            let mut findings = Vec::new();
            let mut statement = conn.prepare("PRAGMA integrity_check(100)")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let line = row.get::<_, String>(0)?;
                if line != "ok" {
                    findings.push(format!("{}: {line}", self.file.name()));
                }
            }
            for kind in self.file.kinds() {
                verify_rows(conn, kind, &mut findings)?;
            }
            Ok(findings)
        })
    }
}

/// Number of the newest batch of a shard on this connection.
pub(super) fn head(conn: &Connection, shard: Shard) -> Result<BatchNumber, rusqlite::Error> {
    let (Some(low), Some(high)) = (pack(shard, BatchNumber(0), 0), pack(shard, BatchNumber(NUMBER_MAX), 0)) else {
        return Ok(BatchNumber(0));
    };
    let place = conn.prepare_cached(HEAD)?.query_row([low, high], |row| row.get(0)).optional()?;
    Ok(place.map_or(BatchNumber(0), |place| unpack(place).1))
}

/// Runs reads in one transaction, so that no commit falls between them.
fn at_one_moment<T>(conn: &Connection, read: impl FnOnce() -> Result<T, ReadFault>) -> Result<T, ReadFault> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    let value = read()?;
    conn.prepare_cached("COMMIT")?.execute([])?;
    Ok(value)
}

fn scan_placed(conn: &Connection, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page, ReadFault> {
    let padded = |key: &Key, pad: u8| {
        let mut number = [pad; 8];
        number.iter_mut().zip(key.rest()).for_each(|(byte, given)| *byte = *given);
        BatchNumber(u64::from_be_bytes(number))
    };
    let low = padded(after.unwrap_or(prefix), 0);
    let high = padded(prefix, 0xff).min(BatchNumber(NUMBER_MAX));
    let (Some(low), Some(high)) = (pack(prefix.shard(), low, 0), pack(prefix.shard(), high, u32::from(u16::MAX)))
    else {
        return Ok(Page::new());
    };
    let mut page = Page::new();
    let table = Table::of(prefix.kind());
    let mut statement = conn.prepare_cached(table.scan)?;
    let mut rows = statement.query([low, high])?;
    while page.len() < limit
        && let Some(row) = rows.next()?
    {
        let place = row.get(3)?;
        let (id, value) = row::placed(row, table.kind, place)?;
        let key = unplaced(table.kind, place, id);
        if key.starts_with(prefix) && after.is_none_or(|after| key > *after) {
            page.push((key, value));
        }
    }
    Ok(page)
}

fn scan_keyed(conn: &Connection, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page, ReadFault> {
    let mut page = Page::new();
    let Some(low) = row::floor(after.unwrap_or(prefix)) else { return Ok(page) };
    let table = Table::of(prefix.kind());
    let mut statement = conn.prepare_cached(table.scan)?;
    let mut rows = statement.query([low])?;
    while page.len() < limit
        && let Some(row) = rows.next()?
    {
        let Ok(bytes) = row.get_ref(2)?.as_blob() else {
            return Err(ReadFault::Damaged(format!("a {:?} row has no key", table.kind)));
        };
        let key = unkeyed(table.kind, bytes).filter(|key| key.starts_with(prefix));
        let Some(key) = key else { break };
        let value = row::entry(row, table.kind, bytes)?;
        if after.is_none_or(|after| key > *after) {
            page.push((key, value));
        }
    }
    Ok(page)
}

/// Checks every row of a table and, of batches, that none is missing.
fn verify_rows(conn: &Connection, kind: Kind, findings: &mut Vec<String>) -> Result<(), ReadFault> {
    let table = Table::of(kind);
    let mut statement = conn.prepare_cached(table.scan)?;
    let mut rows = match table.placed {
        true => statement.query([i64::MIN, i64::MAX])?,
        false => statement.query([Vec::new()])?,
    };
    let mut expected = (Shard(0), BatchNumber(1));
    while findings.len() < FINDINGS_MAX
        && let Some(row) = rows.next()?
    {
        let checked = match table.placed {
            true => row::placed(row, kind, row.get(3)?).map(|_| ()),
            false => row
                .get_ref(2)?
                .as_blob()
                .map_err(|_| ReadFault::Damaged(format!("a {kind:?} row has no key")))
                .and_then(|key| row::entry(row, kind, key).map(|_| ())),
        };
        match checked {
            Err(ReadFault::Damaged(what)) => findings.push(format!("{}: {what}", DbFile::of(kind).name())),
            other => other?,
        }
        if kind == Kind::Batch {
            let (shard, number, _) = unpack(row.get(3)?);
            if shard != expected.0 {
                expected = (shard, BatchNumber(1));
            }
            if number != expected.1 {
                findings.push(format!("ledger.db: batch {} of shard {} is missing", expected.1.0, shard.0));
            }
            expected = (shard, number.next());
        }
    }
    Ok(())
}

/// More findings than these are not listed.
const FINDINGS_MAX: usize = 1000;
