//! A disk that can fill up or fail to flush, as a layer under SQLite. Only files below a watched folder are touched.

use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
    sqlite3_vfs_find, sqlite3_vfs_register,
};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// What one folder's disk does.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    folder: String,
    /// No file grows any more.
    pub(crate) full: AtomicBool,
    /// Every flush fails.
    pub(crate) flush_fails: AtomicBool,
    /// Flushes of the ledger's log so far.
    pub(crate) ledger_log_flushes: AtomicU64,
    /// Flushes of the records' log so far.
    pub(crate) records_log_flushes: AtomicU64,
}

impl Disk {
    /// Puts the layer under every file opened below the folder from now on.
    pub(crate) fn under(folder: &Path) -> Arc<Disk> {
        install();
        let folder = folder.canonicalize().unwrap().to_str().unwrap().to_owned();
        let disk = Arc::new(Disk { folder, ..Disk::default() });
        DISKS.lock().unwrap().push(Arc::clone(&disk));
        disk
    }
}

static DISKS: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());
static BELOW: OnceLock<Below> = OnceLock::new();

struct Below(*mut sqlite3_vfs);

// SAFETY: the pointer is SQLite's own list of file systems, which lives and stays the same for the whole process.
unsafe impl Send for Below {}
// SAFETY: as above; it is only read.
unsafe impl Sync for Below {}

/// Methods of one open file: first the table that SQLite calls, then what it stands before.
#[repr(C)]
struct Watched {
    methods: sqlite3_io_methods,
    below: *const sqlite3_io_methods,
    disk: Arc<Disk>,
    name: String,
}

fn install() {
    BELOW.get_or_init(|| {
        // SAFETY: a null name asks for the default file system; the leaked copy lives as long as the process.
        unsafe {
            let below = sqlite3_vfs_find(std::ptr::null());
            let layer =
                sqlite3_vfs { zName: c"watched".as_ptr(), pNext: std::ptr::null_mut(), xOpen: Some(open), ..*below };
            assert_eq!(sqlite3_vfs_register(Box::leak(Box::new(layer)), 1), SQLITE_OK);
            Below(below)
        }
    });
}

extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let below = BELOW.get().unwrap().0;
    // SAFETY: arguments are passed on as SQLite gave them, with the file system they were meant for.
    let code = unsafe { (*below).xOpen.unwrap()(below, name, file, flags, out) };
    if code != SQLITE_OK || name.is_null() {
        return code;
    }
    // SAFETY: an opened file's name is a C string.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap().to_owned();
    let disk = DISKS.lock().unwrap().iter().find(|disk| name.starts_with(&disk.folder)).map(Arc::clone);
    if let Some(disk) = disk {
        // SAFETY: a successfully opened file has methods; the leaked table outlives the file.
        unsafe {
            let below = (*file).pMethods;
            let methods = sqlite3_io_methods { xWrite: Some(write), xSync: Some(sync), ..*below };
            (*file).pMethods = (&raw const *Box::leak(Box::new(Watched { methods, below, disk, name }))).cast();
        }
    }
    code
}

fn watched<'a>(file: *mut sqlite3_file) -> &'a Watched {
    // SAFETY: only files whose methods are the first field of a leaked `Watched` come here.
    unsafe { &*(*file).pMethods.cast::<Watched>() }
}

extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, count: c_int, at: sqlite3_int64) -> c_int {
    let watched = watched(file);
    // SAFETY: arguments are passed on as SQLite gave them.
    unsafe {
        let mut size = 0;
        (*watched.below).xFileSize.unwrap()(file, &raw mut size);
        if watched.disk.full.load(Ordering::SeqCst) && at + i64::from(count) > size {
            return SQLITE_FULL;
        }
        (*watched.below).xWrite.unwrap()(file, bytes, count, at)
    }
}

extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    let watched = watched(file);
    if watched.disk.flush_fails.load(Ordering::SeqCst) {
        return SQLITE_IOERR_FSYNC;
    }
    if watched.name.ends_with("ledger.db-wal") {
        watched.disk.ledger_log_flushes.fetch_add(1, Ordering::SeqCst);
    }
    if watched.name.ends_with("records.db-wal") {
        watched.disk.records_log_flushes.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: arguments are passed on as SQLite gave them.
    unsafe { (*watched.below).xSync.unwrap()(file, flags) }
}
