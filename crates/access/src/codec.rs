//! Stored forms: postcard of versioned enums, no byte more and no byte less.

use ledger::code::{self, Refusal};
use ledger::{Damaged, Halt};
use serde::Serialize;
use serde::de::Deserialize;

/// Writes a stored form. Errors: `server.bug` (nothing happened); no value of ours fails to encode.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Halt> {
    postcard::to_allocvec(value).map_err(|_| Halt::Refuse(Refusal::new(&code::BUG, "a record could not be encoded")))
}

/// Writes a record in `evolve`, where the only error is damage.
pub(crate) fn record<T: Serialize>(value: &T) -> Result<Option<Vec<u8>>, Damaged> {
    postcard::to_allocvec(value).map(Some).map_err(|_| Damaged("a record that cannot be encoded".into()))
}

/// Reads a stored form; trailing bytes are damage. `what` names the thing in the error.
pub(crate) fn decode<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, Damaged> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Damaged(what.to_owned())),
    }
}

/// Lower-case hexadecimal of a token's digest: how records of tokens are named.
pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
