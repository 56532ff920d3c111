//! What engines are made of: commands that decide, events, rules that turn events into records.

use crate::code::Refusal;
use bytes::Bytes;
use crypto::aead::{DataKey, Key};
use crypto::id::{BlobId, EntityId, OperationId, SessionId, TenantId};
use crypto::seam::WallMs;
use crypto::secret::SecretBytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::Arc;
use storage::Place;

/// What a record is; part of its key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RecordKind(pub u8);

impl RecordKind {
    /// A secret with its versions.
    pub const SECRET: RecordKind = RecordKind(1);
    /// A folder that holds secrets or folders.
    pub const FOLDER: RecordKind = RecordKind(2);
    /// A session, by the digest of its token.
    pub const SESSION: RecordKind = RecordKind(3);
    /// A principal, by name or entity id.
    pub const PRINCIPAL: RecordKind = RecordKind(4);
    /// A policy, by name.
    pub const POLICY: RecordKind = RecordKind(5);
    /// A one-time login, by the digest of its token.
    pub const LOGIN: RecordKind = RecordKind(6);
    /// A tenant, by name.
    pub const TENANT: RecordKind = RecordKind(7);
    /// The ledger's own bookkeeping of keys.
    pub const KEY: RecordKind = RecordKind(8);
    /// Closed segments of the access log.
    pub const SEGMENT: RecordKind = RecordKind(10);
    /// What a set of applied documents holds.
    pub const APPLIED: RecordKind = RecordKind(11);
    /// A named password policy.
    pub const PASSWORD_POLICY: RecordKind = RecordKind(12);
    /// Something wrapped, by the digest of its token.
    pub const WRAP: RecordKind = RecordKind(13);
    /// What nodes that share a store agree on, by name.
    pub const NODE: RecordKind = RecordKind(14);
}

/// Logical name of a record in its tenant: a kind and one or more segments below the tenant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RecordName {
    /// What it is.
    pub kind: RecordKind,
    /// Segments from the tenant down; the last names the record among its siblings.
    pub path: Vec<Box<str>>,
}

impl RecordName {
    /// The record of this kind at these segments.
    pub fn new<S: Into<Box<str>>>(kind: RecordKind, segments: impl IntoIterator<Item = S>) -> RecordName {
        RecordName { kind, path: segments.into_iter().map(Into::into).collect() }
    }
}

/// Position of an entry: its shard and leaf index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Position {
    /// Shard number.
    pub shard: u32,
    /// Leaf index in the shard's tree, from 0.
    pub index: u64,
}

/// Who does something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Actor {
    /// The identity behind the login.
    pub entity: EntityId,
    /// The session used, if any; background work has none.
    pub session: Option<SessionId>,
}

impl Actor {
    /// The server itself.
    pub const SYSTEM: Actor = Actor { entity: EntityId::SYSTEM, session: None };
}

/// An event as decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// `<noun>[.<part>].<past verb>`.
    pub kind: &'static str,
    /// The engine's own versioned codec; never plaintext.
    pub body: Vec<u8>,
}

/// Where, when and by whom an event was committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Its entry.
    pub position: Position,
    /// Time of the decision.
    pub time: WallMs,
    /// Its tenant.
    pub tenant: TenantId,
    /// Who asked.
    pub actor: Actor,
}

/// An event as read back.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    /// Kind as stored.
    pub kind: &'a str,
    /// Body as stored.
    pub body: &'a [u8],
    /// Its circumstances.
    pub stamp: &'a Stamp,
}

/// Stored bytes that do not decode; names the thing, never its content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damaged(pub String);

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "damaged: {}", self.0)
    }
}

impl std::error::Error for Damaged {}

/// Pure rules that make records of events. Alone in doing so: a rebuild gives the same records.
pub trait Rules: Send + Sync + Debug {
    /// Kinds of events these rules own.
    fn kinds(&self) -> &'static [&'static str];
    /// Names of exactly the records the event changes.
    fn touches(&self, event: &EventRef<'_>) -> Result<Vec<RecordName>, Damaged>;
    /// The record after the event; `None` removes it.
    fn evolve(
        &self,
        name: &RecordName,
        before: Option<&[u8]>,
        event: &EventRef<'_>,
    ) -> Result<Option<Vec<u8>>, Damaged>;
    /// The values a record of these rules points to; asked by verification.
    fn values(&self, kind: RecordKind, record: &[u8]) -> Result<Vec<PointedValue>, Damaged> {
        let _ = (kind, record);
        Ok(Vec::new())
    }
}

