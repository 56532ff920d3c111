//! A record in memory and at rest.
//!
//! At rest, before sealing: `version (1) ‖ as of batch (8) ‖ state (1) ‖ name length (1) ‖ name ‖ body`. The batch number
//! makes a repeated fold harmless: an event is applied only to a record older than its batch. Removed records stay as
//! markers until the next fold has begun for the same reason.

use crate::unit::Damaged;
use std::sync::Arc;

const VERSION: u8 = 1;
const PRESENT: u8 = 1;
const REMOVED: u8 = 0;

/// A record's name among its siblings and its content.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) name: Box<str>,
    pub(crate) body: Arc<[u8]>,
}

/// A record or its absence, as of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub(crate) as_of: u64,
    pub(crate) record: Option<Arc<Record>>,
}

impl Slot {
    /// Never written.
    pub(crate) const ABSENT: Slot = Slot { as_of: 0, record: None };

    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    pub(crate) fn body(&self) -> Option<Arc<[u8]>> {
        self.record.as_ref().map(|record| Arc::clone(&record.body))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let (state, name, body) = match &self.record {
            Some(record) => (PRESENT, record.name.as_bytes(), record.body.as_ref()),
            None => (REMOVED, [].as_slice(), [].as_slice()),
        };
        let mut out = Vec::with_capacity(body.len().saturating_add(name.len()).saturating_add(11));
        out.push(VERSION);
        out.extend_from_slice(&self.as_of.to_be_bytes());
        out.push(state);
        // Segments are at most 255 bytes long.
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name);
        out.extend_from_slice(body);
        out
    }

    pub(crate) fn decode(plain: &[u8]) -> Result<Slot, Damaged> {
        let bad = || Damaged("its content does not decode".into());
        let (version, rest) = plain.split_first().ok_or_else(bad)?;
        if *version != VERSION {
            return Err(Damaged("written by a newer version".into()));
        }
        let (as_of, rest) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        let ([state, length], rest) = rest.split_first_chunk::<2>().ok_or_else(bad)?;
        let (name, body) = rest.split_at_checked(usize::from(*length)).ok_or_else(bad)?;
        let as_of = u64::from_be_bytes(*as_of);
        if *state == REMOVED {
            return Ok(Slot { as_of, record: None });
        }
        let name = std::str::from_utf8(name).map_err(|_| bad())?;
        Ok(Slot { as_of, record: Some(Arc::new(Record { name: name.into(), body: body.into() })) })
    }
}
