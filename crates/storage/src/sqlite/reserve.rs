//! A file of zeroes that can be given up when the disk is full, so that small revocations still find room.

use super::folder::private_file;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Space kept back.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: AtomicBool,
}

impl Reserve {
    pub(super) fn new(path: PathBuf, bytes: u64) -> Reserve {
        let held = bytes > 0 && path.metadata().is_ok_and(|meta| meta.len() >= bytes);
        Reserve { path, bytes, held: AtomicBool::new(held) }
    }

    /// Writes the zeroes if they are not there; says whether they are.
    pub(super) fn hold(&self) -> bool {
        if self.held() || self.bytes == 0 {
            return self.held();
        }
        let written = private_file(&self.path).is_ok_and(|mut file| {
            let zeroes = vec![0; 1 << 20];
            let mut left = self.bytes;
            let filled = file.set_len(0).and_then(|()| {
                while left > 0 {
                    let piece = left.min(1 << 20);
                    file.write_all(zeroes.get(..usize::try_from(piece).unwrap_or(0)).unwrap_or_default())?;
                    left -= piece;
                }
                file.sync_all()
            });
            filled.is_ok()
        });
        if written {
            self.held.store(true, Ordering::Release);
        } else {
            self.release();
        }
        written
    }

    /// Gives the space back to the disk; says whether there was any.
    pub(super) fn release(&self) -> bool {
        self.held.store(false, Ordering::Release);
        std::fs::remove_file(&self.path).is_ok()
    }

    pub(super) fn held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }
}
