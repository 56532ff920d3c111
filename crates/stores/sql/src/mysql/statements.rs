//! The statements.

use super::MySql;
use super::connect::{failure, is_taken};
use super::texts::{insert, parts, places, size_for};
use crate::engine::{Applied, Asked, Dialect};
use crate::failure::Failure;
use crate::rows::{self, Changes, Range, Row as Kept};
use crate::session::SessionId;
use bytes::Bytes;
use sqlx::mysql::{MySqlArguments, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Row};
use std::collections::{BTreeMap, HashMap};
use storage::{BatchNumber, ConnectError, Key, Kind, Shard, StoredBatch};

const GET_ONE: &str = "SELECT value FROM aumbry_rows WHERE shard = ? AND kind = ? AND rest = ?";

const SCAN: &str = "SELECT rest, value FROM aumbry_rows \
    WHERE shard = ? AND kind = ? AND rest >= ? AND rest < ? ORDER BY rest LIMIT ?";

const SCAN_TO_THE_END: &str =
    "SELECT rest, value FROM aumbry_rows WHERE shard = ? AND kind = ? AND rest >= ? ORDER BY rest LIMIT ?";

const TAIL: &str = "SELECT b.rest, b.value, s.value FROM aumbry_rows b \
    LEFT JOIN aumbry_rows s ON s.shard = b.shard AND s.kind = ? AND s.rest = b.rest \
    WHERE b.shard = ? AND b.kind = ? AND b.rest >= ? ORDER BY b.rest LIMIT ?";

const HEAD: &str = "SELECT rest FROM aumbry_rows WHERE shard = ? AND kind = ? ORDER BY rest DESC LIMIT 1";

/// The batch's own row, where the one before is there.
const APPEND: &str = "INSERT INTO aumbry_rows (shard, kind, rest, value) \
    SELECT ?, ?, ?, ? FROM aumbry_rows WHERE shard = ? AND kind = ? AND rest = ?";

/// Bytes of rows in one statement, well below what a server must take.
const PART_BYTES: usize = 4 << 20;

type Query<'q> = sqlx::query::Query<'q, sqlx::MySql, MySqlArguments>;

impl Dialect for MySql {
    type Link = MySqlConnection;

    async fn connect(&self) -> Result<MySqlConnection, ConnectError> {
        self.greet().await
    }

    async fn get(link: &mut MySqlConnection, keys: &[Key]) -> Asked<Vec<Option<Bytes>>> {
        if let [key] = keys {
            let asked =
                sqlx::query(GET_ONE).bind(rows::shard(key.shard())).bind(rows::kind(key.kind())).bind(key.rest());
            let found = all(asked.fetch_all(link).await)?;
            return Ok(vec![found.first().map(|row| bytes(row, 0)).transpose()?]);
        }
        let found = get_many(link, keys).await?;
        let of =
            |key: &Key| found.get(&(rows::shard(key.shard()), rows::kind(key.kind()), key.rest().to_vec())).cloned();
        Ok(keys.iter().map(of).collect())
    }

    async fn scan(link: &mut MySqlConnection, range: &Range) -> Asked<Vec<(Vec<u8>, Bytes)>> {
        let text = if range.below.is_some() { SCAN } else { SCAN_TO_THE_END };
        let mut asked = sqlx::query(text).bind(rows::shard(range.shard)).bind(rows::kind(range.kind)).bind(&range.from);
        if let Some(below) = &range.below {
            asked = asked.bind(below);
        }
        let found = all(asked.bind(range.limit).fetch_all(link).await)?;
        found.iter().map(|row| Ok((bytes(row, 0)?.to_vec(), bytes(row, 1)?))).collect()
    }

    async fn tail(
        link: &mut MySqlConnection,
        shard: Shard,
        from: BatchNumber,
        limit: usize,
    ) -> Asked<Vec<StoredBatch>> {
        let asked = sqlx::query(TAIL)
            .bind(rows::kind(Kind::Side))
            .bind(rows::shard(shard))
            .bind(rows::kind(Kind::Batch))
            .bind(from.0.to_be_bytes().to_vec())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let found = all(asked.fetch_all(link).await)?;
        let stored = |row: &MySqlRow| {
            let side = row.try_get::<Option<&[u8]>, _>(2).map_err(|error| failure(&error))?;
            rows::stored(&bytes(row, 0)?, bytes(row, 1)?, side.map(Bytes::copy_from_slice))
        };
        found.iter().map(stored).collect()
    }

