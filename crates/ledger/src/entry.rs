//! Entries and batch rows: what is kept for ever, byte by byte.
//!
//! An entry is `tenant id (16) ‖ sealed blob`; the blob's plaintext is a versioned [`Body`]. Its leaf is the RFC 6962 hash
//! of those bytes, so whoever has no key can still check the tree.
//!
//! What the access log says of its segments is for those who have no key, so these entries say it in clear as well:
//! `tenant id (16) ‖ 5A ‖ length (2) ‖ statement ‖ sealed blob`, where the statement is the event's body. It holds
//! hashes, counts and times that stand in clear in the log's own files too; being in the leaf, it cannot be changed
//! without breaking the tree. A sealed blob begins with another byte, so the two forms cannot be taken for each other.
//!
//! A batch row is
//! `version (1) ‖ first leaf index (8) ‖ time in ms (8) ‖ entries`, each entry with a two-byte length before it, which
//! is the C2SP entry bundle form. All integers are big-endian.

use crate::access_log::{SEGMENT_CLOSED, SEGMENTS_REMOVED, Statement};
use crate::unit::{Actor, Damaged, Event};
use bytes::Bytes;
use crypto::id::{OperationId, TenantId};
use crypto::seam::WallMs;
use serde::{Deserialize, Serialize};

/// Most bytes of one entry as stored.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Stands after the tenant of an entry with a statement in clear.
const STATED: u8 = 0x5A;

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
        #[serde(borrow, serialize_with = "crypto::run::serialize")]
        body: &'a [u8],
    },
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

/// Kinds whose body stands in clear as well: what the log says of its segments, which holds no name and no value.
fn is_stated(kind: &str) -> bool {
    kind == SEGMENT_CLOSED || kind == SEGMENTS_REMOVED
}

/// Bytes of an entry around its sealed blob. Errors: a statement longer than 65,535 bytes.
pub(crate) fn encode_entry(tenant: TenantId, event: &Event, sealed: &[u8]) -> Result<Bytes, Damaged> {
    let stated = is_stated(event.kind);
    let clear = if stated { event.body.as_slice() } else { &[] };
    let mut entry = Vec::with_capacity(sealed.len().saturating_add(clear.len()).saturating_add(19));
    entry.extend_from_slice(tenant.as_bytes());
    if stated {
        let length = u16::try_from(clear.len()).map_err(|_| Damaged("a statement past 65,535 bytes".into()))?;
        entry.push(STATED);
        entry.extend_from_slice(&length.to_be_bytes());
        entry.extend_from_slice(clear);
    }
    entry.extend_from_slice(sealed);
    Ok(entry.into())
}

/// An entry taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) tenant: TenantId,
    /// What it says in clear.
    pub(crate) stated: Option<&'a [u8]>,
    pub(crate) sealed: &'a [u8],
}

impl Parts<'_> {
    /// Whether what it says in clear is what it says sealed.
    pub(crate) fn agree(&self, fact: &Fact) -> Result<(), Damaged> {
        match self.stated {
            None => Ok(()),
            Some(stated) if is_stated(&fact.kind) && stated == fact.body => Ok(()),
            Some(_) => Err(Damaged("an entry that says in clear what it does not say sealed".into())),
        }
    }
}

/// Splits an entry into its tenant, its statement if it has one, and its sealed blob.
pub(crate) fn split_entry(entry: &[u8]) -> Result<Parts<'_>, Damaged> {
    let (tenant, rest) = entry.split_first_chunk::<16>().ok_or_else(|| Damaged("an entry without a tenant".into()))?;
    let tenant = TenantId::from_bytes(*tenant);
    let Some((&[STATED], rest)) = rest.split_first_chunk::<1>() else {
        return Ok(Parts { tenant, stated: None, sealed: rest });
    };
    let cut = || Damaged("an entry whose statement is cut short".into());
    let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
    let (stated, sealed) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(cut)?;
    Ok(Parts { tenant, stated: Some(stated), sealed })
}

/// What an entry says in clear of the access log, for whoever has no key; none for any other entry.
///
/// Errors: bytes that are no entry, or a statement by a tenant, who has no say in it. Never panics, whatever the bytes.
pub fn statement(entry: &[u8]) -> Result<Option<Statement>, Damaged> {
    let parts = split_entry(entry)?;
    let Some(stated) = parts.stated else { return Ok(None) };
    if parts.tenant != TenantId::SYSTEM {
        return Err(Damaged("an entry of a tenant about the access log".into()));
    }
    Statement::decode(stated).map(Some)
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
    /// Leaf index after its last entry: the size of the tree with it.
    pub(crate) fn end(&self) -> u64 {
        self.first.saturating_add(u64::try_from(self.entries.len()).unwrap_or(u64::MAX))
    }

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
    fn a_statement_is_read_without_a_key_and_every_cut_is_refused() {
        let removed = crate::access_log::RemovedSegments { log: crate::access_log::LogId([7; 8]), first: 1, last: 300 };
        let event = Event { kind: SEGMENTS_REMOVED, body: removed.encode().unwrap() };
        let entry = encode_entry(TenantId::SYSTEM, &event, b"\xA5sealed").unwrap();
        assert_eq!(statement(&entry).unwrap(), Some(Statement::Removed(removed)));
        assert_eq!(split_entry(&entry).unwrap().sealed, b"\xA5sealed");
        for end in 0..entry.len() - b"\xA5sealed".len() {
            assert!(!matches!(statement(&entry[..end]), Ok(Some(_))), "cut at {end}");
        }
        let by_tenant = encode_entry(TenantId::from_bytes([1; 16]), &event, b"\xA5sealed").unwrap();
        assert!(statement(&by_tenant).is_err());
        let plain = Event { kind: "secret.version.written", body: vec![1] };
        let entry = encode_entry(TenantId::SYSTEM, &plain, b"\xA5sealed").unwrap();
        assert_eq!(statement(&entry).unwrap(), None);
        assert_eq!(entry.len(), 16 + 7, "other entries are as they always were");
    }

    #[test]
    fn an_entry_at_the_limit_fits_and_one_past_does_not() {
        let row = |n: usize| BatchRow { first: 0, time: WallMs(0), entries: vec![vec![0; n].into()] };
        assert!(row(ENTRY_BYTES_MAX).encode().is_ok());
        assert!(row(ENTRY_BYTES_MAX + 1).encode().is_err());
    }
}
