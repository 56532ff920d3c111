//! Reading a backup: whole, before anything is done with it.

use super::chunk::ChunkReader;
use super::foot::Foot;
use super::head::{Head, read_head};
use super::item::{Item, Row};
use super::{damaged, stream};
use crate::code::{self, Refusal};
use crate::entry::BatchRow;
use crypto::Hash;
use crypto::aead::{BackupKey, Key};
use crypto::merkle::{Frontier, leaf_hash};
use crypto::seam::Seal;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use storage::{BatchId, BatchNumber, Put};

/// Longest foot that is read; one of ours has a few hundred bytes.
const FOOT_BYTES_MAX: u32 = 64 << 10;

/// A backup whose head was read and whose key is open. Nothing in it is believed yet.
pub struct Backup<R> {
    from: R,
    head: Head,
    digest: Hash,
    key: Key<BackupKey>,
    chunks_at: u64,
}

/// A backup of which every byte was read and found to be as it was written.
pub struct Whole<R> {
    backup: Backup<R>,
    foot: Foot,
    first: BatchId,
    last: LastThings,
}

/// What belongs to the whole and not to one batch, besides ring rows, which go with theirs. As large as the ring, which a server
/// holds in memory as well, and the changes of a few seconds.
#[derive(Debug, Default)]
pub(super) struct LastThings {
    pub(super) rings: HashMap<u64, Vec<Put>>,
    pub(super) sides: HashMap<u64, Vec<u8>>,
    pub(super) intents: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) counts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R> std::fmt::Debug for Backup<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backup").field("id", &self.head.id).finish_non_exhaustive()
    }
}

impl<R> std::fmt::Debug for Whole<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whole").field("backup", &self.backup).field("foot", &self.foot).finish_non_exhaustive()
    }
}

/// Head and foot as they stand in clear: what there is to know of a backup without its seal, and nothing to rely on.
///
/// Errors: as of [`read_head`]; `backup.damaged` without a foot.
pub fn contents<R: Read + Seek>(from: &mut R) -> Result<(Head, Foot), Refusal> {
    from.seek(SeekFrom::Start(0)).map_err(|error| stream(&error))?;
    let (head, _) = read_head(from)?;
    let no_foot = || damaged("it has no end");
    let mut length = [0; 4];
    from.seek(SeekFrom::End(-4)).map_err(|_| no_foot())?;
    from.read_exact(&mut length).map_err(|error| stream(&error))?;
    let length = u32::from_be_bytes(length);
    if length > FOOT_BYTES_MAX {
        return Err(no_foot());
    }
    from.seek(SeekFrom::End((-4i64).saturating_sub(i64::from(length)))).map_err(|_| no_foot())?;
    let mut foot = vec![0; usize::try_from(length).unwrap_or_default()];
    from.read_exact(&mut foot).map_err(|error| stream(&error))?;
    Ok((head, Foot::decode(&foot)?))
}

impl<R: Read + Seek> Backup<R> {
    /// Reads the head and opens the backup's key with the seal.
    ///
    /// Errors: as of [`read_head`]; `backup.foreign` when the seal does not open it.
    pub fn open(mut from: R, seal: &dyn Seal) -> Result<Backup<R>, Refusal> {
        from.seek(SeekFrom::Start(0)).map_err(|error| stream(&error))?;
        let (head, digest) = read_head(&mut from)?;
        let key = head.open(seal)?;
        let chunks_at = from.stream_position().map_err(|error| stream(&error))?;
        Ok(Backup { from, head, digest, key, chunks_at })
    }

