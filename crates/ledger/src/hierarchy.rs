//! Changing the key hierarchy: new tenants, rotation of tenant and root keys, another seal.
//!
//! Every step is one unit and leaves a state in which everything opens; what remains to be done after a crash can be read
//! off the ring (a tenant key that is not the newest, a root key that is not the newest).

use crate::code::{self, Refusal};
use crate::house::{self, HouseEvent};
use crate::ledger::Ledger;
use crate::ring::{Maker, Purpose, RingPut};
use crate::tenants::tenant_record;
use crate::unit::{Command, Context, Event, Halt, Outcome, RecordName, View};
use crypto::aead::Header;
use crypto::id::{BackupId, KeyId, TenantId};
use crypto::seam::{Seal, WallMs};
use std::sync::Arc;
use storage::{Key, Kind, Place};

/// Tenant keys wrapped again in one unit.
const REWRAP_STEP: usize = 200;

/// One key as an operator sees it.
#[derive(Clone, Debug)]
pub struct KeyInfo {
    /// Whose.
    pub tenant: TenantId,
    /// What for.
    pub purpose: Purpose,
    /// Id.
    pub id: KeyId,
    /// When it was made.
    pub created: WallMs,
    /// Whether it is the one in use for new things.
    pub current: bool,
    /// Encryptions under it, rounded up at each start.
    pub seals: u64,
}

/// A change of the ring that was prepared.
#[derive(Debug)]
struct RingChange {
    reads: Vec<RecordName>,
    absent: Option<RecordName>,
    events: Vec<Event>,
    rings: Vec<RingPut>,
    drops: Vec<(TenantId, Place)>,
}

impl Command for RingChange {
    fn reads(&self) -> Vec<RecordName> {
        self.reads.clone()
    }

    fn decide(&self, view: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        if let Some(name) = &self.absent
            && view.get(name)?.is_some()
        {
            return Err(Refusal::new(&code::KEY_BUSY, "a tenant of this name exists").into());
        }
        let mut outcome = Outcome::new(self.events.clone(), Vec::new());
        outcome.rings.clone_from(&self.rings);
        outcome.ring_drops.clone_from(&self.drops);
        outcome.await_fold = !self.drops.is_empty();
        Ok(outcome)
    }
}

impl Ledger {
    /// Makes a tenant with keys of its own under a name of one segment. Errors: `key.busy` when the name is taken.
    pub async fn create_tenant(&self, name: &str) -> Result<TenantId, Refusal> {
        let maker = self.maker();
        let tenant = TenantId::generate(maker.now, maker.entropy).map_err(crate::ring::no_entropy)?;
        let keys = self.inner.state.ring.keys();
        let rings = maker.whole_tenant(tenant, &keys.root()?.key)?;
        let record = tenant_record(name);
        let mut events =
            vec![HouseEvent::TenantCreated { tenant, name: name.to_owned() }.event(house::TENANT_CREATED)?];
        for put in &rings {
            events.push(house::key_created(put)?);
        }
        let change = RingChange { reads: vec![record.clone()], absent: Some(record), events, rings, drops: Vec::new() };
        self.change_ring(change).await?;
        Ok(tenant)
    }

    /// All keys, by tenant and purpose, oldest first.
    pub fn keys(&self) -> Vec<KeyInfo> {
        let keys = self.inner.state.ring.keys();
        let mut out = Vec::new();
        list(&mut out, TenantId::SYSTEM, Purpose::Root, keys.roots.iter().map(|h| (h.id, h.created, h.key.seals())));
        for (tenant, held) in &keys.tenants {
            list(&mut out, *tenant, Purpose::Tenant, held.tenant.iter().map(|h| (h.id, h.created, h.key.seals())));
            list(&mut out, *tenant, Purpose::Log, held.log.iter().map(|h| (h.id, h.created, h.key.seals())));
            list(&mut out, *tenant, Purpose::State, held.state.iter().map(|h| (h.id, h.created, h.key.seals())));
            list(&mut out, *tenant, Purpose::Name, held.name.iter().map(|h| (h.id, h.created, 0)));
            list(&mut out, *tenant, Purpose::Checkpoint, held.checkpoint.iter().map(|h| (h.id, h.created, 0)));
        }
        out
    }

