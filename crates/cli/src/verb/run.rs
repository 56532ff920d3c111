//! `aumbry run`: gives a program its secrets and becomes it.
//!
//! The program takes the place of this process, so that signals reach it, its exit code is kept and no copy of
//! a secret stays in a parent. Nothing is written to disk; only names are ever shown.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use clap::Args;
use client::{Client, Error, Reference};

use crate::connect::Global;
use crate::inject::plan::{Permits, Plan, Present};
use crate::inject::{env_file, fetch, name, project};
use crate::{exit, fault, input, output, pages};

/// Run a program with its secrets in its environment
#[derive(Debug, Args)]
#[command(after_help = "Secrets come from --env, --all, --env-file, .aumbry.toml in this folder and every variable \
                        whose value is aumbry://tenant/path?version=3#field. Exit code: the program's; 125 when it \
                        was not run, 126 when it cannot be executed, 127 when it is not found.")]
pub(crate) struct Run {
    /// Variable and path or reference; only a path gives db/password the name DB_PASSWORD
    #[arg(long = "env", short, value_name = "NAME=PATH")]
    env: Vec<String>,
    /// All secrets below this prefix, named by their paths
    #[arg(long, value_name = "PREFIX")]
    all: Vec<String>,
    /// Leave the prefix of --all out of the names
    #[arg(long)]
    strip_prefix: bool,
    /// File of NAME=value lines; values that are references are resolved
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Do not read .aumbry.toml
    #[arg(long)]
    no_project: bool,
    /// Let a dangerous name like LD_PRELOAD through; may be given several times
    #[arg(long, value_name = "NAME")]
    allow_name: Vec<String>,
    /// Replace variables that are set already
    #[arg(long)]
    replace: bool,
    /// Resolve references in the values of secrets too
    #[arg(long)]
    resolve: bool,
    /// Leave AUMBRY_TOKEN in the program's environment
    #[arg(long)]
    keep_token: bool,
    /// Show which variable gets which secret
    #[arg(long, short)]
    verbose: bool,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

impl Run {
    /// Fetches the secrets and becomes the program; returns only when that fails.
    pub(crate) async fn run(self, global: &Global) -> fault::Outcome {
        match self.prepare(global).await {
            Ok(mut command) => {
                let failure = command.exec();
                let program = command.get_program().to_string_lossy().into_owned();
                drop(command);
                crate::fault::show(&not_run(&program, &failure), global.json);
                Ok(code(&failure))
            }
            Err(error) => {
                crate::fault::show(&error, global.json);
                Ok(exit::RUN_FAILED)
            }
        }
    }

    async fn prepare(&self, global: &Global) -> Result<Command, Error> {
        let permits = Permits { names: self.allow_name.iter().cloned().collect(), replace: self.replace };
        let plain = self.env_files()?;
        let plan = self.plan(global, &plain, &permits).await?;
        let values = fetch::values(global, plan.references(), self.resolve).await?;
        let (program, args) = self.program.split_first().ok_or_else(|| fault::invalid("no program is named", ""))?;
        let mut command = Command::new(program);
        command.args(args);
        if !self.keep_token {
            command.env_remove("AUMBRY_TOKEN");
        }
        for (name, value) in plain.iter().filter(|(_, value)| !Reference::is_meant(value)) {
            command.env(name, value);
        }
        for (name, reference) in plan.bindings() {
            let Some(value) = values.get(reference) else { continue };
            fits(name, value.expose())?;
            command.env(name, OsStr::from_bytes(value.expose()));
            if self.verbose {
                output::note(&format!("{name} from {reference}"));
            }
        }
        Ok(command)
    }

