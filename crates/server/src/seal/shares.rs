//! The seal whose key is in shares: it stands nowhere, and comes together in memory when enough holders give theirs.
//!
//! The public description of the set stands in front of the wrapped root key, so that both change in one commit: from the
//! moment a new set is in force, the one before it opens nothing.

use super::key_of;
use crypto::aead::{Aad, Header, Key, OpenError, SealFail, SealKey};
use crypto::seam::{Entropy, Seal, SealError};
use crypto::secret::SecretBytes;
use crypto::shamir::ShareSet;
use serde::{Deserialize, Serialize};

/// First byte of a root key wrapped by this seal; that of any other sealed blob is `A5`.
const LEAD: u8 = 0xA6;

/// What stands behind the lead, in postcard.
#[derive(Serialize, Deserialize)]
enum Wrapped {
    V1 { set: ShareSet, blob: Vec<u8> },
}

/// A seal whose key came out of shares.
#[derive(Debug)]
pub struct SharesSeal {
    key: Key<SealKey>,
    set: ShareSet,
}

impl SharesSeal {
    /// The seal with this key; `None` for bytes that are no key.
    #[must_use]
    pub fn new(key: &SecretBytes, set: ShareSet) -> Option<SharesSeal> {
        key_of(key).map(|key| SharesSeal { key, set })
    }

    /// The set whose shares make its key.
    #[must_use]
    pub fn set(&self) -> &ShareSet {
        &self.set
    }

    /// The set in front of a wrapped root key; `None` when another kind of seal wrapped it.
    ///
    /// Errors: `Damaged`.
    pub fn set_of(wrapped: &[u8]) -> Result<Option<ShareSet>, SealError> {
        match wrapped.first() {
            Some(&LEAD) => parse(wrapped).map(|(set, _)| Some(set)),
            _ => Ok(None),
        }
    }
}

fn parse(wrapped: &[u8]) -> Result<(ShareSet, Vec<u8>), SealError> {
    let (lead, rest) = wrapped.split_first().ok_or(SealError::Damaged)?;
    if *lead != LEAD {
        return Err(SealError::Mismatch);
    }
    let Wrapped::V1 { set, blob } = postcard::from_bytes(rest).map_err(|_| SealError::Damaged)?;
    if set.is_sound() { Ok((set, blob)) } else { Err(SealError::Damaged) }
}

impl Seal for SharesSeal {
    fn name(&self) -> String {
        "shares".to_owned()
    }

    fn wrap(&self, entropy: &dyn Entropy, secret: &SecretBytes, aad: Aad<'_>) -> Result<Vec<u8>, SealError> {
        let blob = self.key.seal(entropy, aad, secret.expose()).map_err(|fail| match fail {
            SealFail::NoEntropy => SealError::NoEntropy,
            _ => SealError::Unavailable,
        })?;
        let encoded = postcard::to_allocvec(&Wrapped::V1 { set: self.set.clone(), blob });
        let mut out = vec![LEAD];
        out.extend(encoded.map_err(|_| SealError::Unavailable)?);
        Ok(out)
    }

    fn unwrap(&self, wrapped: &[u8], aad: Aad<'_>) -> Result<SecretBytes, SealError> {
        let (_, blob) = parse(wrapped)?;
        let header = Header::parse(&blob).map_err(|_bad| SealError::Damaged)?;
        if header.key_id != self.key.id() {
            return Err(SealError::Mismatch);
        }
        self.key.open(aad, &blob).map_err(|error| match error {
            OpenError::UnknownKey { .. } => SealError::Mismatch,
            _ => SealError::Damaged,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto::aead::RootKey;
    use crypto::seam::{SystemEntropy, WallMs};
    use crypto::shamir::split;

    #[test]
    fn only_the_key_of_the_shares_opens_what_it_wrapped_and_the_set_stands_in_front_of_it() {
        let entropy = SystemEntropy::new();
        let seal = |fill| {
            let key = SecretBytes::from_slice(&[fill; 32]);
            let (set, _) = split(&entropy, &key, (2, 3), WallMs(1), Vec::new()).unwrap();
            SharesSeal::new(&key, set).unwrap()
        };
        let (one, two) = (seal(1), seal(2));
        let root = Key::<RootKey>::generate(&entropy).unwrap();
        let wrapped = root.seal_under(&one, &entropy).unwrap();
        assert_eq!(SharesSeal::set_of(&wrapped).unwrap().as_ref(), Some(one.set()));
        assert_eq!(Key::<RootKey>::unseal(&one, root.id(), &wrapped).unwrap().id(), root.id());
        assert_eq!(Key::<RootKey>::unseal(&two, root.id(), &wrapped).unwrap_err(), SealError::Mismatch);
        for at in 0..wrapped.len() {
            let mut bad = wrapped.clone();
            bad[at] ^= 1;
            // The description is for people; what counts is bound to the key.
            let opened = Key::<RootKey>::unseal(&one, root.id(), &bad);
            assert!(opened.is_err() || opened.unwrap().id() == root.id(), "{at}");
        }
        assert!(Key::<RootKey>::unseal(&one, root.id(), &wrapped[..wrapped.len() - 1]).is_err());
        assert_eq!(SharesSeal::set_of(&[0xA5, 1, 2]).unwrap(), None);
        assert!(SharesSeal::set_of(&[LEAD, 9, 9]).is_err());
    }
}
