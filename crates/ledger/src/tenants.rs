//! Tenants: what is stored of each, and the commands that change it. They live in the reserved tenant `system`.

use crate::code::{self, Refusal};
use crate::house::{self, HouseEvent};
use crate::ledger::Ledger;
use crate::unit::{Command, Context, Damaged, Halt, IntentKey, NewIntent, Outcome, RecordKind, RecordName, View};
use crypto::id::TenantId;
use crypto::seam::WallMs;
use serde::{Deserialize, Serialize};

/// What may be done in a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum TenantState {
    /// Everything that policies allow.
    Active,
    /// Nothing, until it is active again; nothing is lost.
    Suspended,
    /// Nothing ever again: it is being emptied.
    Deleting,
}

/// How much a tenant may have and ask for; nothing named is no limit of its own.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct TenantLimits {
    /// Secrets.
    pub secrets: Option<u64>,
    /// Requests in a second, on each node.
    pub request_rate: Option<u32>,
}

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id, never used again.
    pub id: TenantId,
    /// Its name, one segment.
    pub name: String,
    /// When it was made.
    pub created: WallMs,
    /// What may be done in it.
    pub state: TenantState,
    /// How much it may have.
    pub limits: TenantLimits,
}

/// Record of a tenant, in the tenant `system`, by name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum StoredTenant {
    V1 { tenant: TenantId, created_ms: u64 },
    V2(Tenant),
}

/// Record of a tenant's name, by id.
#[derive(Serialize, Deserialize)]
pub(crate) enum StoredTenantName {
    V1 { name: String },
}

impl Tenant {
    /// Reads the record [`tenant_record`] of this name. Errors: `Damaged`.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Tenant, Damaged> {
        match postcard::take_from_bytes(bytes) {
            Ok((StoredTenant::V2(tenant), [])) => Ok(tenant),
            Ok((StoredTenant::V1 { tenant, created_ms }, [])) => Ok(Tenant {
                id: tenant,
                name: name.to_owned(),
                created: WallMs(created_ms),
                state: TenantState::Active,
                limits: TenantLimits::default(),
            }),
            _ => Err(Damaged("record of a tenant".into())),
        }
    }
}

/// Name of a tenant's record.
pub fn tenant_record(name: &str) -> RecordName {
    RecordName::new(RecordKind::TENANT, [name])
}

/// Name of the record that leads from a tenant's id to its name.
pub fn tenant_id_record(id: TenantId) -> RecordName {
    RecordName::new(RecordKind::TENANT, ["id".to_owned(), id.to_string()])
}

/// Changes what may be done in a tenant and how much it may have.
#[derive(Debug)]
pub struct ChangeTenant {
    name: String,
    state: Option<TenantState>,
    limits: Option<TenantLimits>,
    intents: Vec<NewIntent>,
}

impl ChangeTenant {
    /// What is `None` stays as it is. `intents` are opened with it.
    pub fn new(
        name: &str,
        state: Option<TenantState>,
        limits: Option<TenantLimits>,
        intents: Vec<NewIntent>,
    ) -> ChangeTenant {
        ChangeTenant { name: name.to_owned(), state, limits, intents }
    }
}

fn find(view: &View, name: &str) -> Result<Tenant, Halt> {
    let missing = || Refusal::new(&code::TENANT_NOT_FOUND, "there is no tenant of this name");
    Ok(Tenant::decode(name, view.get(&tenant_record(name))?.ok_or_else(missing)?)?)
}

impl Command for ChangeTenant {
    fn reads(&self) -> Vec<RecordName> {
        vec![tenant_record(&self.name)]
    }

    fn takes_away(&self) -> bool {
        self.state.is_some_and(|state| state != TenantState::Active)
    }

    /// Errors: `tenant.not_found`; `tenant.deleting` when it is being emptied, which is not taken back (nothing
    /// happened). Reply: empty.
    fn decide(&self, view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        let before = find(view, &self.name)?;
        if before.state == TenantState::Deleting {
            return Err(Refusal::new(&code::TENANT_DELETING, "the tenant is being deleted").into());
        }
        let tenant = Tenant {
            state: self.state.unwrap_or(before.state),
            limits: self.limits.unwrap_or(before.limits),
            ..before
        };
        let event = HouseEvent::TenantChanged(tenant).event(house::TENANT_CHANGED)?;
        let mut outcome = Outcome::new(vec![event], Vec::new());
        outcome.intents.clone_from(&self.intents);
        Ok(outcome)
    }
}

/// Ends a tenant that is empty: its name is free again, its id is not.
#[derive(Debug)]
pub struct EndTenant {
    name: String,
    done: IntentKey,
}

impl EndTenant {
    /// Ends the tenant of this name, which is being deleted, and closes the intent that emptied it.
    pub fn new(name: &str, done: IntentKey) -> EndTenant {
        EndTenant { name: name.to_owned(), done }
    }
}

impl Command for EndTenant {
    fn reads(&self) -> Vec<RecordName> {
        vec![tenant_record(&self.name)]
    }

    fn takes_away(&self) -> bool {
        true
    }

    /// Errors: `tenant.not_found`, `server.bug` for one that is not being deleted (nothing happened). Reply: empty.
    fn decide(&self, view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        let tenant = find(view, &self.name)?;
        if tenant.state != TenantState::Deleting {
            return Err(Refusal::new(&code::BUG, "a tenant that lives is not ended").into());
        }
        let event = HouseEvent::TenantDeleted { tenant: tenant.id, name: tenant.name };
        let mut outcome = Outcome::new(vec![event.event(house::TENANT_DELETED)?], Vec::new());
        outcome.closed.push(self.done);
        Ok(outcome)
    }
}

impl Ledger {
    /// The tenant of this name, if there is one. Errors: `storage.damaged`.
    pub async fn tenant_named(&self, name: &str) -> Result<Option<Tenant>, Refusal> {
        let Some(body) = self.record(TenantId::SYSTEM, &tenant_record(name)).await? else { return Ok(None) };
        Ok(Some(Tenant::decode(name, &body)?))
    }

    /// The name of the tenant of this id, if there is one. Errors: `storage.damaged`.
    pub async fn tenant_name(&self, id: TenantId) -> Result<Option<String>, Refusal> {
        let Some(body) = self.record(TenantId::SYSTEM, &tenant_id_record(id)).await? else { return Ok(None) };
        match postcard::take_from_bytes(&body) {
            Ok((StoredTenantName::V1 { name }, [])) => Ok(Some(name)),
            _ => Err(Damaged("record of a tenant's name".into()).into()),
        }
    }

    /// Ids of all tenants whose keys are held, deleted ones among them, the reserved one not.
    pub fn tenants(&self) -> Vec<TenantId> {
        self.inner.state.ring.keys().tenants.keys().copied().filter(|tenant| *tenant != TenantId::SYSTEM).collect()
    }
}
