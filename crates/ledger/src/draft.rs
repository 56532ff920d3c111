//! Evolving records in memory: a unit over its group, the group over the one being committed, that over the state.

use crate::build::Built;
use crate::code::{self, Refusal};
use crate::keyspace::RecordKey;
use crate::record::{Record, Slot};
use crate::state::State;
use crate::unit::{EventRef, RecordKind, RecordName, Rules, View};
use crypto::id::TenantId;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use storage::BatchNumber;

/// Finds the rules of an event kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleBook {
    by_kind: HashMap<&'static str, Arc<dyn Rules>>,
}

impl RuleBook {
    pub(crate) fn new(rules: Vec<Arc<dyn Rules>>) -> RuleBook {
        let mut by_kind: HashMap<&'static str, Arc<dyn Rules>> = HashMap::new();
        for rules in rules {
            for kind in rules.kinds() {
                by_kind.insert(kind, Arc::clone(&rules));
            }
        }
        RuleBook { by_kind }
    }

    fn find(&self, kind: &str) -> Result<&Arc<dyn Rules>, Refusal> {
        self.by_kind.get(kind).ok_or_else(|| {
            Refusal::new(&code::STORAGE_DAMAGED, format!("an event of kind `{kind}`, which this version does not know"))
        })
    }
}

/// A record of a unit's tenant and its key, worked out before: a keyed hash or more otherwise.
pub(crate) type KnownKey = (RecordName, RecordKey);

/// A changed slot and whose it is.
pub(crate) type Change = (TenantId, Slot);

/// Records as they will be once the group is committed.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    state: &'a State,
    rules: &'a RuleBook,
    batch: BatchNumber,
    /// The batch before, on its way to the store.
    ahead: Option<Built>,
    group: HashMap<RecordKey, Change>,
    unit: HashMap<RecordKey, Change>,
    /// Of the unit, in the order of names.
    known: Arc<[KnownKey]>,
    /// Tenants whose policies were touched, also where what is stored was as new already.
    policies: BTreeSet<TenantId>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(state: &'a State, rules: &'a RuleBook, batch: BatchNumber, ahead: Option<Built>) -> Draft<'a> {
        let (group, unit) = (HashMap::new(), HashMap::new());
        Draft { state, rules, batch, ahead, group, unit, known: Arc::default(), policies: BTreeSet::new() }
    }

    /// The batch before, while it is not part of the state.
    pub(crate) fn ahead(&self) -> Option<&Built> {
        self.ahead.as_ref()
    }

    /// Gives the batch before out: it is part of the state from now on, or the draft is given up.
    pub(crate) fn land(&mut self) -> Option<Built> {
        self.ahead.take()
    }

    /// Begins a unit; what it names is mostly among `known`, which is in the order of names.
    pub(crate) fn begin_unit(&mut self, known: &Arc<[KnownKey]>) {
        self.known = Arc::clone(known);
    }

    fn key(&self, tenant: TenantId, name: &RecordName) -> Result<RecordKey, Refusal> {
        let known = self.known.binary_search_by(|(known, _)| known.cmp(name));
        match known.ok().and_then(|at| self.known.get(at)) {
            Some((_, key)) => Ok(*key),
            None => self.state.key(tenant, name),
        }
    }

    async fn slot(&self, tenant: TenantId, key: RecordKey) -> Result<Slot, Refusal> {
        let ahead = || self.ahead.as_ref()?.records.get(&key);
        match self.unit.get(&key).or_else(|| self.group.get(&key)).or_else(ahead) {
            Some((_, slot)) => Ok(slot.clone()),
            None => self.state.record(tenant, key).await,
        }
    }

    /// Loads records into a view.
    pub(crate) async fn load(&self, tenant: TenantId, names: Vec<RecordName>, view: &mut View) -> Result<(), Refusal> {
        for name in names {
            let key = self.key(tenant, &name)?;
            let slot = self.slot(tenant, key).await?;
            view.insert(name, slot.body());
        }
        Ok(())
    }

    /// Applies one event to the records it touches.
    pub(crate) async fn apply(&mut self, event: &EventRef<'_>) -> Result<(), Refusal> {
        let damaged = |why: crate::unit::Damaged| {
            let at = event.stamp.position;
            Refusal::new(&code::STORAGE_DAMAGED, format!("entry {} of shard {}: {why}", at.index, at.shard))
        };
        let rules = self.rules.find(event.kind)?;
        let tenant = event.stamp.tenant;
        for name in rules.touches(event).map_err(damaged)? {
            if name.kind == RecordKind::POLICY {
                self.policies.insert(tenant);
            }
            let key = self.key(tenant, &name)?;
            let before = self.slot(tenant, key).await?;
            let drafted = self.unit.contains_key(&key) || self.group.contains_key(&key);
            if !drafted && before.as_of >= self.batch.0 {
                continue; // a fold that was cut off had carried this one out already
            }
            let after =
                rules.evolve(&name, before.record().map(|record| record.body.as_ref()), event).map_err(damaged)?;
            let own = name.path.last().cloned().unwrap_or_default();
            let record = after.map(|body| Arc::new(Record { name: own, body: body.into() }));
            self.unit.insert(key, (tenant, Slot { as_of: self.batch.0, record }));
        }
        Ok(())
    }

    /// Takes the unit into the group.
    pub(crate) fn keep_unit(&mut self) {
        self.group.extend(self.unit.drain());
    }

    /// Forgets the unit.
    pub(crate) fn drop_unit(&mut self) {
        self.unit.clear();
    }

    /// Records changed by the unit.
    pub(crate) fn changed_by_unit(&self) -> usize {
        self.unit.len()
    }

    /// Records changed so far, the unit's included.
    pub(crate) fn changed(&self) -> usize {
        self.group.len().saturating_add(self.unit.len())
    }

    /// Tenants whose policies the batch touches.
    pub(crate) fn policies(&mut self) -> BTreeSet<TenantId> {
        std::mem::take(&mut self.policies)
    }

    /// The group's changes.
    pub(crate) fn finish(self) -> HashMap<RecordKey, Change> {
        self.group
    }
}
