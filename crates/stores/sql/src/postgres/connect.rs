//! Connections: how each is made, and what its server must promise.

use super::Postgres;
use crate::failure::Failure;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Error, Row};
use storage::{Cause, ConnectError, ConnectReason};

impl Postgres {
    /// Connects, sets the session up and refuses a server that would lose what it acknowledges.
    pub(super) async fn greet(&self) -> Result<PgConnection, ConnectError> {
        let connected = PgConnection::connect_with(&self.options).await;
        let mut link = connected.map_err(|error| self.connect_error(&error))?;
        let told = sqlx::raw_sql(AssertSqlSafe(self.greeting())).fetch_all(&mut link).await;
        let told = told.map_err(|error| self.connect_error(&error))?;
        let first = told.first().ok_or_else(|| self.unreachable("it says nothing about itself"))?;
        self.check(first)?;
        Ok(link)
    }

    /// Asks for what is checked, and sets up the session; each setting only where the server knows it.
    ///
    /// Every statement of ours is by key: without statistics a planner may read whole tables instead. A statement nobody
    /// waits for any more ends by itself, later than its caller, who must not take its end for a success.
    fn greeting(&self) -> String {
        let late_ms = self.deadline.as_millis().saturating_mul(2).saturating_add(1000).min(0x7fff_ffff);
        format!(
            "SELECT current_setting('server_version_num', true), current_setting('fsync', true), \
             current_setting('full_page_writes', true); \
             SELECT set_config(name, CASE name \
                 WHEN 'synchronous_commit' THEN 'on' \
                 WHEN 'statement_timeout' THEN '{late_ms}' \
                 WHEN 'idle_in_transaction_session_timeout' THEN '{late_ms}' \
                 ELSE 'off' END, false) \
             FROM pg_settings WHERE name IN ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', \
                 'statement_timeout', 'idle_in_transaction_session_timeout') \
             OR (name = 'synchronous_commit' AND setting = 'off')"
        )
    }

    fn check(&self, told: &PgRow) -> Result<(), ConnectError> {
        let column = |at: usize| told.try_get::<Option<String>, _>(at).ok().flatten();
        let version = column(0).and_then(|text| text.parse::<u32>().ok());
        if version.is_some_and(|version| version < VERSION_MIN) {
            return Err(ConnectError {
                reason: ConnectReason::Unfit,
                what: format!("{} is older than PostgreSQL 12", self.place),
                hint: "use PostgreSQL 12 or a later one".to_owned(),
            });
        }
        for (at, setting) in [(1, "fsync"), (2, "full_page_writes")] {
            if column(at).as_deref() == Some("off") && !self.accept_loss {
                return Err(ConnectError {
                    reason: ConnectReason::Unfit,
                    what: format!(
                        "{} would lose acknowledged writes when its machine stops: `{setting}` is off",
                        self.place
                    ),
                    hint: format!("set `{setting} = on` in its configuration, or `storage.accept_loss = true` here"),
                });
            }
        }
        Ok(())
    }

    pub(super) fn unreachable(&self, why: &str) -> ConnectError {
        ConnectError {
            reason: ConnectReason::Unreachable,
            what: format!("{}: {why}", self.place),
            hint: "see that the database runs and that this machine reaches it".to_owned(),
        }
    }

    pub(super) fn connect_error(&self, error: &Error) -> ConnectError {
        let told = |reason, why: &str, hint: &str| ConnectError {
            reason,
            what: format!("{}: {why}", self.place),
            hint: hint.to_owned(),
        };
        let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default();
        match (code.as_ref(), error) {
            ("28P01" | "28000", _) => told(
                ConnectReason::Unreachable,
                "the database refuses the login",
                "put right name, password or rights of the login",
            ),
            ("3D000", _) => told(
                ConnectReason::Invalid,
                "there is no such database",
                "make it: CREATE DATABASE; its tables come by themselves",
            ),
            ("42501", _) => told(
                ConnectReason::Invalid,
                "the login may not make or use the tables",
                "let it own the database, or grant it CREATE and USAGE on the schema",
            ),
            ("25006", _) => told(
                ConnectReason::Unfit,
                "the database is a read-only replica without a store",
                "name the primary in the connection string",
            ),
            ("", Error::Tls(why)) => told(
                ConnectReason::Unreachable,
                &format!("no protected connection: {why}"),
                "name the file of its authority in `storage.authorities`, see that its certificate is for this host, or add \
                 `sslmode=disable` to the connection string where nobody listens on the way",
            ),
            ("", Error::Io(why)) => self.unreachable(&why.kind().to_string()),
            ("", _) => self.unreachable("the conversation broke off"),
            (code, _) => self.unreachable(&format!("the database answered with SQLSTATE {code}")),
        }
    }
}

const VERSION_MIN: u32 = 120_000;

/// What an error of a statement says about what was asked for. Never any text of the server: it may repeat keys.
pub(super) fn failure(error: &Error) -> Failure {
    let Some(told) = error.as_database_error() else {
        return match error {
            Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_) | Error::RowNotFound => {
                Failure::Damaged("a row of the database is not as it was written".to_owned())
            }
            Error::Io(why) => Failure::Lost(format!("the connection broke off: {}", why.kind())),
            _ => Failure::Lost("the conversation broke off".to_owned()),
        };
    };
    let code = told.code().unwrap_or_default();
    let said = || format!("the database answered with SQLSTATE {code}");
    match code.as_ref() {
        "40001" | "40P01" | "55P03" => Failure::Again(said()),
        "25006" => Failure::ReadOnly,
        "53100" | "53200" => Failure::Refused(Cause::Full),
        "XX001" | "XX002" => Failure::Damaged("the database says that its files are damaged".to_owned()),
        // Its end may have come while it committed; or the statement is one of another connection behind a pooler.
        "40003" | "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "26000" | "0A000" => Failure::Lost(said()),
        code if code.starts_with("08") => Failure::Lost(said()),
        _ => Failure::Refused(Cause::Unreachable(said())),
    }
}

/// Whether a row is there already.
pub(super) fn is_taken(error: &Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "23505")
}
