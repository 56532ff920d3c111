//! `aumbry grant`: the policies that are asked for most, written by the rights' everyday names.

use api::policy::PutPolicy;
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::connect::Global;
use crate::{exit, fault, output};

/// Let a principal or a role do something with secrets
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// Name of the principal, or of the role with --role; `-` with --own for everybody
    name: String,
    /// What it may do; several with commas
    #[arg(value_enum, value_delimiter = ',', required = true)]
    rights: Vec<Right>,
    /// A secret's path, or a folder with `/` at its end for all below it (`/` alone is everything)
    place: String,
    /// NAME is a role: everybody who has it
    #[arg(long)]
    role: bool,
    /// To each only below the folder of its own name in PLACE, a folder at the top such as people/
    #[arg(long)]
    own: bool,
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
    /// As `read`, by the name that the Control Plane Secret Manager gives it
    #[value(name = "secrets_read")]
    SecretsRead,
    /// As `list` and `write`, by the name that the Control Plane Secret Manager gives it
    #[value(name = "secrets_write")]
    SecretsWrite,
    /// Set places up and take them down again without seeing values, as the Control Plane Secret Manager's onboarding does
    #[value(name = "onboarding_write")]
    OnboardingWrite,
    /// As `all`, by the name that Enclave Vaults gives it
    #[value(name = "secret-owner")]
    SecretOwner,
    /// See what there is and who asked for it, never a value, as Enclave Vaults' managers may
    #[value(name = "secret-manager")]
    SecretManager,
}

impl Right {
    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::List => &["secret.list", "secret.metadata"],
            Self::Read => &["secret.list", "secret.metadata", "secret.read"],
            Self::Write => &["secret.annotate", "secret.delete", "secret.undelete", "secret.write"],
            Self::Purge => &["secret.purge"],
            Self::All | Self::SecretOwner => &["secret"],
            Self::SecretsRead => Self::Read.actions(),
            Self::SecretsWrite => &[
                "secret.annotate",
                "secret.delete",
                "secret.list",
                "secret.metadata",
                "secret.undelete",
                "secret.write",
            ],
            Self::OnboardingWrite => &[
                "secret.annotate",
                "secret.delete",
                "secret.list",
                "secret.metadata",
                "secret.purge",
                "secret.undelete",
                "secret.write",
            ],
            Self::SecretManager => &["access.read", "secret.list", "secret.metadata"],
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
        if self.own && (self.place.matches('/').count() != 1 || !self.place.ends_with('/') || self.place == "/") {
            let hint = "name a folder at the top, such as people/";
            return Err(fault::invalid("own spaces lie directly in a folder at the top", hint));
        }
        let who = match (self.role, self.name.as_str()) {
            (true, role) => format!("principal in Role::{}", quoted(role)),
            (false, "-") if self.own => "principal".to_owned(),
            (false, name) => {
                format!("principal == Principal::{}", quoted(&client.principals().read(name).await?.entity))
            }
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
        let own = if self.own { "\nwhen { resource.space == principal.name }" } else { "" };
        format!("permit (\n    {who},\n    action in [{actions}],\n    {what}\n){own};\n")
    }

    /// The same grant always has the same policy, so that it is written once however often it is asked for.
    fn policy(&self, who: &str) -> String {
        let own = if self.own { "\0own" } else { "" };
        let whole = format!("{who}\0{}\0{}{own}", self.actions().join(","), self.place);
        let mark: String = crypto::sha256(whole.as_bytes()).iter().take(5).map(|byte| format!("{byte:02x}")).collect();
        let name = if self.name == "-" { "everybody" } else { &self.name };
        let name: String = name.chars().take(40).collect();
        format!("grant-{name}-{mark}")
    }
}

/// A Cedar string.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}
