//! `aumbry serve`: from command line to exit.

use crate::build::{Seams, build};
use crate::config::{self, ConfigError, Environment, Given, Loaded, LogFormat, LogLevel};
use crate::initialise::{documents, initialise};
use crate::login::leave_login;
use crate::places::Places;
use crate::run::{Built, Ended};
use crate::sinks::{SinkChoice, StreamTarget};
use crate::start_error::StartError;
use api::Class;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct ServeOptions {
    /// Configuration file; otherwise `AUMBRY_CONFIG`, then `aumbry.toml` here.
    pub config: Option<PathBuf>,
    /// Mint an owner session at each start and print it, on a loopback address only.
    pub dev: bool,
    /// Data folder, in place of the configured one.
    pub data_dir: Option<PathBuf>,
    /// Address and port, in place of the configured ones.
    pub listen: Option<String>,
    /// Further keys as `section.key=value`; of a key given twice the last one counts.
    pub set: Vec<String>,
    /// Check the configuration and stop.
    pub check_config: bool,
    /// Print a commented configuration and stop.
    pub sample_config: bool,
}

/// Why there was no serving, or why it ended badly.
#[derive(Debug)]
pub struct ServeError {
    /// What is wrong; may have several lines.
    pub what: String,
    /// What to do about it; empty when that is in `what`.
    pub hint: String,
    /// What kind of failure it is.
    pub class: Class,
    /// Stable name.
    pub code: &'static str,
}

impl std::fmt::Display for ServeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for ServeError {}

impl From<StartError> for ServeError {
    fn from(error: StartError) -> ServeError {
        ServeError { what: error.to_string(), hint: error.hint().to_owned(), class: error.class(), code: error.code() }
    }
}

impl From<Vec<ConfigError>> for ServeError {
    fn from(errors: Vec<ConfigError>) -> ServeError {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let hint = "`aumbry serve --sample-config` shows every key".into();
        ServeError { what: lines.join("\n"), hint, class: Class::Invalid, code: "serve.configuration" }
    }
}

/// Life of a session that `--dev` prints.
const DEV_SESSION_LIFE: Duration = Duration::from_secs(12 * 3600);

/// The OpenAPI document of the native API.
#[must_use]
pub fn openapi() -> String {
    rest::document(&rest::routes(true))
}

/// Every action that policies name, with its group.
#[must_use]
pub fn actions() -> Vec<(&'static str, &'static str)> {
    access::Action::ALL.iter().map(|action| (action.name(), action.group())).collect()
}

/// Serves until told to stop by SIGTERM or SIGINT. Blocks the calling thread; makes a runtime of its own.
///
/// Prints to standard output where it listens, what a first start made and, with `--dev`, lines to paste.
pub fn serve(options: ServeOptions) -> Result<(), ServeError> {
    if options.sample_config {
        return say(&config::sample());
    }
    let environment = Environment::of_process();
    let loaded = load(&options, &environment)?;
    if options.dev && !loaded.config.rest.listen.ip().is_loopback() {
        let what = format!("--dev refuses {}: it is not a loopback address", loaded.config.rest.listen);
        let hint = "listen on 127.0.0.1, or start without --dev".into();
        return Err(ServeError { what, hint, class: Class::Invalid, code: "serve.configuration" });
    }
    if options.check_config {
        documents(&loaded.config)?;
        return say("the configuration is good\n");
    }
    // A runtime cannot be started inside another: the server gets a thread of its own.
    let thread = std::thread::Builder::new().name("serve".to_owned());
    let running = thread.spawn(move || on_runtime(&loaded, &environment, options.dev));
    let ended = running.map(std::thread::JoinHandle::join);
    match ended {
        Ok(Ok(result)) => result,
        _ => Err(ServeError {
            what: "the server ran into a defect".into(),
            hint: "what was answered is stored; start again, and report what the log said last".into(),
            class: Class::Bug,
            code: "server.bug",
        }),
    }
}

fn load(options: &ServeOptions, environment: &Environment) -> Result<Loaded, ServeError> {
    let mut wrong = Vec::new();
    let flags = |given: &mut Given| {
        if let Some(folder) = &options.data_dir {
            given.flag("--data-dir", "server.data_dir", folder.display().to_string());
        }
        if let Some(listen) = &options.listen {
            given.flag("--listen", "doors.rest.listen", listen.clone());
        }
        options.set.iter().filter_map(|pair| given.pair(pair).err()).for_each(|error| wrong.push(error));
    };
    let loaded = config::load(options.config.as_deref(), environment, flags);
    if wrong.is_empty() { Ok(loaded?) } else { Err(wrong.into()) }
}

fn on_runtime(loaded: &Loaded, environment: &Environment, dev: bool) -> Result<(), ServeError> {
    log_to_stderr(loaded.config.log.level, loaded.config.log.format);
    let hardened = crypto::secret::harden_process();
    if !hardened.complete() {
        tracing::warn!(?hardened, "the system does not let this process keep its memory out of core dumps");
    }
    // SAFETY: umask only sets a number of the process and cannot fail; no other thread makes files yet.
    unsafe { libc::umask(0o077) };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Ok(workers @ 1..) = usize::try_from(loaded.config.server.workers) {
        runtime.worker_threads(workers);
    }
    let runtime = runtime.enable_all().build().map_err(StartError::system)?;
    let ended = runtime.block_on(live(loaded, environment, dev));
    runtime.shutdown_timeout(Duration::from_secs(5));
    match ended? {
        Ended::AsTold => Ok(()),
        Ended::Broken => Err(ServeError {
            what: "the store failed while writing; the server stopped so as not to make it worse".into(),
            hint: "look at the disk, then start again: what was answered is read back".into(),
            class: Class::Corrupt,
            code: "serve.broken",
        }),
    }
}

