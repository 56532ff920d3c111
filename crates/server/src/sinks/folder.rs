//! The folder of the file sink: one file per segment, nothing else, nobody else's.
//!
//! ```text
//! access/reserve                          space kept back for urgent rows
//! access/00000000/0000000000000001.rows   segment 1; 4,096 segments to a folder
//! ```

use crate::files;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const SEGMENTS_PER_FOLDER: u64 = 4096;
const FILE_BYTES_MAX: u64 = 64 << 20;
pub(super) const RESERVE: &str = "reserve";

/// Why the folder is not used. Nothing was changed.
#[derive(Debug)]
pub struct Refused(pub(super) String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the access log's folder is refused: {}", self.0)
    }
}

impl std::error::Error for Refused {}

#[derive(Clone, Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Whether it is only read: what nobody may write can then be anybody's and open to all.
    still: bool,
}

impl Folder {
    /// Makes the folder, or checks that everything in it is ours: names, kinds, owner, modes.
    pub(super) fn open(path: &Path) -> Result<Folder, Refused> {
        Folder { path: path.to_path_buf(), still: false }.checked()
    }

    /// The same for one that is only read, and perhaps a copy that nobody may write.
    pub(super) fn visit(path: &Path) -> Result<Folder, Refused> {
        Folder { path: path.to_path_buf(), still: true }.checked()
    }

    fn checked(self) -> Result<Folder, Refused> {
        let (folder, path) = (&self, &self.path);
        folder.check_folder(path)?;
        let refused = |name: &str, why: &str| Refused(format!("{}: {why}", path.join(name).display()));
        for entry in std::fs::read_dir(path).map_err(|error| Refused(error.to_string()))? {
            let entry = entry.map_err(|error| Refused(error.to_string()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let found = entry.path().symlink_metadata().map_err(|error| Refused(error.to_string()))?;
            match folder_number(&name) {
                Some(_) if found.is_dir() => {
                    folder.check_folder(&entry.path())?;
                }
                None if name == RESERVE => folder.check(&found).map_err(|why| refused(&name, why))?,
                _ => return Err(refused(&name, "is not of the access log")),
            }
        }
        if let Some(newest) = folder.folders().map_err(|error| Refused(error.to_string()))?.last().copied() {
            folder.check_files(newest)?;
        }
        Ok(self)
    }

    fn check_folder(&self, path: &Path) -> Result<(), Refused> {
        match path.symlink_metadata() {
            Ok(found) if self.still && found.is_dir() && found.mode() & 0o222 == 0 => Ok(()),
            _ => files::private_folder(path).map_err(|error| Refused(error.to_string())),
        }
    }

    fn check(&self, found: &std::fs::Metadata) -> Result<(), &'static str> {
        match self.still && found.is_file() && found.mode() & 0o222 == 0 {
            true => Ok(()),
            false => check(found),
        }
    }

    fn check_files(&self, number: u64) -> Result<(), Refused> {
        let below = self.below(number);
        for entry in std::fs::read_dir(&below).map_err(|error| Refused(error.to_string()))? {
            let entry = entry.map_err(|error| Refused(error.to_string()))?;
            let path = entry.path();
            let refused = |why: &str| Refused(format!("{}: {why}", path.display()));
            let segment = segment_number(&entry.file_name().to_string_lossy());
            if segment.is_none_or(|segment| segment / SEGMENTS_PER_FOLDER != number) {
                return Err(refused("is not of the access log"));
            }
            self.check(&path.symlink_metadata().map_err(|error| Refused(error.to_string()))?).map_err(refused)?;
        }
        Ok(())
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.path.join(RESERVE)
    }

    pub(super) fn file(&self, number: u64) -> PathBuf {
        self.below(number / SEGMENTS_PER_FOLDER).join(format!("{number:016}.rows"))
    }

    fn below(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:08}"))
    }

    /// Makes the file of a segment with this header, or opens the one that was begun with it and was away for a while,
    /// or is empty. One that holds anything else is never taken over.
    pub(super) fn begin(&self, number: u64, header: &[u8]) -> io::Result<File> {
        match self.create(number) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let file = self.existing(number, true)?.ok_or(error)?;
                let mut held = vec![0; header.len()];
                let same = file.read_exact_at(&mut held, 0).is_ok() && held == header;
                if same || file.metadata()?.len() == 0 {
                    Ok(file)
                } else {
                    Err(io::Error::other("a file of other rows stands in the segment's place"))
                }
            }
            made => made,
        }
    }

    fn create(&self, number: u64) -> io::Result<File> {
        let path = self.file(number);
        if let Some(parent) = path.parent() {
            files::private_folder(parent).map_err(io::Error::other)?;
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)
    }

    /// Opens a segment's file, checked on the handle; `None` when there is none.
    pub(super) fn existing(&self, number: u64, write: bool) -> io::Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.read(true).write(write).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
        match options.open(self.file(number)) {
            Ok(file) => {
                self.check(&file.metadata()?).map_err(io::Error::other)?;
                Ok(Some(file))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn read(&self, number: u64, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.existing(number, false)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(bytes_max.min(FILE_BYTES_MAX)).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        match std::fs::remove_file(self.file(number)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Brings the names of a segment's folder, and of the folder above, to stable storage; `false` when they cannot be
    /// opened now. Errors are failed flushes only.
    pub(super) fn sync_names(&self, number: u64) -> io::Result<bool> {
        for folder in [&self.below(number / SEGMENTS_PER_FOLDER), &self.path] {
            let Ok(folder) = File::open(folder) else { return Ok(false) };
            folder.sync_all()?;
        }
        Ok(true)
    }

    /// Oldest and newest segment.
    pub(super) fn range(&self) -> io::Result<Option<(u64, u64)>> {
        let folders = self.folders()?;
        let mut oldest = None;
        for folder in &folders {
            oldest = self.segments(*folder)?.first().copied();
            if oldest.is_some() {
                break;
            }
        }
        for folder in folders.iter().rev() {
            if let (Some(oldest), Some(newest)) = (oldest, self.segments(*folder)?.last().copied()) {
                return Ok(Some((oldest, newest)));
            }
        }
        Ok(None)
    }

    fn folders(&self) -> io::Result<Vec<u64>> {
        numbers(&self.path, folder_number)
    }

    fn segments(&self, folder: u64) -> io::Result<Vec<u64>> {
        numbers(&self.below(folder), segment_number)
    }
}

/// Length of the file, if it is still the one that stands under its name.
pub(super) fn in_place(file: &File, path: &Path) -> Option<u64> {
    let (held, named) = (file.metadata().ok()?, path.symlink_metadata().ok()?);
    ((held.dev(), held.ino()) == (named.dev(), named.ino())).then_some(held.len())
}

fn check(found: &std::fs::Metadata) -> Result<(), &'static str> {
    if !found.is_file() {
        return Err("is not a file");
    }
    if found.uid() != files::our_uid() {
        return Err("belongs to another user");
    }
    if found.mode() & 0o177 != 0 {
        return Err("may be executed, or used by others; its mode must be 0600");
    }
    Ok(())
}

fn numbers(path: &Path, number: impl Fn(&str) -> Option<u64>) -> io::Result<Vec<u64>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path)? {
        all.extend(number(&entry?.file_name().to_string_lossy()));
    }
    all.sort_unstable();
    Ok(all)
}

fn folder_number(name: &str) -> Option<u64> {
    digits(name, 8)
}

fn segment_number(name: &str) -> Option<u64> {
    digits(name.strip_suffix(".rows")?, 16)
}

fn digits(text: &str, count: usize) -> Option<u64> {
    (text.len() >= count && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}