    async fn head(link: &mut MySqlConnection, shard: Shard) -> Asked<BatchNumber> {
        let asked = sqlx::query(HEAD).bind(rows::shard(shard)).bind(rows::kind(Kind::Batch));
        let found = all(asked.fetch_all(link).await)?;
        found.first().map_or(Ok(BatchNumber(0)), |row| rows::number(&bytes(row, 0)?))
    }

    async fn append(link: &mut MySqlConnection, batch: &[Kept], before: Option<[u8; 8]>) -> Asked<bool> {
        match write_batch(link, batch, before).await {
            Ok(done) => Ok(done),
            Err(error) => {
                roll_back(link, &error).await?;
                if is_taken(&error) { Ok(false) } else { Err(failure(&error)) }
            }
        }
    }

    async fn apply(link: &mut MySqlConnection, session: SessionId, changes: &Changes) -> Asked<Applied> {
        match carry_out(link, session, changes).await {
            Ok(applied) => Ok(applied),
            Err(error) => {
                roll_back(link, &error).await?;
                Err(failure(&error))
            }
        }
    }

    async fn renew(link: &mut MySqlConnection, old: Option<SessionId>, new: SessionId) -> Asked<()> {
        let removed = match old {
            Some(old) => {
                sqlx::query("DELETE FROM aumbry_sessions WHERE id = ?").bind(old.to_vec()).execute(&mut *link).await
            }
            // Those of handles that ended long ago. One that still lives makes itself another.
            None => {
                let old = "DELETE FROM aumbry_sessions WHERE made < NOW() - INTERVAL 30 DAY";
                sqlx::query(old).execute(&mut *link).await
            }
        };
        removed.map_err(|error| failure(&error))?;
        let made = sqlx::query("INSERT INTO aumbry_sessions (id) VALUES (?)").bind(new.to_vec()).execute(link).await;
        made.map_err(|error| failure(&error)).map(drop)
    }
}

/// One statement over all of them, so that they are seen at one moment.
async fn get_many(link: &mut MySqlConnection, keys: &[Key]) -> Asked<HashMap<(i64, i16, Vec<u8>), Bytes>> {
    let mut groups: BTreeMap<(i64, i16), Vec<&[u8]>> = BTreeMap::new();
    for key in keys {
        groups.entry((rows::shard(key.shard()), rows::kind(key.kind()))).or_default().push(key.rest());
    }
    let select = |rests: &Vec<&[u8]>| {
        let places = places("?", size_for(rests.len()));
        format!("SELECT shard, kind, rest, value FROM aumbry_rows WHERE shard = ? AND kind = ? AND rest IN ({places})")
    };
    let text = groups.values().map(select).collect::<Vec<_>>().join(" UNION ALL ");
    let mut asked = sqlx::query(AssertSqlSafe(text));
    for ((shard, kind), rests) in &groups {
        asked = asked.bind(shard).bind(kind);
        let last = rests.last().copied().unwrap_or_default();
        for place in 0..size_for(rests.len()) {
            asked = asked.bind(rests.get(place).copied().unwrap_or(last));
        }
    }
    let read = |row: &MySqlRow| {
        let (shard, kind) = (row.try_get(0), row.try_get(1));
        let key = (shard.map_err(|error| failure(&error))?, kind.map_err(|error| failure(&error))?);
        Ok(((key.0, key.1, bytes(row, 2)?.to_vec()), bytes(row, 3)?))
    };
    all(asked.fetch_all(link).await)?.iter().map(read).collect()
}

async fn write_batch(link: &mut MySqlConnection, batch: &[Kept], before: Option<[u8; 8]>) -> Result<bool, sqlx::Error> {
    let Some((own, others)) = batch.split_first() else { return Ok(false) };
    sqlx::raw_sql("START TRANSACTION").execute(&mut *link).await?;
    let appended = match before {
        Some(before) => {
            let asked = with_row(sqlx::query(APPEND), own).bind(own.shard).bind(own.kind).bind(before.to_vec());
            asked.execute(&mut *link).await?.rows_affected()
        }
        None => with_row(sqlx::query(AssertSqlSafe(insert(1))), own).execute(&mut *link).await?.rows_affected(),
    };
    if appended == 0 {
        sqlx::raw_sql("ROLLBACK").execute(link).await?;
        return Ok(false);
    }
    for part in parts(others, PART_BYTES) {
        let asked = part.iter().fold(sqlx::query(AssertSqlSafe(insert(part.len()))), with_row);
        asked.execute(&mut *link).await?;
    }
    sqlx::raw_sql("COMMIT").execute(link).await?;
    Ok(true)
}

