//! Opens rows.

use super::frame::{self, Frame, SALT_BYTES};
use super::row::{self, Row};
use super::sink::{Numbered, RowKeys};
use crate::code::Refusal;
use crypto::aead::{Aad, Header};

/// Why a row did not open.
#[derive(Debug)]
pub(super) enum Unopened {
    /// Its key cannot be had.
    NoKey(Refusal),
    /// It is not what was sealed for this place, or does not match its commitment.
    Damaged,
}

/// A row and the plaintext that its commitment is of.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) numbered: Numbered,
    pub(super) plain: Vec<u8>,
}

pub(super) fn open(segment: u64, frame: &Frame<'_>, keys: &dyn RowKeys) -> Result<Opened, Unopened> {
    let plain = if frame.clear {
        frame.body.to_vec()
    } else {
        let id = Header::parse(frame.body).map_err(|_| Unopened::Damaged)?.key_id;
        let key = keys.by_id(frame.tenant, id).map_err(Unopened::NoKey)?;
        let aad = Aad::access_row(frame.tenant, segment, frame.sequence);
        key.open(aad, frame.body).map_err(|_| Unopened::Damaged)?.expose().to_vec()
    };
    let row = read(frame, &plain).ok_or(Unopened::Damaged)?;
    let numbered = Numbered { segment, sequence: frame.sequence, clear: frame.clear, row };
    Ok(Opened { numbered, plain })
}

/// Reads a plaintext that the frame commits to.
pub(super) fn read(frame: &Frame<'_>, plain: &[u8]) -> Option<Row> {
    let encoded = plain.get(SALT_BYTES..)?;
    if frame::commitment(plain) != *frame.commitment {
        return None;
    }
    row::decode(frame.tenant, encoded).ok()
}
