//! Opening: the connection string, its protection, the tables.

use super::MySql;
use super::connect::number;
use crate::engine::Engine;
use crate::text::{self, Protection};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::{ConnectOptions, Connection, Row};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use storage::{ConnectError, ConnectReason, RemoteOptions, Storage};
use tokio::time::{sleep, timeout};

/// The form of the tables that this build reads and writes.
const FORMAT: i32 = 1;

/// What may stand behind the `?` of a connection string.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslca",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "socket",
];

/// The format comes last: where it is, all others are.
const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS aumbry_rows (shard BIGINT NOT NULL, kind SMALLINT NOT NULL, \
     rest VARBINARY(1024) NOT NULL, value LONGBLOB NOT NULL, PRIMARY KEY (shard, kind, rest)) \
     ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
    "CREATE TABLE IF NOT EXISTS aumbry_sessions (id BINARY(16) PRIMARY KEY, \
     made TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS aumbry_turns (shard BIGINT PRIMARY KEY, turn BIGINT NOT NULL) ENGINE=InnoDB",
    "CREATE TABLE IF NOT EXISTS aumbry_format (one SMALLINT PRIMARY KEY, format INT NOT NULL) ENGINE=InnoDB",
];

pub(crate) async fn open(connection: &str, options: &RemoteOptions) -> Result<Arc<dyn Storage>, ConnectError> {
    let dialect = MySql::of(connection, options)?;
    let ready = async {
        let mut link = dialect.greet().await?;
        dialect.ready(&mut link, options.create).await?;
        // The server need not wait for the goodbye.
        link.close().await.unwrap_or_default();
        Ok(())
    };
    match timeout(options.deadline, ready).await {
        Ok(ready) => ready?,
        Err(_late) => return Err(dialect.unreachable("no answer within the deadline")),
    }
    Ok(Arc::new(Engine::new(dialect, options)))
}

impl MySql {
    fn of(connection: &str, options: &RemoteOptions) -> Result<MySql, ConnectError> {
        let parameters = text::parameters(connection, PARAMETERS)?;
        // The driver repeats what it was given in its errors.
        let parsed = MySqlConnectOptions::from_str(connection).map_err(|_repeats| text::malformed("mysql"))?;
        let database = parsed.get_database().map(str::to_owned).ok_or_else(|| ConnectError {
            reason: ConnectReason::Invalid,
            what: "the connection string names no database".to_owned(),
            hint: "write mysql://USER:PASSWORD@HOST:PORT/DATABASE".to_owned(),
        })?;
        let local = parsed.get_socket().is_some() || text::is_loopback(parsed.get_host());
        let said = parameters.iter().find(|(name, _)| matches!(*name, "sslmode" | "ssl-mode")).map(|(_, value)| *value);
        let mode = match text::protection(said, local, options)? {
            Protection::AsSaid => parsed.get_ssl_mode(),
            Protection::Verified => MySqlSslMode::VerifyIdentity,
            Protection::Offered => MySqlSslMode::Preferred,
        };
        let place = format!("{}:{}/{database}", parsed.get_host(), parsed.get_port());
        let mut parsed = parsed
            .ssl_mode(mode)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        if let Some(authorities) = &options.authorities {
            parsed = parsed.ssl_ca(authorities);
        }
        Ok(MySql { place, deadline: options.deadline, accept_loss: options.accept_loss, options: parsed })
    }

    /// Makes the tables where there are none, also beside others who do the same, and looks at their format.
    async fn ready(&self, link: &mut MySqlConnection, create: bool) -> Result<(), ConnectError> {
        const TRIES: u32 = 20;
        for tries in 1..=TRIES {
            match self.tables(link, create).await {
                Ok(Some(format)) if format <= FORMAT => return Ok(()),
                Ok(Some(_)) => return Err(text::newer(&self.place)),
                Ok(None) => return Err(text::absent(&self.place)),
                Err(error) if tries < TRIES && matches!(number(&error), Some(1050 | 1205 | 1213 | 1684)) => {
                    sleep(Duration::from_millis(25)).await;
                }
                Err(error) => return Err(self.connect_error(&error)),
            }
        }
        Err(self.unreachable("its tables are being made by others"))
    }

    async fn tables(&self, link: &mut MySqlConnection, create: bool) -> Result<Option<i32>, sqlx::Error> {
        let there = sqlx::query("SELECT format FROM aumbry_format WHERE one = 1").fetch_all(&mut *link).await;
        match there {
            Ok(rows) if !rows.is_empty() => return rows.first().map(|row| row.try_get(0)).transpose(),
            Ok(_) => {}
            Err(error) if number(&error) == Some(1146) => {}
            Err(error) => return Err(error),
        }
        if !create {
            return Ok(None);
        }
        for table in TABLES {
            sqlx::raw_sql(table).execute(&mut *link).await?;
        }
        let made = "INSERT IGNORE INTO aumbry_format (one, format) VALUES (1, ?)";
        sqlx::query(made).bind(FORMAT).execute(&mut *link).await?;
        let rows = sqlx::query("SELECT format FROM aumbry_format WHERE one = 1").fetch_all(link).await?;
        rows.first().map(|row| row.try_get(0)).transpose()
    }
}
