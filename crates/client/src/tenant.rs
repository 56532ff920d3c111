//! Calls about tenants.

use api::policy::PageQuery;
use api::tenant::{ChangeTenant, CreateTenant, CreatedTenant, LoginToTenant, Tenant, TenantChanged, TenantList};
use reqwest::Method;

use crate::path::check_name;
use crate::transport::Target;
use crate::{Client, Error};

/// Calls about tenants.
#[derive(Debug)]
pub struct Tenants<'a>(&'a Client);

impl Client {
    /// Calls about tenants.
    pub fn tenants(&self) -> Tenants<'_> {
        Tenants(self)
    }
}

impl Tenants<'_> {
    /// Makes a tenant; the answer holds the one-time login of its owner.
    pub async fn create(&self, message: &CreateTenant) -> Result<CreatedTenant, Error> {
        self.0.change(Method::POST, Target::noun("tenants"), Some(message)).await
    }

    /// Makes a one-time login for a tenant's owner.
    pub async fn login(&self, message: &LoginToTenant) -> Result<CreatedTenant, Error> {
        self.0.change(Method::POST, Target::noun("tenants:login"), Some(message)).await
    }

    /// Reads a tenant.
    pub async fn read(&self, name: &str) -> Result<Tenant, Error> {
        check_name(name)?;
        self.0.fetch(Target::at("tenants", name)).await
    }

    /// Lists one page.
    pub async fn list(&self, query: &PageQuery) -> Result<TenantList, Error> {
        let target = Target::noun("tenants").with("cursor", query.cursor.as_ref()).with("limit", query.limit);
        self.0.fetch(target).await
    }

    /// Suspends, resumes or limits a tenant.
    pub async fn change(&self, message: &ChangeTenant) -> Result<TenantChanged, Error> {
        self.0.change(Method::POST, Target::noun("tenants:change"), Some(message)).await
    }

    /// Deletes a tenant with all that is in it; goes on behind the answer.
    pub async fn delete(&self, name: &str) -> Result<TenantChanged, Error> {
        check_name(name)?;
        self.0.change(Method::DELETE, Target::at("tenants", name), None::<&()>).await
    }
}
