//! The statements.

use super::Postgres;
use super::connect::{failure, is_taken};
use crate::engine::{Applied, Asked, Dialect};
use crate::failure::Failure;
use crate::rows::{self, Changes, Range, Row as Kept};
use crate::session::SessionId;
use bytes::Bytes;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row};
use storage::{BatchNumber, ConnectError, Key, Kind, Shard, StoredBatch};

const GET_ONE: &str = "SELECT value FROM aumbry_rows WHERE shard = $1 AND kind = $2 AND rest = $3";

const GET: &str = "SELECT k.place, r.value \
    FROM unnest($1::int8[], $2::int8[], $3::int2[], $4::bytea[]) AS k(place, shard, kind, rest) \
    JOIN aumbry_rows r ON r.shard = k.shard AND r.kind = k.kind AND r.rest = k.rest";

const SCAN: &str = "SELECT rest, value FROM aumbry_rows \
    WHERE shard = $1 AND kind = $2 AND rest >= $3 AND rest < $4 ORDER BY rest LIMIT $5";

const SCAN_TO_THE_END: &str = "SELECT rest, value FROM aumbry_rows \
    WHERE shard = $1 AND kind = $2 AND rest >= $3 ORDER BY rest LIMIT $4";

const TAIL: &str = "SELECT b.rest, b.value, s.value FROM aumbry_rows b \
    LEFT JOIN aumbry_rows s ON s.shard = b.shard AND s.kind = $2 AND s.rest = b.rest \
    WHERE b.shard = $1 AND b.kind = $3 AND b.rest >= $4 ORDER BY b.rest LIMIT $5";

const HEAD: &str = "SELECT rest FROM aumbry_rows WHERE shard = $1 AND kind = $2 ORDER BY rest DESC LIMIT 1";

/// In the order of the arrays: the batch's own row is first, and where it is taken nothing else is tried.
const APPEND: &str = "INSERT INTO aumbry_rows (shard, kind, rest, value) \
    SELECT p.shard, p.kind, p.rest, p.value \
    FROM unnest($1::int8[], $2::int2[], $3::bytea[], $4::bytea[]) AS p(shard, kind, rest, value) \
    WHERE $5 OR EXISTS (SELECT 1 FROM aumbry_rows WHERE shard = $6 AND kind = $7 AND rest = $8)";

const PUT: &str = "INSERT INTO aumbry_rows (shard, kind, rest, value) \
    SELECT p.shard, p.kind, p.rest, p.value \
    FROM unnest($1::int8[], $2::int2[], $3::bytea[], $4::bytea[]) AS p(shard, kind, rest, value) \
    ON CONFLICT (shard, kind, rest) DO UPDATE SET value = excluded.value";

const DELETE: &str = "DELETE FROM aumbry_rows WHERE (shard, kind, rest) IN \
    (SELECT d.shard, d.kind, d.rest FROM unnest($1::int8[], $2::int2[], $3::bytea[]) AS d(shard, kind, rest))";

/// Rows and bytes of one statement of a run.
const PART_ROWS: usize = 4096;
const PART_BYTES: usize = 16 << 20;

impl Dialect for Postgres {
    type Link = PgConnection;

    async fn connect(&self) -> Result<PgConnection, ConnectError> {
        self.greet().await
    }

