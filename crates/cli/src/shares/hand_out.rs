//! Shares that go out: once, to a screen or to one file for each holder.

use std::path::{Path, PathBuf};

use api::operator::{HandedOut, HandedShare, Split};
use clap::Args;
use client::Error;

use crate::output::{self, Output};
use crate::{fault, private};

/// How a key is to be split.
#[derive(Debug, Args)]
pub(crate) struct SplitArgs {
    /// How many shares there are to be
    #[arg(long, value_name = "N", default_value_t = 5)]
    shares: u16,
    /// How many of them open the server
    #[arg(long, value_name = "N", default_value_t = 3)]
    threshold: u16,
    /// Encrypt the shares to these age keys, one for each share in their order
    #[arg(long, value_name = "age1…")]
    recipient: Vec<String>,
}

/// Where new shares go.
#[derive(Debug, Args)]
pub(crate) struct Outlet {
    /// Write each share to a file of its own, mode 0600, in this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl SplitArgs {
    pub(crate) fn split(self) -> Split {
        Split { shares: self.shares, threshold: self.threshold, recipients: self.recipient }
    }
}

impl Outlet {
    /// Checked before any share is made: they are shown once.
    pub(crate) fn ready(&self, output: Output) -> Result<(), Error> {
        match &self.out {
            Some(folder) => server::files::private_folder(folder)
                .map_err(|error| fault::invalid(error.to_string(), "name a folder of your own with mode 0700")),
            None if output.json || output.terminal() => Ok(()),
            None => {
                let hint = "name a folder with --out, ask for --json, or run it in a terminal";
                Err(fault::invalid("shares are not written where nobody may look", hint))
            }
        }
    }

    /// Writes the shares to their files and takes them out of the answer, or gives their text for the screen. Answers the files of
    /// shares in clear.
    pub(crate) fn hand_out(&self, handed: &mut HandedOut) -> Result<(Vec<PathBuf>, String), Error> {
        let count = handed.shares.len();
        let Some(folder) = &self.out else {
            let lines = handed.shares.iter().map(|share| {
                format!("share {} of {count} (set {})\n{}\n\n", share.index, handed.set, share.share.expose())
            });
            return Ok((Vec::new(), lines.collect()));
        };
        let (mut files, mut text) = (Vec::new(), String::new());
        for share in &handed.shares {
            let file = write(folder, &handed.set, count, share)?;
            text.push_str(&format!("share {} of {count}: {}\n", share.index, file.display()));
            if share.recipient.is_none() {
                files.push(file);
            }
        }
        // They lie in their files, and nowhere else.
        handed.shares.clear();
        Ok((files, text))
    }
}

fn write(folder: &Path, set: &str, count: usize, share: &HandedShare) -> Result<PathBuf, Error> {
    let end = if share.recipient.is_some() { "age" } else { "share" };
    let file = folder.join(format!("{set}-{}-of-{count}.{end}", share.index));
    let line = crypto::secret::SecretBytes::new([share.share.expose().as_bytes(), b"\n"].concat());
    private::write(&file, line.expose())?;
    Ok(file)
}

/// Tells a person about shares on a screen.
pub(crate) fn caution() {
    output::note("These shares are shown once. Give each to another person, and keep no two of them in one place.");
}
