//! Opening: the connection string, its protection, the tables.

use super::Postgres;
use crate::engine::Engine;
use crate::text::{self, Protection};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection, Row};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use storage::{ConnectError, RemoteOptions, Storage};
use tokio::time::{sleep, timeout};

/// The form of the tables that this build reads and writes.
const FORMAT: i32 = 1;

/// What may stand behind the `?` of a connection string.
const PARAMETERS: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The format comes last: where it is, all others are.
const TABLES: [&str; 4] = [
    "CREATE TABLE IF NOT EXISTS aumbry_rows \
     (shard int8 NOT NULL, kind int2 NOT NULL, rest bytea NOT NULL, value bytea NOT NULL, PRIMARY KEY (shard, kind, rest))",
    "CREATE TABLE IF NOT EXISTS aumbry_sessions \
     (id bytea PRIMARY KEY, made timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE IF NOT EXISTS aumbry_turns (shard int8 PRIMARY KEY, turn int8 NOT NULL)",
    "CREATE TABLE IF NOT EXISTS aumbry_format (one int2 PRIMARY KEY, format int4 NOT NULL)",
];

pub(crate) async fn open(connection: &str, options: &RemoteOptions) -> Result<Arc<dyn Storage>, ConnectError> {
    let dialect = Postgres::of(connection, options)?;
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

impl Postgres {
    fn of(connection: &str, options: &RemoteOptions) -> Result<Postgres, ConnectError> {
        let parameters = text::parameters(connection, PARAMETERS)?;
        // The driver repeats what it was given in its errors.
        let parsed = PgConnectOptions::from_str(connection).map_err(|_repeats| text::malformed("postgresql"))?;
        let local = parsed.get_socket().is_some() || text::is_loopback(parsed.get_host());
        let said = parameters.iter().find(|(name, _)| matches!(*name, "sslmode" | "ssl-mode")).map(|(_, value)| *value);
        let mode = match text::protection(said, local, options)? {
            Protection::AsSaid => parsed.get_ssl_mode(),
            Protection::Verified => PgSslMode::VerifyFull,
            Protection::Offered => PgSslMode::Prefer,
        };
        let mut parsed = parsed.ssl_mode(mode).extra_float_digits(None).disable_statement_logging();
        if let Some(authorities) = &options.authorities {
            parsed = parsed.ssl_root_cert(authorities);
        }
        let host = parsed.get_socket().map_or_else(|| parsed.get_host().to_owned(), |path| path.display().to_string());
        let database = parsed.get_database().unwrap_or_else(|| parsed.get_username());
        let place = format!("{host}:{}/{database}", parsed.get_port());
        Ok(Postgres { place, deadline: options.deadline, accept_loss: options.accept_loss, options: parsed })
    }

    /// Makes the tables where there are none, also beside others who do the same, and looks at their format.
    async fn ready(&self, link: &mut PgConnection, create: bool) -> Result<(), ConnectError> {
        const TRIES: u32 = 20;
        for tries in 1..=TRIES {
            match self.tables(link, create).await {
                Ok(Some(format)) if format <= FORMAT => return Ok(()),
                Ok(Some(_)) => return Err(text::newer(&self.place)),
                Ok(None) => return Err(text::absent(&self.place)),
                // Makers of the same table get in each other's way, each database in its own words.
                Err(error) if tries < TRIES && is_race(&error) => sleep(Duration::from_millis(25)).await,
                Err(error) => return Err(self.connect_error(&error)),
            }
        }
        Err(self.unreachable("its tables are being made by others"))
    }

    async fn tables(&self, link: &mut PgConnection, create: bool) -> Result<Option<i32>, sqlx::Error> {
        let there = sqlx::query("SELECT format FROM aumbry_format WHERE one = 1").fetch_all(&mut *link).await;
        match there {
            Ok(rows) if !rows.is_empty() => return rows.first().map(|row| row.try_get(0)).transpose(),
            Ok(_) => {}
            Err(error) if code(&error) == "42P01" => {}
            Err(error) => return Err(error),
        }
        if !create {
            return Ok(None);
        }
        for table in TABLES {
            sqlx::raw_sql(table).execute(&mut *link).await?;
        }
        // What is stored is ciphertext: compressing it costs time and saves nothing. Databases of the kind lack this.
        drop(
            sqlx::raw_sql("ALTER TABLE aumbry_rows ALTER COLUMN value SET STORAGE EXTERNAL").execute(&mut *link).await,
        );
        let made = "INSERT INTO aumbry_format (one, format) VALUES (1, $1) ON CONFLICT (one) DO NOTHING";
        sqlx::query(made).bind(FORMAT).execute(&mut *link).await?;
        let rows = sqlx::query("SELECT format FROM aumbry_format WHERE one = 1").fetch_all(link).await?;
        rows.first().map(|row| row.try_get(0)).transpose()
    }
}

fn code(error: &sqlx::Error) -> String {
    error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned()
}

fn is_race(error: &sqlx::Error) -> bool {
    matches!(code(error).as_str(), "23505" | "42P07" | "42710" | "40001" | "40P01" | "XX000")
}
