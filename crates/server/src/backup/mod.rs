//! Backups of a server: made in its backup folder on a thread of their own, tried out by a restore, kept and removed; and the
//! way back, while no server runs.
//!
//! ```text
//! backups/bak_….part              being written
//! backups/bak_….backup            whole, not tried
//! backups/bak_….verified.backup   whole, and a trial restore of it went well
//! backups/aumbry-trial            the store of a trial restore
//! backups/lock                    held by the server that uses the folder
//! ```

mod folder;
mod keeper;
mod pace;
mod replace;
mod restore;
mod system;
mod trial;

pub(crate) use keeper::{FAILED, Keeper, Settings};
pub(crate) use restore::wrapped_root;
pub use restore::{Checked, Restore, Restored, SealKey, check, restore};
