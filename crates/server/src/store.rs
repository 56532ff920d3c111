//! Which engine holds the store: one table of schemes, and one place where each is opened.

use crate::build::SHARD;
use crate::config::{Connection, StorageSection};
use crate::files::{self, FileError};
use crate::offline::OfflineError;
use crate::start_error::StartError;
use api::Class;
use crypto::secret::SecretText;
use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use storage::{ConnectError, ConnectReason, Key, Kind, OpenError, RemoteOptions, Sqlite, SqliteOptions, Storage};

/// Engines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Engine {
    /// Files in the data folder.
    Sqlite,
    /// PostgreSQL, MySQL and what speaks like them.
    Sql,
    /// Redis and Valkey.
    Redis,
    /// MongoDB and what speaks like it.
    Mongo,
}

/// What stands before the `:` of a connection string, and the engine behind it.
pub(crate) const SCHEMES: &[(&str, Engine)] = &[
    ("sqlite", Engine::Sqlite),
    ("postgresql", Engine::Sql),
    ("postgres", Engine::Sql),
    ("mysql", Engine::Sql),
    ("mariadb", Engine::Sql),
    ("redis", Engine::Redis),
    ("rediss", Engine::Redis),
    ("valkey", Engine::Redis),
    ("valkeys", Engine::Redis),
    ("mongodb", Engine::Mongo),
];

/// What the store is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// To serve from it, or to restore into it: made where there is none.
    Serve,
    /// To change what is there.
    Mend,
    /// To look at it; files stay as they are, byte for byte.
    Look,
}

/// An opened store.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    /// In files.
    Sqlite(Arc<Sqlite>),
    /// Elsewhere; the data folder holds the rest, and is kept from other servers until this is dropped.
    Remote(Arc<dyn Storage>, Arc<File>),
}

impl Store {
    /// Opens what the configuration names. Needs a tokio runtime.
    pub(crate) async fn open(section: &StorageSection, data: &Path, purpose: Purpose) -> Result<Store, StoreError> {
        let read = section.connection_file.0.as_deref().map(connection_in).transpose()?;
        let connection = read.as_ref().unwrap_or(&section.connection);
        let options = RemoteOptions {
            deadline: section.deadline.0,
            connections_max: u32::try_from(section.connections_max).unwrap_or(u32::MAX),
            authorities: section.authorities.0.clone(),
            accept_loss: section.accept_loss,
            create: purpose == Purpose::Serve,
            ..RemoteOptions::default()
        };
        let text = connection.text().expose();
        if connection.engine() == Engine::Sqlite {
            return Ok(Store::Sqlite(sqlite(data, purpose).await?));
        }
        let lock = lock(data, purpose)?;
        let storage: Arc<dyn Storage> = match connection.engine() {
            Engine::Redis => Arc::new(redisstore::Redis::open(text, &options).await?),
            Engine::Mongo => Arc::new(mongostore::Mongo::open(text, &options).await?),
            Engine::Sql | Engine::Sqlite => sqlstore::open(text, &options).await?,
        };
        Ok(Store::Remote(storage, lock))
    }

    /// As the contract.
    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        match self {
            Store::Sqlite(sqlite) => Arc::clone(sqlite) as Arc<dyn Storage>,
            Store::Remote(storage, _) => Arc::clone(storage),
        }
    }
}

/// Opens a store in files.
pub(crate) async fn sqlite(data: &Path, purpose: Purpose) -> Result<Arc<Sqlite>, StoreError> {
    let data = data.to_path_buf();
    let open = move || match purpose {
        Purpose::Serve => Sqlite::open(SqliteOptions::new(&data)),
        Purpose::Mend => Sqlite::open(SqliteOptions { create: false, ..SqliteOptions::new(&data) }),
        Purpose::Look => Sqlite::inspect(&data),
    };
    let opened = tokio::task::spawn_blocking(open).await.map_err(|error| StoreError::System(error.to_string()))?;
    Ok(Arc::new(opened?))
}

