//! `aumbry doctor`: checks what this client stands on and says what to do about it.

use client::Error;
use serde::Serialize;

use crate::connect::Global;
use crate::{exit, fault, login_file};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Good,
    Note,
    Bad,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    what: &'static str,
    health: Health,
    found: String,
}

#[derive(Debug, Default, Serialize)]
struct Checks {
    items: Vec<Check>,
}

impl Checks {
    fn add(&mut self, what: &'static str, health: Health, found: impl Into<String>) {
        self.items.push(Check { what, health, found: found.into() });
    }

    fn failed(&mut self, what: &'static str, error: &Error) {
        let next = Some(fault::hint(error)).filter(|hint| !hint.is_empty()).map(|hint| format!("; {hint}"));
        self.add(what, Health::Bad, format!("{} ({}){}", error.detail, error.code, next.unwrap_or_default()));
    }
}

/// Runs all checks and prints them; the exit code is the first failure's.
pub(crate) async fn run(global: &Global) -> fault::Outcome {
    let mut checks = Checks::default();
    configuration(&mut checks);
    login(&mut checks, global.tenant());
    let failure = server(global, &mut checks).await.err();
    if let Some(error) = &failure {
        // A server that refuses the session has answered.
        let what = if error.class == api::Class::Unauthenticated { "session" } else { "server" };
        checks.failed(what, error);
    }
    let bad = checks.items.iter().any(|check| check.health == Health::Bad);
    global.output().rows(&checks, &["check", "health", "found"], |checks| {
        let row = |check: &Check| {
            let health = match check.health {
                Health::Good => "good",
                Health::Note => "note",
                Health::Bad => "BAD",
            };
            vec![check.what.to_owned(), health.to_owned(), check.found.clone()]
        };
        checks.items.iter().map(row).collect()
    })?;
    Ok(match failure {
        Some(error) => exit::code(error.class),
        None if bad => exit::code(api::Class::Invalid),
        None => exit::OK,
    })
}

/// The configuration a server started here would have.
fn configuration(checks: &mut Checks) {
    let environment = server::config::Environment::of_process();
    match server::config::load(None, &environment, |_| ()) {
        Ok(loaded) => {
            let file = loaded.file.as_ref().map(|file| file.display().to_string());
            let found = file.map_or_else(|| "no file; the defaults hold".to_owned(), |file| format!("{file} is sound"));
            checks.add("configuration", Health::Good, found);
            for alias in server::config::ALIASES.iter().filter(|alias| environment.variable(alias.0).is_some()) {
                checks.add("alias", Health::Note, format!("{} is read as {}", alias.0, alias.1));
            }
        }
        Err(errors) => {
            for error in errors {
                checks.add("configuration", Health::Bad, error.to_string());
            }
        }
    }
}

fn login(checks: &mut Checks, tenant: Option<&str>) {
    match login_file::load(tenant) {
        Ok(Some(saved)) => checks.add("saved login", Health::Good, format!("{} at {}", saved.session, saved.addr)),
        Ok(None) => checks.add("saved login", Health::Note, "none; `aumbry login` makes one"),
        Err(error) => checks.failed("saved login", &error),
    }
}

/// Reaches the server, compares clocks, asks who we are.
async fn server(global: &Global, checks: &mut Checks) -> Result<(), Error> {
    let client = global.client()?;
    let status = client.status().await?;
    let sealed = status.seal != api::status::Seal::Open;
    let health = if sealed || !status.ready || status.hindrance.is_some() { Health::Bad } else { Health::Good };
    let state = match &status.hindrance {
        _ if status.seal == api::status::Seal::Uninitialised => {
            "not initialised; `aumbry operator init` begins".to_owned()
        }
        _ if sealed => match &status.shares {
            Some(shares) => format!("sealed, {} of {} shares given", shares.given, shares.threshold),
            None => "sealed".to_owned(),
        },
        Some(why) if status.ready => format!("ready, but {why}"),
        None if status.ready => "ready".to_owned(),
        Some(why) => format!("not ready ({why})"),
        None => "not ready".to_owned(),
    };
    checks.add("server", health, format!("{} is {state}, version {}", client.addr(), status.version));
    if let Some(warning) = &status.warning {
        checks.add("warning", Health::Bad, warning.as_str());
    }
    if let Ok(theirs) = status.time.0.parse::<jiff::Timestamp>() {
        let apart = jiff::Timestamp::now().duration_since(theirs).as_secs().unsigned_abs();
        let health = if apart > CLOCKS_APART_MAX_S { Health::Bad } else { Health::Good };
        checks.add("clocks", health, format!("{apart} s apart"));
    }
    let own = client.sessions().own().await?;
    checks.add("session", Health::Good, format!("{} as {} until {}", own.id, own.principal, own.expires_at));
    Ok(())
}

const CLOCKS_APART_MAX_S: u64 = 60;
