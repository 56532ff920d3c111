//! PostgreSQL, in SQL that databases of its kind have too: no advisory locks, no notices, one change of a table per statement.

mod connect;
mod open;
mod statements;

pub(crate) use open::open;

use sqlx::postgres::PgConnectOptions;
use std::time::Duration;

/// How to reach one database. Its options hold the password: never printed.
pub(crate) struct Postgres {
    options: PgConnectOptions,
    /// Host, port and database, for messages.
    place: String,
    deadline: Duration,
    accept_loss: bool,
}
