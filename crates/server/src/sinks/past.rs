//! A sink that rows went to in an earlier run: it is read, and nothing is added.

use ledger::access_log::{Chunk, Role, Shelf, Sink, SinkError};
use std::sync::Arc;
use storage::BoxFuture;

/// Rows of before.
#[derive(Debug)]
pub(crate) struct PastSink(pub(crate) Arc<dyn Sink>);

impl Sink for PastSink {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn append<'a>(&'a self, _: Chunk<'a>) -> BoxFuture<'a, Result<(), SinkError>> {
        Box::pin(std::future::ready(Err(SinkError::Unavailable("it is only read".into()))))
    }

    fn sync(&self) -> BoxFuture<'_, Result<(), SinkError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn shelf(&self) -> Option<&dyn Shelf> {
        self.0.shelf()
    }

    fn role(&self) -> Role {
        Role::Past
    }
}
