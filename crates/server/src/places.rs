//! Where the files of one server are.

use crate::config::{Config, Environment};
use crate::files::beside;
use std::path::{Path, PathBuf};

/// Where the files of one server are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Everything stored.
    pub data: PathBuf,
    /// The seal's key file; never in `data`.
    pub seal: PathBuf,
    /// The owner's one-time login, until it is used.
    pub login: PathBuf,
    /// Certificates of our own.
    pub tls: PathBuf,
    /// Segments of the access log.
    pub access: PathBuf,
    /// Backups.
    pub backups: PathBuf,
}

impl Places {
    /// Those of the configuration, with the environment's folders for what it leaves open.
    #[must_use]
    pub fn of(config: &Config, environment: &Environment, dev: bool) -> Places {
        let usual = || match dev {
            true => beside(&environment.data_folder(), "-dev"),
            false => environment.data_folder(),
        };
        let data = config.server.data_dir.0.clone().unwrap_or_else(usual);
        let configuration = environment.configuration_folder();
        let near = |name: &str| if dev { beside(&data, &format!(".{name}")) } else { configuration.join(name) };
        Places {
            seal: config.seal.file.0.clone().unwrap_or_else(|| near("seal.key")),
            login: near("owner.login"),
            tls: data.join("tls"),
            access: data.join("access"),
            backups: config.backup.folder.0.clone().unwrap_or_else(|| data.join("backups")),
            data,
        }
    }

    /// Those of a data folder alone, for work without a server.
    #[must_use]
    pub fn access_of(data: &Path) -> PathBuf {
        data.join("access")
    }
}
