//! Giving memory back when nothing is written.

use rusqlite::Connection;

/// Gives back the memory of cached pages: the operating system keeps them too, and the next write may be far off.
pub(super) fn rest(conn: &Connection) {
    let _only_memory_is_kept_if_it_fails = conn.execute_batch("PRAGMA shrink_memory");
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer and may be called by any thread at any time (malloc_trim(3): MT-Safe). SQLite allocates with
    // the C library, which keeps freed pages for itself otherwise.
    unsafe {
        libc::malloc_trim(0);
    }
}
