//! Calls about sessions.

use api::policy::PageQuery;
use api::session::{
    DeriveSession, IssueSession, IssuedSession, Login, RenewSession, RenewedSession, RevokedSession, Session,
    SessionList,
};
use reqwest::Method;

use crate::path::check_name;
use crate::transport::Target;
use crate::{Client, Error};

/// Calls about sessions.
#[derive(Debug)]
pub struct Sessions<'a>(&'a Client);

impl Client {
    /// Calls about sessions.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }
}

impl Sessions<'_> {
    /// Trades a one-time login for a session.
    pub async fn login(&self, message: &Login) -> Result<IssuedSession, Error> {
        self.0.change(Method::POST, Target::noun("sessions:login"), Some(message)).await
    }

    /// Opens a session for a principal.
    pub async fn issue(&self, message: &IssueSession) -> Result<IssuedSession, Error> {
        self.0.change(Method::POST, Target::noun("sessions"), Some(message)).await
    }

    /// Derives a session from this client's own.
    pub async fn derive(&self, message: &DeriveSession) -> Result<IssuedSession, Error> {
        self.0.change(Method::POST, Target::noun("sessions:derive"), Some(message)).await
    }

    /// Puts a session's end off: the one named, or this client's own.
    pub async fn renew(&self, message: &RenewSession) -> Result<RenewedSession, Error> {
        self.0.change(Method::POST, Target::noun("sessions:renew"), Some(message)).await
    }

    /// A page of sessions.
    pub async fn list(&self, query: &PageQuery) -> Result<SessionList, Error> {
        let target = Target::noun("sessions").with("cursor", query.cursor.as_ref()).with("limit", query.limit);
        self.0.fetch(target).await
    }

    /// A session, never its token.
    pub async fn get(&self, id: &str) -> Result<Session, Error> {
        check_name(id)?;
        self.0.fetch(Target::at("sessions", id)).await
    }

    /// The session of this client.
    pub async fn own(&self) -> Result<Session, Error> {
        self.0.fetch(Target::at("sessions", "self")).await
    }

    /// Ends a session; at once on the server that answers.
    pub async fn revoke(&self, id: &str) -> Result<RevokedSession, Error> {
        check_name(id)?;
        self.0.change(Method::DELETE, Target::at("sessions", id), None::<&()>).await
    }
}
