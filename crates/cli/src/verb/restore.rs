//! `aumbry restore`: a backup becomes a data folder, while no server runs.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use server::backup::Restored;

use crate::connect::Global;
use crate::verb::backup::{Report, SealArgs, failed};
use crate::verb::offline::At;
use crate::{escape, exit, fault, input, output};

/// Restore a backup into a data folder; no server may run on it
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup
    file: PathBuf,
    /// Where it is to be: a data folder that is absent or empty, or has a store that --replace moves aside; with --config
    /// also the empty database that it names
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    seal: SealArgs,
    /// Move a store that is there aside; what it purged and took away after the backup is taken away again
    #[arg(long)]
    replace: bool,
    /// The seal's key file of the store that is replaced, where it is another than the backup's
    #[arg(long, value_name = "FILE", requires = "replace")]
    replaced_seal_file: Option<PathBuf>,
    /// Replace a store that cannot be read: what it purged and took away after the backup comes back
    #[arg(long, requires = "replace")]
    forget_later: bool,
}

/// What was done.
#[derive(Debug, Serialize)]
struct Answer {
    backup: Report,
    data_dir: String,
    owner_login: String,
    replaced: Option<String>,
    lost_from: Option<u64>,
    lost_to: Option<u64>,
    purged: u64,
    policies_removed: u64,
    tenants_shut: u64,
    principals_changed: u64,
    policies_to_look_at: Vec<String>,
    principals_logged_out: u64,
}

impl Restore {
    /// Asks the person where a store is replaced, then restores.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        if self.replace {
            input::confirm("replacing the store by an older state of it", "replace", global.yes)?;
        }
        let Restore { file, at, seal, replace, replaced_seal_file: replaced_seal, forget_later: forget } = self;
        let seal = seal.key()?;
        let site = at.site()?;
        let data = site.data().display().to_string();
        let asked = server::backup::Restore { file, seal, site, replace, replaced_seal, forget };
        let Restored { backup, replaced, lost, unknown, purged, removed, tenants, told, policies, principals, login } =
            server::backup::restore(&asked).await.map_err(|error| failed(&error))?;
        if let Some(why) = unknown {
            output::note(&format!(
                "note: nothing is known of what came after the backup, so nothing of it was repeated: {why}"
            ));
        }
        let answer = Answer {
            backup: backup.into(),
            data_dir: data,
            owner_login: login.display().to_string(),
            replaced: replaced.map(|path| path.display().to_string()),
            lost_from: lost.map(|(from, _)| from),
            lost_to: lost.map(|(_, to)| to),
            purged,
            policies_removed: removed,
            tenants_shut: tenants,
            principals_changed: told,
            policies_to_look_at: policies,
            principals_logged_out: principals,
        };
        global.output().answer(&answer, text)?;
        Ok(exit::OK)
    }
}

fn text(answer: &Answer) -> String {
    let Answer { backup, data_dir, owner_login, .. } = answer;
    let mut text = format!(
        "{} restored to {}: {} entries of {} up to {}\n",
        backup.id,
        escape::text(data_dir),
        backup.entries,
        escape::text(&backup.origin),
        backup.ended_at
    );
    let mut line = |label: &str, value: String| text.push_str(&format!("  {label:<16}{}\n", escape::text(&value)));
    if let Some(replaced) = &answer.replaced {
        line("replaced store", format!("{replaced} (with its access log)"));
    }
    if let (Some(from), Some(to)) = (answer.lost_from, answer.lost_to) {
        line("lost", format!("entries {from}..{to} of the old ledger are not in this backup"));
        let Answer { purged, policies_removed, tenants_shut, principals_changed, .. } = answer;
        line(
            "taken away again",
            format!(
                "{purged} purged versions, {policies_removed} policies, {tenants_shut} tenants, \
                 what {principals_changed} principals lost"
            ),
        );
    }
    if !answer.policies_to_look_at.is_empty() {
        line("look at", format!("policies changed after the backup: {}", answer.policies_to_look_at.join(", ")));
    }
    line("logged out", format!("everybody ({} principals)", answer.principals_logged_out));
    line("owner's login", format!("{owner_login} (opens once: aumbry login FILE)"));
    text
}
