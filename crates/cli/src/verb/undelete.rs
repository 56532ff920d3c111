//! `aumbry undelete`: brings a deleted secret back.

use api::secret::Undelete as Message;
use clap::Args;

use crate::connect::Global;
use crate::{exit, fault};

/// Bring a deleted secret back
#[derive(Debug, Args)]
pub(crate) struct Undelete {
    /// Path of the secret
    path: String,
}

impl Undelete {
    /// Asks the server for it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let restored = global.client()?.secrets().undelete(&Message { path: self.path }).await?;
        global.output().answer(&restored, |restored| format!("{} version {}", restored.path, restored.version))?;
        Ok(exit::OK)
    }
}
