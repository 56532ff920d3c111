//! Calls about the server itself and about operations.

use api::operation::Operation;
use api::status::Status;

use crate::path::check_name;
use crate::transport::Target;
use crate::{Client, Error};

impl Client {
    /// What everybody may know about the server; needs no token.
    pub async fn status(&self) -> Result<Status, Error> {
        self.fetch(Target::noun("status")).await
    }

    /// What became of a change whose answer was lost.
    pub async fn operation(&self, id: &str) -> Result<Operation, Error> {
        check_name(id)?;
        self.fetch(Target::at("operations", id)).await
    }
}
