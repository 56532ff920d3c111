//! The second row of a commit: intents, volatile things and drops on their way to their own places.

use crate::unit::{Damaged, Dropped, IntentKey};
use crypto::id::TenantId;
use serde::{Deserialize, Serialize};
use storage::Place;

/// An open intent as it travels and as it rests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredIntent {
    /// Whose.
    pub tenant: TenantId,
    /// Due time and id.
    pub key: IntentKey,
    /// Whose it is, such as `keys.rotate`.
    pub kind: String,
    /// The owner's codec.
    #[serde(with = "crypto::run")]
    pub body: Vec<u8>,
}

/// A volatile thing as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SideVolatile {
    pub(crate) tenant: TenantId,
    #[serde(with = "crypto::run::fixed")]
    pub(crate) key: [u8; 16],
    pub(crate) expires_ms: u64,
    #[serde(with = "crypto::run")]
    pub(crate) body: Vec<u8>,
}

/// Everything of a batch that is neither entry nor key nor blob.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) intents: Vec<StoredIntent>,
    pub(crate) closed: Vec<(TenantId, IntentKey)>,
    pub(crate) volatile: Vec<SideVolatile>,
    pub(crate) drops: Vec<Dropped>,
    pub(crate) rings: Vec<(TenantId, Place)>,
}

#[derive(Serialize, Deserialize)]
enum StoredSide {
    V1 {
        intents: Vec<StoredIntent>,
        closed: Vec<(TenantId, IntentKey)>,
        volatile: Vec<SideVolatile>,
        keys: Vec<StoredPlace>,
        blobs: Vec<StoredPlace>,
        rings: Vec<(TenantId, StoredPlace)>,
    },
}

/// A place as it rests in records and side rows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct StoredPlace {
    number: u64,
    #[serde(with = "crypto::run::fixed")]
    id: [u8; 16],
    index: u32,
}

impl StoredIntent {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Encoding into memory fails for no value of this type.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    pub(crate) fn decode(plain: &[u8]) -> Result<StoredIntent, Damaged> {
        postcard::from_bytes(plain).map_err(|_| Damaged("an intent that does not decode".into()))
    }
}

impl From<Place> for StoredPlace {
    fn from(place: Place) -> StoredPlace {
        StoredPlace { number: place.number.0, id: place.id.0, index: place.index }
    }
}

impl From<StoredPlace> for Place {
    fn from(place: StoredPlace) -> Place {
        Place { number: storage::BatchNumber(place.number), id: storage::BatchId(place.id), index: place.index }
    }
}

impl Side {
    pub(crate) fn is_empty(&self) -> bool {
        self.intents.is_empty()
            && self.closed.is_empty()
            && self.volatile.is_empty()
            && self.drops.is_empty()
            && self.rings.is_empty()
    }

    /// Whether it does nothing but drop keys and blobs: that can wait, and be repeated, beside any other.
    pub(crate) fn only_drops(&self) -> bool {
        self.intents.is_empty() && self.closed.is_empty() && self.volatile.is_empty() && self.rings.is_empty()
    }

    pub(crate) fn append(&mut self, mut other: Side) {
        self.intents.append(&mut other.intents);
        self.closed.append(&mut other.closed);
        self.volatile.append(&mut other.volatile);
        self.drops.append(&mut other.drops);
        self.rings.append(&mut other.rings);
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, Damaged> {
        let places = |key: bool| {
            let pick = |dropped: &Dropped| match dropped {
                Dropped::Key(place) if key => Some(StoredPlace::from(*place)),
                Dropped::Blob(place) if !key => Some(StoredPlace::from(*place)),
                _ => None,
            };
            self.drops.iter().filter_map(pick).collect()
        };
        let stored = StoredSide::V1 {
            intents: self.intents.clone(),
            closed: self.closed.clone(),
            volatile: self.volatile.clone(),
            keys: places(true),
            blobs: places(false),
            rings: self.rings.iter().map(|(tenant, place)| (*tenant, (*place).into())).collect(),
        };
        postcard::to_allocvec(&stored).map_err(|_| Damaged("a side row that cannot be encoded".into()))
    }

    pub(crate) fn decode(plain: &[u8]) -> Result<Side, Damaged> {
        let StoredSide::V1 { intents, closed, volatile, keys, blobs, rings } =
            postcard::from_bytes(plain).map_err(|_| Damaged("a side row that does not decode".into()))?;
        let keys = keys.into_iter().map(|place| Dropped::Key(place.into()));
        let blobs = blobs.into_iter().map(|place| Dropped::Blob(place.into()));
        let rings = rings.into_iter().map(|(tenant, place)| (tenant, place.into())).collect();
        Ok(Side { intents, closed, volatile, drops: keys.chain(blobs).collect(), rings })
    }
}
