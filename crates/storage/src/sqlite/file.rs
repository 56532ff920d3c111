//! One database file: made, recognised before it is opened, opened with settings that are read back.

use super::fault::{Fault, OpenError};
use super::folder::{Folder, unusable};
use super::layout::{DbFile, Table};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

/// Format level written and read by this version, in `user_version`.
pub(super) const FORMAT: u32 = 1;

/// How long a statement waits for a lock that another connection holds.
pub(super) const BUSY: Duration = Duration::from_millis(100);

/// Makes the file under a passing name and moves it to its place when it is whole, so that a crash leaves all or nothing.
pub(super) fn make(folder: &Folder, file: DbFile, page_bytes: u32, id: Option<&str>) -> Result<String, OpenError> {
    let fresh = folder.fresh(file)?;
    let id = fill(&fresh, file, page_bytes, id).map_err(|error| opening(file, &error))?;
    folder.place(&fresh, file)?;
    Ok(id)
}

fn fill(path: &Path, file: DbFile, page_bytes: u32, id: Option<&str>) -> Result<String, rusqlite::Error> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | COMMON)?;
    conn.pragma_update(None, "page_size", page_bytes)?;
    conn.pragma_update(None, "secure_delete", true)?;
    set_wal(&conn)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.execute_batch("BEGIN IMMEDIATE")?;
    conn.pragma_update(None, "application_id", file.application_id())?;
    conn.pragma_update(None, "user_version", FORMAT)?;
    conn.execute_batch(file.schema())?;
    match id {
        Some(id) => conn.execute("INSERT INTO store (id) VALUES (unhex(?1))", [id])?,
        None => conn.execute("INSERT INTO store (id) VALUES (randomblob(16))", [])?,
    };
    conn.execute_batch("COMMIT")?;
    let id = store_id(&conn)?;
    conn.close().map_err(|(_, error)| error)?;
    Ok(id)
}

/// Reads the first hundred bytes and refuses what is not ours, before SQLite touches the file.
pub(super) fn recognise(folder: &Folder, file: DbFile) -> Result<(), OpenError> {
    let (path, name) = (folder.file(file), file.name());
    let mut head = [0; 100];
    let read = File::open(&path).and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            return Err(OpenError::Damaged(format!("`{name}` is cut short")));
        }
        Err(error) => return Err(unusable(&path, &error)),
    }
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::Damaged(format!("`{name}` has a broken header")));
    }
    let word = |at: usize| head.iter().skip(at).take(4).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    let (level, program) = (word(60), word(68));
    if program != file.application_id() {
        return Err(OpenError::Foreign(format!("`{name}` was written by another program or its header is damaged")));
    }
    match level {
        FORMAT => Ok(()),
        0 => Err(OpenError::Damaged(format!("`{name}` has no format level"))),
        level => Err(OpenError::Newer(format!("`{name}` has format {level}, this version reads format {FORMAT}"))),
    }
}

/// Opens the one connection that writes, and checks that every table and statement is there.
///
/// Without `flush` nothing waits for stable storage.
pub(super) fn writer(folder: &Folder, file: DbFile, cache_kib: u32, flush: bool) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| opening(file, &error);
    let conn =
        Connection::open_with_flags(folder.file(file), OpenFlags::SQLITE_OPEN_READ_WRITE | COMMON).map_err(failed)?;
    set_common(&conn, cache_kib).map_err(failed)?;
    set_wal(&conn).map_err(failed)?;
    for (name, value) in writer_settings(file, flush) {
        conn.pragma_update(None, name, value).map_err(failed)?;
    }
    for (name, wanted) in
        writer_settings(file, flush).into_iter().chain([("query_only", 0), ("locking_mode_normal", 1)])
    {
        let found = match name {
            "locking_mode_normal" => text(&conn, "locking_mode").map(|mode| i64::from(mode == "normal")),
            _ => conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0)),
        };
        if found.map_err(failed)? != wanted {
            return Err(OpenError::Unreachable(format!(
                "`{}` did not take the setting {name} = {wanted}",
                file.name()
            )));
        }
    }
    for sql in file.kinds().flat_map(|kind| Table::of(kind).statements()) {
        conn.prepare_cached(sql).map_err(failed)?;
    }
    Ok(conn)
}

/// Opens a connection that can only read, with the file mapped.
pub(super) fn reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | COMMON)?;
    set_common(&conn, READER_CACHE_KIB)?;
    // A tenth of a read from a large store. What is damaged cannot spread from here: rows carry checksums, `verify` walks
    // whole trees, and the connection that writes checks each page.
    conn.pragma_update(None, "cell_size_check", false)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update_and_check(None, "mmap_size", MAPPED_BYTES, |_| Ok(()))?;
    Ok(conn)
}

