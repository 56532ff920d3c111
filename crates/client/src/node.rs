//! Calls about the nodes that share the store.

use api::node::NodeList;

use crate::transport::Target;
use crate::{Client, Error};

/// Calls about the nodes that share the store.
#[derive(Debug)]
pub struct Nodes<'a>(&'a Client);

impl Client {
    /// Calls about the nodes that share the store.
    pub fn nodes(&self) -> Nodes<'_> {
        Nodes(self)
    }
}

impl Nodes<'_> {
    /// Lists the nodes; none where the store is not shared.
    pub async fn list(&self) -> Result<NodeList, Error> {
        self.0.fetch(Target::noun("nodes")).await
    }
}
