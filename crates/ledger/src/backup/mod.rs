//! Backups: everything that cannot be made again, up to one batch, in one sealed stream of bytes.
//!
//! ```text
//! head    "aumbry backup\n" | format (2) | length (4) | body | SHA-256 of what stands before it
//! chunk   kind (1) | length (4) | sealed blob of at most 1 MiB
//! ...
//! foot    the plain content of the last chunk once more | length (4)
//! ```
//!
//! The head says whose backup it is and holds the root key as the seal wrapped it, and the key of this backup as the root key
//! wrapped it. Each chunk is sealed for its head, its number and whether it is the last, so that nothing can be cut off,
//! left out, moved or added. The chunks hold, one after another and across their borders, [`item::Item`]s: every batch with
//! the keys and values that are left of it, then ring rows, side rows, intents and counts of seals as of the last batch. The
//! last chunk holds the [`Foot`]: how far the backup goes, with a signed checkpoint of exactly that tree.
//!
//! What is in the chunks is sealed by the house's own keys already; a backup is as secret as the data folder.

mod chunk;
mod foot;
mod head;
mod item;
mod live;
mod make;
mod read;
mod restore;
mod rows;

pub use foot::Foot;
pub use head::{Head, read_head};
pub use live::Known;
pub use make::Pace;
pub use read::{Backup, Whole, contents};

use crate::code::{self, Refusal};
use crypto::seam::SealError;

fn damaged(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(&code::BACKUP_DAMAGED, format!("the backup is cut or was altered: {what}"))
}

fn foreign(seal: &str, error: &SealError) -> Refusal {
    let why = match error {
        SealError::Mismatch => "it belongs to another store, or the seal's key was replaced after it was made",
        _ => "the seal cannot open it",
    };
    Refusal::new(&code::BACKUP_FOREIGN, format!("{seal} does not open this backup: {why}"))
}

/// What a stream said while a backup went through it.
fn stream(error: &std::io::Error) -> Refusal {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull, UnexpectedEof};
    match error.kind() {
        UnexpectedEof => damaged("it ends too early"),
        StorageFull | QuotaExceeded | FileTooLarge => {
            Refusal::new(&code::BACKUP_FAILED, "there is no room for the backup where it is written")
        }
        _ => Refusal::new(&code::BACKUP_FAILED, format!("the backup cannot be read or written: {error}")),
    }
}