/// A run in one transaction, while its session is held and its turn is taken.
async fn carry_out(link: &mut MySqlConnection, session: SessionId, changes: &Changes) -> Result<Applied, sqlx::Error> {
    let text = beginning(session, changes.fence);
    let told = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut *link).await?;
    let mut told = told.iter().map(|row| row.try_get::<String, _>(0)).collect::<Result<Vec<_>, _>>()?.into_iter();
    let refused = match (told.next(), changes.fence, told.next()) {
        (Some(first), _, _) if first != SESSION => Some(Applied::Gone),
        (None, _, _) => Some(Applied::Gone),
        (Some(_), Some((_, turn)), latest) if latest.as_deref() != Some(turn.to_string().as_str()) => {
            Some(Applied::Fenced)
        }
        _ => None,
    };
    if let Some(refused) = refused {
        sqlx::raw_sql("ROLLBACK").execute(link).await?;
        return Ok(refused);
    }
    for group in changes.deletes.chunk_by(|one, other| (one.shard, one.kind) == (other.shard, other.kind)) {
        for part in group.chunks(1024) {
            delete(link, part).await?;
        }
    }
    for part in parts(&changes.puts, PART_BYTES) {
        let text = format!("{} ON DUPLICATE KEY UPDATE value = VALUES(value)", insert(part.len()));
        let asked = part.iter().fold(sqlx::query(AssertSqlSafe(text)), with_row);
        asked.execute(&mut *link).await?;
    }
    sqlx::raw_sql("COMMIT").execute(link).await?;
    Ok(Applied::Done)
}

async fn delete(link: &mut MySqlConnection, part: &[Kept]) -> Result<(), sqlx::Error> {
    let Some(last) = part.last() else { return Ok(()) };
    let size = size_for(part.len());
    let text = format!("DELETE FROM aumbry_rows WHERE shard = ? AND kind = ? AND rest IN ({})", places("?", size));
    let mut asked = sqlx::query(AssertSqlSafe(text)).bind(last.shard).bind(last.kind);
    for place in 0..size {
        asked = asked.bind(&part.get(place).unwrap_or(last).rest);
    }
    asked.execute(link).await.map(drop)
}

/// What the beginning of a run answers first, where its session is there.
const SESSION: &str = "session";

/// Begins a transaction, holds the session's row and takes the turn, then says which is the latest.
fn beginning(session: SessionId, fence: Option<(i64, i64)>) -> String {
    let session = session.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let mut text = format!(
        "START TRANSACTION; SELECT '{SESSION}' FROM aumbry_sessions WHERE id = X'{session}' LOCK IN SHARE MODE"
    );
    if let Some((shard, turn)) = fence {
        text.push_str(&format!(
            "; INSERT INTO aumbry_turns (shard, turn) VALUES ({shard}, {turn}) \
             ON DUPLICATE KEY UPDATE turn = GREATEST(turn, {turn}); \
             SELECT CAST(turn AS CHAR) FROM aumbry_turns WHERE shard = {shard} FOR UPDATE"
        ));
    }
    text
}

/// Undoes what a failed transaction did, where its connection goes on.
async fn roll_back(link: &mut MySqlConnection, error: &sqlx::Error) -> Asked<()> {
    if (is_taken(error) || failure(error).spares_connection()) && sqlx::raw_sql("ROLLBACK").execute(link).await.is_err()
    {
        return Err(Failure::Lost("the connection broke off".to_owned()));
    }
    Ok(())
}

fn with_row<'q>(query: Query<'q>, row: &'q Kept) -> Query<'q> {
    query.bind(row.shard).bind(row.kind).bind(&row.rest).bind(row.value.as_ref())
}

fn all(found: Result<Vec<MySqlRow>, sqlx::Error>) -> Asked<Vec<MySqlRow>> {
    found.map_err(|error| failure(&error))
}

fn bytes(row: &MySqlRow, at: usize) -> Asked<Bytes> {
    row.try_get::<&[u8], _>(at).map(Bytes::copy_from_slice).map_err(|error| failure(&error))
}
