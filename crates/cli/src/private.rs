//! Files that only their owner may read, written in one step.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use client::Error;
use crypto::seam::{Entropy as _, SystemEntropy};
use crypto::secret::SecretBytes;

use crate::fault;

/// Puts a file of mode 0600 at `target`: a new file beside it, brought to disk, moved over it.
///
/// Refused, with the old file kept: a name with `..`, a symbolic link, anything but a file, a file of another
/// owner. On any failure the old file is still there and nothing else is left behind.
pub(crate) fn write(target: &Path, content: &[u8]) -> Result<(), Error> {
    let shown = target.display().to_string();
    if target.components().any(|part| part == Component::ParentDir) {
        return Err(fault::invalid(format!("`{shown}` goes through `..`"), "name the file without `..`"));
    }
    let name = target.file_name().ok_or_else(|| fault::invalid(format!("`{shown}` is no file name"), ""))?;
    refuse_strange(target, &shown)?;
    let mut random = [0; 8];
    SystemEntropy::new().fill_public(&mut random).map_err(|_| fault::invalid("the random source failed", ""))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{:016x}.tmp", u64::from_be_bytes(random)));
    let beside = target.with_file_name(beside);
    let moved =
        create(&beside, content).and_then(|()| std::fs::rename(&beside, target)).and_then(|()| sync_folder(target));
    moved.map_err(|error| {
        let _ = std::fs::remove_file(&beside);
        fault::local(&format!("`{shown}` cannot be written"), &error)
    })
}

/// Reads a private file of at most `bytes_max` bytes; `None` if there is none.
///
/// Refused: a symbolic link, another owner, a mode that lets others in.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Option<SecretBytes>, Error> {
    match server::files::read_private(path, bytes_max) {
        Ok(found) => Ok(found.map(SecretBytes::new)),
        Err(error) => Err(fault::invalid(error.to_string(), "make it a file of your own with mode 0600")),
    }
}

/// The folder for what this user's client keeps, made with mode 0700 when it is missing.
pub(crate) fn folder(below: &str) -> Result<PathBuf, Error> {
    let folder = server::config::Environment::of_process().configuration_folder().join(below);
    server::files::private_folder(&folder)
        .map_err(|error| fault::invalid(error.to_string(), "make it a folder of your own with mode 0700"))?;
    Ok(folder)
}

fn refuse_strange(target: &Path, shown: &str) -> Result<(), Error> {
    let Ok(found) = std::fs::symlink_metadata(target) else { return Ok(()) };
    if found.is_symlink() {
        return Err(fault::invalid(format!("`{shown}` is a symbolic link"), "name the file it leads to"));
    }
    if !found.is_file() {
        return Err(fault::invalid(format!("`{shown}` is not a file"), "name a file"));
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let ours = us();
    if found.uid() != ours || std::fs::metadata(parent).is_ok_and(|folder| !may_own(folder.uid(), ours)) {
        return Err(fault::invalid(format!("`{shown}` belongs to another user"), "name a file of your own"));
    }
    Ok(())
}

/// A folder of the system or of our own may hold our file; another user's could be changed under us.
fn may_own(owner: u32, ours: u32) -> bool {
    owner == ours || owner == 0
}

/// The user this process acts as, read from what it may own.
fn us() -> u32 {
    std::fs::metadata("/proc/self").map_or(u32::MAX, |found| found.uid())
}

fn create(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn cli_01_a_file_is_private_from_its_first_moment_and_replaces_a_wider_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn cli_01_a_file_that_others_may_read_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "canary").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read(&path, 100).unwrap_err();
        assert!(refused.detail.contains("0640") && !refused.detail.contains("canary"), "{refused}");
        assert!(read(&folder.path().join("none"), 100).unwrap().is_none());
    }

    #[test]
    fn cli_05_links_folders_and_dot_dot_are_refused_and_the_old_file_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        std::fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        for bad in [link, folder.path().join("sub"), folder.path().join("sub/../real"), folder.path().join("none/x")] {
            assert!(write(&bad, b"new").is_err(), "{}", bad.display());
        }
        assert_eq!(std::fs::read(&real).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left beside them");
    }
}
