//! `aumbry principal`: who there is.

use api::principal::{Principal as Item, PrincipalList, PutPrincipal};
use clap::Subcommand;
use client::Error;

use crate::connect::Global;
use crate::{exit, fault, output, pages};

/// Who there is
#[derive(Debug, Subcommand)]
pub(crate) enum Principal {
    /// Make or change a principal
    Put {
        /// Name of the principal
        name: String,
        /// Role it has; may be given several times, in place of all present ones
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<String>,
        /// Shut it out and end its sessions
        #[arg(long)]
        disabled: bool,
        /// Identity of the house's own tenant that acts here as this principal, ent_…; with --tenant
        #[arg(long, value_name = "ID")]
        entity: Option<String>,
    },
    /// Show a principal
    Get {
        /// Name of the principal
        name: String,
    },
    /// List the principals
    List,
}

impl Principal {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::Put { name, roles, disabled, entity } => {
                let changed = client.principals().put(&name, &PutPrincipal { roles, disabled, entity }).await?;
                output.answer(&changed, |changed| {
                    format!("{} is {}", changed.principal.name, changed.principal.entity)
                })?;
            }
            Self::Get { name } => {
                let found = client.principals().read(&name).await?;
                output.rows(&found, HEAD, |found| vec![row(found)])?;
            }
            Self::List => list(&client, output).await?,
        }
        Ok(exit::OK)
    }
}

async fn list(client: &client::Client, output: output::Output) -> Result<(), Error> {
    let items = pages::all(async |cursor| {
        let page = client.principals().list(&pages::query(cursor)).await?;
        Ok((page.items, page.next_cursor))
    });
    let mut all = PrincipalList { items: items.await?, next_cursor: None };
    all.items.sort_by(|a, b| a.name.cmp(&b.name));
    output.rows(&all, HEAD, |all| all.items.iter().map(row).collect())
}

fn row(found: &Item) -> Vec<String> {
    let state = if found.disabled { "disabled" } else { "enabled" };
    vec![found.name.clone(), found.entity.clone(), found.roles.join(" "), state.to_owned()]
}

const HEAD: &[&str] = &["name", "entity", "roles", "state"];
