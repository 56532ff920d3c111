//! Calls about keys and the seal.

use api::key::{KeyList, Rekeyed, RotateKeys, Rotated};
use reqwest::Method;

use crate::transport::Target;
use crate::{Client, Error};

/// Calls about keys and the seal.
#[derive(Debug)]
pub struct Keys<'a>(&'a Client);

impl Client {
    /// Calls about keys and the seal.
    pub fn keys(&self) -> Keys<'_> {
        Keys(self)
    }
}

impl Keys<'_> {
    /// Lists the keys, never their bytes.
    pub async fn list(&self) -> Result<KeyList, Error> {
        self.0.fetch(Target::noun("keys")).await
    }

    /// Replaces a key.
    pub async fn rotate(&self, message: &RotateKeys) -> Result<Rotated, Error> {
        self.0.change(Method::POST, Target::noun("keys:rotate"), Some(message)).await
    }

    /// Replaces the seal itself.
    pub async fn rekey_seal(&self) -> Result<Rekeyed, Error> {
        self.0.change(Method::POST, Target::noun("seal:rekey"), None::<&()>).await
    }
}
