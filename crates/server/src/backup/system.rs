//! Two things that only the operating system can do: run a thread behind all others, and swap two folders in one step.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How far down the scheduler puts a thread that is to cost others little, and still gets on where they take all they can; 19 is
/// the bottom.
const NICE: libc::c_int = 5;

/// Puts this thread, and those it makes, behind others. Where it is not allowed, all goes on as well.
pub(super) fn stand_back() {
    // SAFETY: gettid takes nothing and cannot fail; setpriority sets a number of the thread it names and touches no memory.
    let _without_it_it_runs_as_well = unsafe {
        let thread = libc::id_t::try_from(libc::gettid()).unwrap_or(0);
        libc::setpriority(libc::PRIO_PROCESS, thread, NICE)
    };
}

/// Swaps two folders in one step, so that at no moment a server that starts would find none and begin a new store.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other);
    let (one, other) = (text(one)?, text(other)?);
    // SAFETY: both are texts that end in a zero byte and live across the call, which only reads them.
    let done =
        unsafe { libc::renameat2(libc::AT_FDCWD, one.as_ptr(), libc::AT_FDCWD, other.as_ptr(), libc::RENAME_EXCHANGE) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
