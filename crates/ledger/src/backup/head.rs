//! The head of a backup: whose it is, and its key.

use super::{damaged, foreign, stream};
use crate::code::{self, Refusal};
use crate::ring::{Purpose, RingRow};
use crate::unit::Damaged;
use crypto::Hash;
use crypto::aead::{Aad, BackupKey, Key, RootKey};
use crypto::id::BackupId;
use crypto::seam::{Seal, WallMs};
use serde::{Deserialize, Serialize};
use std::io::Read;

const MAGIC: &[u8; 14] = b"aumbry backup\n";
/// The one format there is.
const FORMAT: u16 = 1;
const FIXED_BYTES: usize = 20;
/// Longest body that is read; one of ours has a few hundred bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What a backup says of itself in clear. Believed only as far as its chunks open.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its id, with the time it was begun.
    pub id: BackupId,
    /// Origin of the ledger, `<cluster>/<shard>`.
    pub origin: String,
    /// Number of the shard.
    pub shard: u32,
    /// When it was begun.
    pub begun: WallMs,
    /// The ring row of the root key, which the seal opens.
    pub(super) root: Vec<u8>,
    /// The backup's key, which the root key opens.
    pub(super) key: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
enum Body {
    V1 {
        id: BackupId,
        origin: String,
        shard: u32,
        begun_ms: u64,
        #[serde(with = "crypto::run")]
        root: Vec<u8>,
        #[serde(with = "crypto::run")]
        key: Vec<u8>,
    },
}

impl Head {
    /// Bytes as they stand in the file, and the digest at their end, which every chunk is bound to.
    pub(super) fn encode(&self) -> Result<(Vec<u8>, Hash), Damaged> {
        let body = Body::V1 {
            id: self.id,
            origin: self.origin.clone(),
            shard: self.shard,
            begun_ms: self.begun.0,
            root: self.root.clone(),
            key: self.key.clone(),
        };
        let wrong = || Damaged("a backup's head that cannot be encoded".into());
        let body = postcard::to_allocvec(&body).map_err(|_| wrong())?;
        let length = u32::try_from(body.len()).map_err(|_| wrong())?;
        let mut out = Vec::with_capacity(body.len().saturating_add(FIXED_BYTES).saturating_add(32));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&body);
        let digest = crypto::sha256(&out);
        out.extend_from_slice(&digest);
        Ok((out, digest))
    }

    /// The root key as the seal wrapped it. Errors: `backup.damaged`.
    pub fn wrapped_root(&self) -> Result<Vec<u8>, Refusal> {
        self.root_row().map(|row| row.wrapped)
    }

    fn root_row(&self) -> Result<RingRow, Refusal> {
        let row = RingRow::decode(&self.root).map_err(|_| damaged("its head holds no root key"))?;
        match row.purpose {
            Purpose::Root => Ok(row),
            _ => Err(damaged("its head holds no root key")),
        }
    }

    /// The key of the chunks. Errors: `backup.foreign` where the seal opens no root key, `backup.damaged`.
    pub(super) fn open(&self, seal: &dyn Seal) -> Result<Key<BackupKey>, Refusal> {
        let row = self.root_row()?;
        let root = Key::<RootKey>::unseal(seal, row.id, &row.wrapped).map_err(|error| foreign(&seal.name(), &error))?;
        root.unwrap_key(Aad::backup_key(*self.id.as_bytes()), &self.key)
            .map_err(|_| damaged("its own key does not open"))
    }
}

/// Reads the head and leaves the stream at the first chunk; gives its digest too. Needs no key.
///
/// Errors: `backup.unreadable` for what is no backup, `backup.newer` for one of a later format, `backup.damaged`,
/// `backup.failed`.
pub fn read_head(from: &mut dyn Read) -> Result<(Head, Hash), Refusal> {
    let mut fixed = [0; FIXED_BYTES];
    from.read_exact(&mut fixed).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => no_backup(),
        _ => stream(&error),
    })?;
    let (magic, rest) = fixed.split_at(MAGIC.len());
    let (format, length) = rest.split_at(2);
    if magic != MAGIC {
        return Err(no_backup());
    }
    let format = format.try_into().map(u16::from_be_bytes).unwrap_or_default();
    if format > FORMAT {
        let why = format!("the backup has format {format}, this version reads format {FORMAT}");
        return Err(Refusal::new(&code::BACKUP_NEWER, why));
    }
    let length = length.try_into().map(u32::from_be_bytes).unwrap_or(u32::MAX);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if format == 0 || length > BODY_BYTES_MAX {
        return Err(damaged("its head"));
    }
    let mut whole = fixed.to_vec();
    whole.resize(FIXED_BYTES.saturating_add(length), 0);
    from.read_exact(whole.get_mut(FIXED_BYTES..).unwrap_or_default()).map_err(|error| stream(&error))?;
    let mut digest = [0; 32];
    from.read_exact(&mut digest).map_err(|error| stream(&error))?;
    if crypto::sha256(&whole) != digest {
        return Err(damaged("its head"));
    }
    let body = postcard::from_bytes(whole.get(FIXED_BYTES..).unwrap_or_default());
    let Body::V1 { id, origin, shard, begun_ms, root, key } = body.map_err(|_| damaged("its head"))?;
    Ok((Head { id, origin, shard, begun: WallMs(begun_ms), root, key }, digest))
}

fn no_backup() -> Refusal {
    Refusal::new(&code::BACKUP_UNREADABLE, "this is no backup of Aumbry")
}
