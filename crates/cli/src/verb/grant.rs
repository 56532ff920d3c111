//! `aumbry grant`: the policies that are asked for most, written by the rights' everyday names.

use api::policy::PutPolicy;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::connect::Global;
use crate::{exit, fault, output};

/// Let a principal or a role do something with secrets
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// Name of the principal, or of the role with --role
    name: String,
    /// What it may do; several with commas
    #[arg(value_enum, value_delimiter = ',', required = true)]
    rights: Vec<Right>,
    /// A secret's path, or a folder with `/` at its end for all below it (`/` alone is everything)
    place: String,
    /// NAME is a role: everybody who has it
    #[arg(long)]
    role: bool,
    /// Only show the policy
    #[arg(long)]
    dry_run: bool,
}

/// What people call rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Right {
    /// See names, versions and labels, not values
    List,
    /// See values, and all that `list` shows
    Read,
    /// Write, roll back, delete, bring back, change labels
    Write,
    /// Destroy versions for good
    Purge,
    /// Everything there is to do with secrets
    All,
}

impl Right {
    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::List => &["secret.list", "secret.metadata"],
            Self::Read => &["secret.list", "secret.metadata", "secret.read"],
            Self::Write => &["secret.annotate", "secret.delete", "secret.undelete", "secret.write"],
            Self::Purge => &["secret.purge"],
            Self::All => &["secret"],
        }
    }
}

/// What was written.
#[derive(Debug, Serialize)]
struct Written {
    policy: String,
    text: String,
    written: bool,
}

impl Grant {
    /// Writes the policy and shows it.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let client = global.client()?;
        let who = match self.role {
            true => format!("principal in Role::{}", quoted(&self.name)),
            false => format!("principal == Principal::{}", quoted(&client.principals().read(&self.name).await?.entity)),
        };
        let text = self.text(&who);
        let policy = self.policy(&who);
        if !self.dry_run {
            client.policies().put(&policy, &PutPolicy { text: text.clone() }).await?;
        }
        let written = Written { policy, text, written: !self.dry_run };
        global.output().answer(&written, |written| {
            let text = written.text.lines().map(crate::escape::text).collect::<Vec<_>>().join("\n");
            if written.written {
                output::note(&format!("policy {} written; `aumbry policy rm {0}` takes it back", written.policy));
            }
            text
        })?;
        Ok(exit::OK)
    }

    fn actions(&self) -> Vec<&'static str> {
        let mut actions: Vec<_> = self.rights.iter().flat_map(|right| right.actions()).copied().collect();
        actions.sort_unstable();
        actions.dedup();
        if actions.contains(&"secret") { vec!["secret"] } else { actions }
    }

    /// The policy in Cedar.
    fn text(&self, who: &str) -> String {
        let what = match self.place.strip_suffix('/') {
            Some(folder) => format!("resource in Path::{}", quoted(folder)),
            None => format!("resource == Secret::{}", quoted(&self.place)),
        };
        // Names below a folder are listed of the folder; a secret alone has none.
        let fits = |action: &&str| self.place.ends_with('/') || *action != "secret.list";
        let actions = self.actions().into_iter().filter(fits).map(|action| format!("Action::\"{action}\""));
        let actions = actions.collect::<Vec<_>>().join(", ");
        format!("permit (\n    {who},\n    action in [{actions}],\n    {what}\n);\n")
    }

    /// The same grant always has the same policy, so that it is written once however often it is asked for.
    fn policy(&self, who: &str) -> String {
        let whole = format!("{who}\0{}\0{}", self.actions().join(","), self.place);
        let mark: String = crypto::sha256(whole.as_bytes()).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        let name: String = self.name.chars().take(40).collect();
        format!("grant-{name}-{mark}")
    }
}

/// A Cedar string.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}
