//! A trial restore: what is worth the name of a backup comes back to life.

use super::folder::{self, remove_folder};
use crate::build::{SHARD, rules};
use crate::files::FileError;
use crate::offline::open_ledger;
use crypto::seam::Seal;
use ledger::backup::{Backup, Pace};
use ledger::code::BACKUP_FAILED;
use ledger::{Opened, Refusal};
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use storage::{Sqlite, SqliteOptions, Storage};

/// Restores a backup into a folder that is removed afterwards, opens it with the seal, and opens every value in it. Gives how
/// many there are. Blocks the thread it runs on.
///
/// Errors: what is wrong with the backup, or with the room for the trial.
pub(crate) async fn run(file: &Path, scratch: &Path, seal: Arc<dyn Seal>, pace: &dyn Pace) -> Result<u64, Refusal> {
    remove_folder(scratch).map_err(|error| failed(&error))?;
    let tried = tried(file, scratch, seal, pace).await;
    let removed = remove_folder(scratch).map_err(|error| failed(&error));
    let tried = tried?;
    removed.map(|()| tried)
}

async fn tried(file: &Path, scratch: &Path, seal: Arc<dyn Seal>, pace: &dyn Pace) -> Result<u64, Refusal> {
    let source = BufReader::with_capacity(BUFFER, folder::open(file).map_err(|error| failed(&error))?);
    let mut whole = Backup::open(source, &*seal)?.check()?;
    let storage: Arc<dyn Storage> = Arc::new(scratch_store(scratch)?);
    whole.restore(&*storage, pace).await?;
    let Opened { ledger, drivers, .. } = open_ledger(Arc::clone(&storage), seal).await?;
    let drivers: Vec<_> = drivers.into_iter().map(tokio::spawn).collect();
    let settled = ledger.settle().await;
    let values = match settled {
        Ok(_) => ledger.try_values(whole.foot(), &rules(), pace).await,
        Err(refusal) => Err(refusal),
    };
    ledger.close();
    for driver in drivers {
        let _ = driver.await;
    }
    debug_assert_eq!(whole.head().shard, SHARD.0, "a server has one shard");
    values
}

/// A store that is not meant to survive the process.
pub(super) fn scratch_store(path: &Path) -> Result<Sqlite, Refusal> {
    let options = SqliteOptions { flush: false, reserve_bytes: 0, ..SqliteOptions::new(path) };
    Sqlite::open(options).map_err(|error| {
        tracing::error!(%error, "no store can be made for a restore");
        Refusal::new(&BACKUP_FAILED, "no store can be made for a restore; the log says why")
    })
}

pub(super) fn failed(error: &FileError) -> Refusal {
    tracing::error!(%error, "a backup cannot be read or written");
    Refusal::new(&BACKUP_FAILED, "the backup folder cannot be used; the server's log says why")
}

/// Bytes read at once.
pub(super) const BUFFER: usize = 256 << 10;
