//! `aumbry versions`: shows the versions of a secret, without values.

use clap::Args;

use crate::connect::Global;
use crate::{exit, fault};

/// List the versions of a secret
#[derive(Debug, Args)]
pub(crate) struct Versions {
    /// Path of the secret
    path: String,
}

impl Versions {
    /// Fetches and prints them, newest first.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let versions = global.client()?.secrets().versions(&self.path).await?;
        global.output().rows(&versions, &["version", "state", "created", "by", "note"], |versions| {
            let row = |v: &api::secret::Version| {
                let note = match (v.rolled_back_to, &v.expires_at) {
                    (Some(older), _) => format!("repeats version {older}"),
                    (None, Some(time)) => format!("expires {time}"),
                    (None, None) => String::new(),
                };
                let by = v.created_by.clone().unwrap_or_default();
                vec![v.version.to_string(), v.state.word().to_owned(), v.created_at.to_string(), by, note]
            };
            versions.items.iter().map(row).collect()
        })?;
        Ok(exit::OK)
    }
}