/// A value that a record points to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PointedValue {
    /// Its wrapped data key.
    pub key: Place,
    /// Its sealed bytes.
    pub blob: Place,
    /// What it belongs to.
    pub kind: &'static str,
    /// Full path of that.
    pub path: String,
    /// Version of that.
    pub version: u64,
    /// Id it was sealed with.
    pub blob_id: BlobId,
}

/// Why a decision ended without an outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Halt {
    /// These records are needed too; decide is called again with them, at most four rounds.
    Need(Vec<RecordName>),
    /// Refused; nothing happens.
    Refuse(Refusal),
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Halt {
        Halt::Refuse(refusal)
    }
}

impl From<Damaged> for Halt {
    fn from(damaged: Damaged) -> Halt {
        Halt::Refuse(damaged.into())
    }
}

/// The records a decision may look at: those of `reads` and of earlier `Need`s, as of now.
#[derive(Debug, Default)]
pub struct View {
    records: HashMap<RecordName, Option<Arc<[u8]>>>,
}

impl View {
    /// An empty view.
    pub fn new() -> View {
        View::default()
    }

    /// Puts a record, or its absence, into the view.
    pub fn insert(&mut self, name: RecordName, record: Option<Arc<[u8]>>) {
        self.records.insert(name, record);
    }

    /// The record, `None` if there is none. Errors: `Halt::Need` when it was not loaded.
    pub fn get(&self, name: &RecordName) -> Result<Option<&[u8]>, Halt> {
        match self.records.get(name) {
            Some(record) => Ok(record.as_deref()),
            None => Err(Halt::Need(vec![name.clone()])),
        }
    }

    /// All of the records at once. Errors: `Halt::Need` naming every one that was not loaded.
    pub fn get_all(&self, names: &[RecordName]) -> Result<Vec<Option<&[u8]>>, Halt> {
        let missing: Vec<RecordName> = names.iter().filter(|name| !self.records.contains_key(*name)).cloned().collect();
        if !missing.is_empty() {
            return Err(Halt::Need(missing));
        }
        names.iter().map(|name| self.get(name)).collect()
    }
}

/// What a decision may know besides records.
#[derive(Debug)]
pub struct Context<'a> {
    /// Time of the decision; never before that of the entry before it.
    pub now: WallMs,
    /// Tenant of the unit.
    pub tenant: TenantId,
    /// Who asks.
    pub actor: &'a Actor,
    /// Id of the unit.
    pub operation: OperationId,
    /// Where the first key and the first blob of this outcome will stand.
    pub(crate) first_key: Place,
    pub(crate) first_blob: Place,
}

impl<'a> Context<'a> {
    /// A context for tests of engines: keys and blobs stand at index 0 on in batch `number`.
    pub fn for_tests(
        now: WallMs,
        tenant: TenantId,
        actor: &'a Actor,
        operation: OperationId,
        number: u64,
    ) -> Context<'a> {
        let place = Place { number: storage::BatchNumber(number), id: storage::BatchId([7; 16]), index: 0 };
        Context { now, tenant, actor, operation, first_key: place, first_blob: place }
    }

    /// Where the i-th key of this outcome will stand.
    pub fn key_place(&self, i: u32) -> Place {
        Place { index: self.first_key.index.saturating_add(i), ..self.first_key }
    }

    /// Where the i-th blob of this outcome will stand.
    pub fn blob_place(&self, i: u32) -> Place {
        Place { index: self.first_blob.index.saturating_add(i), ..self.first_blob }
    }
}

/// A data key to be wrapped under the tenant key when the place is known.
#[derive(Clone, Debug)]
pub struct KeyPut {
    /// The fresh key.
    pub key: Arc<Key<DataKey>>,
    /// What it belongs to, such as `secret`.
    pub kind: &'static str,
    /// Full path of that.
    pub path: String,
    /// Version of that.
    pub version: u64,
    /// The blob it opens.
    pub blob: BlobId,
}

