//! Calls about wrapped things.

use api::wrap::{MadeWrap, MakeWrap, OpenWrap, OpenedWrap};
use reqwest::Method;

use crate::transport::Target;
use crate::{Client, Error};

/// Calls about wrapped things.
#[derive(Debug)]
pub struct Wraps<'a>(&'a Client);

impl Client {
    /// Calls about wrapped things.
    pub fn wraps(&self) -> Wraps<'_> {
        Wraps(self)
    }
}

impl Wraps<'_> {
    /// Wraps a text or a secret.
    pub async fn make(&self, message: &MakeWrap) -> Result<MadeWrap, Error> {
        self.0.change(Method::POST, Target::noun("wraps"), Some(message)).await
    }

    /// Opens something wrapped, once; needs no session.
    pub async fn open(&self, message: &OpenWrap) -> Result<OpenedWrap, Error> {
        self.0.change(Method::POST, Target::noun("wraps:open"), Some(message)).await
    }
}
