//! `aumbry list`: shows what is below a prefix.

use api::secret::{Item, ItemKind, SecretList};
use clap::Args;

use crate::connect::Global;
use crate::{exit, fault, pages};

/// List secrets and folders
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Folder to list [default: the tenant's top]
    prefix: Option<String>,
    /// Go into folders
    #[arg(long, short)]
    recursive: bool,
}

impl List {
    /// Fetches all pages and prints them sorted; into a pipe only the paths.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let items = pages::secrets(&global.client()?, self.prefix.as_deref(), self.recursive).await?;
        shown(global, &SecretList { items, next_cursor: None })?;
        Ok(exit::OK)
    }
}

/// Prints a list; into a pipe only the paths.
pub(crate) fn shown(global: &Global, list: &SecretList) -> Result<(), client::Error> {
    let output = global.output();
    let whole = output.terminal();
    output.rows(list, &["path", "version", "state", "changed", "owner", "labels"], |list| {
        list.items.iter().map(|item| if whole { row(item) } else { vec![path(item)] }).collect()
    })
}

fn path(item: &Item) -> String {
    match item.kind {
        ItemKind::Folder => format!("{}/", item.path),
        ItemKind::Secret => item.path.clone(),
    }
}

fn row(item: &Item) -> Vec<String> {
    let version = item.version.map(|version| version.to_string()).unwrap_or_default();
    let state = item.state.map(|state| state.word().to_owned()).unwrap_or_default();
    let changed = item.updated_at.as_ref().map(ToString::to_string).unwrap_or_default();
    let labels: Vec<_> = item.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let owner = item.owner.clone().unwrap_or_default();
    vec![path(item), version, state, changed, owner, labels.join(" ")]
}