    /// Brings all sources together, the ones nearer to the user last.
    async fn plan(&self, global: &Global, plain: &[(String, String)], permits: &Permits) -> Result<Plan, Error> {
        let project = if self.no_project { project::Project::default() } else { read_project()? };
        let mut plan = Plan::default();
        for (name, reference, place) in project.references()? {
            plan.bind(&name, reference, permits).map_err(|error| at(error, &place))?;
        }
        for (name, value) in references_in_environment() {
            plan.bind(&name, client::reference(&value).map_err(|error| at(error, &name))?, permits)?;
        }
        for (name, value) in plain {
            if Reference::is_meant(value) {
                plan.bind(name, client::reference(value).map_err(|error| at(error, name))?, permits)?;
            } else if name::dangerous(name) && !permits.names.contains(name) {
                let detail = format!("{name} in the env file would change what the program runs, loads or trusts");
                return Err(fault::invalid(detail, "take it out, or add --allow-name with it if it is meant"));
            }
        }
        let given = self.all.iter().map(|prefix| Ok((prefix.clone(), "--all".to_owned())));
        let prefixes = project.prefixes().chain(given).collect::<Result<Vec<_>, Error>>()?;
        if !prefixes.is_empty() {
            let client = global.client()?;
            for (prefix, place) in prefixes {
                let bound = bind_all(&mut plan, &client, &prefix, self.strip_prefix, permits).await;
                bound.map_err(|error| at(error, &place))?;
            }
        }
        for text in &self.env {
            let (name, reference) = binding(text)?;
            plan.bind(&name, reference, permits)?;
        }
        plan.check_against(present, permits)?;
        if plan.is_empty() && plain.is_empty() {
            output::note("note: no secret is asked for; --env, --all, --env-file or .aumbry.toml name some");
        }
        Ok(plan)
    }

