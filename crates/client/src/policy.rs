//! Calls about policies.

use api::policy::{
    DiffPolicies, Explain, Explained, PageQuery, Policy, PolicyChanged, PolicyDifference, PolicyList, PutPolicy,
    TestPolicies, TestedPolicies, ThoseWhoMay, WhoMay,
};
use reqwest::Method;

use crate::path::check_name;
use crate::transport::Target;
use crate::{Client, Error};

/// Calls about policies.
#[derive(Debug)]
pub struct Policies<'a>(&'a Client);

impl Client {
    /// Calls about policies.
    pub fn policies(&self) -> Policies<'_> {
        Policies(self)
    }
}

impl Policies<'_> {
    /// Writes a policy; the server validates it first.
    pub async fn put(&self, name: &str, message: &PutPolicy) -> Result<PolicyChanged, Error> {
        check_name(name)?;
        self.0.change(Method::PUT, Target::at("policies", name), Some(message)).await
    }

    /// Reads a policy with its text.
    pub async fn read(&self, name: &str) -> Result<Policy, Error> {
        check_name(name)?;
        self.0.fetch(Target::at("policies", name)).await
    }

    /// Removes a policy.
    pub async fn remove(&self, name: &str) -> Result<PolicyChanged, Error> {
        check_name(name)?;
        self.0.change(Method::DELETE, Target::at("policies", name), None::<&()>).await
    }

    /// Asks whether a principal may do something, and why.
    pub async fn explain(&self, question: &Explain) -> Result<Explained, Error> {
        self.0.ask(Target::noun("policies:explain"), question).await
    }

    /// Asks questions as they would be answered after a change.
    pub async fn test(&self, message: &TestPolicies) -> Result<TestedPolicies, Error> {
        self.0.ask(Target::noun("policies:test"), message).await
    }

    /// Asks whose access a change would alter.
    pub async fn diff(&self, message: &DiffPolicies) -> Result<PolicyDifference, Error> {
        self.0.ask(Target::noun("policies:diff"), message).await
    }

    /// Asks who may do something.
    pub async fn who(&self, message: &WhoMay) -> Result<ThoseWhoMay, Error> {
        self.0.ask(Target::noun("policies:who"), message).await
    }

    /// Lists one page, without text.
    pub async fn list(&self, query: &PageQuery) -> Result<PolicyList, Error> {
        let target = Target::noun("policies").with("cursor", query.cursor.as_ref()).with("limit", query.limit);
        self.0.fetch(target).await
    }
}
