//! Backups: list, make, fetch, remove. What keeps them is behind [`Backups`].

use crate::answer::Answer;
use crate::call::Call;
use crate::time::shown;
use api::backup as wire;
use app::code::{BACKUP_NOT_FOUND, REQUEST_INVALID};
use app::{Act, Authorized, Refusal};
use crypto::id::BackupId;
use crypto::{SecretBytes, WallMs};
use futures::future::BoxFuture;
use std::sync::Arc;

/// How far a backup is.
pub use api::backup::BackupState as Stage;

/// A backup as shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShownBackup {
    /// Its id, which holds the time it was begun.
    pub id: BackupId,
    /// How far it is.
    pub stage: Stage,
    /// Why it failed.
    pub failed: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// Entries in it.
    pub entries: Option<u64>,
    /// Sealed values in it.
    pub values: Option<u64>,
    /// Up to when it holds what was changed.
    pub ended: Option<WallMs>,
}

impl ShownBackup {
    /// One of which no more is known yet.
    #[must_use]
    pub fn new(id: BackupId, stage: Stage) -> ShownBackup {
        ShownBackup { id, stage, failed: None, bytes: 0, entries: None, values: None, ended: None }
    }
}

/// Keeps the backups of a server.
pub trait Backups: Send + Sync + std::fmt::Debug {
    /// All of them, oldest first, one that is being made or failed too.
    fn list(&self, grant: Authorized) -> BoxFuture<'static, Result<Vec<ShownBackup>, Refusal>>;
    /// Begins one. Errors: `backup.busy` while another one is made.
    fn begin(&self, grant: Authorized) -> BoxFuture<'static, Result<ShownBackup, Refusal>>;
    /// Bytes from `from` on, as many as fit an answer; none behind the end.
    fn part(&self, grant: Authorized, id: BackupId, from: u64) -> BoxFuture<'static, Result<Vec<u8>, Refusal>>;
    /// Removes one for good.
    fn remove(&self, grant: Authorized, id: BackupId) -> BoxFuture<'static, Result<(), Refusal>>;
}

/// `GET backups`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    let backups = call.house.surroundings.backups();
    call.act(
        |_| Ok((Act::backup_list(), ())),
        move |grant, ()| backups.list(grant),
        |found| Answer::json(&wire::BackupList { items: found.into_iter().map(backup).collect() }),
    )
    .await
}

/// `POST backups`
pub(crate) async fn create(call: Box<Call>) -> Answer {
    let backups = call.house.surroundings.backups();
    call.act(
        |_| Ok((Act::backup_create(), ())),
        move |grant, ()| backups.begin(grant),
        |begun| Answer::json(&backup(begun)),
    )
    .await
}

/// `GET backups/{id}`: what is known of it, or its bytes.
pub(crate) async fn get(call: Box<Call>) -> Answer {
    let backups = call.house.surroundings.backups();
    if call.wants_raw() {
        return part(call, backups).await;
    }
    call.act(
        |call| match call.query::<wire::BackupQuery>()?.from {
            None => Ok((Act::backup_list(), id(call)?)),
            Some(_) => Err(Refusal::new(&REQUEST_INVALID, "`from` goes with `Accept: application/octet-stream` only")),
        },
        move |grant, id| {
            let listing = backups.list(grant);
            async move {
                let found = listing.await?.into_iter().find(|backup| backup.id == id);
                found.ok_or_else(|| Refusal::new(&BACKUP_NOT_FOUND, "there is no such backup"))
            }
        },
        |found| Answer::json(&backup(found)),
    )
    .await
}

async fn part(call: Box<Call>, backups: Arc<dyn Backups>) -> Answer {
    call.act(
        |call| Ok((Act::backup_read(), (id(call)?, call.query::<wire::BackupQuery>()?.from.unwrap_or(0)))),
        move |grant, (id, from)| backups.part(grant, id, from),
        |bytes| Answer::bytes(api::OCTETS, SecretBytes::new(bytes)),
    )
    .await
}

/// `DELETE backups/{id}`
pub(crate) async fn remove(call: Box<Call>) -> Answer {
    let backups = call.house.surroundings.backups();
    call.act(
        |call| Ok((Act::backup_remove(), id(call)?)),
        move |grant, id| {
            let removing = backups.remove(grant, id);
            async move { removing.await.map(|()| id) }
        },
        |id| Answer::json(&wire::RemovedBackup { id: id.to_string() }),
    )
    .await
}

/// The backup that the route names: an id and nothing else, so that no name ever becomes a path.
fn id(call: &Call) -> Result<BackupId, Refusal> {
    call.name.parse().map_err(|_bad| Refusal::new(&REQUEST_INVALID, "this is not the id of a backup"))
}

fn backup(found: ShownBackup) -> wire::Backup {
    let begun = WallMs(found.id.as_bytes().iter().take(6).fold(0, |ms, byte| (ms << 8) | u64::from(*byte)));
    wire::Backup {
        id: found.id.to_string(),
        state: found.stage,
        failed: found.failed,
        begun_at: shown(begun),
        ended_at: found.ended.map(shown),
        entries: found.entries,
        values: found.values,
        bytes: found.bytes,
    }
}
