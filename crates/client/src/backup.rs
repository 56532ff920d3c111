//! Calls about backups.

use api::backup::{Backup, BackupList, RemovedBackup};
use crypto::secret::SecretBytes;
use reqwest::Method;

use crate::transport::{Call, Target};
use crate::{Client, Error};

/// Calls about backups.
#[derive(Debug)]
pub struct Backups<'a>(&'a Client);

impl Client {
    /// Calls about backups.
    pub fn backups(&self) -> Backups<'_> {
        Backups(self)
    }
}

impl Backups<'_> {
    /// Lists the backups in the server's backup folder, oldest first.
    pub async fn list(&self) -> Result<BackupList, Error> {
        self.0.fetch(Target::noun("backups")).await
    }

    /// Begins a backup; it goes on behind the answer.
    pub async fn create(&self) -> Result<Backup, Error> {
        self.0.change(Method::POST, Target::noun("backups"), None::<&()>).await
    }

    /// How far a backup is.
    pub async fn show(&self, id: &str) -> Result<Backup, Error> {
        self.0.fetch(Target::at("backups", id)).await
    }

    /// Bytes of a backup from `from` on, at most 4 MiB; none behind its end.
    pub async fn part(&self, id: &str, from: u64) -> Result<SecretBytes, Error> {
        let target = Target::at("backups", id).with("from", Some(from));
        let answer = self.0.send(Call { accept: api::OCTETS, ..Call::new(Method::GET, target) }).await?;
        if !answer.is(api::OCTETS) {
            return Err(Error::unreadable("is not the piece of a backup that was asked for"));
        }
        Ok(answer.into_body())
    }

    /// Removes a backup for good.
    pub async fn remove(&self, id: &str) -> Result<RemovedBackup, Error> {
        self.0.change(Method::DELETE, Target::at("backups", id), None::<&()>).await
    }
}
