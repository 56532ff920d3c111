//! `aumbry rollback`: makes a new version that repeats an older one.

use api::secret::Rollback as Message;
use clap::Args;

use crate::connect::Global;
use crate::{exit, fault};

/// Make a new version that repeats an older one
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Path of the secret
    path: String,
    #[command(flatten)]
    target: Target,
    /// Only if this is the current version
    #[arg(long, value_name = "VERSION")]
    cas: Option<u64>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The version to repeat
    #[arg(long, value_name = "VERSION")]
    version: Option<u64>,
    /// The moment whose current version to repeat, RFC 3339
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Rollback {
    /// Asks the server for it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let at = self.target.at.map(api::Timestamp);
        let message = Message { path: self.path, version: self.target.version, at, cas: self.cas };
        let written = global.client()?.secrets().rollback(&message).await?;
        global.output().answer(&written, |written| format!("{} version {}", written.path, written.version))?;
        Ok(exit::OK)
    }
}