    /// Tenants whose key was made at this time or before.
    pub fn tenants_with_key_of(&self, made: WallMs) -> Vec<TenantId> {
        let keys = self.inner.state.ring.keys();
        let aged = keys.tenants.iter().filter(|(_, held)| held.tenant.last().is_some_and(|key| key.created <= made));
        aged.map(|(tenant, _)| *tenant).collect()
    }

    /// Gives a tenant a new key and wraps the log, state, name and checkpoint keys under it, in one commit. Data keys
    /// follow by the owner's sweep ([`Ledger::rewrap_value`]); then [`Ledger::retire_tenant_keys`].
    pub async fn rotate_tenant(&self, tenant: TenantId) -> Result<KeyId, Refusal> {
        let maker = self.maker();
        let keys = self.inner.state.ring.keys();
        let held = self.inner.state.ring.tenant(tenant)?;
        let (put, key) = maker.fresh_tenant(tenant, &keys.root()?.key)?;
        let id = put.id;
        let below = maker.rewrap_below(tenant, &held, &key)?;
        let count = u64::try_from(below.len()).unwrap_or(u64::MAX);
        let events =
            vec![house::key_created(&put)?, HouseEvent::Rewrapped { under: id, count }.event(house::KEY_REWRAPPED)?];
        let drops = places_below(&held).into_iter().map(|place| (tenant, place)).collect();
        let rings = std::iter::once(put).chain(below).collect();
        self.change_ring(RingChange { reads: Vec::new(), absent: None, events, rings, drops }).await?;
        Ok(id)
    }

    /// Destroys the tenant keys that are not the newest and that nothing is wrapped under. Gives how many remain for
    /// want of a finished sweep. Cost: one look at every data key's header.
    pub async fn retire_tenant_keys(&self, tenant: TenantId) -> Result<usize, Refusal> {
        let held = self.inner.state.ring.tenant(tenant)?;
        let newest = held.current_tenant()?.id;
        let old: Vec<_> = held.tenant.iter().filter(|h| h.id != newest).map(|h| (h.id, h.created, h.place)).collect();
        if old.is_empty() {
            return Ok(0);
        }
        self.dropped().await;
        let used = self.tenant_keys_in_use().await?;
        let mut left = 0usize;
        for (id, created, place) in old {
            if used.contains(&id) {
                left = left.saturating_add(1);
                continue;
            }
            let events = vec![
                HouseEvent::Key { id, purpose: Purpose::Tenant, created_ms: created.0 }.event(house::KEY_DESTROYED)?,
            ];
            let drops = vec![(tenant, place)];
            self.change_ring(RingChange { reads: Vec::new(), absent: None, events, rings: Vec::new(), drops }).await?;
        }
        Ok(left)
    }

    /// Ids of the tenant keys that some data key is wrapped under.
    async fn tenant_keys_in_use(&self) -> Result<std::collections::BTreeSet<KeyId>, Refusal> {
        let state = &self.inner.state;
        let mut used = std::collections::BTreeSet::new();
        let mut after = None;
        loop {
            let prefix = Key::new(Kind::Key, state.shard, Vec::new());
            let page = state.storage.scan(prefix, after.take(), storage::LIMITS.page_max).await;
            let page = page.map_err(crate::state::storage_refusal)?;
            let full = page.len() == storage::LIMITS.page_max;
            after = page.last().map(|(key, _)| key.clone());
            used.extend(page.iter().filter_map(|(_, wrapped)| Header::parse(wrapped).ok()).map(|header| header.key_id));
            if !full {
                return Ok(used);
            }
        }
    }

    /// Makes a new root key and wraps every tenant key under it; the old root is destroyed when that is done. Resumes
    /// what a crash cut off.
    pub async fn rotate_root(&self) -> Result<KeyId, Refusal> {
        let maker = self.maker();
        let root = maker.fresh_root()?;
        let seal = Arc::clone(&self.inner.seal.read());
        let put = maker.root(seal.as_ref(), Arc::clone(&root))?;
        let events = vec![house::key_created(&put)?];
        self.change_ring(RingChange { reads: Vec::new(), absent: None, events, rings: vec![put], drops: Vec::new() })
            .await?;
        self.finish_root_rotation().await?;
        Ok(root.id())
    }