/// Opens a connection that leaves the folder as it is, byte for byte and name for name, for a file nobody else has open.
///
/// Without a log the file is taken as it stands. With one, what it holds is read too, and its index is kept in memory
/// instead of beside it; nothing is moved from the log when the connection closes. An absent file of records reads as
/// an empty one: it can be made again.
pub(super) fn still_reader(path: &Path) -> Result<Connection, rusqlite::Error> {
    let read = OpenFlags::SQLITE_OPEN_READ_ONLY | COMMON;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = std::fs::metadata(&log).is_ok_and(|found| found.len() > 0);
    let conn = match (path.exists(), has_log) {
        (false, _) if path.ends_with(DbFile::Records.name()) => {
            let conn = Connection::open_in_memory()?;
            conn.execute_batch(DbFile::Records.schema())?;
            conn
        }
        (_, true) => {
            let conn = Connection::open_with_flags_and_vfs(path, read, c"unix-none")?;
            conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
            conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            conn
        }
        (_, false) => Connection::open_with_flags(unchanging(path), read | OpenFlags::SQLITE_OPEN_URI)?,
    };
    set_common(&conn, READER_CACHE_KIB)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// The path as SQLite's address of a file that does not change.
fn unchanging(path: &Path) -> std::path::PathBuf {
    let mut address = b"file:".to_vec();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => address.push(*byte),
            _ => address.extend_from_slice(format!("%{byte:02x}").as_bytes()),
        }
    }
    address.extend_from_slice(b"?immutable=1");
    std::ffi::OsString::from_vec(address).into()
}

/// Sets how a commit on this connection flushes: full waits for stable storage, else the log is left to the operating
/// system. Compiled each time, because this pragma acts when it is compiled and a kept statement would do nothing.
pub(super) fn set_flush(conn: &Connection, full: bool) -> Result<(), rusqlite::Error> {
    conn.execute_batch(if full { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })
}

/// Pages in the write-ahead log and how many of them are in the database already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    /// A reader or another checkpoint was in the way.
    pub(super) busy: bool,
    pub(super) pages: i64,
    pub(super) moved: i64,
}

/// Runs a checkpoint statement.
pub(super) fn checkpoint(conn: &Connection, sql: &'static str) -> Result<Log, rusqlite::Error> {
    conn.prepare_cached(sql)?
        .query_row([], |row| Ok(Log { busy: row.get::<_, i64>(0)? != 0, pages: row.get(1)?, moved: row.get(2)? }))
}

/// Only looks.
pub(super) const CHECKPOINT_LOOK: &str = "PRAGMA wal_checkpoint(NOOP)";
/// Moves what no reader needs, waits for nobody.
pub(super) const CHECKPOINT_MOVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";
/// Moves all and empties the log.
pub(super) const CHECKPOINT_ERASE: &str = "PRAGMA wal_checkpoint(TRUNCATE)";

/// Id of the store a file belongs to, 32 hex digits, read without writing.
pub(super) fn id_of(folder: &Folder, file: DbFile) -> Result<String, OpenError> {
    let path = folder.file(file);
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | COMMON);
    conn.and_then(|conn| store_id(&conn)).map_err(|error| opening(file, &error))
}

/// The same without leaving a trace.
pub(super) fn still_id_of(folder: &Folder, file: DbFile) -> Result<String, OpenError> {
    still_reader(&folder.file(file)).and_then(|conn| store_id(&conn)).map_err(|error| opening(file, &error))
}

fn store_id(conn: &Connection) -> Result<String, rusqlite::Error> {
    let id = conn.query_row("SELECT id FROM store", [], |row| row.get::<_, Vec<u8>>(0))?;
    Ok(id.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    }))
}

/// What an error at opening says.
pub(super) fn opening(file: DbFile, error: &rusqlite::Error) -> OpenError {
    match Fault::of(file, error) {
        Fault::Full => OpenError::Unreachable("no space left".into()),
        Fault::Passing(why) | Fault::Broken(why) => OpenError::Unreachable(why),
        Fault::Damaged(why) => OpenError::Damaged(match file {
            DbFile::Ledger => why,
            DbFile::Records => format!("{why}; records are derived: remove `records.db*` to have them made again"),
        }),
    }
}

fn set_wal(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| {
        let mode = row.get::<_, String>(0)?;
        if mode == "wal" { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) }
    })
}

fn set_common(conn: &Connection, cache_kib: u32) -> Result<(), rusqlite::Error> {
    conn.set_prepared_statement_cache_capacity(64);
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "cache_size", -i64::from(cache_kib))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "trusted_schema", false)?;
    conn.pragma_update(None, "cell_size_check", true)
}

/// Settings of a writing connection, as they are set and as they must read back.
fn writer_settings(file: DbFile, flush: bool) -> [(&'static str, i64); 5] {
    let flush = match file {
        _ if !flush => 0,
        DbFile::Ledger => 2,
        DbFile::Records => 1,
    };
    [
        ("synchronous", flush),
        ("secure_delete", 1),
        ("wal_autocheckpoint", 0),
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
    ]
}

fn text(conn: &Connection, pragma: &str) -> Result<String, rusqlite::Error> {
    conn.pragma_query_value(None, pragma, |row| row.get(0))
}

const COMMON: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_NOFOLLOW);
const READER_CACHE_KIB: u32 = 2048;
const MAPPED_BYTES: i64 = 0x7fff_0000;
