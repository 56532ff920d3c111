//! The record of a secret: everything known of it but its values.

use crate::codec;
use crate::limits;
use crypto::id::{BlobId, EntityId};
use crypto::seam::WallMs;
use ledger::code::{SECRET_DELETED, SECRET_EXPIRED, SECRET_NOT_FOUND, SECRET_PURGED};
use ledger::{Damaged, Path, RecordKind, RecordName, Refusal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use storage::Place;

/// Names and values that people and tools put on a secret; not secret, shown to whoever may see metadata.
pub type Labels = BTreeMap<String, String>;

/// Name of a secret's record.
pub fn secret_name(path: &Path) -> RecordName {
    RecordName::new(RecordKind::SECRET, path.segments())
}

/// How a value was given, so that it can be given back in the same form.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Bytes,
    /// A JSON object or array, kept as it was written.
    Json,
}

/// Where a version's key and value stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stored {
    /// Wrapped data key.
    #[serde(with = "codec::place")]
    pub key: Place,
    /// Sealed value.
    #[serde(with = "codec::place")]
    pub blob: Place,
    /// Random id the value was sealed with.
    pub blob_id: BlobId,
    /// SHA-256 of the sealed value.
    #[serde(with = "crypto::run::fixed")]
    pub digest: [u8; 32],
}

/// What became of a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum State {
    /// Readable.
    Live(Stored),
    /// Hidden, can be brought back.
    Deleted {
        /// Since when.
        #[serde(with = "codec::wall")]
        at: WallMs,
        /// Its key and value, still there.
        stored: Stored,
    },
    /// Key and value are destroyed.
    Purged {
        /// Since when.
        #[serde(with = "codec::wall")]
        at: WallMs,
    },
}

impl State {
    /// Key and value, if they still exist.
    pub fn stored(&self) -> Option<&Stored> {
        match self {
            State::Live(stored) | State::Deleted { stored, .. } => Some(stored),
            State::Purged { .. } => None,
        }
    }

    /// The word for it on every surface: `live`, `deleted` or `purged`.
    pub fn word(&self) -> &'static str {
        match self {
            State::Live(_) => "live",
            State::Deleted { .. } => "deleted",
            State::Purged { .. } => "purged",
        }
    }
}

/// One immutable state of a secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Version {
    /// From 1, dense.
    pub number: u64,
    /// When it was written.
    #[serde(with = "codec::wall")]
    pub created: WallMs,
    /// Who wrote it.
    pub author: EntityId,
    /// Bytes of the value.
    pub size: u32,
    /// How the value was given.
    pub encoding: Encoding,
    /// The version it was copied from by a rollback.
    pub copied_from: Option<u64>,
    /// What became of it.
    pub state: State,
}

/// A secret with its versions, oldest first; it has at least one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Secret {
    /// Full path.
    pub path: String,
    /// When its first version since the last complete purge was written.
    #[serde(with = "codec::wall")]
    pub created: WallMs,
    /// When anything of it last changed.
    #[serde(with = "codec::wall")]
    pub changed: WallMs,
    /// Labels.
    pub labels: Labels,
    /// When its values stop being readable.
    #[serde(with = "codec::wall_option")]
    pub expires: Option<WallMs>,
    /// Versions kept, if it is not the default.
    pub max_versions: Option<u32>,
    /// Whether every write must name the version it replaces.
    pub cas_required: bool,
    /// Number of the next version.
    pub next: u64,
    /// Versions kept, oldest first.
    // INVARIANT: ascending, the last is `next - 1`, at most `kept()` of them.
    pub versions: Vec<Version>,
    /// Who wrote its first version since the last complete purge, where that is still known.
    #[serde(skip)]
    pub owner: Option<EntityId>,
}

impl Secret {
    /// Reads a record. `None` for the mark that a complete purge leaves: there is no such secret any more.
    pub fn decode(record: &[u8]) -> Result<Option<Secret>, Damaged> {
        Ok(match Record::decode(record)? {
            Record::Kept(secret) => Some(secret),
            Record::Gone(_) => None,
        })
    }

    /// Number of the newest version.
    pub fn current(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    /// How many versions are kept.
    pub fn kept(&self) -> usize {
        usize::try_from(self.max_versions.unwrap_or(limits::VERSIONS_KEPT_DEFAULT)).unwrap_or(usize::MAX)
    }

    /// Whether its values can no longer be read at this time.
    pub fn is_expired(&self, now: WallMs) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// The version with this number, whatever became of it.
    pub fn version(&self, number: u64) -> Option<&Version> {
        let at = self.versions.binary_search_by_key(&number, |version| version.number).ok()?;
        self.versions.get(at)
    }

    /// The version that was the newest at `time`. `None` before the first one kept.
    pub fn version_at(&self, time: WallMs) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.created <= time)
    }

    /// The version whose value a reader at `now` gets: the newest, or the one asked for.
    ///
    /// Errors: `secret.expired`, `secret.not_found` (no such version), `secret.deleted`, `secret.purged`.
    pub fn readable(&self, number: Option<u64>, now: WallMs) -> Result<(&Version, &Stored), Refusal> {
        if self.is_expired(now) {
            return Err(Refusal::new(&SECRET_EXPIRED, "the secret is past its expiry"));
        }
        let version = self.version(number.unwrap_or(self.current())).ok_or_else(no_such_version)?;
        match &version.state {
            State::Live(stored) => Ok((version, stored)),
            State::Deleted { .. } => {
                Err(Refusal::new(&SECRET_DELETED, format!("version {} is deleted", version.number)))
            }
            State::Purged { .. } => Err(Refusal::new(&SECRET_PURGED, format!("version {} is purged", version.number))),
        }
    }

    /// Numbers of the versions past the bound, oldest first, when `adding` more are about to come.
    pub(crate) fn excess(&self, kept: usize, adding: usize) -> Vec<u64> {
        let over = self.versions.len().saturating_add(adding).saturating_sub(kept);
        self.versions.iter().take(over).map(|version| version.number).collect()
    }
}

/// Nothing is at this path.
pub(crate) fn no_such_secret() -> Refusal {
    Refusal::new(&SECRET_NOT_FOUND, "there is no secret at this path")
}

/// The secret has no such version, or keeps it no longer.
pub(crate) fn no_such_version() -> Refusal {
    Refusal::new(&SECRET_NOT_FOUND, "the secret has no such version, or no longer keeps it")
}

/// What stands under a secret's name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Record {
    Kept(Secret),
    Gone(Gone),
}

/// What a complete purge leaves, so that version numbers never repeat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Gone {
    pub(crate) path: String,
    pub(crate) next: u64,
}

#[derive(Serialize, Deserialize)]
enum Versioned {
    V1(Record),
    /// With its owner beside it.
    V2(Secret, EntityId),
}

impl Record {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Record, Damaged> {
        Ok(match codec::decode("record of a secret", bytes)? {
            Versioned::V1(Record::Kept(secret)) => {
                let first = secret.versions.first().filter(|first| first.created == secret.created);
                Record::Kept(Secret { owner: first.map(|first| first.author), ..secret })
            }
            Versioned::V1(gone) => gone,
            Versioned::V2(secret, owner) => Record::Kept(Secret { owner: Some(owner), ..secret }),
        })
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        codec::encode(&match self {
            Record::Kept(secret) => match secret.owner {
                Some(owner) => Versioned::V2(secret, owner),
                None => Versioned::V1(Record::Kept(secret)),
            },
            gone => Versioned::V1(gone),
        })
    }
}
