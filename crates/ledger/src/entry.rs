//! Entries and batch rows: what is kept for ever, byte by byte.
//!
//! An entry is `tenant id (16) ‖ sealed blob`; its plaintext is a versioned [`Body`]. Its leaf is the RFC 6962 hash
//! of those bytes, so whoever has no key can still check the tree. A batch row is
//! `version (1) ‖ first leaf index (8) ‖ time in ms (8) ‖ entries`, each entry with a two-byte length before it, which
//! is the C2SP entry bundle form. All integers are big-endian.

use crate::unit::{Actor, Damaged, Event};
use bytes::Bytes;
use crypto::id::{OperationId, TenantId};
use crypto::seam::WallMs;
use serde::{Deserialize, Serialize};

/// Most bytes of one entry as stored.
pub const ENTRY_BYTES_MAX: usize = 65_535;

const ROW_VERSION: u8 = 1;
const ROW_HEAD_BYTES: usize = 17;

/// The typed fact inside an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// The unit it belongs to.
    pub operation: OperationId,
    /// When it was decided.
    pub time: WallMs,
    /// By whom.
    pub actor: Actor,
    /// Kind of event.
    pub kind: String,
    /// The engine's codec.
    pub body: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
enum Body<'a> {
    V1 {
        operation: OperationId,
        time_ms: u64,
        actor: Actor,
        kind: &'a str,
        #[serde(borrow, with = "raw")]
        body: &'a [u8],
    },
}

/// Byte strings in one piece instead of element by element.
mod raw {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'de [u8], D::Error> {
        <&'de [u8]>::deserialize(deserializer)
    }
}

/// Encodes a fact for sealing.
pub(crate) fn encode_fact(
    operation: OperationId,
    time: WallMs,
    actor: &Actor,
    event: &Event,
) -> Result<Vec<u8>, Damaged> {
    let body = Body::V1 { operation, time_ms: time.0, actor: actor.clone(), kind: event.kind, body: &event.body };
    postcard::to_allocvec(&body).map_err(|_| Damaged("an event that cannot be encoded".into()))
}

/// Decodes what [`encode_fact`] wrote.
pub(crate) fn decode_fact(plain: &[u8]) -> Result<Fact, Damaged> {
    let Body::V1 { operation, time_ms, actor, kind, body } =
        postcard::from_bytes(plain).map_err(|_| Damaged("an entry whose content does not decode".into()))?;
    Ok(Fact { operation, time: WallMs(time_ms), actor, kind: kind.to_owned(), body: body.to_vec() })
}

/// Splits an entry into its tenant and its sealed blob.
pub(crate) fn split_entry(entry: &[u8]) -> Result<(TenantId, &[u8]), Damaged> {
    let (tenant, sealed) =
        entry.split_first_chunk::<16>().ok_or_else(|| Damaged("an entry without a tenant".into()))?;
    Ok((TenantId::from_bytes(*tenant), sealed))
}

/// A batch row taken apart.
#[derive(Clone, Debug)]
pub struct BatchRow {
    /// Leaf index of its first entry: the size of the tree before it.
    pub first: u64,
    /// When it was decided.
    pub time: WallMs,
    /// Its entries as stored, without their lengths.
    pub entries: Vec<Bytes>,
}

impl BatchRow {
    /// Bytes as stored. Errors: an entry longer than [`ENTRY_BYTES_MAX`].
    pub(crate) fn encode(&self) -> Result<Bytes, Damaged> {
        let size: usize = self.entries.iter().map(|entry| entry.len().saturating_add(2)).sum();
        let mut out = Vec::with_capacity(ROW_HEAD_BYTES.saturating_add(size));
        out.push(ROW_VERSION);
        out.extend_from_slice(&self.first.to_be_bytes());
        out.extend_from_slice(&self.time.0.to_be_bytes());
        for entry in &self.entries {
            let length = u16::try_from(entry.len()).map_err(|_| Damaged("an entry past 65,535 bytes".into()))?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(entry);
        }
        Ok(out.into())
    }

    /// Reads a row. Errors name what is wrong; never panics, whatever the bytes.
    pub fn decode(row: &Bytes) -> Result<BatchRow, Damaged> {
        let damaged = |what: &str| Damaged(format!("a batch row {what}"));
        let (head, mut rest) = row.split_first_chunk::<ROW_HEAD_BYTES>().ok_or_else(|| damaged("cut short"))?;
        if head.first() != Some(&ROW_VERSION) {
            return Err(damaged("of a version this server does not know"));
        }
        let number = |at: usize| {
            let bytes = head.get(at..at.saturating_add(8)).and_then(|b| <[u8; 8]>::try_from(b).ok());
            u64::from_be_bytes(bytes.unwrap_or_default())
        };
        let mut entries = Vec::new();
        while let Some((length, tail)) = rest.split_first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (entry, tail) = tail.split_at_checked(length).ok_or_else(|| damaged("with an entry cut short"))?;
            entries.push(row.slice_ref(entry));
            rest = tail;
        }
        if !rest.is_empty() {
            return Err(damaged("with bytes left over"));
        }
        Ok(BatchRow { first: number(1), time: WallMs(number(9)), entries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_back_and_every_cut_is_refused() {
        let row = BatchRow {
            first: 7,
            time: WallMs(9),
            entries: vec![Bytes::from_static(b"one"), Bytes::new(), Bytes::from_static(b"three")],
        };
        let bytes = row.encode().unwrap();
        let back = BatchRow::decode(&bytes).unwrap();
        assert_eq!((back.first, back.time, &back.entries), (7, WallMs(9), &row.entries));
        for end in 0..bytes.len() {
            let cut = BatchRow::decode(&bytes.slice(..end));
            assert!(cut.is_err() || cut.unwrap().entries.len() < 3);
        }
    }

    #[test]
    fn an_entry_at_the_limit_fits_and_one_past_does_not() {
        let row = |n: usize| BatchRow { first: 0, time: WallMs(0), entries: vec![vec![0; n].into()] };
        assert!(row(ENTRY_BYTES_MAX).encode().is_ok());
        assert!(row(ENTRY_BYTES_MAX + 1).encode().is_err());
    }
}
