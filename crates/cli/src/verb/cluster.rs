//! `aumbry cluster`: the nodes that share a database.

use api::node::{Node, NodeList};
use clap::Subcommand;

use crate::connect::Global;
use crate::{exit, fault};

/// The nodes that share a database
#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Show the nodes, as the one that answers sees them
    Status,
}

impl Cluster {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::Status => {
                let nodes = client.nodes().list().await?;
                let columns = ["name", "address", "version", "started", "head", "seen", "does"];
                output.rows(&nodes, &columns, rows)?;
                if nodes.items.is_empty() {
                    crate::output::note("the store is this server's alone: no other node can share it");
                }
            }
        }
        Ok(exit::OK)
    }
}

fn rows(nodes: &NodeList) -> Vec<Vec<String>> {
    let row = |node: &Node| {
        let seen = match node.silent_ms {
            _ if node.own => "answers".to_owned(),
            silent => format!("{} s ago", silent / 1_000),
        };
        let does = if node.pen { "folds, and what is due" } else { "" };
        let (started, head) = (node.started_at.to_string(), node.head.to_string());
        vec![node.name.clone(), node.address.clone(), node.version.clone(), started, head, seen, does.to_owned()]
    };
    nodes.items.iter().map(row).collect()
}
