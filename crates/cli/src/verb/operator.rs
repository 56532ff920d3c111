//! `aumbry operator`: the shares of the seal's key, and what their holders do with them.

use api::operator::{Cancel, Ceremony, GiveShare, Phase, Rekey, SealKind, UnderWay, Unsealed};
use clap::{Subcommand, ValueEnum};
use client::{Client, Error};
use serde::Serialize;
use server::offline::Lost;
use std::path::{Path, PathBuf};

use crate::connect::Global;
use crate::shares::{Outlet, Shares, Source, SplitArgs, caution};
use crate::verb::keys::{self, Which};
use crate::verb::offline::At;
use crate::{exit, fault, input, output};

/// Shares of the seal's key: begin, unseal, seal, replace
#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Begin a server with `seal.kind = "shares"`: makes the shares of its key
    Init {
        #[command(flatten)]
        split: SplitArgs,
        #[command(flatten)]
        outlet: Outlet,
    },
    /// Give shares to a sealed server
    Unseal {
        /// Nonce that `init` showed; then the owner's one-time login is shown when the server opens
        #[arg(long)]
        nonce: Option<String>,
        #[command(flatten)]
        source: Source,
    },
    /// Seal the server: it lets go of its keys until enough shares were given
    Seal,
    /// Replace the root key; every tenant's key is wrapped anew
    Rotate,
    /// Replace the seal's key by one in new shares, or in a key file
    Rekey {
        /// Which kind of seal there is to be
        #[arg(long, value_enum, default_value_t = Kind::Shares)]
        to: Kind,
        #[command(flatten)]
        split: SplitArgs,
        #[command(flatten)]
        outlet: Outlet,
        #[command(flatten)]
        source: Source,
    },
    /// Give shares to a rekey that another person began
    Give {
        /// Its nonce
        #[arg(long)]
        nonce: String,
        #[command(flatten)]
        outlet: Outlet,
        #[command(flatten)]
        source: Source,
    },
    /// Shares that make a lost key file again
    #[command(subcommand)]
    Recovery(Recovery),
    /// Give a rekey up; what is in force stays
    Cancel {
        /// Its nonce
        #[arg(long)]
        nonce: String,
    },
    /// Show whether the server is open, how many shares it wants, and a rekey that is under way
    Status,
}

/// Shares that make a lost key file again.
#[derive(Debug, Subcommand)]
pub(crate) enum Recovery {
    /// Make such shares for the key file of the server; those of before are void
    Init {
        #[command(flatten)]
        split: SplitArgs,
        #[command(flatten)]
        outlet: Outlet,
    },
    /// Make the key file again, without a server
    Restore {
        #[command(flatten)]
        at: At,
        /// A backup, where the store is lost too
        #[arg(long, value_name = "FILE", conflicts_with_all = ["data_dir", "config"])]
        backup: Option<PathBuf>,
        /// Where the key file is to be; never written over
        #[arg(long, value_name = "FILE")]
        seal_file: PathBuf,
        #[command(flatten)]
        source: Source,
    },
}

/// Kinds of seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A key in shares that people hold
    Shares,
    /// A key in a file of the server
    KeyFile,
}

