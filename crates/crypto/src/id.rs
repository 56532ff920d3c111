//! Names of things that no one can guess or confuse: one type per kind of thing.

use core::fmt;
use core::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use crate::crockford;
use crate::run;
use crate::seam::{Entropy, NoEntropy, WallMs};

/// The text is not an id of the wanted kind in its one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadId;

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id of the wanted kind")
    }
}

impl core::error::Error for BadId {}

/// Text in formats for people, bare bytes in binary ones.
macro_rules! codec {
    ($name:ident, $length:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    run::fixed::serialize(&self.0, serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    // An owned string, because not every format can lend one.
                    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
                } else {
                    run::fixed::deserialize(deserializer).map(Self)
                }
            }
        }

        impl $name {
            /// Takes the bytes as they are.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes, whose order is the order of the ids.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }
    };
}

macro_rules! timed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        ///
        /// 48 bits of milliseconds, then 80 random bits, so that ids made later sort later. Text is
        #[doc = concat!("`", $prefix, "` and 26 characters of lower-case Crockford base32;")]
        /// only that spelling is read. Binary codecs hold the 16 bytes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Makes a fresh id. Times past the year 10889 share one value.
            ///
            /// # Errors
            /// [`NoEntropy`]; nothing was made.
            pub fn generate(now: WallMs, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
                timed(now, entropy).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                f.write_str(&crockford::encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix($prefix).and_then(crockford::decode).map(Self).ok_or(BadId)
            }
        }

        codec!($name, 16);
    };
}

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        ///
        /// Random, not secret. Text is lower-case hex; binary codecs hold the bytes.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Makes a fresh id.
            ///
            /// # Errors
            /// [`NoEntropy`]; nothing was made.
            pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
                let mut out = [0; $length];
                entropy.fill_public(&mut out)?;
                if out == [0; $length] { Err(NoEntropy) } else { Ok(Self(out)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&crockford::hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                crockford::unhex(text).map(Self).ok_or(BadId)
            }
        }

        codec!($name, $length);
    };
}

timed_id!(
    /// A tenant: the boundary that every record, key, entry and policy lies within.
    TenantId, "ten_"
);
timed_id!(
    /// An entity: the stable identity behind several logins.
    EntityId, "ent_"
);
timed_id!(
    /// A session: the time-bounded proof of a login. Not the token.
    SessionId, "ses_"
);
timed_id!(
    /// One unit of work, by which a caller asks later whether it took effect.
    OperationId, "evt_"
);
timed_id!(
    /// A backup, by which its file is named.
    BackupId, "bak_"
);
random_id!(
    /// A sealed blob.
    BlobId, 16
);
random_id!(
    /// A version of a key, written in clear in front of everything it seals.
    KeyId, 8
);

impl TenantId {
    /// The tenant that owns what belongs to nobody.
    pub const SYSTEM: Self = Self([0; 16]);
}

impl EntityId {
    /// Who acts when the server acts by itself.
    pub const SYSTEM: Self = Self([0; 16]);
}

fn timed(now: WallMs, entropy: &dyn Entropy) -> Result<[u8; 16], NoEntropy> {
    let mut out = [0; 16];
    let (time, random) = out.split_at_mut(6);
    entropy.fill_public(random)?;
    if random.iter().all(|byte| *byte == 0) {
        return Err(NoEntropy);
    }
    let ms = now.0.min((1 << 48) - 1).to_be_bytes();
    time.copy_from_slice(ms.last_chunk::<6>().unwrap_or(&[0; 6]));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_the_prefix_and_reads_back() {
        let id = TenantId::from_bytes(*b"\x01\x8f\xcd\xef\x01\x02abcdefghij");
        assert_eq!(id.to_string(), "ten_01hz6yy082c5h66s35cskpgtba");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(TenantId::SYSTEM.to_string(), "ten_00000000000000000000000000");
        assert_eq!(id.to_string().replace("ten_", "ent_").parse::<TenantId>(), Err(BadId));
        assert_eq!(id.to_string().to_uppercase().parse::<TenantId>(), Err(BadId));
        let key = KeyId::from_bytes([0, 1, 2, 3, 4, 5, 0xfe, 0xff]);
        assert_eq!(key.to_string(), "000102030405feff");
        assert_eq!(key.to_string().parse(), Ok(key));
    }
}
