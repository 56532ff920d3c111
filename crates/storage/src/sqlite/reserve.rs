//! Blocks kept in a file that can be given up when the disk is full, so that small revocations still find room.

use super::folder::private_file;
use fs4::FileExt;
use parking_lot::Mutex;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

/// What must fit beside the reserve before writes are said to have room.
const PIECE_BYTES: u64 = 1 << 20;

/// Space kept back.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    held: bool,
    /// Given up by this process and not taken back.
    given_up: bool,
}

impl Reserve {
    pub(super) fn new(path: PathBuf, bytes: u64) -> Reserve {
        let held = bytes > 0 && path.metadata().is_ok_and(|meta| meta.len() >= bytes);
        Reserve { path, bytes, state: Mutex::new(State { held, given_up: false }) }
    }

    /// Takes the blocks if they are not there; says whether they are.
    pub(super) fn hold(&self) -> bool {
        self.hold_in(&mut self.state.lock())
    }

    fn hold_in(&self, state: &mut State) -> bool {
        if state.held || self.bytes == 0 {
            return state.held;
        }
        state.held = private_file(&self.path).is_ok_and(|file| take(file, self.bytes).is_ok());
        match state.held {
            true => state.given_up = false,
            false => drop(std::fs::remove_file(&self.path)),
        }
        state.held
    }

    /// Gives the space back to the disk; says whether there was any.
    pub(super) fn release(&self) -> bool {
        let mut state = self.state.lock();
        let had = state.held && std::fs::remove_file(&self.path).is_ok();
        *state = State { held: false, given_up: state.given_up || had };
        had
    }

    /// Whether writes have room: what was given up is taken back, and a piece more fits beside it.
    pub(super) fn has_room(&self) -> bool {
        let mut state = self.state.lock();
        if state.given_up && !self.hold_in(&mut state) {
            return false;
        }
        let fits = private_file(&self.path).is_ok_and(|file| fits_beside(file).is_ok());
        if !state.held {
            let _may_not_be_there = std::fs::remove_file(&self.path);
        }
        fits
    }

    pub(super) fn held(&self) -> bool {
        self.state.lock().held
    }
}

/// Real blocks, not a hole. Nothing is written unless the file system gives blocks in no other way.
fn take(mut file: File, bytes: u64) -> std::io::Result<()> {
    match file.allocate(bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::Unsupported => write_zeroes(&mut file, bytes)?,
        other => other?,
    }
    file.sync_all()
}

/// Writes a piece behind what is there and takes it away again.
fn fits_beside(mut file: File) -> std::io::Result<()> {
    let size = file.seek(SeekFrom::End(0))?;
    let written = write_zeroes(&mut file, PIECE_BYTES);
    file.set_len(size)?;
    written
}

fn write_zeroes(file: &mut File, bytes: u64) -> std::io::Result<()> {
    std::io::copy(&mut std::io::repeat(0).take(bytes), file).map(drop)
}
