//! `aumbry policy`: who may do what, as Cedar text.

use std::path::PathBuf;

use api::policy::{PageQuery, Policy as Item, PolicyList, PutPolicy};
use clap::Subcommand;
use client::Error;

use crate::connect::Global;
use crate::{exit, fault, input, output};

/// Who may do what
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Write a policy
    Put {
        /// Name of the policy
        name: String,
        /// File with Cedar text; `-` or nothing for standard input
        file: Option<PathBuf>,
    },
    /// Show a policy
    Get {
        /// Name of the policy
        name: String,
    },
    /// List the policies
    List,
    /// Remove a policy
    Rm {
        /// Name of the policy
        name: String,
    },
}

impl Policy {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::Put { name, file } => {
                let changed = client.policies().put(&name, &PutPolicy { text: text(file)? }).await?;
                output.answer(&changed, |changed| format!("policy {} written", changed.name))?;
            }
            Self::Get { name } => {
                let policy = client.policies().read(&name).await?;
                if global.json {
                    output.answer(&policy, |_| String::new())?;
                } else {
                    output::write(lines(policy.text.unwrap_or_default()).as_bytes())?;
                }
            }
            Self::List => list(&client, output).await?,
            Self::Rm { name } => {
                let changed = client.policies().remove(&name).await?;
                output.answer(&changed, |changed| format!("policy {} removed", changed.name))?;
            }
        }
        Ok(exit::OK)
    }
}

async fn list(client: &client::Client, output: output::Output) -> Result<(), Error> {
    let mut all = PolicyList { items: Vec::new(), next_cursor: None };
    let mut query = PageQuery { limit: Some(1000), ..PageQuery::default() };
    loop {
        let page = client.policies().list(&query).await?;
        all.items.extend(page.items);
        if page.next_cursor.is_none() || page.next_cursor == query.cursor {
            break;
        }
        query.cursor = page.next_cursor;
    }
    all.items.sort_by(|a, b| a.name.cmp(&b.name));
    output.rows(&all, &["name", "changed"], |all| {
        let changed = |policy: &Item| policy.updated_at.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        all.items.iter().map(|policy| vec![policy.name.clone(), changed(policy)]).collect()
    })
}

fn text(file: Option<PathBuf>) -> Result<String, Error> {
    let bytes = match file.filter(|path| path.as_os_str() != "-") {
        Some(path) => input::file(&path, TEXT_BYTES_MAX)?,
        None => input::stdin(TEXT_BYTES_MAX)?,
    };
    let text = bytes.into_text().map_err(|_| fault::invalid("the policy is not UTF-8 text", "write Cedar text"))?;
    Ok(text.expose().to_owned())
}

/// Escapes each line for itself, so that the lines stay.
fn lines(text: String) -> String {
    text.lines().map(|line| line.split('\t').map(crate::escape::text).collect::<Vec<_>>().join("\t") + "\n").collect()
}

const TEXT_BYTES_MAX: usize = 64 * 1024;