/// Keeps a data folder without a store in files from a second server, and from work that wants it at rest.
fn lock(data: &Path, purpose: Purpose) -> Result<Arc<File>, StoreError> {
    let path = data.join("lock");
    let refused = |error: &std::io::Error| StoreError::File(FileError::io(&path, error));
    let opened = match purpose {
        // Looking makes nothing; where there never was a lock the folder itself is held.
        Purpose::Look => File::open(&path).or_else(|_absent| File::open(data)),
        Purpose::Serve | Purpose::Mend => {
            let mut options = std::fs::OpenOptions::new();
            options
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
            options.open(&path)
        }
    };
    let file = opened.map_err(|error| refused(&error))?;
    let locked = if purpose == Purpose::Look { file.try_lock_shared() } else { file.try_lock() };
    match locked {
        Ok(()) => Ok(Arc::new(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked(data.display().to_string()).into()),
        Err(TryLockError::Error(error)) => Err(refused(&error)),
    }
}

/// Stands in a store elsewhere while a restore makes it: no server begins on half of one.
pub(crate) fn unfinished_mark() -> Key {
    Key::new(Kind::Meta, SHARD, b"restoring".as_slice())
}

/// Refuses a store that a restore did not finish.
pub(crate) async fn check_finished(storage: &dyn Storage) -> Result<(), StartError> {
    let found = storage.get(vec![unfinished_mark()]).await?;
    if found.iter().all(Option::is_none) {
        return Ok(());
    }
    let what = "a restore into this database did not come to its end";
    let hint = "drop what is in the database, or name an empty one, and restore again";
    Err(StartError::new(Class::Corrupt, "serve.store", what, hint))
}

/// Reads the connection string of a private file.
fn connection_in(file: &Path) -> Result<Connection, StoreError> {
    const BYTES_MAX: u64 = 64 << 10;
    let bytes = files::read_private(file, BYTES_MAX)?;
    let bytes = bytes.ok_or_else(|| FileError::new(file, "is not there"))?;
    let text = String::from_utf8(bytes).map_err(|_bad| FileError::new(file, "is no text"))?;
    let text = SecretText::new(text);
    Connection::of(text.expose().trim()).map_err(|why| StoreError::File(FileError::new(file, why)))
}

/// Why a store did not open.
#[derive(Debug)]
pub(crate) enum StoreError {
    /// The file of the connection string.
    File(FileError),
    /// A store in files.
    Sqlite(OpenError),
    /// A store elsewhere.
    Remote(ConnectError),
    /// The process itself.
    System(String),
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> StoreError {
        StoreError::File(error)
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> StoreError {
        StoreError::Sqlite(error)
    }
}

impl From<ConnectError> for StoreError {
    fn from(error: ConnectError) -> StoreError {
        StoreError::Remote(error)
    }
}

fn class(reason: ConnectReason) -> Class {
    match reason {
        ConnectReason::Invalid | ConnectReason::Unfit => Class::Invalid,
        ConnectReason::Unreachable => Class::Unavailable,
        ConnectReason::Newer => Class::Corrupt,
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> StartError {
        match error {
            StoreError::File(error) => error.into(),
            StoreError::Sqlite(error) => error.into(),
            StoreError::System(error) => StartError::system(error),
            StoreError::Remote(error) => {
                let (class, what) = (class(error.reason), error.to_string());
                StartError::new(class, "serve.store", what, error.hint)
            }
        }
    }
}

impl From<StoreError> for OfflineError {
    fn from(error: StoreError) -> OfflineError {
        match error {
            StoreError::File(error) => OfflineError::new(error.class(), error),
            StoreError::Sqlite(error) => error.into(),
            StoreError::System(error) => OfflineError::new(Class::Unavailable, error),
            StoreError::Remote(error) => OfflineError::new(class(error.reason), format!("{error}; {}", error.hint)),
        }
    }
}
