//! Where a server keeps its things.

use super::OfflineError;
use crate::config::{self, Environment, StorageSection};
use crate::places::Places;
use crate::store::{Purpose, Store, sqlite};
use api::Class;
use std::path::{Path, PathBuf};

/// Where a server keeps its things: its data folder, and the database elsewhere if there is one.
#[derive(Clone, Debug)]
pub struct Site {
    data: PathBuf,
    storage: Option<StorageSection>,
}

impl Site {
    /// A data folder with a store in files.
    #[must_use]
    pub fn folder(data: &Path) -> Site {
        Site { data: data.to_path_buf(), storage: None }
    }

    /// What a server of this configuration file and environment uses, with another data folder if one is named.
    ///
    /// Errors: what is wrong with the configuration; class `Invalid`.
    pub fn configured(file: &Path, data: Option<&Path>) -> Result<Site, OfflineError> {
        let environment = Environment::of_process();
        let loaded = config::load(Some(file), &environment, |given| {
            if let Some(folder) = data {
                given.flag("--data-dir", "server.data_dir", folder.display().to_string());
            }
        });
        let loaded = loaded.map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            OfflineError::new(Class::Invalid, lines.join("\n"))
        })?;
        let data = Places::of(&loaded.config, &environment, false).data;
        Ok(Site { data, storage: Some(loaded.config.storage) })
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Whether the store is in files of the data folder.
    #[must_use]
    pub fn is_in_files(&self) -> bool {
        self.storage.as_ref().is_none_or(StorageSection::is_in_files)
    }

    pub(crate) async fn open(&self, purpose: Purpose) -> Result<Store, OfflineError> {
        match &self.storage {
            Some(section) => Ok(Store::open(section, &self.data, purpose).await?),
            None => Ok(Store::Sqlite(sqlite(&self.data, purpose).await?)),
        }
    }
}
