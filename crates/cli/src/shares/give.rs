//! Shares that come in: from files of their holders, from a terminal without being shown, or from a pipe.

use std::path::PathBuf;

use clap::Args;
use client::Error;
use crypto::secret::SecretText;

use crate::{fault, input, output, private};

/// Where shares come from.
#[derive(Debug, Default, Args)]
pub(crate) struct Source {
    /// File with a share, mode 0600; may be repeated [default: asked for, or one a line on standard input]
    #[arg(long, value_name = "FILE")]
    share_file: Vec<PathBuf>,
}

/// Longest file or input with shares.
const SHARES_BYTES_MAX: usize = 64 << 10;

/// Shares that are still to be given.
pub(crate) enum Shares {
    Listed(std::vec::IntoIter<SecretText>),
    Asked,
}

impl Source {
    /// The shares of these files.
    pub(crate) fn of(files: Vec<PathBuf>) -> Source {
        Source { share_file: files }
    }

    /// Reads what can be read without a person.
    pub(crate) fn open(self) -> Result<Shares, Error> {
        if self.share_file.is_empty() && input::interactive() {
            return Ok(Shares::Asked);
        }
        let mut shares = Vec::new();
        for file in &self.share_file {
            let missing = || fault::invalid(format!("`{}` does not exist", file.display()), "name the file of a share");
            let bytes = private::read(file, SHARES_BYTES_MAX as u64)?.ok_or_else(missing)?;
            shares.extend(lines(bytes)?);
        }
        if self.share_file.is_empty() {
            shares = lines(input::stdin(SHARES_BYTES_MAX)?)?;
        }
        Ok(Shares::Listed(shares.into_iter()))
    }
}

impl Shares {
    /// Those that were read without a person.
    pub(crate) fn listed(self) -> Vec<SecretText> {
        match self {
            Shares::Listed(listed) => listed.collect(),
            Shares::Asked => Vec::new(),
        }
    }

    /// The next share; `None` where there are no more. `what` says which is wanted.
    pub(crate) fn next(&mut self, what: &str) -> Result<Option<SecretText>, Error> {
        match self {
            Shares::Listed(listed) => Ok(listed.next()),
            Shares::Asked => {
                let answer = input::hidden(&format!("{what}: "))?;
                let trimmed = SecretText::new(answer.expose().trim().to_owned());
                Ok(Some(trimmed).filter(|share| !share.expose().is_empty()))
            }
        }
    }

    /// What to do about a share that was refused: a person is told and asked for another, a list ends.
    pub(crate) fn refused(&self, error: Error) -> Result<(), Error> {
        match self {
            Shares::Asked if &*error.code == "seal.share" => {
                output::note(&format!("not accepted: {}", error.detail));
                Ok(())
            }
            // Of several files one may be another holder's of long ago: the others may still do.
            Shares::Listed(rest) if &*error.code == "seal.share" && rest.len() > 0 => {
                output::note(&format!("not accepted: {}", error.detail));
                Ok(())
            }
            _ => Err(error),
        }
    }
}

fn lines(bytes: crypto::secret::SecretBytes) -> Result<Vec<SecretText>, Error> {
    let text = bytes.into_text().map_err(|_| fault::invalid("what was given as shares is no text", ""))?;
    if text.expose().trim_start().starts_with("-----BEGIN AGE") {
        let hint = "open it with `age --decrypt -i KEY FILE` and give what comes out";
        return Err(fault::invalid("that is a share still encrypted to its holder", hint));
    }
    let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(|line| SecretText::new(line.to_owned())).collect())
}
