//! What is stored of a rotation: who asked, how far it is, what is still promised.

use crate::walk::Frame;
use crypto::WallMs;
use crypto::id::{EntityId, TenantId};
use ledger::code::{BUG, KEY_BUSY};
use ledger::{
    Command, Context, Damaged, Event, EventRef, Halt, IntentKey, Ledger, NewIntent, Outcome, RecordKind, RecordName,
    Refusal, Rules, View,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::time::Duration;

/// Event: somebody, or the schedule, asked for a rotation.
pub const REQUESTED: &str = "key.rotation.requested";
/// Event: a part of the data keys was wrapped anew.
pub const ADVANCED: &str = "key.rotation.advanced";
/// Event: nothing is left to do.
pub const FINISHED: &str = "key.rotation.finished";
/// Event: somebody asked for another seal; the ledger's own event follows.
pub const REKEY_REQUESTED: &str = "seal.rekey.requested";
/// Kind of the intent.
pub(super) const INTENT: &str = "keys.rotate";

/// How long the request that opened an intent has it to itself.
const HEAD_START: Duration = Duration::from_secs(30);

/// Which key.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Scope {
    /// The tenant's.
    Tenant,
    /// The house's.
    Root,
}

/// How far a rotation is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Progress {
    /// Which key.
    pub scope: Scope,
    /// When it was asked for.
    pub requested: WallMs,
    /// By whom.
    pub by: EntityId,
    /// Data keys wrapped anew so far.
    pub rewrapped: u64,
    /// When nothing was left to do.
    pub finished: Option<WallMs>,
}

/// What an intent still has to do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) enum Task {
    /// Make the new key.
    Make(Scope),
    /// Go on wrapping data keys anew from here.
    Sweep(Vec<Frame>),
    /// Destroy old tenant keys that nothing is wrapped under.
    Retire,
}

/// Stored form: the number of the variant is the version of the codec.
#[derive(Serialize, Deserialize)]
enum Versioned<T> {
    V1(T),
}

fn encode<T: Serialize>(value: T) -> Result<Vec<u8>, Refusal> {
    postcard::to_allocvec(&Versioned::V1(value)).map_err(|_| Refusal::new(&BUG, "a stored form does not encode"))
}

fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, Damaged> {
    match postcard::take_from_bytes(bytes) {
        Ok((Versioned::V1(value), [])) => Ok(value),
        _ => Err(Damaged(what.to_owned())),
    }
}

impl Task {
    pub(super) fn decode(body: &[u8]) -> Result<Task, Damaged> {
        decode("intent of a key rotation", body)
    }

    fn intent(self, due: WallMs) -> Result<NewIntent, Refusal> {
        Ok(NewIntent { due, kind: INTENT, body: encode(self)? })
    }
}

/// Answer of the commands here: nothing but that it was done.
pub(super) struct Answer;

impl Answer {
    pub(super) fn decode(bytes: &[u8]) -> Result<Answer, Damaged> {
        decode::<()>("answer of a key rotation", bytes).map(|()| Answer)
    }
}

fn record_name() -> RecordName {
    RecordName::new(RecordKind::KEY, ["rotation"])
}

/// How far the newest rotation of a tenant is.
pub(super) async fn read(ledger: &Ledger, tenant: TenantId) -> Result<Option<Progress>, Refusal> {
    let record = ledger.record(tenant, &record_name()).await?;
    let progress = record.map(|record| decode("record of a key rotation", &record)).transpose();
    progress.map_err(crate::authenticate::damaged)
}

/// Asks for a rotation: says so and opens the intent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) scope: Scope,
}

impl Command for Request {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name()]
    }

    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let before: Option<Progress> =
            view.get(&record_name())?.map(|record| decode("record of a key rotation", record)).transpose()?;
        if before.is_some_and(|progress| progress.finished.is_none()) {
            return Err(Refusal::new(&KEY_BUSY, "a rotation goes on").into());
        }
        let event = Event { kind: REQUESTED, body: encode(self.scope)? };
        let mut outcome = Outcome::new(vec![event], encode(())?);
        outcome.intents.push(Task::Make(self.scope).intent(cx.now.saturating_add(HEAD_START))?);
        Ok(outcome)
    }
}

