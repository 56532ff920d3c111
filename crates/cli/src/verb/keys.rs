//! `aumbry keys`: the key hierarchy, never a key.

use api::key::{Key, RotateKeys, Scope};
use clap::{Subcommand, ValueEnum};

use crate::connect::Global;
use crate::{exit, fault};

/// The key hierarchy
#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// List the keys
    List,
    /// Replace a key; what stands under it is re-wrapped
    Rotate {
        /// Which key
        #[arg(long, value_enum, default_value_t = Which::Tenant)]
        scope: Which,
    },
}

/// Which key to replace.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Which {
    /// Your tenant's
    Tenant,
    /// The cluster's
    Root,
}

impl Keys {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::List => {
                let keys = client.keys().list().await?;
                output.rows(&keys, &["id", "purpose", "state", "created", "seals"], |keys| {
                    let row = |key: &Key| {
                        let seals = key.seals.map(|seals| seals.to_string()).unwrap_or_default();
                        let created = key.created_at.to_string();
                        vec![key.id.clone(), key.purpose.clone(), key.state.clone(), created, seals]
                    };
                    keys.items.iter().map(row).collect()
                })?;
            }
            Self::Rotate { scope } => {
                let scope = match scope {
                    Which::Tenant => Scope::Tenant,
                    Which::Root => Scope::Root,
                };
                let rotated = client.keys().rotate(&RotateKeys { scope }).await?;
                output.answer(&rotated, |rotated| match rotated.remaining {
                    0 => format!("key {} is in use; everything is re-wrapped", rotated.key),
                    rest => format!("key {} is in use; {rest} keys are still to be re-wrapped", rotated.key),
                })?;
            }
        }
        Ok(exit::OK)
    }
}
