//! Calls about password policies.

use api::password_policy::{
    PasswordPolicy, PasswordPolicyChanged, PasswordPolicyList, PasswordPolicyRemoved, PasswordRules,
};
use api::policy::PageQuery;
use reqwest::Method;

use crate::path::check_name;
use crate::transport::Target;
use crate::{Client, Error};

/// Calls about password policies.
#[derive(Debug)]
pub struct PasswordPolicies<'a>(&'a Client);

impl Client {
    /// Calls about password policies.
    pub fn password_policies(&self) -> PasswordPolicies<'_> {
        PasswordPolicies(self)
    }
}

impl PasswordPolicies<'_> {
    /// Writes a password policy.
    pub async fn put(&self, name: &str, message: &PasswordRules) -> Result<PasswordPolicyChanged, Error> {
        check_name(name)?;
        self.0.change(Method::PUT, Target::at("password-policies", name), Some(message)).await
    }

    /// Reads a password policy.
    pub async fn read(&self, name: &str) -> Result<PasswordPolicy, Error> {
        check_name(name)?;
        self.0.fetch(Target::at("password-policies", name)).await
    }

    /// Removes a password policy.
    pub async fn remove(&self, name: &str) -> Result<PasswordPolicyRemoved, Error> {
        check_name(name)?;
        self.0.change(Method::DELETE, Target::at("password-policies", name), None::<&()>).await
    }

    /// Lists one page.
    pub async fn list(&self, query: &PageQuery) -> Result<PasswordPolicyList, Error> {
        let target = Target::noun("password-policies").with("cursor", query.cursor.as_ref()).with("limit", query.limit);
        self.0.fetch(target).await
    }
}
