//! Whom a server runs as that refuses to be root.

use super::fail;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// A user of the system, or whoever runs the test where that is not root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner(Option<(u32, u32)>);

impl Owner {
    /// The user of this name, which the package of the server makes.
    pub(super) fn named(name: &str, package: &str) -> Owner {
        if fs::metadata("/proc/self").is_ok_and(|me| me.uid() != 0) {
            return Owner(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let fields = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let found = fields.into_iter().find_map(|fields| match fields.as_slice() {
            [user, _, number, group, ..] if *user == name => Some((number.parse().ok()?, group.parse().ok()?)),
            _ => None,
        });
        Owner(Some(found.unwrap_or_else(|| fail(&format!("there is no user `{name}`; install `{package}`")))))
    }

    /// A command that runs as this user.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if let Some((user, group)) = self.0 {
            command.uid(user).gid(group);
        }
        command.current_dir("/");
        command
    }

    /// Gives a file or folder to this user.
    pub(super) fn take(self, path: &Path) {
        if let Some((user, group)) = self.0 {
            let taken = chown(path, Some(user), Some(group));
            taken.unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())));
        }
    }
}
