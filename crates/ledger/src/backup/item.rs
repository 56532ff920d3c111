//! What the chunks hold, one after another.

use crate::unit::Damaged;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use storage::{BatchId, BatchNumber, Key, Kind, Place, Put, Shard};

/// One thing in a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Item {
    /// A batch with the keys and values that are left of it.
    Batch {
        number: u64,
        #[serde(with = "crypto::run::fixed")]
        id: [u8; 16],
        #[serde(with = "crypto::run")]
        row: Vec<u8>,
        rows: Vec<Row>,
    },
    /// A wrapped key of the hierarchy.
    Ring {
        #[serde(with = "crypto::run::fixed")]
        tenant: [u8; 16],
        number: u64,
        #[serde(with = "crypto::run::fixed")]
        id: [u8; 16],
        index: u32,
        #[serde(with = "crypto::run")]
        value: Vec<u8>,
    },
    /// What a batch left to be carried out.
    Side {
        number: u64,
        #[serde(with = "crypto::run")]
        value: Vec<u8>,
    },
    /// An open intent.
    Intent {
        #[serde(with = "crypto::run")]
        key: Vec<u8>,
        #[serde(with = "crypto::run")]
        value: Vec<u8>,
    },
    /// A count of seals.
    Count {
        #[serde(with = "crypto::run")]
        key: Vec<u8>,
        #[serde(with = "crypto::run")]
        value: Vec<u8>,
    },
}

/// A data key or a sealed value of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    /// Whether it is a value.
    pub(super) blob: bool,
    pub(super) index: u32,
    #[serde(with = "crypto::run")]
    pub(super) value: Vec<u8>,
}

impl Item {
    pub(super) fn encode(&self) -> Result<Vec<u8>, Damaged> {
        postcard::to_allocvec(self).map_err(|_| Damaged("an item of a backup that cannot be encoded".into()))
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Item, Damaged> {
        postcard::from_bytes(bytes).map_err(|_| Damaged("an item that does not decode".into()))
    }
}

impl Row {
    pub(super) fn kind(&self) -> Kind {
        if self.blob { Kind::Blob } else { Kind::Key }
    }

    /// As it is written with its batch.
    pub(super) fn put(self, shard: Shard, number: BatchNumber, id: BatchId) -> Put {
        let place = Place { number, id, index: self.index };
        Put { key: place.key(self.kind(), shard), value: Bytes::from(self.value) }
    }
}

/// The place in a key of a data key or value.
pub(super) fn place_of(key: &Key) -> Option<Place> {
    Some(Place::from_bytes(key.rest().try_into().ok()?))
}