    async fn get(link: &mut PgConnection, keys: &[Key]) -> Asked<Vec<Option<Bytes>>> {
        if let [key] = keys {
            let asked =
                sqlx::query(GET_ONE).bind(rows::shard(key.shard())).bind(rows::kind(key.kind())).bind(key.rest());
            let found = all(asked.fetch_all(link).await)?;
            return Ok(vec![found.first().map(|row| bytes(row, 0)).transpose()?]);
        }
        let places: Vec<i64> = (0_i64..).take(keys.len()).collect();
        let shards: Vec<i64> = keys.iter().map(|key| rows::shard(key.shard())).collect();
        let kinds: Vec<i16> = keys.iter().map(|key| rows::kind(key.kind())).collect();
        let rests: Vec<&[u8]> = keys.iter().map(Key::rest).collect();
        let asked = sqlx::query(GET).bind(places).bind(shards).bind(kinds).bind(rests);
        let mut values = vec![None; keys.len()];
        for row in all(asked.fetch_all(link).await)? {
            let place: i64 = row.try_get(0).map_err(|error| failure(&error))?;
            let value = usize::try_from(place).ok().and_then(|place| values.get_mut(place));
            *value.ok_or_else(|| Failure::Damaged("a row of the database was not asked for".to_owned()))? =
                Some(bytes(&row, 1)?);
        }
        Ok(values)
    }

    async fn scan(link: &mut PgConnection, range: &Range) -> Asked<Vec<(Vec<u8>, Bytes)>> {
        let text = if range.below.is_some() { SCAN } else { SCAN_TO_THE_END };
        let mut asked = sqlx::query(text).bind(rows::shard(range.shard)).bind(rows::kind(range.kind)).bind(&range.from);
        if let Some(below) = &range.below {
            asked = asked.bind(below);
        }
        let found = all(asked.bind(range.limit).fetch_all(link).await)?;
        found.iter().map(|row| Ok((bytes(row, 0)?.to_vec(), bytes(row, 1)?))).collect()
    }

    async fn tail(link: &mut PgConnection, shard: Shard, from: BatchNumber, limit: usize) -> Asked<Vec<StoredBatch>> {
        let asked = sqlx::query(TAIL)
            .bind(rows::shard(shard))
            .bind(rows::kind(Kind::Side))
            .bind(rows::kind(Kind::Batch))
            .bind(from.0.to_be_bytes().to_vec())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let found = all(asked.fetch_all(link).await)?;
        let stored = |row: &PgRow| {
            let side = row.try_get::<Option<&[u8]>, _>(2).map_err(|error| failure(&error))?;
            rows::stored(&bytes(row, 0)?, bytes(row, 1)?, side.map(Bytes::copy_from_slice))
        };
        found.iter().map(stored).collect()
    }

    async fn head(link: &mut PgConnection, shard: Shard) -> Asked<BatchNumber> {
        let asked = sqlx::query(HEAD).bind(rows::shard(shard)).bind(rows::kind(Kind::Batch));
        let found = all(asked.fetch_all(link).await)?;
        found.first().map_or(Ok(BatchNumber(0)), |row| rows::number(&bytes(row, 0)?))
    }

