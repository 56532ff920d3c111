//! How a lost key file comes back: beside the root key that it wrapped stands the file's key too, in an age file for a key
//! that is in shares. Both stand in one row, so that each new wrapping of the root key, by a rekey or a rotation, brings the
//! way back with it, and every backup has it.

use super::key_of;
use crypto::age::{self, Identity, Recipient};
use crypto::secret::SecretBytes;
use crypto::shamir::ShareSet;
use serde::{Deserialize, Serialize};

/// First byte of a root key wrapped with a way back.
const LEAD: u8 = 0xA7;

/// To whom the key file's key is sealed: a key whose shares people hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    set: ShareSet,
    recipient: [u8; 32],
}

/// A wrapped root key with a way back.
#[derive(Serialize, Deserialize)]
enum Stored {
    /// The blob holds the root key and once more the plan, where nobody can exchange it.
    V1 { plan: Plan, escrow: Vec<u8>, blob: Vec<u8> },
}

/// First byte inside the blob; then the length of the root key in one byte, the root key, the plan in postcard.
const INSIDE: u8 = 1;

/// The row, or the part of it that was asked for, is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl Plan {
    /// The plan for a key in shares; `None` for bytes that are no key.
    #[must_use]
    pub fn new(set: ShareSet, key: SecretBytes) -> Option<Plan> {
        let recipient = *Identity::from_secret(key)?.recipient().as_bytes();
        Some(Plan { set, recipient })
    }

    /// The shares that lead back.
    #[must_use]
    pub fn set(&self) -> &ShareSet {
        &self.set
    }

    pub(super) fn recipient(&self) -> Recipient {
        Recipient::from_bytes(self.recipient)
    }

    /// The plaintext of the blob.
    pub(super) fn inside(&self, secret: &SecretBytes) -> Option<SecretBytes> {
        let plan = postcard::to_allocvec(self).ok()?;
        // Of full length from the start, so that it is never moved while it grows.
        let mut plain = Vec::with_capacity(plan.len().checked_add(secret.len())?.checked_add(2)?);
        plain.extend_from_slice(&[INSIDE, u8::try_from(secret.len()).ok()?]);
        plain.extend_from_slice(secret.expose());
        plain.extend_from_slice(&plan);
        Some(SecretBytes::new(plain))
    }

    /// What the blob held.
    pub(super) fn split(plain: &SecretBytes) -> Option<(SecretBytes, Plan)> {
        let (&[version, length], rest) = plain.expose().split_first_chunk()?;
        let (secret, plan) = rest.split_at_checked(length.into())?;
        let plan = (version == INSIDE).then(|| postcard::from_bytes(plan).ok())??;
        Some((SecretBytes::from_slice(secret), plan))
    }

    pub(super) fn store(&self, escrow: Vec<u8>, blob: Vec<u8>) -> Option<Vec<u8>> {
        let mut out = vec![LEAD];
        out.extend(postcard::to_allocvec(&Stored::V1 { plan: self.clone(), escrow, blob }).ok()?);
        Some(out)
    }
}

/// The blob of a row with a way back; `None` for any other row.
pub(super) fn blob_of(wrapped: &[u8]) -> Result<Option<Vec<u8>>, Damaged> {
    Ok(parse(wrapped)?.map(|Stored::V1 { blob, .. }| blob))
}

/// The shares that make the key file of this wrapped root key again; `None` where there is no such way.
///
/// Errors: the row is damaged.
pub fn set_of(wrapped: &[u8]) -> Result<Option<ShareSet>, Damaged> {
    Ok(parse(wrapped)?.map(|Stored::V1 { plan, .. }| plan.set))
}

/// The key file's key, out of a wrapped root key and the key that the shares make. `None` where they do not belong together.
#[must_use]
pub fn recovered(wrapped: &[u8], key: SecretBytes) -> Option<SecretBytes> {
    let Stored::V1 { escrow, .. } = parse(wrapped).ok()??;
    let bytes = age::open(&Identity::from_secret(key)?, &escrow).ok()?;
    key_of(&bytes).is_some().then_some(bytes)
}

fn parse(wrapped: &[u8]) -> Result<Option<Stored>, Damaged> {
    match wrapped.split_first() {
        Some((&LEAD, rest)) => {
            let stored: Stored = postcard::from_bytes(rest).map_err(|_| Damaged)?;
            let Stored::V1 { plan, .. } = &stored;
            if plan.set.is_sound() { Ok(Some(stored)) } else { Err(Damaged) }
        }
        _ => Ok(None),
    }
}
