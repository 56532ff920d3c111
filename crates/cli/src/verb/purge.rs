//! `aumbry purge`: destroys the keys of versions for good.

use api::secret::Purge as Message;
use clap::Args;

use crate::connect::Global;
use crate::{exit, fault, input};

/// Destroy versions for good
#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Path of the secret
    path: String,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Version to destroy; may be given several times
    #[arg(long = "version", value_name = "VERSION")]
    versions: Vec<u64>,
    /// Destroy all versions and the secret's name
    #[arg(long)]
    all: bool,
}

impl Purge {
    /// Asks the person, then the server.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        client::check_path(&self.path)?;
        let client = global.client()?;
        input::confirm(&format!("purging `{}`", self.path), &self.path, global.yes)?;
        let versions = Some(self.what.versions).filter(|versions| !versions.is_empty());
        let message = Message { path: self.path, versions, all: self.what.all };
        let purged = client.secrets().purge(&message).await?;
        global.output().answer(&purged, |purged| {
            let versions: Vec<_> = purged.versions.iter().map(ToString::to_string).collect();
            format!("{} versions {} purged; {}", purged.path, versions.join(", "), purged.remains)
        })?;
        Ok(exit::OK)
    }
}
