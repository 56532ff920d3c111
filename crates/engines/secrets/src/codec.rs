//! Binary forms of foreign types inside stored bytes: fixed here, so that no other crate changes what is stored.

use ledger::Damaged;
use serde::{Serialize, de::DeserializeOwned};

/// Encodes a stored value. The only types used cannot fail to encode; an empty answer never decodes.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap_or_default()
}

/// Decodes all of `bytes`; left-over bytes are damage too.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Damaged> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(Damaged(format!("{what}: bytes left over"))),
        Err(_) => Err(Damaged(format!("{what}: does not decode"))),
    }
}

/// A place as batch number, batch id, index.
pub(crate) mod place {
    use ledger::StoredPlace;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use storage::Place;

    pub(crate) fn serialize<S: Serializer>(place: &Place, to: S) -> Result<S::Ok, S::Error> {
        StoredPlace::from(*place).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Place, D::Error> {
        StoredPlace::deserialize(from).map(Place::from)
    }
}

/// A time as milliseconds since 1970 UTC.
pub(crate) mod wall {
    use crypto::seam::WallMs;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &WallMs, to: S) -> Result<S::Ok, S::Error> {
        time.0.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<WallMs, D::Error> {
        u64::deserialize(from).map(WallMs)
    }
}

/// A time that may be absent.
pub(crate) mod wall_option {
    use crypto::seam::WallMs;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(time: &Option<WallMs>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.0).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<WallMs>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(WallMs))
    }
}
