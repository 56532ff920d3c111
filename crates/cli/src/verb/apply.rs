//! `aumbry apply`: make everything as documents say.

use std::path::PathBuf;

use api::apply::{Apply as Message, Planned, Step};
use clap::Args;

use crate::connect::Global;
use crate::{exit, fault};

/// Make tenants, principals, policies and secrets as documents say, all or nothing
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// File of documents (YAML, JSON, TOML), or a folder of such files
    #[arg(short, long, value_name = "FILE|DIR")]
    file: PathBuf,
    /// Name of the set that the documents make up
    #[arg(long, value_name = "NAME", default_value = "main")]
    set: String,
    /// Take away what the set held and no document names any more, unless another set names it; where there is no document at
    /// all it takes --yes
    #[arg(long)]
    prune: bool,
    /// Only show what would change; ends with 1 if anything would
    #[arg(long)]
    diff: bool,
}

impl Apply {
    /// Plans or applies.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let hint = "write documents of kind, name and spec";
        let documents = server::documents::read(&self.file).map_err(|why| fault::invalid(why.to_string(), hint))?;
        if self.prune && !self.diff && documents.is_empty() && !global.yes {
            let why = format!(
                "{} holds no document: with --prune everything that the set `{}` held would go",
                self.file.display(),
                self.set
            );
            return Err(fault::invalid(why, "see what would go with --diff; if that is meant, say so with --yes"));
        }
        let message = Message { set: self.set, documents, prune: self.prune };
        let (client, output) = (global.client()?, global.output());
        if self.diff {
            let plan = client.documents().plan(&message).await?;
            output.answer(&plan, |plan| told(&plan.steps))?;
            let same = plan.steps.iter().all(|planned| planned.step == Step::Keep);
            return Ok(if same { exit::OK } else { exit::DIFFERENT });
        }
        let applied = client.documents().apply(&message).await?;
        output.answer(&applied, |applied| told(&applied.steps))?;
        Ok(exit::OK)
    }
}

fn told(steps: &[Planned]) -> String {
    let sign = |step| match step {
        Step::Create => "+",
        Step::Update => "~",
        Step::Keep => "=",
        Step::Prune => "-",
    };
    let line = |planned: &Planned| {
        let line = format!("{} {} {}", sign(planned.step), planned.kind, planned.name);
        crate::escape::text(&line).into_owned()
    };
    steps.iter().map(line).collect::<Vec<_>>().join("\n")
}
