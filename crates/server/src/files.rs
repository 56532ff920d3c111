//! Folders and files that nobody else may read or change.
//!
//! Every file of the server is 0600 in a folder of 0700, both owned by the user the server runs as.
//! What is wider, another's or a symbolic link is refused, never repaired: somebody else may have
//! read or planted it.

use api::Class;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a file or folder was refused. Nothing was changed.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    problem: String,
    class: Class,
}

impl FileError {
    pub(crate) fn new(path: &Path, problem: impl std::fmt::Display) -> FileError {
        FileError { path: path.to_path_buf(), problem: problem.to_string(), class: Class::Invalid }
    }

    /// What the system refused.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> FileError {
        use ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
        let class = match error.kind() {
            AlreadyExists | IsADirectory | NotADirectory | NotFound | PermissionDenied | ReadOnlyFilesystem => {
                Class::Invalid
            }
            _ => Class::Unavailable,
        };
        FileError { class, ..FileError::new(path, error) }
    }

    /// A file of ours that is not what was written.
    pub(crate) fn damaged(path: &Path, problem: impl std::fmt::Display) -> FileError {
        FileError { class: Class::Corrupt, ..FileError::new(path, problem) }
    }

    /// `Invalid` for what is there and may not be used, `Corrupt` for damage, `Unavailable` for what may pass.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The file or folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for FileError {}

/// Makes a folder of mode 0700 with all that is missing above it, or checks one that is there.
///
/// When it returns the folder is a real folder (no link), owned by this user and closed to others.
pub fn private_folder(path: &Path) -> Result<(), FileError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(FileError::new(path, "is a symbolic link; name the folder itself")),
        Ok(found) if !found.is_dir() => Err(FileError::new(path, "is not a folder")),
        Ok(found) => private(path, &found),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(path).map_err(|error| FileError::io(path, &error))?;
            // A umask may have taken bits away, never added any; a folder we just made is ours.
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
                .map_err(|error| FileError::io(path, &error))
        }
        Err(error) => Err(FileError::io(path, &error)),
    }
}

/// Reads a private file of at most `bytes_max` bytes, or `None` if there is none.
///
/// Owner, mode and link are checked on the handle that is read, not on the name.
pub fn read_private(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, FileError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(FileError::new(path, "is a symbolic link; name the file itself"));
        }
        Err(error) => return Err(FileError::io(path, &error)),
    };
    let found = file.metadata().map_err(|error| FileError::io(path, &error))?;
    if !found.is_file() {
        return Err(FileError::new(path, "is not a file"));
    }
    private(path, &found)?;
    if found.len() > bytes_max {
        return Err(FileError::new(path, format!("is longer than {bytes_max} bytes")));
    }
    // One allocation of the final size: a key must leave no scratch copies behind.
    let mut content = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0).saturating_add(1));
    file.take(bytes_max).read_to_end(&mut content).map_err(|error| FileError::io(path, &error))?;
    Ok(Some(content))
}

/// Writes a new private file and brings file and folder to stable storage. One that exists is never touched.
///
/// Errors: the name is taken, or the disk failed (a part-written file was removed).
pub fn create_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let mut file = options.open(path).map_err(|error| FileError::io(path, &error))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| sync_folder(path)) {
        let _ = std::fs::remove_file(path);
        return Err(FileError::io(path, &error));
    }
    Ok(())
}

/// Puts a private file in the place of another in one step: after a crash either the old or the new one is there.
pub fn replace_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let beside = beside(path, ".tmp");
    let _ = std::fs::remove_file(&beside);
    create_private(&beside, content)?;
    rename(&beside, path)
}

/// Moves a file over another in the same folder and makes that durable.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    std::fs::rename(from, to).and_then(|()| sync_folder(to)).map_err(|error| FileError::io(to, &error))
}

/// The path with a suffix after its whole name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn private(path: &Path, found: &std::fs::Metadata) -> Result<(), FileError> {
    let (owner, us) = (found.uid(), our_uid());
    if owner != us {
        return Err(FileError::new(path, format!("belongs to user {owner}, the server runs as user {us}")));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        let wanted = if found.is_dir() { "0700" } else { "0600" };
        return Err(FileError::new(path, format!("has mode {mode:04o}: others may use it; make it {wanted}")));
    }
    Ok(())
}

pub(crate) fn our_uid() -> u32 {
    // SAFETY: geteuid takes nothing, touches no memory of ours and cannot fail.
    unsafe { libc::geteuid() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ft_07_a_folder_or_file_that_others_may_use_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("a/b");
        private_folder(&folder).unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        private_folder(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o750)).unwrap();
        assert!(private_folder(&folder).unwrap_err().to_string().contains("mode 0750"));

        let file = top.path().join("key");
        create_private(&file, b"x").unwrap();
        assert_eq!(read_private(&file, 10).unwrap().unwrap(), b"x");
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(read_private(&file, 10).unwrap_err().to_string().contains("mode"));
        }
    }

    #[test]
    fn ft_07_a_symbolic_link_is_refused_even_to_a_good_file() {
        let top = tempfile::tempdir().unwrap();
        let (file, link) = (top.path().join("key"), top.path().join("link"));
        create_private(&file, b"x").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(read_private(&link, 10).unwrap_err().to_string().contains("symbolic link"));
        let folder_link = top.path().join("folder");
        std::os::unix::fs::symlink(top.path(), &folder_link).unwrap();
        assert!(private_folder(&folder_link).unwrap_err().to_string().contains("symbolic link"));
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("key");
        create_private(&file, b"first").unwrap();
        assert!(create_private(&file, b"second").is_err());
        assert_eq!(read_private(&file, 10).unwrap().unwrap(), b"first");
        assert!(read_private(&file, 3).unwrap_err().to_string().contains("longer"));
        assert!(read_private(&top.path().join("absent"), 3).unwrap().is_none());
    }
}
