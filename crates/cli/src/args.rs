//! The command line: global options and one entry for each command.

use clap::{Parser, Subcommand};

use crate::connect::Global;
use crate::fault;
use crate::verb;

/// Store, serve and inject secrets; every change provable
#[derive(Debug, Parser)]
#[command(name = "aumbry", version, disable_help_subcommand = true)]
pub(crate) struct Aumbry {
    /// Options that every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// All commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(verb::serve::Serve),
    /// Show whether the server is there, open and ready
    Status,
    /// Log in with a one-time login
    Login(verb::login::Login),
    /// Write a new version of a secret
    Put(verb::put::Put),
    /// Change fields of a secret whose value is a JSON object
    Patch(verb::patch::Patch),
    /// Write a new version with a value that the server makes and nobody has seen
    Generate(verb::generate::Generate),
    /// Write many secrets from a file, all of them or none
    Import(verb::import::Import),
    /// Write the secrets below a prefix to a file, in clear
    Export(verb::export::Export),
    /// Show the value of a secret
    Get(verb::get::Get),
    /// List secrets and folders
    List(verb::list::List),
    /// Find secrets by name, labels, owner and expiry
    Search(verb::search::Search),
    /// List the versions of a secret
    Versions(verb::versions::Versions),
    /// Make a new version that repeats an older one
    Rollback(verb::rollback::Rollback),
    /// Copy a secret, or all below a folder, to another path
    Copy(verb::copy::Copy),
    /// Move a secret, or all below a folder; undelete brings the sources back
    Move(verb::copy::Copy),
    /// Delete a secret; undelete brings it back
    Delete(verb::delete::Delete),
    /// Bring a deleted secret back
    Undelete(verb::undelete::Undelete),
    /// Destroy versions for good
    Purge(verb::purge::Purge),
    /// Show what differs between versions, secrets or folders, without values
    Diff(verb::diff::Diff),
    /// Run a program with its secrets in its environment
    Run(verb::run::Run),
    /// Fill a template with secrets
    Render(verb::render::Render),
    /// Make tenants, principals, policies and secrets as documents say, all or nothing
    Apply(verb::apply::Apply),
    /// Let a principal or a role do something with secrets
    Grant(verb::grant::Grant),
    /// Who may do what
    #[command(subcommand)]
    Policy(verb::policy::Policy),
    /// Named rules that passwords are made by
    #[command(subcommand)]
    PasswordPolicy(verb::password_policy::PasswordPolicy),
    /// Who there is
    #[command(subcommand)]
    Principal(verb::principal::Principal),
    /// Who is logged in
    #[command(subcommand)]
    Session(verb::session::Session),
    /// Hand a secret or a text over: whoever has the token opens it, once
    Wrap(verb::wrap::Wrap),
    /// Open what was handed over
    Unwrap(verb::wrap::Unwrap),
    /// Houses within the house
    #[command(subcommand)]
    Tenant(verb::tenant::Tenant),
    /// What happened, and the proof of it
    #[command(subcommand)]
    Ledger(verb::ledger::Ledger),
    /// Who asked for what
    #[command(subcommand)]
    Access(verb::access::Access),
    /// The key hierarchy
    #[command(subcommand)]
    Keys(verb::keys::Keys),
    /// The nodes that share a database
    #[command(subcommand)]
    Cluster(verb::cluster::Cluster),
    /// What protects the root key while the server is down
    #[command(subcommand)]
    Seal(verb::seal::Seal),
    /// Make a backup, and bring it here where a file is named
    Backup(verb::backup::Backup),
    /// Restore a backup into a data folder; no server may run on it
    Restore(verb::restore::Restore),
    /// Shares of the seal's key: begin, unseal, seal, replace
    #[command(subcommand)]
    Operator(verb::operator::Operator),
    /// Check this client: configuration, login, server
    Doctor,
    /// Print the OpenAPI document of the native API
    Openapi,
    /// Print completions for a shell
    Completions(verb::completions::Completions),
}

impl Command {
    /// Does what was asked.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        match self {
            Self::Serve(verb) => verb.run(),
            Self::Openapi => verb::openapi::run(),
            Self::Status => verb::status::run(global).await,
            Self::Login(verb) => verb.run(global).await,
            Self::Put(verb) => verb.run(global).await,
            Self::Patch(verb) => verb.run(global).await,
            Self::Generate(verb) => verb.run(global).await,
            Self::Import(verb) => verb.run(global).await,
            Self::Export(verb) => verb.run(global).await,
            Self::Get(verb) => verb.run(global).await,
            Self::List(verb) => verb.run(global).await,
            Self::Search(verb) => verb.run(global).await,
            Self::Versions(verb) => verb.run(global).await,
            Self::Rollback(verb) => verb.run(global).await,
            Self::Copy(verb) => verb.copy(global).await,
            Self::Move(verb) => verb.relocate(global).await,
            Self::Delete(verb) => verb.run(global).await,
            Self::Undelete(verb) => verb.run(global).await,
            Self::Purge(verb) => verb.run(global).await,
            Self::Diff(verb) => verb.run(global).await,
            Self::Run(verb) => verb.run(global).await,
            Self::Render(verb) => verb.run(global).await,
            Self::Apply(verb) => verb.run(global).await,
            Self::Grant(verb) => verb.run(global).await,
            Self::Policy(verb) => verb.run(global).await,
            Self::PasswordPolicy(verb) => verb.run(global).await,
            Self::Principal(verb) => verb.run(global).await,
            Self::Session(verb) => verb.run(global).await,
            Self::Wrap(verb) => verb.run(global).await,
            Self::Unwrap(verb) => verb.run(global).await,
            Self::Tenant(verb) => verb.run(global).await,
            Self::Ledger(verb) => verb.run(global).await,
            Self::Access(verb) => verb.run(global).await,
            Self::Keys(verb) => verb.run(global).await,
            Self::Cluster(verb) => verb.run(global).await,
            Self::Seal(verb) => verb.run(global).await,
            Self::Backup(verb) => verb.run(global).await,
            Self::Restore(verb) => verb.run(global).await,
            Self::Operator(verb) => verb.run(global).await,
            Self::Doctor => verb::doctor::run(global).await,
            Self::Completions(verb) => verb.run(),
        }
    }
}
