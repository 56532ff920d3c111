//! `aumbry seal`: what protects the root key while the server is down.

use clap::Subcommand;

use crate::connect::Global;
use crate::{exit, fault, input};

/// What protects the root key while the server is down
#[derive(Debug, Subcommand)]
pub(crate) enum Seal {
    /// Replace the seal itself: the old key file opens nothing any more
    Rekey,
}

impl Seal {
    /// Asks the person, then the server.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let Self::Rekey = self;
        let client = global.client()?;
        input::confirm("replacing the seal", "rekey", global.yes)?;
        let rekeyed = client.keys().rekey_seal().await?;
        global.output().answer(&rekeyed, |rekeyed| format!("{} replaced; {}", rekeyed.seal, rekeyed.advice))?;
        Ok(exit::OK)
    }
}
