//! `aumbry delete`: hides a secret until it is undeleted or purged.

use clap::Args;

use crate::connect::Global;
use crate::{exit, fault};

/// Delete a secret; undelete brings it back
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Path of the secret
    path: String,
}

impl Delete {
    /// Asks the server for it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let deleted = global.client()?.secrets().delete(&self.path).await?;
        global.output().answer(&deleted, |deleted| {
            format!("{} deleted; `aumbry undelete` brings version {} back", deleted.path, deleted.version)
        })?;
        Ok(exit::OK)
    }
}
