//! Building one batch: units are decided one after another; each adds everything it brings about, or nothing.

use crate::code::{self, Refusal};
use crate::committer::{GROUP_BYTES_MAX, GROUP_RECORDS_MAX, Waiting};
use crate::draft::{Change, Draft, RuleBook};
use crate::entry::{BatchRow, ENTRY_BYTES_MAX, encode_entry, encode_fact};
use crate::house;
use crate::keyspace::RecordKey;
use crate::replay::{self, Replay};
use crate::ring::{AnyKey, LOG_KEY_LIFE, Maker, RingPut, SEALS_BEFORE_SUCCESSOR, no_entropy, seal_fail};
use crate::side::{Side, SideVolatile, StoredIntent};
use crate::state::{Head, State, VolatileName};
use crate::unit::{Actor, Context, Event, EventRef, Halt, IntentKey, Outcome, Position, Receipt, Stamp, Unit, View};
use bytes::Bytes;
use crypto::Drawn;
use crypto::aead::{Aad, Key, LogKey};
use crypto::id::{OperationId, TenantId};
use crypto::seam::{Entropy, WallMs};
use crypto::secret::SecretBytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use storage::{Batch, BatchId, BatchNumber, Kind, Place, Put};

/// Randomness of a unit with one entry and one data key: a nonce for each. Others draw what they need beyond it.
const UNIT_RANDOM_BYTES: usize = 24;
/// Rounds of `Need` before a decision counts as broken.
const NEED_ROUNDS_MAX: usize = 4;

/// A batch that is ready, and what it does in memory once committed.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) records: HashMap<RecordKey, Change>,
    pub(crate) entries: Vec<Bytes>,
    pub(crate) side: Side,
    pub(crate) has_side_row: bool,
    /// Somebody waits until what it drops is destroyed.
    pub(crate) awaited: bool,
    pub(crate) rings: Vec<(RingPut, Place)>,
    /// Where its volatile things stand in `side`.
    pub(crate) volatile: BTreeMap<VolatileName, usize>,
    /// The head of the ledger once it is committed.
    pub(crate) head: Head,
}

impl Built {
    /// Whether the next batch may be decided before this one is committed: not when it changes keys, which are looked
    /// up in the ring.
    pub(crate) fn may_be_followed(&self) -> bool {
        self.rings.is_empty() && self.side.rings.is_empty()
    }

    fn volatile(&self, name: &VolatileName) -> Option<&[u8]> {
        volatile(&self.side, &self.volatile, name)
    }
}

fn volatile<'a>(side: &'a Side, places: &BTreeMap<VolatileName, usize>, name: &VolatileName) -> Option<&'a [u8]> {
    places.get(name).and_then(|at| side.volatile.get(*at)).map(|put| put.body.as_slice())
}

/// How a unit ended in the draft.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) receipt: Receipt,
    pub(crate) await_fold: bool,
}

/// What one unit adds; merged when the whole unit stands.
#[derive(Debug, Default)]
struct Added {
    entries: Vec<Bytes>,
    puts: Vec<Put>,
    keys: u32,
    blobs: u32,
    side: Side,
    rings: Vec<RingPut>,
    intents: u32,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Build<'a> {
    draft: Draft<'a>,
    state: &'a State,
    source: &'a dyn Entropy,
    entropy: Drawn<'a, Vec<u8>>,
    /// Units that the randomness drawn is still meant for.
    stocked: usize,
    number: BatchNumber,
    id: BatchId,
    first: u64,
    now: WallMs,
    all: Added,
    rings: Vec<(RingPut, Place)>,
    logs: HashMap<TenantId, Arc<Key<LogKey>>>,
    volatile: BTreeMap<VolatileName, usize>,
    awaited: bool,
}

