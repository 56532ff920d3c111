//! Calls about principals.

use api::policy::PageQuery;
use api::principal::{Principal, PrincipalChanged, PrincipalList, PutPrincipal};
use reqwest::Method;

use crate::path::check_name;
use crate::transport::Target;
use crate::{Client, Error};

/// Calls about principals.
#[derive(Debug)]
pub struct Principals<'a>(&'a Client);

impl Client {
    /// Calls about principals.
    pub fn principals(&self) -> Principals<'_> {
        Principals(self)
    }
}

impl Principals<'_> {
    /// Makes or changes a principal.
    pub async fn put(&self, name: &str, message: &PutPrincipal) -> Result<PrincipalChanged, Error> {
        check_name(name)?;
        self.0.change(Method::PUT, Target::at("principals", name), Some(message)).await
    }

    /// Reads a principal.
    pub async fn read(&self, name: &str) -> Result<Principal, Error> {
        check_name(name)?;
        self.0.fetch(Target::at("principals", name)).await
    }

    /// Lists one page.
    pub async fn list(&self, query: &PageQuery) -> Result<PrincipalList, Error> {
        let target = Target::noun("principals").with("cursor", query.cursor.as_ref()).with("limit", query.limit);
        self.0.fetch(target).await
    }
}
