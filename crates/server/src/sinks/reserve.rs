//! Space kept back, so that what must go on when the disk is full can still be logged.

use fs4::FileExt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Bytes kept back.
pub(super) const RESERVE_BYTES: u64 = 64 << 20;
/// What is given back at a time.
const STEP_BYTES: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Reserve {
    file: File,
    left: u64,
    whole: u64,
}

impl Reserve {
    /// Opens or makes the reserve and fills it as far as there is space.
    pub(super) fn open(path: &Path, whole: u64) -> io::Result<Reserve> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)?;
        let left = file.metadata()?.len();
        let mut reserve = Reserve { file, left, whole };
        let _is_full = reserve.refill();
        Ok(reserve)
    }

    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// What only urgent rows may use.
    pub(super) fn half(&self) -> u64 {
        self.whole / 2
    }

    pub(super) fn is_whole(&self) -> bool {
        self.left >= self.whole
    }

    /// Gives space back for `needed` bytes; false when none is left.
    pub(super) fn release(&mut self, needed: u64) -> bool {
        let kept = self.left.saturating_sub(needed.max(STEP_BYTES));
        if self.left == 0 || self.file.set_len(kept).is_err() {
            return false;
        }
        self.left = kept;
        true
    }

    /// Takes space again, real blocks and not a hole; false when there is not enough.
    pub(super) fn refill(&mut self) -> bool {
        if !self.is_whole() && self.file.allocate(self.whole).is_ok() {
            self.left = self.whole;
        }
        if !self.is_whole() {
            // What was taken in part is given back: a half reserve must not eat the space that rows need.
            let _same_as_before = self.file.set_len(self.left);
        }
        self.is_whole()
    }
}
