//! Calls about the shares of the seal's key.

use api::operator::{Cancel, Cancelled, Ceremonies, Ceremony, GiveShare, HandedOut, Rekey, Sealed, Split, Unsealed};
use reqwest::Method;

use crate::transport::Target;
use crate::{Client, Error};

/// Calls about the shares of the seal's key.
#[derive(Debug)]
pub struct Operator<'a>(&'a Client);

impl Client {
    /// Calls about the shares of the seal's key.
    pub fn operator(&self) -> Operator<'_> {
        Operator(self)
    }
}

impl Operator<'_> {
    /// Makes the shares of a server on which nothing is stored; needs no token.
    pub async fn init(&self, message: &Split) -> Result<HandedOut, Error> {
        self.0.change(Method::POST, Target::noun("operator:init"), Some(message)).await
    }

    /// Gives a share to a sealed server; needs no token.
    pub async fn unseal(&self, message: &GiveShare) -> Result<Unsealed, Error> {
        self.0.change(Method::POST, Target::noun("operator:unseal"), Some(message)).await
    }

    /// Seals the server.
    pub async fn seal(&self) -> Result<Sealed, Error> {
        self.0.change(Method::POST, Target::noun("operator:seal"), None::<&()>).await
    }

    /// Begins to replace the seal's key.
    pub async fn rekey(&self, message: &Rekey) -> Result<Ceremony, Error> {
        self.0.change(Method::POST, Target::noun("operator:rekey"), Some(message)).await
    }

    /// The ceremony that is under way, if one is.
    pub async fn ceremonies(&self) -> Result<Ceremonies, Error> {
        self.0.fetch(Target::noun("ceremonies")).await
    }

    /// Gives a share to a ceremony.
    pub async fn give(&self, message: &GiveShare) -> Result<Ceremony, Error> {
        self.0.change(Method::POST, Target::noun("operator:give"), Some(message)).await
    }

    /// Gives a ceremony up.
    pub async fn cancel(&self, message: &Cancel) -> Result<Cancelled, Error> {
        self.0.change(Method::POST, Target::noun("operator:cancel"), Some(message)).await
    }
}