impl Operator {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        match self {
            Self::Init { split, outlet } => init(global, split, &outlet).await,
            Self::Unseal { nonce, source } => unseal(global, nonce, source).await,
            Self::Seal => {
                let client = global.client()?;
                input::confirm("sealing the server, which stops it for everybody,", "seal", global.yes)?;
                let sealed = client.operator().seal().await?;
                global.output().answer(&sealed, |sealed| {
                    let shares = &sealed.shares;
                    format!("sealed; {} of {} shares of set {} open it", shares.threshold, shares.count, shares.set)
                })?;
                Ok(exit::OK)
            }
            Self::Rotate => keys::Keys::Rotate { scope: Which::Root }.run(global).await,
            Self::Rekey { to, split, outlet, source } => rekey(global, to, split, &outlet, source).await,
            Self::Give { nonce, outlet, source } => {
                let client = global.client()?;
                outlet.ready(global.output())?;
                go_on(global, &client, None, nonce, &outlet, source).await
            }
            Self::Recovery(Recovery::Init { split, outlet }) => {
                let client = global.client()?;
                outlet.ready(global.output())?;
                let rekey = Rekey { to: SealKind::Recovery, split: Some(split.split()) };
                ceremony(global, &client, &rekey, &outlet, Source::default()).await
            }
            Self::Recovery(Recovery::Restore { at, backup, seal_file, source }) => {
                restore(global, &at, backup, &seal_file, source).await
            }
            Self::Cancel { nonce } => {
                let cancelled = global.client()?.operator().cancel(&Cancel { nonce }).await?;
                global.output().answer(&cancelled, |_| "given up; what was in force is in force".to_owned())?;
                Ok(exit::OK)
            }
            Self::Status => {
                let code = super::status::run(global).await?;
                let Ok(client) = global.client() else { return Ok(code) };
                // Who may not see it has been told what everybody may know.
                let under_way = client.operator().ceremonies().await.map(|found| found.items).unwrap_or_default();
                for ceremony in under_way {
                    output::note(&shown(&ceremony));
                }
                Ok(code)
            }
        }
    }
}

async fn init(global: &Global, split: SplitArgs, outlet: &Outlet) -> fault::Outcome {
    let (client, output) = (global.anonymous()?, global.output());
    outlet.ready(output)?;
    let mut handed = client.operator().init(&split.split()).await?;
    let (_, shown) = outlet.hand_out(&mut handed)?;
    if !output.json {
        caution();
    }
    output.answer(&handed, |handed| {
        format!(
            "{shown}The server begins once {} of them were given back:\n  aumbry operator unseal --nonce {}",
            handed.threshold, handed.nonce
        )
    })?;
    Ok(exit::OK)
}

async fn unseal(global: &Global, nonce: Option<String>, source: Source) -> fault::Outcome {
    let (client, output) = (global.anonymous()?, global.output());
    let mut shares = source.open()?;
    let mut last: Option<Unsealed> = None;
    while let Some(share) = shares.next("A share, which is not shown")? {
        match client.operator().unseal(&GiveShare { share, nonce: nonce.clone() }).await {
            Ok(unsealed) => {
                let done = unsealed.open;
                if !done {
                    output::note(&progress(&unsealed.shares));
                }
                last = Some(unsealed);
                if done {
                    break;
                }
            }
            Err(error) => shares.refused(error)?,
        }
    }
    let last = last.ok_or_else(|| fault::invalid("no share was given", "give one a line, or name files"))?;
    let open = last.open;
    output.answer(&last, |last| match (&last.login, last.open) {
        (Some(login), _) => format!("the server is open; the owner's one-time login:\n{}", login.expose()),
        (None, true) => "the server is open".to_owned(),
        (None, false) => format!("still sealed: {}", progress(&last.shares)),
    })?;
    Ok(if open { exit::OK } else { exit::code(api::Class::Sealed) })
}

fn progress(shares: &api::operator::Gathered) -> String {
    format!("{} of {} shares of set {} were given", shares.given, shares.threshold, shares.set)
}

async fn rekey(global: &Global, to: Kind, split: SplitArgs, outlet: &Outlet, source: Source) -> fault::Outcome {
    let client = global.client()?;
    let rekey = match to {
        Kind::Shares => {
            outlet.ready(global.output())?;
            Rekey { to: SealKind::Shares, split: Some(split.split()) }
        }
        Kind::KeyFile => Rekey { to: SealKind::KeyFile, split: None },
    };
    input::confirm("replacing the seal's key", "rekey", global.yes)?;
    ceremony(global, &client, &rekey, outlet, source).await
}

async fn ceremony(global: &Global, client: &Client, rekey: &Rekey, outlet: &Outlet, source: Source) -> fault::Outcome {
    let began = client.operator().rekey(rekey).await?;
    output::note(&format!("this ceremony's nonce is {}", began.nonce));
    let nonce = began.nonce.clone();
    go_on(global, client, Some(began), nonce, outlet, source).await
}

/// What was made again.
#[derive(Debug, Serialize)]
struct Recovered {
    seal_file: String,
}

