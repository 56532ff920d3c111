//! `aumbry serve`: the server.

use std::path::PathBuf;

use clap::Args;
use client::Error;
use server::{ServeError, ServeOptions};

use crate::{exit, fault};

/// Run the server
#[derive(Debug, Args)]
#[command(after_help = "Nothing needs to be configured. With --dev each start prints lines to paste into a shell.")]
pub(crate) struct Serve {
    /// Print a session of the owner at each start; loopback addresses only
    #[arg(long)]
    dev: bool,
    /// Where to keep data [default: the user's or the service's data folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port; port 0 takes a free one [default: 127.0.0.1:7480]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// Configuration file [default: AUMBRY_CONFIG, then aumbry.toml here]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set any key of the configuration, like access.sinks=file,store; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Check the configuration and stop
    #[arg(long)]
    check_config: bool,
    /// Print a commented configuration and stop
    #[arg(long, conflicts_with_all = ["check_config", "dev"])]
    sample_config: bool,
}

impl Serve {
    /// Serves until told to stop.
    pub(crate) fn run(self) -> fault::Outcome {
        let Self { dev, data_dir, listen, config, set, check_config, sample_config } = self;
        // What is printed to be pasted must hold in any folder.
        let data_dir = data_dir.map(|folder| std::path::absolute(&folder).unwrap_or(folder));
        let options = ServeOptions { dev, data_dir, listen, config, set, check_config, sample_config };
        server::serve(options).map(|()| exit::OK).map_err(failed)
    }
}

fn failed(error: ServeError) -> Error {
    let lines: Vec<_> = error.what.lines().map(str::trim).collect();
    Error::local(error.class, error.code, lines.join("; "), &error.hint)
}