/// A sealed value to be stored.
#[derive(Clone, Debug)]
pub struct BlobPut {
    /// Its random id, part of what it is sealed with.
    pub id: BlobId,
    /// Sealed bytes.
    pub sealed: Bytes,
}

/// A key or blob to be destroyed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    /// A wrapped data key.
    Key(Place),
    /// A sealed value.
    Blob(Place),
}

/// A promise stored before it is tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewIntent {
    /// When it is due.
    pub due: WallMs,
    /// Whose it is, such as `keys.rotate`.
    pub kind: &'static str,
    /// The owner's codec.
    pub body: Vec<u8>,
}

/// Names an open intent: due time and id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct IntentKey {
    /// When it is due.
    pub due: WallMs,
    /// Its id.
    #[serde(with = "crypto::run::fixed")]
    pub id: [u8; 16],
}

/// A short-lived thing, outside the tree and backups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VolatilePut {
    /// Name within the tenant.
    pub key: [u8; 16],
    /// Content; sealed when stored.
    pub body: Vec<u8>,
    /// When it is gone.
    pub expires: WallMs,
}

/// What a decision brings about, all of it or nothing.
#[derive(Debug)]
pub struct Outcome {
    /// Facts, in order; none for a pure look.
    pub events: Vec<Event>,
    /// Keys to wrap and store.
    pub keys: Vec<KeyPut>,
    /// Sealed values to store.
    pub blobs: Vec<BlobPut>,
    /// Keys and blobs to destroy.
    pub drops: Vec<Dropped>,
    /// Intents to open.
    pub intents: Vec<NewIntent>,
    /// Intents to close.
    pub closed: Vec<IntentKey>,
    /// Short-lived things to store.
    pub volatile: Vec<VolatilePut>,
    /// The answer in the engine's codec; may hold a secret.
    pub reply: SecretBytes,
    /// Whether the answer waits until drops are carried out in the live store.
    pub await_fold: bool,
    /// Keys of the hierarchy to store and to take into the ring.
    pub(crate) rings: Vec<crate::ring::RingPut>,
    /// Rows of the ring to destroy.
    pub(crate) ring_drops: Vec<(TenantId, Place)>,
}

impl Outcome {
    /// An outcome of these events with this answer and nothing else.
    pub fn new(events: Vec<Event>, reply: Vec<u8>) -> Outcome {
        Outcome {
            events,
            keys: Vec::new(),
            blobs: Vec::new(),
            drops: Vec::new(),
            intents: Vec::new(),
            closed: Vec::new(),
            volatile: Vec::new(),
            reply: SecretBytes::new(reply),
            await_fold: false,
            rings: Vec::new(),
            ring_drops: Vec::new(),
        }
    }
}

/// One act of an engine, decided purely over the records it names.
pub trait Command: Send + Sync + Debug {
    /// Records to load before the first decision.
    fn reads(&self) -> Vec<RecordName>;
    /// Decides. May be called again, with newer records, after a lost race or a `Need`.
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt>;
    /// Whether it takes rights or secrets away: that goes on when the disk is full, in space kept back.
    fn takes_away(&self) -> bool {
        false
    }
}

/// Ties a repeated request to its first answer for 24 hours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Idempotency {
    /// Digest of tenant, principal, route and the caller's key.
    pub key: [u8; 16],
    /// Digest of the request body; another body under the same key is refused.
    pub body: [u8; 32],
}

/// Commands of one or several engines, decided in order, committed together or not at all.
#[derive(Debug)]
pub struct Unit {
    /// Whose.
    pub tenant: TenantId,
    /// By whom.
    pub actor: Actor,
    /// What.
    pub commands: Vec<Box<dyn Command>>,
    /// Repeat protection.
    pub idempotency: Option<Idempotency>,
    /// Random id given before submission; the id behind an unknown outcome.
    pub operation: OperationId,
}

impl Unit {
    /// Whether anything in it takes rights or secrets away.
    pub(crate) fn takes_away(&self) -> bool {
        self.commands.iter().any(|command| command.takes_away())
    }
}

/// Proof of a durable unit.
#[derive(Debug)]
pub struct Receipt {
    /// The answer of each command.
    pub replies: Vec<SecretBytes>,
    /// The unit's last entry; `None` when it made none.
    pub position: Option<Position>,
    /// Whether this is the answer of an earlier, equal request.
    pub replayed: bool,
}
