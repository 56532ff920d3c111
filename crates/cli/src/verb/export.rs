//! `aumbry export`: writes the secrets below a prefix to a private file, for `aumbry import`.

use std::path::PathBuf;

use api::secret::ReadMany;
use clap::Args;
use client::Error;
use serde::Serialize;

use crate::connect::Global;
use crate::import_file::{Export as File, Exported};
use crate::{exit, fault, pages, private};

/// Write the secrets below a prefix to a file, in clear
#[derive(Debug, Args)]
#[command(
    after_help = "The file holds the newest value of each secret with its labels and expiry; older versions stay behind. \
                        Each secret read has its row in the access log."
)]
pub(crate) struct Export {
    /// Folder to export; the tenant's top when absent
    prefix: Option<String>,
    /// The file, made with mode 0600
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    /// Write over a file that is there
    #[arg(long)]
    overwrite: bool,
}

/// What was written, for scripts.
#[derive(Debug, Serialize)]
struct Written {
    file: String,
    secrets: usize,
    left_out: usize,
}

impl Export {
    /// Reads everything, then writes the file.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        let client = global.client()?;
        if !self.overwrite && std::fs::symlink_metadata(&self.out).is_ok() {
            let why = format!("`{}` is there already", self.out.display());
            return Err(fault::invalid(why, "name another file, or say --overwrite"));
        }
        let prefix = self.prefix.as_deref().unwrap_or_default().trim_end_matches('/');
        let found = pages::readable(&client, prefix).await?;
        if found.paths.is_empty() && !prefix.is_empty() {
            let why = format!("there is no secret to read below `{prefix}`; nothing was written");
            return Err(Error::local(api::Class::NotFound, "export.nothing", why, "`aumbry list` shows what there is"));
        }
        let mut items = Vec::with_capacity(found.paths.len());
        for paths in found.paths.chunks(TOGETHER_MAX) {
            let answer = client.secrets().read_many(&ReadMany { paths: paths.to_vec(), resolve: false }).await?;
            items.extend(answer.items.into_iter().map(|secret| Exported {
                path: secret.path,
                encoding: secret.encoding,
                value: secret.value,
                labels: (!secret.labels.is_empty()).then_some(secret.labels),
                expires_at: secret.expires_at,
            }));
        }
        let written = Written { file: self.out.display().to_string(), secrets: items.len(), left_out: found.left_out };
        let text = api::encode(&File { aumbry_export: 1, items });
        let text = text.map_err(|_| fault::invalid("the server's answer is no JSON", "try again"))?;
        private::write(&self.out, text.expose())?;
        global.output().answer(&written, |written| format!("{} secrets in {}", written.secrets, written.file))?;
        Ok(exit::OK)
    }
}

/// Secrets in one request: with the largest values the answer stays within the client's bound.
const TOGETHER_MAX: usize = 20;
