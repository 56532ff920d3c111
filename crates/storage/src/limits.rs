//! What every engine refuses before it touches anything.

use crate::contract::{Batch, LIMITS, Op, Put, Run};
use crate::key::{Key, Kind};
use std::collections::HashSet;

/// Bytes of a place in a key: number, id, index.
pub(crate) const PLACE_BYTES: usize = 28;

/// Says what is wrong with a batch: a limit passed, or a row that is not its own.
pub fn check_batch(batch: &Batch) -> Result<(), &'static str> {
    if batch.number.0 == 0 {
        return Err("the first batch has number 1");
    }
    let mut bytes = batch.row.len().saturating_add(batch.side.as_ref().map_or(0, bytes::Bytes::len));
    let mut seen = HashSet::with_capacity(batch.puts.len());
    for put in &batch.puts {
        check_own(batch, put)?;
        if !seen.insert(&put.key) {
            return Err("a batch writes each of its rows once");
        }
        bytes = bytes.saturating_add(put.key.rest().len()).saturating_add(put.value.len());
    }
    if bytes > LIMITS.batch_bytes_max {
        return Err("the batch is larger than 8 MiB");
    }
    Ok(())
}

/// A put of a batch is a key, blob or ring row at a place of that very batch.
fn check_own(batch: &Batch, put: &Put) -> Result<(), &'static str> {
    let foreign = Err("a batch writes only key, blob and ring rows at its own places");
    if !matches!(put.key.kind(), Kind::Key | Kind::Blob | Kind::Ring) || put.key.shard() != batch.shard {
        return foreign;
    }
    check_shape(&put.key)?;
    let Some((_, place)) = put.key.rest().split_last_chunk::<PLACE_BYTES>() else { return foreign };
    let (head, index) = place.split_at(PLACE_BYTES - 4);
    let own = [batch.number.0.to_be_bytes().as_slice(), batch.id.0.as_slice()].concat();
    if head != own {
        return foreign;
    }
    if !index.starts_with(&[0, 0]) {
        return Err("the index of a row is below 65,536");
    }
    Ok(())
}

/// Says what is wrong with a run.
pub fn check_run(run: &Run) -> Result<(), &'static str> {
    run.ops.iter().try_for_each(|op| match op {
        Op::Put(key, value) => {
            if matches!(key.kind(), Kind::Batch | Kind::Side | Kind::Key | Kind::Blob | Kind::Ring) {
                return Err("only a batch writes batch, side, key, blob and ring rows");
            }
            if value.len() > LIMITS.batch_bytes_max {
                return Err("the value is larger than 8 MiB");
            }
            check_shape(key)
        }
        Op::Delete(key) if key.kind() == Kind::Batch => Err("batch rows are kept for ever"),
        Op::Delete(key) => check_shape(key),
    })
}

/// Keys whose form their kind fixes have it, and all others are within the bound.
fn check_shape(key: &Key) -> Result<(), &'static str> {
    let fits = match key.kind() {
        Kind::Batch | Kind::Side => key.rest().len() == 8,
        Kind::Key | Kind::Blob => key.rest().len() == PLACE_BYTES,
        Kind::Ring => key.rest().len() == 16 + PLACE_BYTES,
        Kind::Record | Kind::Intent | Kind::Volatile | Kind::Access | Kind::Meta => {
            key.rest().len() <= LIMITS.key_bytes_max
        }
    };
    fits.then_some(()).ok_or("the key has not the length of its kind")
}

/// Says whether a page, a list of keys or a tail asks for too much at once.
pub fn check_page(entries: usize) -> Result<(), &'static str> {
    (entries <= LIMITS.page_max).then_some(()).ok_or("more than 4,096 at once")
}
