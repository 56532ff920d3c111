//! Backups: `GET backups`, `POST backups`, `GET backups/{id}`, `DELETE backups/{id}`.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Timestamp;

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupState {
    /// It is being written.
    Running,
    /// It is whole and being restored on trial.
    Verifying,
    /// It is whole.
    Whole,
    /// It is whole, and a trial restore of it went well.
    Verified,
    /// It could not be made, or a trial restore of it failed.
    Failed,
}

impl BackupState {
    /// Its name, as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            BackupState::Running => "running",
            BackupState::Verifying => "verifying",
            BackupState::Whole => "whole",
            BackupState::Verified => "verified",
            BackupState::Failed => "failed",
        }
    }
}

/// A backup in the server's backup folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// Its id, `bak_…`.
    pub id: String,
    /// How far it is.
    pub state: BackupState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// Up to when it holds what was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Entries of the ledger in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Sealed values in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<u64>,
    /// How long it is.
    pub bytes: u64,
}

/// The backups there are, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupList {
    /// The backups.
    pub items: Vec<Backup>,
}

/// Which bytes of a backup, asked for with `Accept: application/octet-stream`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct BackupQuery {
    /// The first byte; 0 if absent. The answer has at most 4 MiB, and nothing behind the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

/// Answer to a removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RemovedBackup {
    /// Its id.
    pub id: String,
}
