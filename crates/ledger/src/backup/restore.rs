//! A backup back into an empty store.

use super::item::Item;
use super::make::Pace;
use super::read::Whole;
use super::{damaged, stream};
use crate::code::{self, Refusal};
use crate::keyspace::meta_key;
use crate::state::{cause_refusal, storage_refusal};
use std::io::{Read, Seek};
use storage::{Batch, BatchId, BatchNumber, Commit, Key, Kind, LIMITS, Op, Run, Shard, Storage};

/// Batches between two steps of the pace.
const STEP: u64 = 8;

impl<R: Read + Seek> Whole<R> {
    /// Writes it into an empty store: the same batches under the same numbers and ids, with what is left of them. Open a ledger
    /// over it then, which makes its records.
    ///
    /// Errors: `key.busy` for a store that is not empty (nothing was written); `backup.damaged` when the source is another than it
    /// was; those of the store. After an error the store is worth nothing and is to be thrown away.
    pub async fn restore(&mut self, storage: &dyn Storage, pace: &dyn Pace) -> Result<(), Refusal> {
        let (mut reader, last, foot, shard) = self.again()?;
        if storage.head(shard).await.map_err(storage_refusal)? != BatchNumber(0) {
            return Err(Refusal::new(&code::KEY_BUSY, "a backup is restored into an empty store only"));
        }
        while let Some(item) = reader.item()? {
            let Item::Batch { number, id, row, rows } = item else { continue };
            let (at, id) = (BatchNumber(number), BatchId(id));
            let mut puts: Vec<_> = rows.into_iter().map(|row| row.put(shard, at, id)).collect();
            puts.extend(last.rings.remove(&number).unwrap_or_default());
            let side = last.sides.remove(&number).map(Into::into);
            let batch = Batch { shard, number: at, id, row: row.into(), side, puts };
            done(storage.commit(batch).await)?;
            if number.is_multiple_of(STEP) {
                pace.step().await?;
            }
        }
        reader.end()?;
        let intents = last.intents.drain(..).map(|(key, value)| put(Kind::Intent, shard, key, value));
        let counts = last.counts.drain(..).map(|(key, value)| put(Kind::Meta, shard, key, value));
        let mut ops: Vec<Op> = intents.chain(counts).collect();
        let mut note =
            |name: &str, text: &str| ops.push(Op::Put(meta_key(shard, name), text.as_bytes().to_vec().into()));
        note("verifier", &foot.verifier);
        note("checkpoint", &foot.checkpoint);
        while !ops.is_empty() {
            let later = ops.split_off(ops.len().min(LIMITS.page_max));
            done(storage.apply(Run::new(ops, true)).await)?;
            ops = later;
            pace.step().await?;
        }
        Ok(())
    }
}

fn put(kind: Kind, shard: Shard, key: Vec<u8>, value: Vec<u8>) -> Op {
    Op::Put(Key::new(kind, shard, key), value.into())
}

fn done(commit: Commit) -> Result<(), Refusal> {
    match commit {
        Commit::Done => Ok(()),
        Commit::Refused(storage::Cause::Invalid(what)) => Err(damaged(what)),
        Commit::Refused(cause) | Commit::Unknown(cause) => Err(cause_refusal(&cause)),
        Commit::Conflict(_) => Err(stream(&std::io::Error::other("the store is written by another"))),
    }
}
