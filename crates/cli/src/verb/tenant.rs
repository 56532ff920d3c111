//! `aumbry tenant`: houses within the house.

use std::path::PathBuf;

use api::tenant::{
    ChangeTenant, CreateTenant, CreatedTenant, LoginToTenant, Tenant as Item, TenantChanged, TenantLimits, TenantList,
};
use clap::{Args, Subcommand};
use client::{Client, Error};

use crate::connect::Global;
use crate::{exit, fault, input, output, pages, private};

/// Houses within the house, each with keys, principals and policies of its own
#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Make a tenant; its owner's one-time login is shown this once
    Create {
        /// Name of the tenant
        name: String,
        #[command(flatten)]
        limits: Limits,
        /// Write the login to this file, with mode 0600
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a one-time login for a tenant's owner: after a restore, or where the last one was lost
    Login {
        /// Name of the tenant
        name: String,
        /// Write the login to this file, with mode 0600
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the tenants
    List,
    /// Show a tenant
    Get {
        /// Name of the tenant
        name: String,
    },
    /// Let nothing be done in a tenant until it is resumed
    Suspend {
        /// Name of the tenant
        name: String,
    },
    /// Let a suspended tenant go on
    Resume {
        /// Name of the tenant
        name: String,
    },
    /// Set a tenant's limits, all of them at once: one not given is taken away
    Limit {
        /// Name of the tenant
        name: String,
        #[command(flatten)]
        limits: Limits,
    },
    /// Delete a tenant and destroy all that is in it
    Delete {
        /// Name of the tenant
        name: String,
    },
}

/// How much a tenant may have
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Limits {
    /// Most secrets
    #[arg(long, value_name = "COUNT")]
    secrets: Option<u64>,
    /// Most requests in a second
    #[arg(long, value_name = "COUNT")]
    request_rate: Option<u32>,
}

impl Limits {
    fn message(self) -> TenantLimits {
        TenantLimits { secrets: self.secrets, request_rate: self.request_rate }
    }
}

impl Tenant {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::Create { name, limits, out } => {
                let made = client.tenants().create(&CreateTenant { name, limits: limits.message() }).await?;
                hand_over(&made, out, output)?;
            }
            Self::Login { name, out } => {
                hand_over(&client.tenants().login(&LoginToTenant { name }).await?, out, output)?;
            }
            Self::List => list(&client, output).await?,
            Self::Get { name } => {
                let found = client.tenants().read(&name).await?;
                output.rows(&found, HEAD, |found| vec![row(found)])?;
            }
            Self::Suspend { name } => suspend(&client, output, name, true).await?,
            Self::Resume { name } => suspend(&client, output, name, false).await?,
            Self::Limit { name, limits } => {
                let message = ChangeTenant { name, suspended: None, limits: Some(limits.message()) };
                let changed = client.tenants().change(&message).await?;
                output.answer(&changed, |changed| limited(&changed.tenant))?;
            }
            Self::Delete { name } => {
                input::confirm(&format!("deleting the tenant `{name}` with all that is in it"), &name, global.yes)?;
                say(&client.tenants().delete(&name).await?, output)?;
            }
        }
        Ok(exit::OK)
    }
}

/// Shows the one-time login of a tenant's owner, this once.
fn hand_over(made: &CreatedTenant, out: Option<PathBuf>, output: output::Output) -> Result<(), Error> {
    let tenant = &made.tenant;
    let next = format!("log in with: aumbry --tenant {} login FILE", tenant.name);
    let note = format!("{} is {}; {next}", tenant.name, tenant.id);
    if let Some(file) = out {
        private::write(&file, made.login.expose().as_bytes())?;
        return output.answer(tenant, |_| note);
    }
    if output.json {
        let message = api::encode(made).map_err(|_| fault::invalid("the answer is no JSON", ""))?;
        return output::write(&[message.expose(), b"\n"].concat());
    }
    output::note(&note);
    output::write(made.login.expose().as_bytes())?;
    output::write(b"\n")
}

async fn suspend(client: &Client, output: output::Output, name: String, suspended: bool) -> Result<(), Error> {
    let message = ChangeTenant { name, suspended: Some(suspended), limits: None };
    say(&client.tenants().change(&message).await?, output)
}

/// All limits that hold from now on.
fn limited(tenant: &Item) -> String {
    let TenantLimits { secrets, request_rate } = tenant.limits;
    let (secrets, rate) = (limit(secrets), limit(request_rate.map(u64::from)));
    format!("{} has these limits and no others: most secrets {secrets}, most requests/s {rate}", tenant.name)
}

fn limit(limit: Option<u64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}

fn say(changed: &TenantChanged, output: output::Output) -> Result<(), Error> {
    output.answer(changed, |changed| format!("{} is {}", changed.tenant.name, changed.tenant.state.word()))
}

async fn list(client: &Client, output: output::Output) -> Result<(), Error> {
    let items = pages::all(async |cursor| {
        let page = client.tenants().list(&pages::query(cursor)).await?;
        Ok((page.items, page.next_cursor))
    });
    let mut all = TenantList { items: items.await?, next_cursor: None };
    all.items.sort_by(|a, b| a.name.cmp(&b.name));
    output.rows(&all, HEAD, |all| all.items.iter().map(row).collect())
}

fn row(found: &Item) -> Vec<String> {
    vec![
        found.name.clone(),
        found.id.clone(),
        found.state.word().to_owned(),
        limit(found.limits.secrets),
        limit(found.limits.request_rate.map(u64::from)),
    ]
}

const HEAD: &[&str] = &["name", "id", "state", "most secrets", "most requests/s"];
