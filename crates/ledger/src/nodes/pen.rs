//! The pen: who folds and does what is due, as a record of the ledger.

use super::NodeId;
use crate::unit::{Command, Context, Damaged, Event, EventRef, Halt, Outcome, RecordKind, RecordName, Rules, View};
use serde::{Deserialize, Serialize};

/// Another node folds from now on.
const PEN_TAKEN: &str = "node.pen.taken";

/// Who holds the pen, and the how manieth holder that is.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Pen {
    pub(super) holder: Option<NodeId>,
    pub(super) turn: u64,
}

/// Body of the event, and of the record.
#[derive(Serialize, Deserialize)]
enum StoredPen {
    V1 { node: NodeId, name: String, turn: u64 },
}

impl Pen {
    pub(super) fn of(record: Option<&[u8]>) -> Result<Pen, Damaged> {
        let Some(bytes) = record else { return Ok(Pen::default()) };
        let StoredPen::V1 { node, turn, .. } =
            postcard::from_bytes(bytes).map_err(|_| Damaged("the record of the pen does not decode".into()))?;
        Ok(Pen { holder: Some(node), turn })
    }
}

pub(super) fn pen_record() -> RecordName {
    RecordName::new(RecordKind::NODE, ["pen"])
}

/// Takes the pen, unless it was taken since it was looked at.
#[derive(Debug)]
pub(super) struct TakePen {
    pub(super) node: NodeId,
    pub(super) name: String,
    /// The turn that is over.
    pub(super) after: u64,
}

impl Command for TakePen {
    fn reads(&self) -> Vec<RecordName> {
        vec![pen_record()]
    }

    fn decide(&self, view: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let pen = Pen::of(view.get(&pen_record())?)?;
        if pen.turn != self.after {
            return Ok(Outcome::new(Vec::new(), Vec::new()));
        }
        let stored = StoredPen::V1 { node: self.node, name: self.name.clone(), turn: pen.turn.saturating_add(1) };
        let body = postcard::to_allocvec(&stored).map_err(|_| Damaged("a pen that cannot be encoded".into()))?;
        Ok(Outcome::new(vec![Event { kind: PEN_TAKEN, body }], Vec::new()))
    }
}

/// Rules of the event.
#[derive(Debug)]
pub(crate) struct PenRules;

impl Rules for PenRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[PEN_TAKEN]
    }

    fn touches(&self, _: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        Ok(vec![pen_record()])
    }

    fn evolve(&self, _: &RecordName, _: Option<&[u8]>, event: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        Pen::of(Some(event.body))?;
        Ok(Some(event.body.to_vec()))
    }
}