async fn restore(global: &Global, at: &At, backup: Option<PathBuf>, seal: &Path, source: Source) -> fault::Outcome {
    let site = match (at.is_named(), &backup) {
        (false, Some(_)) => None,
        (false, None) => return Err(fault::invalid("nothing was named", "name --data-dir, --config or --backup")),
        (true, _) => Some(at.site()?),
    };
    let from = match (&site, &backup) {
        (Some(site), _) => Lost::Store(site),
        (None, file) => Lost::Backup(file.as_deref().unwrap_or(Path::new(""))),
    };
    let (mut shares, mut given) = (source.open()?, Vec::new());
    while let Some(share) = shares.next("A recovery share, which is not shown; nothing when all were given")? {
        given.push(share);
    }
    server::offline::recover_key_file(from, seal, &given).await.map_err(super::offline::failed)?;
    let recovered = Recovered { seal_file: seal.display().to_string() };
    global.output().answer(&recovered, |recovered| format!("{} is there again; copy it now", recovered.seal_file))?;
    Ok(exit::OK)
}

/// Gives shares until the new key is in force or there are no more.
async fn go_on(
    global: &Global,
    client: &Client,
    began: Option<Ceremony>,
    nonce: String,
    outlet: &Outlet,
    source: Source,
) -> fault::Outcome {
    let output = global.output();
    let mut shares: Option<Shares> = None;
    let mut source = Some(source);
    let mut step = began;
    loop {
        if let Some(ceremony) = &mut step {
            if let Some(handed) = &mut ceremony.handed_out {
                let (files, shown) = outlet.hand_out(handed)?;
                if output.json {
                    output.answer(ceremony, |_| String::new())?;
                } else {
                    caution();
                    output::write(shown.as_bytes())?;
                }
                // Files that were just brought to the disk prove by being read back that they arrived.
                shares = (!files.is_empty()).then(|| Source::of(files).open()).transpose()?;
                if shares.is_none() && !input::interactive() {
                    return pending(&nonce, ceremony);
                }
                source = source.or_else(|| Some(Source::default()));
            }
            if ceremony.phase == Phase::Done {
                output.answer(ceremony, |ceremony| ceremony.advice.clone().unwrap_or_default())?;
                return Ok(exit::OK);
            }
        }
        let what = match step.as_ref().map(|step| step.phase) {
            Some(Phase::Fresh) => "A share of the new set, which is not shown",
            _ => "A share of the set in force, which is not shown",
        };
        let giving = match &mut shares {
            Some(shares) => shares,
            none => none.insert(source.take().unwrap_or_default().open()?),
        };
        let Some(share) = giving.next(what)? else {
            return match &step {
                Some(ceremony) => pending(&nonce, ceremony),
                None => Err(fault::invalid("no share was given", "give one a line, or name files")),
            };
        };
        match client.operator().give(&GiveShare { share, nonce: Some(nonce.clone()) }).await {
            Ok(ceremony) => {
                if let Some(wanted) = &ceremony.wanted {
                    output::note(&progress(wanted));
                }
                step = Some(ceremony);
            }
            Err(error) => giving.refused(error)?,
        }
    }
}

/// A ceremony, for who did not begin it.
fn shown(ceremony: &UnderWay) -> String {
    let what = match ceremony.to {
        SealKind::Shares => "new shares",
        SealKind::KeyFile => "a key file",
        SealKind::Recovery => "recovery shares",
    };
    let wanted = ceremony.wanted.as_ref().map(progress).unwrap_or_else(|| "all its shares were given".to_owned());
    format!("under way: the seal's key is being replaced by {what}, begun by {}; {wanted}", ceremony.by)
}

/// More shares are wanted than there were here.
fn pending(nonce: &str, ceremony: &Ceremony) -> fault::Outcome {
    let wanted = ceremony.wanted.as_ref().map(progress).unwrap_or_default();
    let hint = format!("go on with `aumbry operator give --nonce {nonce}`; until then nothing is replaced");
    Err(Error::local(api::Class::Conflict, "operator.pending", wanted, &hint))
}
