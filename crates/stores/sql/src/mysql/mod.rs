//! MySQL and MariaDB, in SQL that both have.

mod connect;
mod open;
mod statements;
mod texts;

pub(crate) use open::open;

use sqlx::mysql::MySqlConnectOptions;
use std::time::Duration;

/// How to reach one database. Its options hold the password: never printed.
pub(crate) struct MySql {
    options: MySqlConnectOptions,
    /// Host, port and database, for messages.
    place: String,
    deadline: Duration,
    accept_loss: bool,
}