    /// Whose it is.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Reads every byte: that each chunk is the one that was written there, that the batches follow each other, and that
    /// their entries give the root that the signed checkpoint speaks of. Blocks the calling thread; changes nothing.
    ///
    /// Errors: `backup.damaged` naming what is wrong, `backup.failed`.
    pub fn check(mut self) -> Result<Whole<R>, Refusal> {
        let shard = storage::Shard(self.head.shard);
        let mut tree = Tree::default();
        let mut last = LastThings::default();
        let mut reader = self.reader()?;
        while let Some(item) = reader.item()? {
            match item {
                Item::Batch { number, id, row, rows } => tree.take(number, id, row, &rows)?,
                Item::Ring { tenant, number, id, index, value } => {
                    let number = BatchNumber(number);
                    let place = storage::Place { number, id: BatchId(id), index };
                    let put = Put { key: place.ring_key(shard, tenant), value: value.into() };
                    last.rings.entry(number.0).or_default().push(put);
                }
                Item::Side { number, value } => drop(last.sides.insert(number, value)),
                Item::Intent { key, value } => last.intents.push((key, value)),
                Item::Count { key, value } => last.counts.push((key, value)),
            }
        }
        let foot = Foot::decode(&reader.end()?)?;
        tree.fits(&foot)?;
        let beyond = last.rings.keys().chain(last.sides.keys()).any(|number| *number > foot.batch.0);
        if beyond || !foot.is_signed(&self.head.origin) {
            return Err(damaged("its checkpoint is not that of its entries"));
        }
        Ok(Whole { backup: self, foot, first: BatchId(tree.first), last })
    }

    fn reader(&mut self) -> Result<ChunkReader<'_>, Refusal> {
        self.from.seek(SeekFrom::Start(self.chunks_at)).map_err(|error| stream(&error))?;
        Ok(ChunkReader::new(&mut self.from, &self.key, self.digest))
    }
}

impl<R: Read + Seek> Whole<R> {
    /// Whose it is.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.backup.head
    }

    /// How far it goes.
    #[must_use]
    pub fn foot(&self) -> &Foot {
        &self.foot
    }

    /// Id of its first batch, which tells ledgers apart.
    #[must_use]
    pub fn first(&self) -> BatchId {
        self.first
    }

    /// Takes it apart for a second reading of its batches.
    pub(super) fn again(&mut self) -> Result<(ChunkReader<'_>, &mut LastThings, &Foot, storage::Shard), Refusal> {
        let shard = storage::Shard(self.backup.head.shard);
        Ok((self.backup.reader()?, &mut self.last, &self.foot, shard))
    }
}

/// The batches so far and the tree over their entries.
#[derive(Default)]
struct Tree {
    number: u64,
    id: [u8; 16],
    first: [u8; 16],
    frontier: Frontier,
    keys: u64,
    blobs: u64,
}

impl Tree {
    fn take(&mut self, number: u64, id: [u8; 16], row: Vec<u8>, rows: &[Row]) -> Result<(), Refusal> {
        let wrong = |what: &str| damaged(format_args!("batch {number} {what}"));
        if number != self.number.saturating_add(1) {
            return Err(wrong("does not follow the one before it"));
        }
        let row = BatchRow::decode(&row.into()).map_err(|_| wrong("does not decode"))?;
        if row.first != self.frontier.size() {
            return Err(wrong("begins elsewhere"));
        }
        row.entries.iter().for_each(|entry| self.frontier.push(leaf_hash(entry)));
        let blobs = rows.iter().filter(|row| row.blob).count();
        self.blobs = self.blobs.saturating_add(u64::try_from(blobs).unwrap_or_default());
        self.keys = self.keys.saturating_add(u64::try_from(rows.len().saturating_sub(blobs)).unwrap_or_default());
        if number == 1 {
            self.first = id;
        }
        (self.number, self.id) = (number, id);
        Ok(())
    }

    fn fits(&self, foot: &Foot) -> Result<(), Refusal> {
        let size = (self.number, self.id, self.frontier.size(), self.frontier.root(), self.keys, self.blobs);
        if size == (foot.batch.0, foot.batch_id.0, foot.entries, foot.root, foot.keys, foot.blobs) {
            return Ok(());
        }
        Err(damaged("its batches do not give what its foot says"))
    }
}

/// Used where a restored store is not what its backup says: that would be a defect.
pub(super) fn not_the_same(what: &str) -> Refusal {
    Refusal::new(&code::BACKUP_FAILED, format!("the restored store is not what its backup holds: {what}"))
}
