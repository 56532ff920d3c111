//! Calls about the access log.

use reqwest::Method;

use api::access::{AccessQuery, Rows, Segments};

use crate::transport::{Call, Target};
use crate::{Client, Error};

/// Calls about the access log.
#[derive(Debug)]
pub struct Access<'a>(&'a Client);

impl Client {
    /// Calls about the access log.
    pub fn access(&self) -> Access<'_> {
        Access(self)
    }
}

impl Access<'_> {
    /// One page of rows, newest first.
    pub async fn rows(&self, query: &AccessQuery) -> Result<Rows, Error> {
        Ok(self.rows_and_request(query).await?.0)
    }

    /// The same with the id of this very request, under which it has a row of its own.
    pub async fn rows_and_request(&self, query: &AccessQuery) -> Result<(Rows, Option<String>), Error> {
        let target = Target::noun("access")
            .with("path", query.path.as_ref())
            .with("principal", query.principal.as_ref())
            .with("since", query.since.as_ref())
            .with("outcome", query.outcome.as_ref())
            .with("cursor", query.cursor.as_ref())
            .with("limit", query.limit)
            .with("proof", query.proof.then_some(true));
        let answer = self.0.send(Call::new(Method::GET, target)).await?;
        Ok((answer.json()?, answer.request_id().map(str::to_owned)))
    }

    /// The segments of the log, oldest first.
    pub async fn segments(&self) -> Result<Segments, Error> {
        self.0.fetch(Target::at("access", "segments")).await
    }
}
