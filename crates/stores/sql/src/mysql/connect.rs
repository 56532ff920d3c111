//! Connections: how each is made, and what its server must promise.

use super::MySql;
use crate::failure::Failure;
use sqlx::mysql::{MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::{AssertSqlSafe, Connection, Error, Row};
use storage::{Cause, ConnectError, ConnectReason, LIMITS};

/// Bytes that a statement may need besides one value of the largest batch.
const PACKET_BYTES_MIN: usize = LIMITS.batch_bytes_max + (1 << 20);

impl MySql {
    /// Connects, sets the session up and refuses a server that would lose what it acknowledges.
    pub(super) async fn greet(&self) -> Result<MySqlConnection, ConnectError> {
        let connected = MySqlConnection::connect_with(&self.options).await;
        let mut link = connected.map_err(|error| self.connect_error(&error))?;
        let told = sqlx::raw_sql(AssertSqlSafe(self.greeting())).fetch_all(&mut link).await;
        let told = told.map_err(|error| self.connect_error(&error))?;
        let first = told.first().ok_or_else(|| self.unreachable("it says nothing about itself"))?;
        self.check(first)?;
        Ok(link)
    }

    /// Sets the session up and asks for what is checked. A transaction that nobody goes on with ends by itself.
    fn greeting(&self) -> String {
        let lock_s = self.deadline.as_secs().saturating_add(1);
        format!(
            "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED; \
             SET SESSION innodb_lock_wait_timeout = {lock_s}, SESSION wait_timeout = {}; \
             SELECT CAST(@@innodb_flush_log_at_trx_commit AS CHAR), CAST(@@log_bin AS CHAR), CAST(@@sync_binlog AS CHAR), \
             CAST(@@max_allowed_packet AS CHAR)",
            lock_s.saturating_mul(2).max(120)
        )
    }

    fn check(&self, told: &MySqlRow) -> Result<(), ConnectError> {
        let text = |at: usize| told.try_get::<Option<String>, _>(at).ok().flatten().unwrap_or_default();
        let unfit = |what: String, hint: String| {
            Err(ConnectError { reason: ConnectReason::Unfit, what: format!("{} {what}", self.place), hint })
        };
        let loses = |setting: &str, wanted: &str| {
            unfit(
                format!("would lose acknowledged writes when its machine stops: `{setting}` is not 1"),
                format!("set `{wanted}` in its configuration, or `storage.accept_loss = true` here"),
            )
        };
        // 3 is the slower form of 1 in MariaDB.
        if !self.accept_loss && !matches!(text(0).as_str(), "1" | "3") {
            return loses("innodb_flush_log_at_trx_commit", "innodb_flush_log_at_trx_commit = 1");
        }
        if !self.accept_loss && matches!(text(1).as_str(), "1" | "ON") && text(2) != "1" {
            return loses("sync_binlog", "sync_binlog = 1");
        }
        if text(3).parse::<usize>().ok().is_none_or(|bytes| bytes < PACKET_BYTES_MIN) {
            return unfit(
                "takes statements that are too short: `max_allowed_packet` is below 9 MiB".to_owned(),
                "set `max_allowed_packet = 16M` in its configuration".to_owned(),
            );
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
        match (number(error), error) {
            (Some(1045 | 1698 | 1251), _) => told(
                ConnectReason::Unreachable,
                "the database refuses the login",
                "put right name, password or rights of the login",
            ),
            (Some(1049), _) => told(
                ConnectReason::Invalid,
                "there is no such database",
                "make it: CREATE DATABASE; its tables come by themselves",
            ),
            (Some(1044 | 1142), _) => told(
                ConnectReason::Invalid,
                "the login may not make or use the tables",
                "grant it ALL PRIVILEGES on the database",
            ),
            (Some(1290 | 1792 | 1836), _) => told(
                ConnectReason::Unfit,
                "the database is a read-only replica without a store",
                "name the primary in the connection string",
            ),
            (Some(code), _) => self.unreachable(&format!("the database answered with error {code}")),
            (None, Error::Tls(why)) => told(
                ConnectReason::Unreachable,
                &format!("no protected connection: {why}"),
                "name the file of its authority in `storage.authorities`, see that its certificate is for this host, or add \
                 `ssl-mode=DISABLED` to the connection string where nobody listens on the way",
            ),
            (None, Error::Io(why)) => self.unreachable(&why.kind().to_string()),
            (None, _) => self.unreachable("the conversation broke off"),
        }
    }
}

/// The server's own number of an error.
pub(super) fn number(error: &Error) -> Option<u16> {
    error.as_database_error()?.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
}

/// What an error of a statement says about what was asked for. Never any text of the server: it may repeat keys.
pub(super) fn failure(error: &Error) -> Failure {
    let Some(code) = number(error) else {
        return match error {
            Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_) | Error::RowNotFound => {
                Failure::Damaged("a row of the database is not as it was written".to_owned())
            }
            Error::Io(why) => Failure::Lost(format!("the connection broke off: {}", why.kind())),
            _ => Failure::Lost("the conversation broke off".to_owned()),
        };
    };
    let said = format!("the database answered with error {code}");
    match code {
        1205 | 1213 => Failure::Again(said),
        1290 | 1792 | 1836 => Failure::ReadOnly,
        1021 | 1037 | 1038 | 1041 | 1114 => Failure::Refused(Cause::Full),
        1034 | 1194 | 1195 | 1712 => Failure::Damaged("the database says that its files are damaged".to_owned()),
        // Its end may have come while it committed; or the statement is one of another connection behind a pooler.
        1053 | 1152 | 1158..=1161 | 1243 | 1317 | 1927 => Failure::Lost(said),
        _ => Failure::Refused(Cause::Unreachable(said)),
    }
}

/// Whether a row is there already.
pub(super) fn is_taken(error: &Error) -> bool {
    number(error) == Some(1062)
}
