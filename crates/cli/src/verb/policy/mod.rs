//! `aumbry policy`: who may do what, as Cedar text.

mod trial;

use std::path::PathBuf;

use api::Timestamp;
use api::policy::{Explain, Explained, Policy as Item, PolicyList, PutPolicy};
use clap::{Args, Subcommand};
use client::Error;

use crate::connect::Global;
use crate::{exit, fault, input, output, pages};

/// Who may do what
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Write a policy
    Put {
        /// Name of the policy
        name: String,
        /// File with Cedar text; `-` or nothing for standard input
        file: Option<PathBuf>,
    },
    /// Show a policy
    Get {
        /// Name of the policy
        name: String,
    },
    /// List the policies
    List,
    /// Remove a policy
    Rm {
        /// Name of the policy
        name: String,
    },
    /// Say whether a principal may do something, and which policies decide; ends with 1 if it may not
    Explain(Question),
    /// Say who may do something
    Who(trial::WhoQuestion),
    /// Hold answers against those that a file expects, also as after a change that is not made; ends with 1 if one differs
    Test(trial::Test),
    /// Say whose access a change would alter; ends with 1 if anybody's, or if conditions leave it open
    Diff(trial::Changes),
    /// List the actions that policies and scopes name
    Actions,
}

/// Who, what, to what
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// Name of the principal
    principal: String,
    /// The act, such as `secret.read`
    action: String,
    /// A secret's path, a folder with `/` at its end, the name of a policy or principal; nothing for a part of the server
    resource: Option<String>,
    /// As if it came from this address [default: from here]
    #[arg(long, value_name = "IP")]
    source_ip: Option<String>,
    /// As if it came then [default: now]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As if it came over TLS, or not [default: as this does]
    #[arg(long, value_name = "BOOL")]
    tls: Option<bool>,
    /// As if it said which version it replaces
    #[arg(long)]
    cas: bool,
}

impl Policy {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let (client, output) = (global.client()?, global.output());
        match self {
            Self::Put { name, file } => {
                let changed = client.policies().put(&name, &PutPolicy { text: text(file)? }).await?;
                output.answer(&changed, |changed| format!("policy {} written", changed.name))?;
            }
            Self::Get { name } => {
                let policy = client.policies().read(&name).await?;
                if global.json {
                    output.answer(&policy, |_| String::new())?;
                } else {
                    output::write(lines(policy.text.unwrap_or_default()).as_bytes())?;
                }
            }
            Self::List => list(&client, output).await?,
            Self::Rm { name } => {
                let changed = client.policies().remove(&name).await?;
                output.answer(&changed, |changed| format!("policy {} removed", changed.name))?;
            }
            Self::Explain(question) => return question.ask(&client, output).await,
            Self::Who(question) => question.ask(&client, output).await?,
            Self::Test(test) => return test.run(&client, output).await,
            Self::Diff(changes) => return changes.compare(&client, output).await,
            Self::Actions => trial::actions(output)?,
        }
        Ok(exit::OK)
    }
}

impl Question {
    async fn ask(self, client: &client::Client, output: output::Output) -> fault::Outcome {
        let asked = format!("{} {}", self.action, self.resource.as_deref().unwrap_or_default());
        let question = Explain {
            principal: self.principal,
            action: self.action,
            resource: self.resource,
            source_ip: self.source_ip,
            at: self.at.map(Timestamp),
            tls: self.tls,
            cas: self.cas,
        };
        let told = client.policies().explain(&question).await?;
        output.answer(&told, |told| {
            let verdict = if told.allowed { ("yes", "may") } else { ("no", "may not") };
            let said = format!("{}: {} {} {}", verdict.0, question.principal, verdict.1, asked.trim_end());
            format!("{}\n{}", crate::escape::text(&said), crate::escape::text(&because(told)))
        })?;
        Ok(if told.allowed { exit::OK } else { exit::DIFFERENT })
    }
}

/// Why, for people.
fn because(told: &Explained) -> String {
    let rules = told.rules.join(", ");
    let roles = match told.roles.join(", ") {
        none if none.is_empty() => "it has no role".to_owned(),
        roles => format!("its roles: {roles}"),
    };
    let why = match told.reason.as_str() {
        "permitted" => format!("permitted by {rules}"),
        "forbidden" => format!("forbidden by {rules}"),
        "not_permitted" => "no policy permits it".to_owned(),
        "unevaluable" => format!("{rules} cannot be evaluated, which denies"),
        "broken_policy" => format!("{rules} can no longer be read, which denies everything but mending it"),
        "disabled" => "it is disabled".to_owned(),
        "home_tenant_only" => "only principals of the server's own tenant may do that".to_owned(),
        other => other.to_owned(),
    };
    format!("{why}; {roles}")
}

async fn list(client: &client::Client, output: output::Output) -> Result<(), Error> {
    let items = pages::all(async |cursor| {
        let page = client.policies().list(&pages::query(cursor)).await?;
        Ok((page.items, page.next_cursor))
    });
    let mut all = PolicyList { items: items.await?, next_cursor: None };
    all.items.sort_by(|a, b| a.name.cmp(&b.name));
    output.rows(&all, &["name", "changed"], |all| {
        let changed = |policy: &Item| policy.updated_at.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        all.items.iter().map(|policy| vec![policy.name.clone(), changed(policy)]).collect()
    })
}

pub(super) fn text(file: Option<PathBuf>) -> Result<String, Error> {
    let bytes = match file.filter(|path| path.as_os_str() != "-") {
        Some(path) => input::file(&path, TEXT_BYTES_MAX)?,
        None => input::stdin(TEXT_BYTES_MAX)?,
    };
    let text = bytes.into_text().map_err(|_| fault::invalid("the policy is not UTF-8 text", "write Cedar text"))?;
    Ok(text.expose().to_owned())
}

/// Escapes each line for itself, so that the lines stay.
fn lines(text: String) -> String {
    text.lines().map(|line| line.split('\t').map(crate::escape::text).collect::<Vec<_>>().join("\t") + "\n").collect()
}

const TEXT_BYTES_MAX: usize = 64 * 1024;
