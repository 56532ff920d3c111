//! What a key is for, in its type.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;

use super::warm::Warm;

/// What a key is for. Implemented by the markers of this module only.
pub trait Purpose: inner::Inner + Send + Sync + 'static {
    /// How the purpose is called in messages.
    const NAME: &'static str;
}

/// A purpose whose keys seal and open. The others sign or name.
pub trait Cipher: Purpose + inner::Cipher {}

pub(super) use inner::{Cipher as InnerCipher, Inner};

mod inner {
    use super::LessSafeKey;

    /// Not nameable outside, so that no other crate makes up purposes.
    pub trait Inner {
        /// Written into the associated data of a wrapped key; never changed or used again. 0 means a value.
        const CODE: u8;
        /// Whether the bytes lie in locked memory.
        const LOCKED: bool;
        /// What is worked out from the bytes, once or while the key is used, and kept.
        type Ready: Send + Sync;
        fn ready(bytes: &[u8; 32]) -> Option<Self::Ready>;
    }

    pub trait Cipher: Inner {
        /// Runs `act` with the expanded key.
        fn with<T>(ready: &Self::Ready, bytes: &[u8; 32], act: impl FnOnce(&LessSafeKey) -> T) -> Option<T>;
    }
}

/// Expands an AES key. `None` only if memory runs out.
fn expand(bytes: &[u8; 32]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new)
}

macro_rules! purpose {
    ($(#[$doc:meta])* $name:ident, $text:literal, $code:literal, locked: $locked:literal, $ready:ty, $make:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Purpose for $name {
            const NAME: &'static str = $text;
        }

        impl Inner for $name {
            const CODE: u8 = $code;
            const LOCKED: bool = $locked;
            type Ready = $ready;
            fn ready(bytes: &[u8; 32]) -> Option<$ready> {
                $make(bytes)
            }
        }
    };
}

/// Seldom used or short-lived: expanded for each use, so that the only lasting copy is the locked one.
macro_rules! cold {
    ($($name:ident),*) => {$(
        impl Cipher for $name {}
        impl InnerCipher for $name {
            fn with<T>(_: &(), bytes: &[u8; 32], act: impl FnOnce(&LessSafeKey) -> T) -> Option<T> {
                expand(bytes).map(|key| act(&key))
            }
        }
    )*};
}

/// Used for every entry and record: kept expanded while that goes on.
macro_rules! hot {
    ($($name:ident),*) => {$(
        impl Cipher for $name {}
        impl InnerCipher for $name {
            fn with<T>(ready: &Warm<LessSafeKey>, bytes: &[u8; 32], act: impl FnOnce(&LessSafeKey) -> T) -> Option<T> {
                ready.with(|| expand(bytes).ok_or(()), act).ok()
            }
        }
    )*};
}

purpose!(
    /// The key of a seal, like the content of a key file; wraps the root key.
    SealKey, "seal key", 1, locked: true, (), |_| Some(())
);
purpose!(
    /// The root key; wraps tenant keys and what the cluster shares.
    RootKey, "root key", 2, locked: true, (), |_| Some(())
);
purpose!(
    /// A tenant's key; wraps that tenant's data, log, state and name keys.
    TenantKey, "tenant key", 3, locked: true, (), |_| Some(())
);
purpose!(
    /// The key of one version of one secret; seals its value, once.
    DataKey, "data key", 4, locked: false, (), |_| Some(())
);
purpose!(
    /// The key of entries and access rows for a month.
    LogKey, "log key", 5, locked: false, Warm<LessSafeKey>, |_| Some(Warm::new())
);
purpose!(
    /// The key of records, intents and volatile things.
    StateKey, "state key", 6, locked: false, Warm<LessSafeKey>, |_| Some(Warm::new())
);
purpose!(
    /// Makes record ids out of names; seals nothing and is never replaced.
    NameKey, "name key", 7, locked: false, Warm<hmac::Key>, |_| Some(Warm::new())
);
purpose!(
    /// Signs checkpoints with Ed25519 (RFC 8032).
    CheckpointKey, "checkpoint key", 8, locked: false, Box<Ed25519KeyPair>,
    |bytes: &[u8; 32]| Ed25519KeyPair::from_seed_unchecked(bytes).ok().map(Box::new)
);
purpose!(
    /// The key of one backup.
    BackupKey, "backup key", 10, locked: false, Warm<LessSafeKey>, |_| Some(Warm::new())
);
purpose!(
    /// The key that only the bearer of a token has ([`crate::token::bearer_key`]); seals what is handed to them.
    BearerKey, "bearer key", 13, locked: false, (), |_| Some(())
);
cold!(SealKey, RootKey, TenantKey, DataKey, BearerKey);
hot!(LogKey, StateKey, BackupKey);
