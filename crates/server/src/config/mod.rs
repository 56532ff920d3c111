//! Configuration: one file, one typed tree, every key documented and checked before anything starts.
//!
//! A flag beats the environment, the environment the file, the file the default. A key that is
//! unknown, written twice or of the wrong kind stops the start and is named with its line.

mod connection;
mod sample;
mod source;
mod suggest;
mod tree;
mod value;

pub use connection::Connection;
pub use sample::sample;
pub use source::{ALIASES, Entry, Given, Origin};
pub use tree::{
    AccessSection, AccessSync, BackupSection, CacheSection, Config, KEYS, KeysSection, LedgerSection, LimitsSection,
    LogFormat, LogLevel, LogSection, RestSection, SealKind, SealSection, ServerSection, StorageSection, TlsSection,
    WitnessSection,
};
pub use value::{Choice, Keep, List, Location, Raw, Setting, Size, Span};

use crate::sinks::SinkChoice;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One key: what the sample, the reference and the checks know about it.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted name of its table.
    pub section: &'static str,
    /// Name in the table.
    pub name: &'static str,
    /// Kind of value.
    pub kind: &'static str,
    /// Default, as text.
    pub default: &'static str,
    /// Least and greatest value, as text.
    pub range: Option<(&'static str, &'static str)>,
    /// What it is for.
    pub about: &'static str,
}

impl Key {
    /// `section.name`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// One thing wrong with the configuration. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// `section.key`, empty when the file as a whole is meant.
    pub key: String,
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong; never repeats the value.
    pub problem: String,
}

impl ConfigError {
    pub(crate) fn at(section: &str, key: &str, origin: &Origin, problem: String) -> ConfigError {
        ConfigError { key: format!("{section}.{key}"), origin: origin.clone(), problem }
    }
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.origin, self.problem),
            key => write!(f, "{}: `{key}` {}", self.origin, self.problem),
        }
    }
}

impl std::error::Error for ConfigError {}

/// The part of the process environment that the configuration depends on.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Variables whose names and values are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// Where `aumbry.toml` is looked for.
    pub folder: PathBuf,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Environment {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let folder = std::env::current_dir().unwrap_or_default();
        Environment { variables: std::env::vars_os().filter_map(text).collect(), folder }
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Folder for what the operator configures: the service's, the user's, or `/etc/aumbry`.
    #[must_use]
    pub fn configuration_folder(&self) -> PathBuf {
        self.user_folder("CONFIGURATION_DIRECTORY", "XDG_CONFIG_HOME", ".config", "/etc/aumbry")
    }

    /// Folder for what is stored: the service's, the user's, or `/var/lib/aumbry`.
    #[must_use]
    pub fn data_folder(&self) -> PathBuf {
        self.user_folder("STATE_DIRECTORY", "XDG_DATA_HOME", ".local/share", "/var/lib/aumbry")
    }

    fn user_folder(&self, service: &str, xdg: &str, below_home: &str, system: &str) -> PathBuf {
        if let Some(first) = self.variable(service).and_then(|list| list.split(':').next()) {
            return PathBuf::from(first);
        }
        if let Some(folder) = self.variable(xdg).map(Path::new).filter(|folder| folder.is_absolute()) {
            return folder.join("aumbry");
        }
        self.variable("HOME")
            .map_or_else(|| PathBuf::from(system), |home| Path::new(home).join(below_home).join("aumbry"))
    }
}

/// A configuration and how it came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked tree.
    pub config: Config,
    /// What was given by whom.
    pub given: Given,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

/// Reads flags, environment and file into one checked tree.
///
/// `file` is the `--config` flag; without it `AUMBRY_CONFIG`, then `aumbry.toml` in the current folder if it is
/// there. Touches nothing but that file. Errors list everything that is wrong; nothing was started.
pub fn load(
    file: Option<&Path>,
    environment: &Environment,
    flags: impl FnOnce(&mut Given),
) -> Result<Loaded, Vec<ConfigError>> {
    let mut given = Given::default();
    let named = file.map(Path::to_path_buf).or_else(|| environment.variable("AUMBRY_CONFIG").map(PathBuf::from));
    let nearby = || Some(environment.folder.join("aumbry.toml")).filter(|path| path.exists());
    let file = named.or_else(nearby);
    if let Some(path) = &file {
        given.file(path, &text_of(path)?)?;
    }
    given.environment(&environment.variables)?;
    flags(&mut given);
    let config = Config::read(&given)?;
    config.check(&given)?;
    given.hide("storage.connection");
    Ok(Loaded { config, given, file })
}

fn text_of(path: &Path) -> Result<String, Vec<ConfigError>> {
    const FILE_BYTES_MAX: u64 = 1 << 20;
    let told = |problem: String| {
        let origin = Origin::File(path.display().to_string(), 1);
        vec![ConfigError { key: String::new(), origin, problem }]
    };
    let size = std::fs::metadata(path).map_err(|error| told(format!("cannot be read: {error}")))?.len();
    if size > FILE_BYTES_MAX {
        return Err(told("is longer than 1 MiB".to_owned()));
    }
    std::fs::read_to_string(path).map_err(|error| told(format!("cannot be read: {error}")))
}

impl Config {
    /// What no key can check alone.
    fn check(&self, given: &Given) -> Result<(), Vec<ConfigError>> {
        let mut wrong = Vec::new();
        let mut tell = |section: &str, key: &str, problem: &str| {
            let origin = given.entry(section, key, "").origin;
            wrong.push(ConfigError::at(section, key, &origin, problem.to_owned()));
        };
        match (&self.tls.certificate.0, &self.tls.key.0) {
            (Some(_), None) => tell("tls", "certificate", "needs its key in `tls.key`"),
            (None, Some(_)) => tell("tls", "key", "needs its certificate in `tls.certificate`"),
            _ => {}
        }
        let sinks = &self.access.sinks.0;
        if !sinks.iter().any(SinkChoice::keeps) {
            tell("access", "sinks", "names no sink that keeps rows; add \"file\" or \"store\"");
        }
        if sinks.iter().enumerate().any(|(index, sink)| sinks.iter().take(index).any(|before| before == sink)) {
            tell("access", "sinks", "names a sink twice; write each once");
        }
        let usual = KEYS.iter().find(|key| (key.section, key.name) == ("backup", "every")).map(|key| key.default);
        let scheduled = self.backup.every != Keep::Always
            && usual.and_then(|usual| Keep::read(&Raw::Loose(usual.to_owned())).ok()) != Some(self.backup.every);
        if scheduled && self.backup.folder.0.is_none() {
            tell("backup", "every", "makes no backup without `backup.folder`; name one, best on another disk");
        }
        let named = given.entry("storage", "connection", "").origin != Origin::Default;
        if named && self.storage.connection_file.0.is_some() {
            tell("storage", "connection_file", "is one too many beside `storage.connection`; name one of the two");
        }
        let cluster = &self.ledger.cluster;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if cluster.len() > 100 || !cluster.bytes().all(plain) {
            tell("ledger", "cluster", "wants at most 100 letters, digits, `.`, `-` or `_`");
        }
        if let Err((key, problem)) = crate::witness::check_settings(&self.witness) {
            tell("witness", key, problem);
        }
        if let (Some(seal), Some(data)) = (&self.seal.file.0, &self.server.data_dir.0)
            && seal.starts_with(data)
        {
            tell("seal", "file", "lies in the data folder; a backup would hold lock and key together");
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests;
