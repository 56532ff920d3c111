//! `aumbry session`: who is logged in.

use std::path::PathBuf;

use api::session::{IssueSession, IssuedSession, Session as Item};
use clap::Subcommand;
use client::Error;

use crate::connect::Global;
use crate::{exit, fault, output, private};

/// Who is logged in
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// Open a session for a principal; its token is shown this once
    Issue {
        /// Name of the principal
        principal: String,
        /// How long it lives, like 15m or 24h [default: the server's]
        #[arg(long, value_name = "DURATION")]
        ttl: Option<String>,
        /// Write the token to this file, with mode 0600
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Show your own session
    Show,
    /// End a session
    Revoke {
        /// Id of the session, ses_…
        id: String,
    },
}

impl Session {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::Issue { principal, ttl, out } => {
                let issued = client.sessions().issue(&IssueSession { principal, ttl: ttl.map(api::Ttl) }).await?;
                hand_over(&issued, out, output)?;
            }
            Self::Show => {
                let own = client.sessions().own().await?;
                let head = ["id", "principal", "entity", "tenant", "roles", "expires"];
                output.rows(&own, &head, |own| vec![row(own)])?;
            }
            Self::Revoke { id } => {
                let revoked = client.sessions().revoke(&id).await?;
                output.answer(&revoked, |revoked| format!("{} has ended", revoked.id))?;
            }
        }
        Ok(exit::OK)
    }
}

/// Gives the token away: into the file, as JSON, or alone on standard output.
fn hand_over(issued: &IssuedSession, out: Option<PathBuf>, output: output::Output) -> Result<(), Error> {
    let session = &issued.session;
    let note = format!("{} for {} until {}", session.id, session.principal, session.expires_at);
    if let Some(file) = out {
        private::write(&file, issued.token.expose().as_bytes())?;
        return output.answer(session, |_| note);
    }
    if output.json {
        let message = api::encode(issued).map_err(|_| fault::invalid("the answer is no JSON", ""))?;
        output::write(message.expose())?;
    } else {
        output::note(&note);
        output::write(issued.token.expose().as_bytes())?;
    }
    output::write(b"\n")
}

fn row(own: &Item) -> Vec<String> {
    let (roles, expires) = (own.roles.join(" "), own.expires_at.to_string());
    vec![own.id.clone(), own.principal.clone(), own.entity.clone(), own.tenant.clone(), roles, expires]
}
