//! PostgreSQL, MySQL and MariaDB as stores.
//!
//! One table holds every row under shard, kind and the rest of its key, in the order of bytes. A batch is one transaction:
//! all its rows are inserted where the batch before it is there, and the unique key of its own number is the
//! compare-and-set. Batches are never deleted, so this needs no locks and no isolation beyond a committed read; the same
//! batch may be sent again after a lost answer, since its id tells whether it was there already.

mod engine;
mod failure;
mod mysql;
mod pool;
mod postgres;
mod rows;
mod session;
mod text;

use std::sync::Arc;
use storage::{ConnectError, ConnectReason, RemoteOptions, Storage};

/// Opens the store in the database that a connection string names: `postgresql://` or `postgres://`,
/// `mysql://` or `mariadb://`.
///
/// Makes its tables where there are none and `options.create` says so. Calls run on the runtime this is called on, whoever polls them.
///
/// Errors: [`ConnectReason`] says whose fault it is; no message holds the connection string.
pub async fn open(connection: &str, options: &RemoteOptions) -> Result<Arc<dyn Storage>, ConnectError> {
    if let Some(file) = &options.authorities
        && let Err(error) = std::fs::File::open(file)
    {
        return Err(ConnectError {
            reason: ConnectReason::Invalid,
            what: format!("{}: {}", file.display(), error.kind()),
            hint: "name the file of the authorities in `storage.authorities`".to_owned(),
        });
    }
    match connection.split_once("://").map_or("", |(scheme, _)| scheme) {
        "postgresql" | "postgres" => postgres::open(connection, options).await,
        "mysql" | "mariadb" => mysql::open(connection, options).await,
        _ => Err(text::malformed("postgresql")),
    }
}
