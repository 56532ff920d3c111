//! `aumbry copy` and `aumbry move`: secrets to other paths, all of them or none.

use api::secret::{Copied, Copy as Message};
use clap::Args;

use crate::connect::Global;
use crate::{exit, fault, output};

/// Which secrets go where
#[derive(Debug, Args)]
#[command(after_help = "The newest value goes with its labels and expiry; older versions stay where they are.")]
pub(crate) struct Copy {
    /// Path of the secret, or of a folder with --recursive
    from: String,
    /// Its new path
    to: String,
    /// All secrets below the folder
    #[arg(long, short)]
    recursive: bool,
    /// Write a new version where a secret is there already
    #[arg(long)]
    overwrite: bool,
}

impl Copy {
    /// Copies.
    pub(crate) async fn copy(self, global: &Global) -> fault::Outcome {
        let message = self.message();
        let copied = global.client()?.secrets().copy(&message).await?;
        shown(global, &copied)
    }

    /// Copies and hides the sources.
    pub(crate) async fn relocate(self, global: &Global) -> fault::Outcome {
        let message = self.message();
        let copied = global.client()?.secrets().relocate(&message).await?;
        shown(global, &copied)
    }

    fn message(self) -> Message {
        let Self { from, to, recursive, overwrite } = self;
        Message { from, to, recursive, overwrite }
    }
}

fn shown(global: &Global, copied: &Copied) -> fault::Outcome {
    for path in &copied.left_out {
        output::note(&format!("note: `{path}` cannot be read: left out"));
    }
    global.output().rows(copied, &["from", "to", "version"], |copied| {
        let row = |item: &api::secret::CopiedItem| vec![item.from.clone(), item.to.clone(), item.version.to_string()];
        copied.items.iter().map(row).collect()
    })?;
    Ok(exit::OK)
}