async fn live(loaded: &Loaded, environment: &Environment, dev: bool) -> Result<Ended, ServeError> {
    let places = Places::of(&loaded.config, environment, dev);
    let built = build(&loaded.config, &places, Seams::system()).await?;
    // Before anybody is told where it listens and may ask it to stop.
    let (tell, stop) = watch::channel(false);
    tokio::spawn(obey_signals(tell, signals()?, built.identity.clone()));
    let mut text = greeting(&built, &places);
    if let Some(inside) = built.inside() {
        leave_login(&inside.app, &built.warden.ground).await?;
        let login = places.login.exists();
        initialise(&loaded.config, &inside.app).await?;
        text.push_str(&opened_lines(&inside.ledger, &places, login)?);
        if dev {
            text.push_str(&dev_lines(&built, &inside.app).await?);
        }
    }
    match loaded.config.access.sinks.0.contains(&SinkChoice::Stream(StreamTarget::Stdout)) {
        // Standard output holds nothing but rows then.
        true => std::io::stderr().lock().write_all(text.as_bytes()).unwrap_or_default(),
        false => say(&text)?,
    }
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    Ok(built.run(stop).await)
}

fn greeting(built: &Built, places: &Places) -> String {
    let mut text = format!(
        "aumbry {} listens on https://{}\n  data folder     {}\n  seal            {}\n",
        env!("CARGO_PKG_VERSION"),
        built.address,
        places.data.display(),
        built.seal(),
    );
    if let Some(authority) = &built.identity.files().authority {
        text.push_str(&format!("  trust           {}\n", authority.display()));
    }
    text
}

fn opened_lines(ledger: &ledger::Ledger, places: &Places, login: bool) -> Result<String, StartError> {
    let mut text = format!("  verifier key    {}\n", ledger.verifier_key()?);
    if login {
        text.push_str(&format!("  owner's login   {} (opens once: aumbry login FILE)\n", places.login.display()));
    }
    Ok(text)
}

/// A new owner session and the lines that hand it to a shell.
async fn dev_lines(built: &Built, app: &app::App) -> Result<String, ServeError> {
    let issued = app::bootstrap::dev_session(app, DEV_SESSION_LIFE).await.map_err(StartError::from)?;
    let mut text = format!("\nexport AUMBRY_ADDR=https://{}\n", built.address);
    text.push_str(&format!("export AUMBRY_TOKEN={}\n", issued.token.expose()));
    if let Some(authority) = &built.identity.files().authority {
        let path = std::path::absolute(authority).unwrap_or_else(|_unlikely| authority.clone());
        text.push_str(&format!("export AUMBRY_CACERT={}\n", quoted(&path.display().to_string())));
    }
    Ok(text)
}

/// A word that a shell takes as it is.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@".contains(&byte);
    if text.bytes().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// Caught from here on: to terminate, to interrupt, to hang up, and that a file may grow no further, which is an error of
/// the write then and not the end of the process.
type Signals = [Signal; 4];

fn signals() -> Result<Signals, StartError> {
    let catch = |kind| signal(kind).map_err(StartError::system);
    Ok([
        catch(SignalKind::terminate())?,
        catch(SignalKind::interrupt())?,
        catch(SignalKind::hangup())?,
        catch(SignalKind::from_raw(libc::SIGXFSZ))?,
    ])
}

/// SIGTERM and SIGINT stop, SIGHUP reads the certificate again.
async fn obey_signals(stop: watch::Sender<bool>, signals: Signals, identity: crate::tls::Identity) {
    let [mut terminate, mut interrupt, mut hangup, _file_limit] = signals;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => match identity.reload() {
                Ok(()) => tracing::info!("the certificate was read again"),
                Err(error) => tracing::error!(%error, "the certificate in use stays"),
            },
        }
    }
    tracing::info!("stopping: running requests may end");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    stop.send_replace(true);
    // A second one does not wait.
    tokio::select! {
        _ = terminate.recv() => std::process::exit(7),
        _ = interrupt.recv() => std::process::exit(7),
    }
}

fn say(text: &str) -> Result<(), ServeError> {
    let mut out = std::io::stdout().lock();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    said.map_err(|error| ServeError {
        what: format!("standard output: {error}"),
        hint: "let somebody read it, or send it to a file".into(),
        class: Class::Unavailable,
        code: "serve.output",
    })
}

fn log_to_stderr(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    // Libraries that see plaintext or keys never say more than warnings, whatever the level.
    let filter = format!("{level},rustls=warn,hyper=warn,h2=warn,tokio_rustls=warn");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let _already_set = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cfg_03_dev_refuses_an_address_that_is_not_loopback() {
        let top = tempfile::tempdir().unwrap();
        for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:7480"] {
            let options = ServeOptions {
                dev: true,
                listen: Some(listen.to_owned()),
                data_dir: Some(top.path().join("d")),
                ..ServeOptions::default()
            };
            let told = serve(options).unwrap_err();
            assert!(told.what.contains("loopback") && told.class == Class::Invalid, "{told}");
        }
        assert!(!top.path().join("d").exists());
    }

    #[test]
    fn a_path_is_quoted_for_a_shell_where_it_must_be() {
        for (text, wanted) in
            [("/a/b-c.pem", "/a/b-c.pem"), ("/a b", "'/a b'"), ("/a'b", "'/a'\\''b'"), ("$(x)", "'$(x)'")]
        {
            assert_eq!(quoted(text), wanted);
        }
    }
}