    fn env_files(&self) -> Result<Vec<(String, String)>, Error> {
        let mut all = Vec::new();
        for path in &self.env_file {
            let shown = path.display().to_string();
            let text = input::file(path, FILE_BYTES_MAX)?.into_text();
            let text = text.map_err(|_| fault::invalid(format!("`{shown}` is not UTF-8 text"), ""))?;
            all.extend(env_file::parse(text.expose(), &shown)?);
        }
        Ok(all)
    }
}

/// Reads `NAME=path`, or a path that gives its own name. What stands before the first `=` must be a name, unless the
/// `=` is part of a reference's `?version=`.
fn binding(text: &str) -> Result<(String, Reference), Error> {
    let named = text.split_once('=').filter(|(name, _)| !Reference::is_meant(text) && !name.contains(['?', '#']));
    match named {
        Some((name, target)) => {
            let hint = "write --env NAME=path; a path that holds `=` needs a name before it";
            name::check(name).map_err(|error| Error { hint: hint.into(), ..error })?;
            if target.is_empty() {
                return Err(fault::invalid(format!("--env {name}= names no path"), hint));
            }
            Ok((name.to_owned(), client::reference(target).map_err(|error| at(error, name))?))
        }
        None => {
            let reference = client::reference(text)?;
            Ok((name::from_path(reference.field.as_deref().unwrap_or(&reference.path))?, reference))
        }
    }
}

async fn bind_all(plan: &mut Plan, client: &Client, prefix: &str, strip: bool, permits: &Permits) -> Result<(), Error> {
    let prefix = prefix.trim_end_matches('/');
    let found = pages::readable(client, prefix).await?;
    if found.paths.is_empty() {
        let detail = match found.left_out {
            0 => format!("there is no secret below `{prefix}`, or none that may be listed"),
            _ => format!("there is no secret below `{prefix}` that can be read"),
        };
        return Err(fault::invalid(detail, "`aumbry list` shows the folders; a single secret goes with --env"));
    }
    for path in found.paths {
        let below = path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
        let name = name::from_path(if strip { below.unwrap_or(&path) } else { &path })?;
        plan.bind(&name, Reference { tenant: None, path, version: None, field: None }, permits)?;
    }
    Ok(())
}

fn read_project() -> Result<project::Project, Error> {
    let path = PathBuf::from(project::FILE);
    if !path.exists() {
        return Ok(project::Project::default());
    }
    let text = input::file(&path, FILE_BYTES_MAX)?.into_text();
    let text = text.map_err(|_| fault::invalid(format!("`{}` is not UTF-8 text", project::FILE), ""))?;
    project::parse(text.expose())
}

fn references_in_environment() -> Vec<(String, String)> {
    let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
    std::env::vars_os().filter_map(text).filter(|(_, value)| Reference::is_meant(value)).collect()
}

fn present(name: &str) -> Present {
    match std::env::var_os(name).map(OsString::into_vec) {
        None => Present::Nothing,
        Some(value) if std::str::from_utf8(&value).is_ok_and(Reference::is_meant) => Present::Reference,
        Some(_) => Present::Value,
    }
}

/// Checks that the system can pass a value in an environment.
fn fits(name: &str, value: &[u8]) -> Result<(), Error> {
    if value.contains(&0) {
        return Err(fault::invalid(
            format!("the secret for {name} holds a zero byte"),
            "write it to a file with `aumbry get --out`",
        ));
    }
    if value.len().saturating_add(name.len()) > VARIABLE_BYTES_MAX {
        let detail = format!("the secret for {name} is longer than an environment variable can be");
        return Err(fault::invalid(detail, "write it to a file with `aumbry get --out`"));
    }
    Ok(())
}

/// Says where what is refused was written.
fn at(mut error: Error, place: &str) -> Error {
    error.detail = format!("{place}: {}", error.detail).into();
    error
}

fn not_run(program: &str, failure: &std::io::Error) -> Error {
    fault::local(&format!("`{program}` was not run"), failure)
}

/// As shells do: 127 when there is no such program, 126 when it cannot be executed.
fn code(failure: &std::io::Error) -> u8 {
    match failure.kind() {
        std::io::ErrorKind::NotFound => exit::NOT_FOUND,
        _ => exit::NOT_EXECUTABLE,
    }
}

const FILE_BYTES_MAX: usize = 1024 * 1024;
/// Linux passes at most 128 KiB in one variable, its name, `=` and final zero included.
const VARIABLE_BYTES_MAX: usize = 128 * 1024 - 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cli_07_a_binding_is_a_name_and_a_path_or_a_path_that_names_itself() {
        for (text, name, path) in [
            ("PGPASSWORD=db/password", "PGPASSWORD", "db/password"),
            ("db/password", "DB_PASSWORD", "db/password"),
            ("P=aumbry://t/db#user", "P", "db"),
            ("aumbry:///db?version=2#user", "USER", "db"),
            ("db/password?version=3", "DB_PASSWORD", "db/password"),
            ("web/api#a=b", "A_B", "web/api"),
            ("A=a/b=c", "A", "a/b=c"),
        ] {
            let (found, reference) = binding(text).unwrap();
            assert_eq!((found.as_str(), reference.path.as_str()), (name, path), "{text}");
        }
        for (text, said) in [
            ("A=", "--env A= names no path"),
            ("MY-VAR=db/password", "`MY-VAR` is no name"),
            ("a/b=c", "`a/b` is no name"),
            ("1A=db/password", "`1A` is no name"),
            ("=db/password", "`` is no name"),
            ("", "canonical"),
            ("A=../b", "A: "),
        ] {
            let refused = binding(text).unwrap_err();
            assert!(refused.detail.contains(said), "{text}: {refused}");
        }
    }

    #[test]
    fn leak_12_a_value_that_no_environment_can_hold_is_refused_by_name() {
        for value in [b"can\0ary".to_vec(), vec![b'x'; VARIABLE_BYTES_MAX]] {
            let refused = fits("DB", &value).unwrap_err();
            assert!(refused.detail.contains("DB") && !refused.detail.contains("ary"), "{refused}");
        }
        assert!(fits("DB", &vec![b'x'; VARIABLE_BYTES_MAX - 2]).is_ok());
    }
}
