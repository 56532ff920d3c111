//! `aumbry completions`: what a shell needs to complete commands.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Aumbry;
use crate::{exit, fault, output};

/// Print completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints them.
    pub(crate) fn run(&self) -> fault::Outcome {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Aumbry::command(), "aumbry", &mut text);
        output::write(&text)?;
        Ok(exit::OK)
    }
}
