//! `aumbry session`: who is logged in.

use std::path::PathBuf;

use api::session::{
    DeriveSession, IssueSession, IssuedSession, RenewSession, RenewedSession, ScopeRule, Session as Item, SessionList,
};
use clap::{Args, Subcommand};
use client::Error;

use crate::connect::Global;
use crate::{exit, fault, output, pages, private};

/// Who is logged in
#[derive(Debug, Subcommand)]
pub(crate) enum Session {
    /// Open a session for a principal; its token is shown this once
    Issue {
        /// Name of the principal
        principal: String,
        #[command(flatten)]
        terms: Terms,
    },
    /// Open a session that may do as much as yours or less, and ends with it; its token is shown this once
    Derive {
        /// It outlives yours
        #[arg(long)]
        orphan: bool,
        #[command(flatten)]
        terms: Terms,
    },
    /// Show a session
    Show {
        /// Id of the session, ses_… [default: your own]
        id: Option<String>,
    },
    /// List sessions: your own, or all with the right to
    List,
    /// Put a session's end off
    Renew {
        /// Id of the session, ses_… [default: your own]
        id: Option<String>,
        /// How long from now on, like 15m or 24h [default: as long as its terms give]
        #[arg(long, value_name = "DURATION")]
        ttl: Option<String>,
    },
    /// End a session, and all that hang on it
    Revoke {
        /// Id of the session, ses_…
        id: String,
    },
}

/// What a new session may
#[derive(Debug, Args)]
pub(crate) struct Terms {
    /// How long it lives, like 15m or 24h [default: the server's]
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// Let it be renewed up to this life in all
    #[arg(long, value_name = "DURATION")]
    max_ttl: Option<String>,
    /// Let it be renewed for ever, each time for this long
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["ttl", "max_ttl"])]
    period: Option<String>,
    /// How many requests it is good for
    #[arg(long, value_name = "COUNT")]
    uses: Option<u32>,
    /// Only role that counts in it; may be given several times
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Only act it may do and where, like secret.read,secret.list@db/; may be given several times
    #[arg(long, value_name = "ACTIONS[@PLACE]")]
    scope: Vec<String>,
    /// Only network it may be used from, like 10.0.0.0/8; may be given several times
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<String>,
    /// Write the token to this file, with mode 0600
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn roles(given: Vec<String>) -> Option<Vec<String>> {
    (!given.is_empty()).then_some(given)
}

fn scope(given: &[String]) -> Vec<ScopeRule> {
    let rule = |text: &String| {
        let (actions, place) = text.split_once('@').unwrap_or((text, ""));
        ScopeRule { actions: actions.split(',').map(str::to_owned).collect(), place: place.to_owned() }
    };
    given.iter().map(rule).collect()
}

impl Session {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::Issue { principal, terms } => {
                let Terms { ttl, max_ttl, period, uses, roles: given, scope: rules, networks, out } = terms;
                let message = IssueSession {
                    principal,
                    ttl: ttl.map(api::Ttl),
                    max_ttl: max_ttl.map(api::Ttl),
                    period: period.map(api::Ttl),
                    uses,
                    roles: roles(given),
                    scope: scope(&rules),
                    networks,
                };
                hand_over(&client.sessions().issue(&message).await?, out, output)?;
            }
            Self::Derive { orphan, terms } => {
                let Terms { ttl, max_ttl, period, uses, roles: given, scope: rules, networks, out } = terms;
                let message = DeriveSession {
                    orphan,
                    ttl: ttl.map(api::Ttl),
                    max_ttl: max_ttl.map(api::Ttl),
                    period: period.map(api::Ttl),
                    uses,
                    roles: roles(given),
                    scope: scope(&rules),
                    networks,
                };
                hand_over(&client.sessions().derive(&message).await?, out, output)?;
            }
            Self::Show { id } => {
                let found = match id {
                    Some(id) => client.sessions().get(&id).await?,
                    None => client.sessions().own().await?,
                };
                output.rows(&found, HEAD, |found| vec![row(found)])?;
            }
            Self::List => list(&client, output).await?,
            Self::Renew { id, ttl } => {
                let renewed = client.sessions().renew(&RenewSession { id, ttl: ttl.map(api::Ttl) }).await?;
                let session =
                    |renewed: &RenewedSession| format!("{} until {}", renewed.session.id, renewed.session.expires_at);
                output.answer(&renewed, session)?;
            }
            Self::Revoke { id } => {
                let revoked = client.sessions().revoke(&id).await?;
                output.answer(&revoked, |revoked| format!("{} has ended", revoked.id))?;
            }
        }
        Ok(exit::OK)
    }
}

async fn list(client: &client::Client, output: output::Output) -> Result<(), Error> {
    let items = pages::all(async |cursor| {
        let page = client.sessions().list(&pages::query(cursor)).await?;
        Ok((page.items, page.next_cursor))
    });
    let mut all = SessionList { items: items.await?, next_cursor: None };
    all.items.sort_by(|a, b| (&a.principal, &a.created_at.0).cmp(&(&b.principal, &b.created_at.0)));
    output.rows(&all, HEAD, |all| all.items.iter().map(row).collect())
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

fn row(found: &Item) -> Vec<String> {
    let until = match (&found.renewable_until, found.renewable) {
        (Some(until), _) => until.to_string(),
        (None, true) => "none".to_owned(),
        (None, false) => String::new(),
    };
    let (roles, expires) = (found.roles.join(" "), found.expires_at.to_string());
    vec![found.id.clone(), found.principal.clone(), found.entity.clone(), found.tenant.clone(), roles, expires, until]
}

const HEAD: &[&str] = &["id", "principal", "entity", "tenant", "roles", "expires", "renewable until"];
