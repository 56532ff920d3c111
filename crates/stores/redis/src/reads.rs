//! Reads: each in one round trip and at one moment, and never of another store than was opened.

use crate::fault::Fault;
use crate::layout::{numbers, range};
use crate::store::{Inner, Lane};
use crate::writes::{gone, split};
use bytes::Bytes;
use redis::{Cmd, Script, Value};
use std::collections::BTreeMap;
use storage::{BatchId, BatchNumber, Key, Kind, Page, Shard, StoredBatch};

impl Inner {
    pub(crate) async fn get(&self, keys: &[Key]) -> Result<Vec<Option<Bytes>>, Fault> {
        let mut hashes: BTreeMap<(Shard, Kind), Vec<usize>> = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            hashes.entry((key.shard(), key.kind())).or_default().push(at);
        }
        let mut shards: Vec<Shard> = hashes.keys().map(|(shard, _)| *shard).collect();
        shards.dedup();
        let asked = hashes.iter().map(|((shard, kind), places)| {
            let fields = places.iter().filter_map(|at| keys.get(*at)).map(|key| key.rest().to_vec());
            (self.layout.rows(*kind, *shard), fields.collect())
        });
        let mut answers = self.rows(&shards, asked.collect()).await?.into_iter();
        let mut values = vec![None; keys.len()];
        for ((_, kind), places) in hashes {
            let found = list(answers.next())?;
            for (at, value) in places.into_iter().zip(found) {
                let value = bulk(value)?;
                let value = match kind {
                    Kind::Batch => value.map(|stored| row(stored).map(|(_, row)| row)).transpose()?,
                    _ => value,
                };
                if let Some(place) = values.get_mut(at) {
                    *place = value;
                }
            }
        }
        Ok(values)
    }

    pub(crate) async fn scan(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page, Fault> {
        let (kind, shard) = (prefix.kind(), prefix.shard());
        if kind == Kind::Batch {
            let numbers = numbers(prefix, after, limit);
            let key = |number: BatchNumber| Key::numbered(Kind::Batch, shard, number);
            let found = self.batches(shard, &numbers, false).await?;
            return Ok(found.into_iter().map(|batch| (key(batch.number), batch.row)).collect());
        }
        let Some((min, max)) = range(prefix, after).filter(|_| limit > 0) else { return Ok(Vec::new()) };
        let fill = |command: &mut Cmd| {
            command.arg(4).arg(self.layout.store()).arg(self.layout.head(shard));
            command.arg(self.layout.rows(kind, shard)).arg(self.layout.order(kind, shard));
            command.arg(&min).arg(&max).arg(limit);
        };
        let mut parts = self.ask(&self.dialer.scripts.scan, &[shard], fill).await?.into_iter();
        let (fields, values) = (list(parts.next())?, list(parts.next())?);
        let rows = fields.into_iter().zip(values).map(|(field, value)| {
            let key = bulk(field)?.map(|field| Key::new(kind, shard, field.to_vec())).ok_or_else(strange)?;
            let value = bulk(value)?.ok_or_else(|| Fault::Damaged(format!("{key:?} has no row")))?;
            Ok((key, value))
        });
        rows.collect()
    }

    pub(crate) async fn tail(&self, shard: Shard, from: BatchNumber, limit: usize) -> Result<Vec<StoredBatch>, Fault> {
        let numbers: Vec<u64> = (from.0.max(1)..=u64::MAX).take(limit).collect();
        self.batches(shard, &numbers, true).await
    }

    pub(crate) async fn head(&self, shard: Shard) -> Result<BatchNumber, Fault> {
        self.rows(&[shard], Vec::new()).await?;
        Ok(BatchNumber(self.seen(shard)))
    }

    /// The batches of numbers that follow one another, as far as there are any.
    async fn batches(&self, shard: Shard, numbers: &[u64], sides: bool) -> Result<Vec<StoredBatch>, Fault> {
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let fields: Vec<Vec<u8>> = numbers.iter().map(|number| number.to_be_bytes().to_vec()).collect();
        let kinds = [Kind::Batch, Kind::Side].into_iter().take(1 + usize::from(sides));
        let asked = kinds.map(|kind| (self.layout.rows(kind, shard), fields.clone()));
        let mut answers = self.rows(&[shard], asked.collect()).await?.into_iter();
        let rows = list(answers.next())?;
        let sides = if sides { list(answers.next())? } else { Vec::new() };
        let mut sides = sides.into_iter();
        let mut found = Vec::new();
        for (number, stored) in numbers.iter().zip(rows) {
            let side = sides.next().map(bulk).transpose()?.flatten();
            let Some(stored) = bulk(stored)? else { break };
            let (id, row) = row(stored)?;
            found.push(StoredBatch { number: BatchNumber(*number), id, row, side });
        }
        Ok(found)
    }

    /// Values of fields of several hashes, as a list for each.
    async fn rows(&self, shards: &[Shard], hashes: Vec<(String, Vec<Vec<u8>>)>) -> Result<Vec<Value>, Fault> {
        let fill = |command: &mut Cmd| {
            command.arg(1 + shards.len() + hashes.len()).arg(self.layout.store());
            for shard in shards {
                command.arg(self.layout.head(*shard));
            }
            for (name, _) in &hashes {
                command.arg(name);
            }
            command.arg(shards.len());
            for (_, fields) in &hashes {
                command.arg(fields.len()).arg(fields);
            }
        };
        self.ask(&self.dialer.scripts.rows, shards, fill).await
    }

    /// Carries out a script that answers first with the id of the store and the heads of these shards.
    async fn ask(&self, script: &Script, shards: &[Shard], fill: impl Fn(&mut Cmd)) -> Result<Vec<Value>, Fault> {
        let before: Vec<u64> = shards.iter().map(|shard| self.seen(*shard)).collect();
        let call = self.begin(Lane::Read).await?;
        call.end(async {
            let mut answers = list(Some(call.script(script, fill).await?))?.into_iter();
            self.same_store(answers.next())?;
            for (shard, before) in shards.iter().zip(before) {
                self.note_head(*shard, before, head(answers.next())?)?;
            }
            Ok(answers.collect())
        })
        .await
    }

    fn same_store(&self, found: Option<Value>) -> Result<(), Fault> {
        match found.map(bulk).transpose()?.flatten() {
            Some(found) if found == self.store.as_bytes() => Ok(()),
            _ => Err(gone()),
        }
    }
}

fn row(stored: Bytes) -> Result<(BatchId, Bytes), Fault> {
    let (id, row) = split(stored).ok_or_else(|| Fault::Damaged("a batch row without its id".to_owned()))?;
    Ok((BatchId(id), row))
}

fn list(value: Option<Value>) -> Result<Vec<Value>, Fault> {
    match value {
        Some(Value::Array(values)) => Ok(values),
        _ => Err(strange()),
    }
}

fn bulk(value: Value) -> Result<Option<Bytes>, Fault> {
    match value {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        _ => Err(strange()),
    }
}

fn head(value: Option<Value>) -> Result<u64, Fault> {
    match value.map(bulk).transpose()?.flatten() {
        None => Ok(0),
        Some(digits) => std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(strange),
    }
}

pub(crate) fn strange() -> Fault {
    Fault::Lost("the Redis server gives an answer that is not one of its protocol".to_owned())
}