    /// Wraps tenant keys under the newest root key and destroys older roots. Harmless to repeat.
    pub async fn finish_root_rotation(&self) -> Result<(), Refusal> {
        let keys = self.inner.state.ring.keys();
        let newest = keys.root()?.clone();
        if keys.roots.len() < 2 {
            return Ok(());
        }
        let mut after = None;
        loop {
            let keys = self.inner.state.ring.keys();
            let puts = self.maker().rewrap_tenants(&keys, &newest.key, after, REWRAP_STEP)?;
            let Some(last) = puts.last().map(|put| put.tenant) else { break };
            after = Some(last);
            let drops = puts.iter().filter_map(|put| {
                let held = keys.tenants.get(&put.tenant)?.tenant.iter().find(|h| h.id == put.id)?;
                Some((put.tenant, held.place))
            });
            let drops = drops.collect();
            let count = u64::try_from(puts.len()).unwrap_or(u64::MAX);
            let events = vec![HouseEvent::Rewrapped { under: newest.id, count }.event(house::KEY_REWRAPPED)?];
            self.change_ring(RingChange { reads: Vec::new(), absent: None, events, rings: puts, drops }).await?;
        }
        for old in self.inner.state.ring.keys().roots.iter().filter(|h| h.id != newest.id) {
            let events = vec![
                HouseEvent::Key { id: old.id, purpose: Purpose::Root, created_ms: old.created.0 }
                    .event(house::KEY_DESTROYED)?,
            ];
            let drops = vec![(TenantId::SYSTEM, old.place)];
            self.change_ring(RingChange { reads: Vec::new(), absent: None, events, rings: Vec::new(), drops }).await?;
        }
        Ok(())
    }

    /// Puts the root keys under another seal; the old wrapping is destroyed in the same commit.
    pub async fn rekey_seal(&self, seal: Arc<dyn Seal>) -> Result<(), Refusal> {
        let maker = self.maker();
        let keys = self.inner.state.ring.keys();
        let mut rings = Vec::new();
        let mut drops = Vec::new();
        for held in &keys.roots {
            let mut put = maker.root(seal.as_ref(), Arc::clone(&held.key))?;
            put.created = held.created;
            put.row.created = held.created;
            rings.push(put);
            drops.push((TenantId::SYSTEM, held.place));
        }
        let events = vec![HouseEvent::Rekeyed { seal: seal.name() }.event(house::SEAL_REKEYED)?];
        self.change_ring(RingChange { reads: Vec::new(), absent: None, events, rings, drops }).await?;
        *self.inner.seal.write() = seal;
        Ok(())
    }

    /// Says that this ledger came out of a backup and goes on from there; `known` entries were in its earlier life, 0 for
    /// nobody knows.
    pub async fn note_restored(&self, backup: BackupId, entries: u64, known: u64) -> Result<(), Refusal> {
        let events = vec![HouseEvent::Restored { backup, entries, known }.event(house::LEDGER_RESTORED)?];
        let (rings, drops) = (Vec::new(), Vec::new());
        self.change_ring(RingChange { reads: Vec::new(), absent: None, events, rings, drops }).await
    }

    async fn change_ring(&self, change: RingChange) -> Result<(), Refusal> {
        self.submit_own(Box::new(change)).await.map(drop)
    }

    fn maker(&self) -> Maker<'_> {
        Maker { entropy: self.inner.entropy.as_ref(), now: self.inner.clock.wall() }
    }
}

fn list(out: &mut Vec<KeyInfo>, tenant: TenantId, purpose: Purpose, keys: impl Iterator<Item = (KeyId, WallMs, u64)>) {
    let from = out.len();
    out.extend(keys.map(|(id, created, seals)| KeyInfo { tenant, purpose, id, created, current: false, seals }));
    if let Some(last) = out.get_mut(from..).and_then(<[KeyInfo]>::last_mut) {
        last.current = true;
    }
}

fn places_below(held: &crate::ring::TenantKeys) -> Vec<Place> {
    let logs = held.log.iter().map(|h| h.place);
    let states = held.state.iter().map(|h| h.place);
    let names = held.name.iter().map(|h| h.place);
    let signers = held.checkpoint.iter().map(|h| h.place);
    logs.chain(states).chain(names).chain(signers).collect()
}