/// Says who wants another seal; changes no record.
#[derive(Debug)]
pub(super) struct RekeyRequest {
    /// Name of the new seal; no secret.
    pub(super) seal: String,
}

impl Command for RekeyRequest {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn takes_away(&self) -> bool {
        true
    }

    fn decide(&self, _: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let event = Event { kind: REKEY_REQUESTED, body: encode(self.seal.clone())? };
        Ok(Outcome::new(vec![event], self.seal.clone().into_bytes()))
    }
}

/// Says what was done of an intent and puts the rest, if any, in its place.
#[derive(Debug)]
pub(super) struct Advance {
    pub(super) done: IntentKey,
    pub(super) rewrapped: u64,
    pub(super) rest: Option<Task>,
}

impl Command for Advance {
    fn reads(&self) -> Vec<RecordName> {
        Vec::new()
    }

    fn decide(&self, _: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let event = match &self.rest {
            Some(_) => Event { kind: ADVANCED, body: encode(self.rewrapped)? },
            None => Event { kind: FINISHED, body: encode(self.rewrapped)? },
        };
        let mut outcome = Outcome::new(vec![event], encode(())?);
        outcome.closed.push(self.done);
        if let Some(rest) = self.rest.clone() {
            outcome.intents.push(rest.intent(cx.now)?);
        }
        Ok(outcome)
    }
}

/// The rules of rotations.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyRules;

impl Rules for KeyRules {
    fn kinds(&self) -> &'static [&'static str] {
        &[REQUESTED, ADVANCED, FINISHED, REKEY_REQUESTED]
    }

    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged> {
        match event.kind {
            REKEY_REQUESTED => return decode::<String>(REKEY_REQUESTED, event.body).map(|_| Vec::new()),
            REQUESTED => decode::<Scope>(REQUESTED, event.body).map(drop)?,
            _ => decode::<u64>("event of a key rotation", event.body).map(drop)?,
        }
        Ok(vec![record_name()])
    }

    fn evolve(&self, _: &RecordName, before: Option<&[u8]>, event: &EventRef<'_>) -> Result<Option<Vec<u8>>, Damaged> {
        let stamp = event.stamp;
        let progress = match event.kind {
            REQUESTED => Progress {
                scope: decode(REQUESTED, event.body)?,
                requested: stamp.time,
                by: stamp.actor.entity,
                rewrapped: 0,
                finished: None,
            },
            kind => {
                let before = before.ok_or_else(|| Damaged("rotation goes on that did not begin".into()))?;
                let mut progress: Progress = decode("record of a key rotation", before)?;
                progress.rewrapped = progress.rewrapped.saturating_add(decode(kind, event.body)?);
                progress.finished = (kind == FINISHED).then_some(stamp.time);
                progress
            }
        };
        postcard::to_allocvec(&Versioned::V1(progress))
            .map(Some)
            .map_err(|_| Damaged("record of a key rotation".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn stored_forms_of_version_1_keep_their_bytes() {
        assert_eq!(hex(&encode(Scope::Root).unwrap()), "0001");
        assert_eq!(hex(&encode(300u64).unwrap()), "00ac02");
        assert_eq!(hex(&encode(Task::Make(Scope::Tenant)).unwrap()), "000000");
        assert_eq!(hex(&encode(Task::Sweep(vec![Frame::top()])).unwrap()), "0001010000".to_owned() + "00");
        assert_eq!(hex(&encode(Task::Retire).unwrap()), "0002");
        let progress = Progress {
            scope: Scope::Tenant,
            requested: WallMs(5),
            by: EntityId::from_bytes([7; 16]),
            rewrapped: 2,
            finished: Some(WallMs(9)),
        };
        assert_eq!(hex(&encode(progress).unwrap()), format!("000005{}020109", "07".repeat(16)));
    }
}