    async fn append(link: &mut PgConnection, batch: &[Kept], before: Option<[u8; 8]>) -> Asked<bool> {
        let asked = with_rows(sqlx::query(APPEND), batch)
            .bind(before.is_none())
            .bind(batch.first().map(|row| row.shard))
            .bind(rows::kind(Kind::Batch))
            .bind(before.unwrap_or_default().to_vec());
        match asked.execute(link).await {
            Ok(done) => Ok(done.rows_affected() > 0),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn apply(link: &mut PgConnection, session: SessionId, changes: &Changes) -> Asked<Applied> {
        match carry_out(link, session, changes).await {
            Ok(done) => Ok(done),
            Err(error) => {
                let failure = failure(&error);
                if failure.spares_connection() && sqlx::raw_sql("ROLLBACK").execute(link).await.is_err() {
                    return Err(Failure::Lost("the connection broke off".to_owned()));
                }
                Err(failure)
            }
        }
    }

    async fn renew(link: &mut PgConnection, old: Option<SessionId>, new: SessionId) -> Asked<()> {
        let removed = match old {
            Some(old) => {
                sqlx::query("DELETE FROM aumbry_sessions WHERE id = $1").bind(old.to_vec()).execute(&mut *link).await
            }
            // Those of handles that ended long ago. One that still lives makes itself another.
            None => {
                let old = "DELETE FROM aumbry_sessions WHERE made < now() - interval '30 days'";
                sqlx::query(old).execute(&mut *link).await
            }
        };
        removed.map_err(|error| failure(&error))?;
        let made = sqlx::query("INSERT INTO aumbry_sessions (id) VALUES ($1)").bind(new.to_vec()).execute(link).await;
        made.map_err(|error| failure(&error)).map(drop)
    }
}

/// A run in one transaction, while its session is held.
async fn carry_out(link: &mut PgConnection, session: SessionId, changes: &Changes) -> Result<Applied, sqlx::Error> {
    let text = beginning(session, changes.durable, changes.fence);
    let told = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut *link).await?;
    // What sets the session up gives a row of another kind.
    let told: Vec<i32> = told.iter().filter_map(|row| row.try_get(0).ok()).collect();
    let refused = match (told.contains(&SESSION), told.contains(&TURN) || changes.fence.is_none()) {
        (true, true) => None,
        (false, _) => Some(Applied::Gone),
        (true, false) => Some(Applied::Fenced),
    };
    if let Some(refused) = refused {
        sqlx::raw_sql("ROLLBACK").execute(link).await?;
        return Ok(refused);
    }
    for part in rows::parts(&changes.deletes, PART_ROWS, PART_BYTES) {
        let (shards, kinds, rests) = keys_of(part);
        sqlx::query(DELETE).bind(shards).bind(kinds).bind(rests).execute(&mut *link).await?;
    }
    for part in rows::parts(&changes.puts, PART_ROWS, PART_BYTES) {
        with_rows(sqlx::query(PUT), part).execute(&mut *link).await?;
    }
    sqlx::raw_sql("COMMIT").execute(link).await?;
    Ok(Applied::Done)
}

/// What the beginning of a run answers: its session is there; it is its turn.
const SESSION: i32 = 1;
const TURN: i32 = 2;

/// Begins a transaction, holds the session's row and takes the turn. What need not be durable does not wait for the disk where
/// the server knows how, and is carried there by the next commit that waits.
fn beginning(session: SessionId, durable: bool, fence: Option<(i64, i64)>) -> String {
    let session = session.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let mut text = "BEGIN; ".to_owned();
    if !durable {
        text.push_str("SELECT set_config('synchronous_commit', 'off', true) WHERE current_setting('synchronous_commit', true) <> ''; ");
    }
    text.push_str(&format!("SELECT {SESSION} FROM aumbry_sessions WHERE id = '\\x{session}'::bytea FOR KEY SHARE"));
    if let Some((shard, turn)) = fence {
        text.push_str(&format!(
            "; INSERT INTO aumbry_turns (shard, turn) VALUES ({shard}, {turn}) \
             ON CONFLICT (shard) DO UPDATE SET turn = excluded.turn WHERE aumbry_turns.turn <= excluded.turn RETURNING {TURN}"
        ));
    }
    text
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn with_rows<'q>(query: Query<'q>, rows: &[Kept]) -> Query<'q> {
    let (shards, kinds, rests) = keys_of(rows);
    let values: Vec<&[u8]> = rows.iter().map(|row| row.value.as_ref()).collect();
    query.bind(shards).bind(kinds).bind(rests).bind(values)
}

fn keys_of(rows: &[Kept]) -> (Vec<i64>, Vec<i16>, Vec<&[u8]>) {
    let rests = rows.iter().map(|row| row.rest.as_slice()).collect();
    (rows.iter().map(|row| row.shard).collect(), rows.iter().map(|row| row.kind).collect(), rests)
}

fn all(found: Result<Vec<PgRow>, sqlx::Error>) -> Asked<Vec<PgRow>> {
    found.map_err(|error| failure(&error))
}

fn bytes(row: &PgRow, at: usize) -> Asked<Bytes> {
    row.try_get::<&[u8], _>(at).map(Bytes::copy_from_slice).map_err(|error| failure(&error))
}
