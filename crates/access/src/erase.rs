//! Emptying a tenant that is being deleted: principals, policies and tokens, a few at a time.

use crate::codec::{decode, encode};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordKind, RecordName, View};
use serde::{Deserialize, Serialize};

/// Event: records of a tenant that is being deleted are gone.
pub const ERASED: &str = "auth.erased";

/// Most records of one step.
pub const ERASE_STEP: usize = 400;

/// Kinds of records that belong to a tenant's rights and configuration, and the folders they stand in.
pub const ERASED_PLACES: [(RecordKind, &[&str]); 10] = [
    (RecordKind::SESSION, &[]),
    (RecordKind::SESSION, &["id"]),
    (RecordKind::SESSION, &["swept"]),
    (RecordKind::LOGIN, &[]),
    (RecordKind::WRAP, &[]),
    (RecordKind::POLICY, &[]),
    (RecordKind::PRINCIPAL, &["entity"]),
    (RecordKind::PRINCIPAL, &[]),
    (RecordKind::APPLIED, &[]),
    (RecordKind::PASSWORD_POLICY, &[]),
];

#[derive(Serialize, Deserialize)]
enum Erased {
    V1 { records: Vec<(u8, Vec<Box<str>>)> },
}

/// Takes records out. Only whoever deletes a tenant submits it.
#[derive(Debug)]
pub struct Erase {
    records: Vec<RecordName>,
}

impl Erase {
    /// These records, at most [`ERASE_STEP`]: of [`ERASED_PLACES`], or what another engine is done with.
    pub fn new(records: Vec<RecordName>) -> Erase {
        Erase { records }
    }
}

impl Command for Erase {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn takes_away(&self) -> bool {
        true
    }

    fn decide(&self, _view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        let records = self.records.iter().map(|name| (name.kind.0, name.path.clone())).collect();
        let body = encode(&Erased::V1 { records })?;
        Ok(Outcome::new(vec![Event { kind: ERASED, body }], Vec::new()))
    }
}

/// The records an event of this kind took out. Errors: `Damaged`.
pub(crate) fn names(body: &[u8]) -> Result<Vec<RecordName>, Damaged> {
    let Erased::V1 { records } = decode(ERASED, body)?;
    Ok(records.into_iter().map(|(kind, path)| RecordName { kind: RecordKind(kind), path }).collect())
}
