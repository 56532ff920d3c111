//! Calls about documents that say what there shall be.

use api::apply::{Applied, Apply, ApplyPlan};
use reqwest::Method;

use crate::transport::Target;
use crate::{Client, Error};

/// Calls about documents.
#[derive(Debug)]
pub struct Documents<'a>(&'a Client);

impl Client {
    /// Calls about documents.
    pub fn documents(&self) -> Documents<'_> {
        Documents(self)
    }
}

impl Documents<'_> {
    /// Asks what applying would do.
    pub async fn plan(&self, message: &Apply) -> Result<ApplyPlan, Error> {
        self.0.ask(Target::noun("documents:plan"), message).await
    }

    /// Makes everything as the documents say, or nothing.
    pub async fn apply(&self, message: &Apply) -> Result<Applied, Error> {
        self.0.change(Method::POST, Target::noun("documents:apply"), Some(message)).await
    }
}