impl<'a> Build<'a> {
    /// Begins the batch that follows `ahead`, or the head where nothing is on its way; about so many units will come.
    ///
    /// Errors: no randomness; `ahead` is handed back.
    pub(crate) fn new(
        (state, rules): (&'a State, &'a RuleBook),
        source: &'a dyn Entropy,
        wall: WallMs,
        units: usize,
        ahead: &mut Option<Built>,
    ) -> Result<Build<'a>, Refusal> {
        let mut id = [0; 16];
        let entropy = draw(source, units, id.len())?;
        entropy.fill_secret(&mut id).map_err(no_entropy)?;
        let before = ahead.as_ref().map_or_else(|| state.head(), |ahead| ahead.head);
        let number = before.batch.next();
        Ok(Build {
            draft: Draft::new(state, rules, number, ahead.take()),
            state,
            source,
            entropy,
            stocked: units,
            number,
            id: BatchId(id),
            first: before.size,
            now: wall.max(before.time),
            all: Added::default(),
            rings: Vec::new(),
            logs: HashMap::new(),
            volatile: BTreeMap::new(),
            awaited: false,
        })
    }

    pub(crate) fn number(&self) -> BatchNumber {
        self.number
    }

    /// Gives out the batch that this one was decided over.
    pub(crate) fn land(&mut self) -> Option<Built> {
        self.draft.land()
    }

    /// Whether another unit might not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.all.bytes >= GROUP_BYTES_MAX / 2 || self.draft.changed() >= GROUP_RECORDS_MAX / 2
    }

    /// Decides a unit; about so many more will come. On refusal nothing of it remains, and nothing either when it answers
    /// `None`: the unit is too large for what is left of this batch and goes into the next.
    pub(crate) async fn unit(&mut self, waiting: &Waiting, more: usize) -> Option<Result<Decided, Refusal>> {
        let mut added = Added::default();
        let decided = self.attempt(waiting, more, &mut added).await;
        let fits = self.fits(&added);
        match &decided {
            Ok(decided) if fits => {
                self.draft.keep_unit();
                self.merge(added);
                self.awaited |= decided.await_fold;
            }
            _ => self.draft.drop_unit(),
        }
        (fits || decided.is_err()).then_some(decided)
    }

    async fn attempt(&mut self, waiting: &Waiting, more: usize, added: &mut Added) -> Result<Decided, Refusal> {
        let unit = &waiting.unit;
        self.stock(more)?;
        if let Some(found) = self.earlier(unit).await? {
            return found.answer(unit);
        }
        self.ensure_log(unit.tenant, unit.operation)?;
        self.draft.begin_unit(&waiting.known);
        self.decide(unit, added).await
    }

    /// Whether the batch takes a unit beside those it has; one that may stand in a batch at all always fits an empty one.
    fn fits(&self, added: &Added) -> bool {
        let bytes = self.all.bytes.saturating_add(added.bytes);
        bytes <= GROUP_BYTES_MAX && self.draft.changed() <= GROUP_RECORDS_MAX
    }

    /// Draws again when what was drawn is used up.
    fn stock(&mut self, more: usize) -> Result<(), Refusal> {
        if self.stocked == 0 {
            self.entropy = draw(self.source, more.saturating_add(1), 0)?;
            self.stocked = more.saturating_add(1);
        }
        self.stocked = self.stocked.saturating_sub(1);
        Ok(())
    }

    /// The stored answer of an equal request, if there is one.
    async fn earlier(&self, unit: &Unit) -> Result<Option<Replay>, Refusal> {
        let Some(idempotency) = unit.idempotency else { return Ok(None) };
        let name = (unit.tenant, idempotency.key);
        let ahead = || self.draft.ahead()?.volatile(&name);
        if let Some(body) = volatile(&self.all.side, &self.volatile, &name).or_else(ahead) {
            return Ok(Some(Replay::decode(body)?));
        }
        let stored = self.state.volatile(name, self.now.0).await?;
        Ok(stored.map(|body| Replay::decode(&body)).transpose()?)
    }

    async fn decide(&mut self, unit: &Unit, added: &mut Added) -> Result<Decided, Refusal> {
        let mut replies = Vec::with_capacity(unit.commands.len());
        let mut await_fold = false;
        for command in &unit.commands {
            let outcome = self.outcome(unit, command.as_ref(), added).await?;
            await_fold |= outcome.await_fold;
            replies.push(self.stage(unit, outcome, added).await?);
        }
        let last = self.index_after(added).checked_sub(1).filter(|_| !added.entries.is_empty());
        let position = last.map(|index| Position { shard: self.state.shard.0, index });
        if let Some(idempotency) = unit.idempotency {
            let body = Replay::encode(&idempotency, position, &replies)?;
            let expires_ms = self.now.saturating_add(replay::KEPT).0;
            added.side.volatile.push(SideVolatile { tenant: unit.tenant, key: idempotency.key, expires_ms, body });
        } else if position.is_none() && !added.side.is_empty() {
            let key = replay::operation_key(unit.operation);
            let expires_ms = self.now.saturating_add(replay::KEPT).0;
            added.side.volatile.push(SideVolatile { tenant: unit.tenant, key, expires_ms, body: Vec::new() });
        }
        if added.bytes > GROUP_BYTES_MAX || self.draft.changed_by_unit() > GROUP_RECORDS_MAX {
            return Err(Refusal::new(&code::LEDGER_TOO_LARGE, "the change is larger than one commit may be"));
        }
        Ok(Decided { receipt: Receipt { replies, position, replayed: false }, await_fold })
    }

    async fn outcome(&self, unit: &Unit, command: &dyn crate::Command, added: &Added) -> Result<Outcome, Refusal> {
        let place = |index: u32| Place { number: self.number, id: self.id, index };
        let cx = Context {
            now: self.now,
            tenant: unit.tenant,
            actor: &unit.actor,
            operation: unit.operation,
            first_key: place(self.all.keys.saturating_add(added.keys)),
            first_blob: place(self.all.blobs.saturating_add(added.blobs)),
        };
        let mut view = View::new();
        self.draft.load(unit.tenant, command.reads(), &mut view).await?;
        for _ in 0..=NEED_ROUNDS_MAX {
            match command.decide(&view, &cx) {
                Ok(outcome) => return Ok(outcome),
                Err(Halt::Refuse(refusal)) => return Err(refusal),
                Err(Halt::Need(names)) => self.draft.load(unit.tenant, names, &mut view).await?,
            }
        }
        Err(Refusal::new(&code::BUG, "a decision asked for records more often than it may"))
    }

    /// Seals, wraps and places what a decision brings about.
    async fn stage(&mut self, unit: &Unit, outcome: Outcome, added: &mut Added) -> Result<SecretBytes, Refusal> {
        self.stage_keys(unit.tenant, &outcome, added)?;
        for event in &outcome.events {
            self.append(unit.tenant, unit.operation, &unit.actor, event, added).await?;
        }
        for new in outcome.intents {
            let id = replay::intent_id(unit.operation, added.intents);
            added.intents = added.intents.saturating_add(1);
            let key = IntentKey { due: new.due, id };
            let kind = new.kind.to_owned();
            added.side.intents.push(StoredIntent { tenant: unit.tenant, key, kind, body: new.body });
        }
        added.side.closed.extend(outcome.closed.into_iter().map(|key| (unit.tenant, key)));
        added.side.drops.extend(outcome.drops);
        added.side.rings.extend(outcome.ring_drops);
        added.rings.extend(outcome.rings);
        for put in outcome.volatile {
            let (key, expires_ms, body) = (put.key, put.expires.0, put.body);
            added.side.volatile.push(SideVolatile { tenant: unit.tenant, key, expires_ms, body });
        }
        Ok(outcome.reply)
    }

    fn stage_keys(&self, tenant: TenantId, outcome: &Outcome, added: &mut Added) -> Result<(), Refusal> {
        let keys = self.state.ring.tenant(tenant)?;
        let under = &keys.current_tenant()?.key;
        for put in &outcome.keys {
            let aad = Aad::data_key(tenant, put.kind, &put.path, put.version, put.blob);
            let wrapped = under.wrap_key(&self.entropy, aad, put.key.as_ref()).map_err(|error| seal_fail(&error))?;
            let index = self.all.keys.saturating_add(added.keys);
            let key = Place { number: self.number, id: self.id, index }.key(Kind::Key, self.state.shard);
            added.keys = added.keys.saturating_add(1);
            added.bytes = added.bytes.saturating_add(wrapped.len().saturating_add(40));
            added.puts.push(Put { key, value: wrapped.into() });
        }
        for put in &outcome.blobs {
            let index = self.all.blobs.saturating_add(added.blobs);
            let key = Place { number: self.number, id: self.id, index }.key(Kind::Blob, self.state.shard);
            added.blobs = added.blobs.saturating_add(1);
            added.bytes = added.bytes.saturating_add(put.sealed.len().saturating_add(40));
            added.puts.push(Put { key, value: put.sealed.clone() });
        }
        Ok(())
    }

    /// One event becomes one entry and changes the records it touches.
    async fn append(
        &mut self,
        tenant: TenantId,
        operation: OperationId,
        actor: &Actor,
        event: &Event,
        added: &mut Added,
    ) -> Result<(), Refusal> {
        let index = self.index_after(added);
        let entry = self.seal_entry(tenant, self.log(tenant)?, index, operation, actor, event)?;
        let position = Position { shard: self.state.shard.0, index };
        let stamp = Stamp { position, time: self.now, tenant, actor: actor.clone() };
        self.draft.apply(&EventRef { kind: event.kind, body: &event.body, stamp: &stamp }).await?;
        added.bytes = added.bytes.saturating_add(entry.len());
        added.entries.push(entry);
        Ok(())
    }

    fn seal_entry(
        &self,
        tenant: TenantId,
        log: &Key<LogKey>,
        index: u64,
        operation: OperationId,
        actor: &Actor,
        event: &Event,
    ) -> Result<Bytes, Refusal> {
        let plain = encode_fact(operation, self.now, actor, event)?;
        let aad = Aad::entry(tenant, self.state.shard.0, index);
        let sealed = log.seal(&self.entropy, aad, &plain).map_err(|error| seal_fail(&error))?;
        let entry = encode_entry(tenant, event, &sealed)?;
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(Refusal::new(&code::LEDGER_TOO_LARGE, "an event is larger than an entry may be"));
        }
        Ok(entry)
    }

    /// A worn or old log key gets a successor in this very batch, whatever becomes of the unit.
    fn ensure_log(&mut self, tenant: TenantId, operation: OperationId) -> Result<(), Refusal> {
        if self.logs.contains_key(&tenant) {
            return Ok(());
        }
        let keys = self.state.ring.tenant(tenant)?;
        let held = keys.current_log()?;
        let worn = held.key.seals() >= SEALS_BEFORE_SUCCESSOR;
        if !worn && self.now.saturating_since(held.created) < LOG_KEY_LIFE {
            self.logs.insert(tenant, Arc::clone(&held.key));
            return Ok(());
        }
        let maker = Maker { entropy: &self.entropy, now: self.now };
        let put = maker.fresh_log(tenant, &keys.current_tenant()?.key)?;
        let AnyKey::Log(fresh) = put.key.clone() else {
            return Err(Refusal::new(&code::BUG, "a log key of another purpose"));
        };
        let event = house::key_created(&put)?;
        let index = self.index_after(&Added::default());
        let entry = self.seal_entry(tenant, &fresh, index, operation, &Actor::SYSTEM, &event)?;
        self.all.entries.push(entry);
        self.keep_ring(put);
        self.logs.insert(tenant, fresh);
        Ok(())
    }

    fn log(&self, tenant: TenantId) -> Result<&Key<LogKey>, Refusal> {
        self.logs
            .get(&tenant)
            .map(Arc::as_ref)
            .ok_or_else(|| Refusal::new(&code::BUG, "a log key that was not made ready"))
    }

    fn keep_ring(&mut self, put: RingPut) {
        let index = u32::try_from(self.rings.len()).unwrap_or(u32::MAX);
        self.rings.push((put, Place { number: self.number, id: self.id, index }));
    }

    /// Leaf index of the next entry.
    fn index_after(&self, added: &Added) -> u64 {
        let count = self.all.entries.len().saturating_add(added.entries.len());
        self.first.saturating_add(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn merge(&mut self, mut added: Added) {
        let mut named = 0usize;
        for put in &added.side.volatile {
            let at = self.all.side.volatile.len().saturating_add(named);
            self.volatile.insert((put.tenant, put.key), at);
            named = named.saturating_add(1);
        }
        self.all.entries.append(&mut added.entries);
        self.all.puts.append(&mut added.puts);
        self.all.keys = self.all.keys.saturating_add(added.keys);
        self.all.blobs = self.all.blobs.saturating_add(added.blobs);
        self.all.bytes = self.all.bytes.saturating_add(added.bytes);
        self.all.side.append(added.side);
        for put in added.rings {
            self.keep_ring(put);
        }
    }

    /// The batch, or `None` when the group changes nothing.
    pub(crate) fn finish(self) -> Result<Option<(Batch, Built)>, Refusal> {
        let Build { draft, state, entropy, number, id, first, now, mut all, rings, volatile, awaited, .. } = self;
        if all.entries.is_empty() && all.side.is_empty() && rings.is_empty() {
            return Ok(None);
        }
        let row = BatchRow { first, time: now, entries: all.entries };
        let side =
            if all.side.is_empty() { None } else { Some(seal_side(state, &entropy, number, (id, now), &all.side)?) };
        for (put, place) in &rings {
            let value = put.row.encode()?;
            all.puts.push(Put { key: place.ring_key(state.shard, *put.tenant.as_bytes()), value: value.into() });
        }
        let batch = Batch { shard: state.shard, number, id, row: row.encode()?, side, puts: all.puts };
        let has_side_row = batch.side.is_some();
        let head = Head { batch: number, size: row.end(), time: now };
        let (records, side) = (draft.finish(), all.side);
        Ok(Some((batch, Built { records, entries: row.entries, side, has_side_row, awaited, rings, volatile, head })))
    }
}

/// Randomness for so many units and so many bytes besides.
fn draw(source: &dyn Entropy, units: usize, besides: usize) -> Result<Drawn<'_, Vec<u8>>, Refusal> {
    let bytes = units.saturating_mul(UNIT_RANDOM_BYTES).saturating_add(besides);
    Drawn::new(vec![0; bytes], source).map_err(no_entropy)
}

/// What a side row is bound to: longer than any volatile key, so it opens nowhere else.
pub(crate) fn side_bound(number: BatchNumber, id: BatchId, time: WallMs) -> Vec<u8> {
    [b"side".as_slice(), &number.0.to_be_bytes(), &id.0, &time.0.to_be_bytes()].concat()
}

fn seal_side(
    state: &State,
    entropy: &dyn Entropy,
    number: BatchNumber,
    (id, time): (BatchId, WallMs),
    side: &Side,
) -> Result<Bytes, Refusal> {
    let keys = state.ring.tenant(TenantId::SYSTEM)?;
    let plain = SecretBytes::new(side.encode()?);
    let bound = side_bound(number, id, time);
    let sealed = keys.current_state()?.key.seal(entropy, Aad::volatile(TenantId::SYSTEM, &bound), plain.expose());
    Ok(sealed.map_err(|error| seal_fail(&error))?.into())
}
