//! The facts about secrets, with their codec. No plaintext: an entry holds id and digest of a sealed value.

use crate::codec;
use crate::record::{Encoding, Labels};
use crypto::id::BlobId;
use crypto::seam::WallMs;
use ledger::{Damaged, EventRef};
use serde::{Deserialize, Serialize};
use storage::Place;

/// A version was written, by a put or a rollback; the first of a path creates the secret.
pub const VERSION_WRITTEN: &str = "secret.version.written";
/// Versions were hidden.
pub const DELETED: &str = "secret.deleted";
/// Hidden versions were brought back.
pub const UNDELETED: &str = "secret.undeleted";
/// Keys and values of versions, or of the whole secret, were destroyed.
pub const PURGED: &str = "secret.purged";
/// Labels, expiry or policy fields were changed.
pub const METADATA_WRITTEN: &str = "secret.metadata.written";
/// Data keys were wrapped again under a newer tenant key.
pub const KEYS_REWRAPPED: &str = "secret.keys.rewrapped";

/// The values of a secret stop being readable soon.
pub const EXPIRING: &str = "secret.expiring";
/// The values of a secret stopped being readable.
pub const EXPIRED: &str = "secret.expired";

/// Every kind of event these rules own.
pub(crate) const KINDS: &[&str] =
    &[VERSION_WRITTEN, DELETED, UNDELETED, PURGED, METADATA_WRITTEN, KEYS_REWRAPPED, EXPIRING, EXPIRED];

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct VersionWritten {
    pub(crate) path: String,
    pub(crate) version: u64,
    /// Nearest folders that gain a child; 0 unless it creates the secret.
    pub(crate) folders: u8,
    #[serde(with = "codec::place")]
    pub(crate) key: Place,
    #[serde(with = "codec::place")]
    pub(crate) blob: Place,
    pub(crate) blob_id: BlobId,
    #[serde(with = "crypto::run::fixed")]
    pub(crate) digest: [u8; 32],
    pub(crate) size: u32,
    pub(crate) encoding: Encoding,
    pub(crate) copied_from: Option<u64>,
    pub(crate) edits: Edits,
    /// Versions no longer kept.
    pub(crate) pruned: Vec<u64>,
}

/// Changes of metadata; `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Edits {
    pub(crate) labels: Option<Labels>,
    pub(crate) expires: Option<Expiry>,
    pub(crate) max_versions: Option<Option<u32>>,
    pub(crate) cas_required: Option<bool>,
}

/// A new expiry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Expiry(#[serde(with = "codec::wall_option")] pub(crate) Option<WallMs>);

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Versions {
    pub(crate) path: String,
    pub(crate) versions: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Purged {
    pub(crate) path: String,
    pub(crate) versions: Vec<u64>,
    /// Whether nothing of the secret is left.
    pub(crate) all: bool,
    /// Nearest folders that lose a child; 0 unless `all`.
    pub(crate) folders: u8,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct MetadataWritten {
    pub(crate) path: String,
    pub(crate) edits: Edits,
    pub(crate) pruned: Vec<u64>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Rewrapped {
    pub(crate) path: String,
    pub(crate) version: u64,
    #[serde(with = "codec::place")]
    pub(crate) key: Place,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Ending {
    pub(crate) path: String,
    #[serde(with = "codec::wall")]
    pub(crate) expires: WallMs,
}

/// Any event of this engine, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum SecretEvent {
    VersionWritten(VersionWritten),
    Deleted(Versions),
    Undeleted(Versions),
    Purged(Purged),
    MetadataWritten(MetadataWritten),
    KeysRewrapped(Vec<Rewrapped>),
    Expiring(Ending),
    Expired(Ending),
}

/// Stored form: the number of the variant is the version of the codec.
#[derive(Serialize, Deserialize)]
enum Versioned<T> {
    V1(T),
}

fn body<T: Serialize>(event: T) -> Vec<u8> {
    codec::encode(&Versioned::V1(event))
}

fn read<T: serde::de::DeserializeOwned>(event: &EventRef<'_>) -> Result<T, Damaged> {
    let Versioned::V1(fact) = codec::decode(event.kind, event.body)?;
    Ok(fact)
}

impl SecretEvent {
    pub(crate) fn decode(event: &EventRef<'_>) -> Result<SecretEvent, Damaged> {
        match event.kind {
            VERSION_WRITTEN => read(event).map(SecretEvent::VersionWritten),
            DELETED => read(event).map(SecretEvent::Deleted),
            UNDELETED => read(event).map(SecretEvent::Undeleted),
            PURGED => read(event).map(SecretEvent::Purged),
            METADATA_WRITTEN => read(event).map(SecretEvent::MetadataWritten),
            KEYS_REWRAPPED => read(event).map(SecretEvent::KeysRewrapped),
            EXPIRING => read(event).map(SecretEvent::Expiring),
            EXPIRED => read(event).map(SecretEvent::Expired),
            _ => Err(Damaged("event of a kind that is not of secrets".into())),
        }
    }

    pub(crate) fn encode(self) -> ledger::Event {
        match self {
            SecretEvent::VersionWritten(fact) => ledger::Event { kind: VERSION_WRITTEN, body: body(fact) },
            SecretEvent::Deleted(fact) => ledger::Event { kind: DELETED, body: body(fact) },
            SecretEvent::Undeleted(fact) => ledger::Event { kind: UNDELETED, body: body(fact) },
            SecretEvent::Purged(fact) => ledger::Event { kind: PURGED, body: body(fact) },
            SecretEvent::MetadataWritten(fact) => ledger::Event { kind: METADATA_WRITTEN, body: body(fact) },
            SecretEvent::KeysRewrapped(fact) => ledger::Event { kind: KEYS_REWRAPPED, body: body(fact) },
            SecretEvent::Expiring(fact) => ledger::Event { kind: EXPIRING, body: body(fact) },
            SecretEvent::Expired(fact) => ledger::Event { kind: EXPIRED, body: body(fact) },
        }
    }

    pub(crate) fn paths(&self) -> Vec<&str> {
        match self {
            SecretEvent::VersionWritten(fact) => vec![&fact.path],
            SecretEvent::Deleted(fact) | SecretEvent::Undeleted(fact) => vec![&fact.path],
            SecretEvent::Purged(fact) => vec![&fact.path],
            SecretEvent::MetadataWritten(fact) => vec![&fact.path],
            SecretEvent::Expiring(fact) | SecretEvent::Expired(fact) => vec![&fact.path],
            SecretEvent::KeysRewrapped(facts) => facts.iter().map(|fact| fact.path.as_str()).collect(),
        }
    }
}

/// The paths of the secrets an event is about, for the access log and for people who read the ledger.
///
/// Errors: `Damaged` for bytes that do not decode or a kind of another engine.
pub fn paths_named(event: &EventRef<'_>) -> Result<Vec<String>, Damaged> {
    Ok(SecretEvent::decode(event)?.paths().into_iter().map(str::to_owned).collect())
}

/// What an event says was purged: the path, and the versions.
///
/// Errors: `Damaged` for bytes that do not decode or another kind than [`PURGED`].
pub fn purged_by(event: &EventRef<'_>) -> Result<(String, Vec<u64>), Damaged> {
    match SecretEvent::decode(event)? {
        SecretEvent::Purged(fact) => Ok((fact.path, fact.versions)),
        _ => Err(Damaged("an event that is no purge".into())),
    }
}
