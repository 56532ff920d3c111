//! Principals: who there is, with which roles, and the epoch that ends their sessions.

use crate::codec::{decode, encode};
use crate::limits::ROLES_MAX;
use crate::name::{OWNER, PrincipalName, Role};
use crypto::WallMs;
use crypto::id::EntityId;
use ledger::code::{self, Refusal};
use ledger::{Command, Context, Damaged, Event, Halt, Outcome, RecordKind, RecordName, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Event: a principal was made or changed.
pub const WRITTEN: &str = "auth.principal.written";

/// A principal as stored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum StoredPrincipal {
    /// First form.
    V1(PrincipalV1),
}

/// A principal as stored, first form.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PrincipalV1 {
    /// The identity that authority hangs on; never changes, never reused.
    pub entity: EntityId,
    /// Name; never changes.
    pub name: String,
    /// Roles, sorted, each once.
    pub roles: Vec<Box<str>>,
    /// Goes up when the principal is disabled; sessions of another epoch are over.
    pub epoch: u64,
    /// Whether it may do nothing.
    pub disabled: bool,
    /// When it was made.
    pub created: WallMs,
    /// When it was last changed.
    pub changed: WallMs,
}

/// A principal as read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Principal {
    /// The identity that authority hangs on.
    pub entity: EntityId,
    /// Name.
    pub name: PrincipalName,
    /// Roles, sorted, each once. Shared, so that a cached principal is compared by address.
    pub roles: Arc<[Box<str>]>,
    /// Sessions of another epoch are over.
    pub epoch: u64,
    /// Whether it may do nothing.
    pub disabled: bool,
    /// When it was made.
    pub created: WallMs,
    /// When it was last changed.
    pub changed: WallMs,
}

impl Principal {
    /// Reads a stored principal. Errors: `Damaged`.
    pub fn decode(bytes: &[u8]) -> Result<Principal, Damaged> {
        let StoredPrincipal::V1(stored) = decode("principal record", bytes)?;
        let name = PrincipalName::parse(&stored.name).map_err(|_| Damaged("principal record".into()))?;
        let PrincipalV1 { entity, epoch, disabled, created, changed, .. } = stored;
        Ok(Principal { entity, name, roles: stored.roles.into(), epoch, disabled, created, changed })
    }

    /// Whether it has the role that may do everything.
    pub fn is_owner(&self) -> bool {
        self.roles.iter().any(|role| &**role == OWNER)
    }
}

/// The record of a principal.
pub fn record_name(name: &PrincipalName) -> RecordName {
    RecordName::new(RecordKind::PRINCIPAL, [name.as_str()])
}

/// The record that leads from an entity to the principal's name; see [`decode_entity`].
pub fn entity_record_name(entity: EntityId) -> RecordName {
    RecordName::new(RecordKind::PRINCIPAL, ["entity", &entity.to_string()])
}

#[derive(Serialize, Deserialize)]
pub(crate) enum StoredEntity {
    V1 { name: String },
}

/// Reads the name behind an entity. Errors: `Damaged`.
pub fn decode_entity(bytes: &[u8]) -> Result<PrincipalName, Damaged> {
    let StoredEntity::V1 { name } = decode("entity record", bytes)?;
    PrincipalName::parse(&name).map_err(|_| Damaged("entity record".into()))
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Written {
    V1 { entity: EntityId, name: String, roles: Vec<Box<str>>, epoch: u64, disabled: bool },
}

/// Makes the first owner of a tenant, once.
#[derive(Debug)]
pub struct BootstrapOwner {
    entity: EntityId,
}

impl BootstrapOwner {
    /// The owner will be this entity. Issue it with `Actor::SYSTEM`.
    pub fn new(entity: EntityId) -> BootstrapOwner {
        BootstrapOwner { entity }
    }

    /// The bootstrap owner's name.
    pub fn name() -> Result<PrincipalName, Refusal> {
        PrincipalName::parse(OWNER)
    }
}

impl Command for BootstrapOwner {
    fn reads(&self) -> Vec<RecordName> {
        BootstrapOwner::name().iter().map(record_name).collect()
    }

    /// Refuses a second time: `auth.already_set_up`, nothing happened. Reply: the stored principal's entity.
    fn decide(&self, view: &View, _cx: &Context<'_>) -> Result<Outcome, Halt> {
        let name = BootstrapOwner::name()?;
        if view.get(&record_name(&name))?.is_some() {
            let why = "the owner was made when the server first started";
            return Err(Refusal::new(&code::AUTH_ALREADY_SET_UP, why).into());
        }
        written(Written::V1 {
            entity: self.entity,
            name: name.as_str().to_owned(),
            roles: vec![OWNER.into()],
            epoch: 1,
            disabled: false,
        })
    }
}

/// Makes a principal or changes its roles or whether it is disabled.
#[derive(Debug)]
pub struct PutPrincipal {
    name: PrincipalName,
    roles: Vec<Box<str>>,
    disabled: bool,
    fresh: EntityId,
    /// An identity of the house's own tenant that is to be this principal.
    identity: Option<EntityId>,
}

impl PutPrincipal {
    /// The principal will have exactly these roles. `fresh` becomes its entity if it does not exist yet.
    ///
    /// Errors: `principal.invalid` for a role that is no name, one given twice, or too many.
    pub fn new(
        name: PrincipalName,
        roles: &[String],
        disabled: bool,
        fresh: EntityId,
    ) -> Result<PutPrincipal, Refusal> {
        if roles.len() > ROLES_MAX {
            return Err(Refusal::new(&code::PRINCIPAL_INVALID, format!("a principal has at most {ROLES_MAX} roles")));
        }
        let mut sorted: Vec<Box<str>> = Vec::with_capacity(roles.len());
        for role in roles {
            sorted.push(Role::parse(role)?.as_str().into());
        }
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != roles.len() {
            return Err(Refusal::new(&code::PRINCIPAL_INVALID, "a role is given twice"));
        }
        Ok(PutPrincipal { name, roles: sorted, disabled, fresh, identity: None })
    }

    /// Whether it would change nothing about a principal that is like this.
    pub fn leaves(&self, before: &Principal) -> bool {
        *self.roles == *before.roles && self.disabled == before.disabled
    }

    /// The principal is this identity, which has logged in elsewhere: a member of this tenant too.
    pub fn being(self, identity: EntityId) -> PutPrincipal {
        PutPrincipal { identity: Some(identity), ..self }
    }
}

impl Command for PutPrincipal {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.name)]
    }

    fn takes_away(&self) -> bool {
        self.disabled
    }

    /// Only an owner makes, changes or unmakes an owner, and never unmakes itself: so one is always left. The server by itself
    /// makes owners and unmakes none.
    ///
    /// Errors: `principal.owner_only`, `principal.self`, `principal.taken` (nothing happened). Reply: entity and epoch.
    fn decide(&self, view: &View, cx: &Context<'_>) -> Result<Outcome, Halt> {
        let before = view.get(&record_name(&self.name))?.map(Principal::decode).transpose()?;
        let will_own = self.roles.iter().any(|role| &**role == OWNER);
        if will_own || before.as_ref().is_some_and(Principal::is_owner) {
            require_owner(view, cx)?;
        }
        let Some(before) = before else {
            if let Some(identity) = self.identity
                && view.get(&entity_record_name(identity))?.is_some()
            {
                let why = "this identity is a principal here already, under another name";
                return Err(Refusal::new(&code::PRINCIPAL_TAKEN, why).into());
            }
            return written(Written::V1 {
                entity: self.identity.unwrap_or(self.fresh),
                name: self.name.as_str().to_owned(),
                roles: self.roles.clone(),
                epoch: 1,
                disabled: self.disabled,
            });
        };
        if self.identity.is_some_and(|identity| identity != before.entity) {
            let why = "the principal exists and is another identity, which never changes";
            return Err(Refusal::new(&code::PRINCIPAL_TAKEN, why).into());
        }
        if before.entity == cx.actor.entity && (self.disabled || (before.is_owner() && !will_own)) {
            let why = "nobody disables or demotes themselves; another owner can";
            return Err(Refusal::new(&code::PRINCIPAL_SELF, why).into());
        }
        if cx.actor.entity == EntityId::SYSTEM && before.is_owner() && (self.disabled || !will_own) {
            let why = format!(
                "`{}` is an owner, which only another owner changes; give it the role `{OWNER}` and leave it enabled",
                self.name.as_str()
            );
            return Err(Refusal::new(&code::PRINCIPAL_OWNER_ONLY, why).into());
        }
        let ends_sessions = self.disabled && !before.disabled;
        written(Written::V1 {
            entity: before.entity,
            name: self.name.as_str().to_owned(),
            roles: self.roles.clone(),
            epoch: if ends_sessions { before.epoch.saturating_add(1) } else { before.epoch },
            disabled: self.disabled,
        })
    }
}

/// How far a restored store moves epochs on: farther than any life that was lost can have moved them.
const EPOCHS_LOST_MAX: u64 = 1_000_000;

/// Ends everything that was ever issued to a principal, also what this store does not know of, because it was issued in a life
/// of the store that was lost. Issue it with `Actor::SYSTEM`.
#[derive(Debug)]
pub struct EndEverything {
    name: PrincipalName,
    /// Roles it keeps at most.
    roles: Option<Vec<Box<str>>>,
    disable: bool,
}

impl EndEverything {
    /// Of the principal of this name.
    pub fn of(name: PrincipalName) -> EndEverything {
        EndEverything { name, roles: None, disable: false }
    }

    /// Takes away what the lost life had taken away, too: roles it did not have any more, and all of it if it was disabled.
    #[must_use]
    pub fn known(self, told: Told) -> EndEverything {
        EndEverything { roles: Some(told.roles), disable: told.disabled, ..self }
    }
}

impl Command for EndEverything {
    fn reads(&self) -> Vec<RecordName> {
        vec![record_name(&self.name)]
    }

    fn takes_away(&self) -> bool {
        true
    }

    /// Errors: `principal.not_found` (nothing happened). Reply: entity and epoch.
    fn decide(&self, view: &View, _: &Context<'_>) -> Result<Outcome, Halt> {
        let missing = || Refusal::new(&code::PRINCIPAL_NOT_FOUND, "there is no principal of this name");
        let before = Principal::decode(view.get(&record_name(&self.name))?.ok_or_else(missing)?)?;
        let keeps = |role: &str| self.roles.as_ref().is_none_or(|roles| roles.iter().any(|kept| &**kept == role));
        written(Written::V1 {
            entity: before.entity,
            name: self.name.as_str().to_owned(),
            roles: before.roles.iter().filter(|role| keeps(role)).cloned().collect(),
            epoch: before.epoch.saturating_add(EPOCHS_LOST_MAX),
            disabled: before.disabled || self.disable,
        })
    }
}

/// What an event says a principal is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its name.
    pub name: PrincipalName,
    /// Its roles.
    pub roles: Vec<Box<str>>,
    /// Whether it may do nothing.
    pub disabled: bool,
}

impl Told {
    /// Reads the body of a [`WRITTEN`] event. Errors: `Damaged`.
    pub fn decode(body: &[u8]) -> Result<Told, Damaged> {
        let Written::V1 { name, roles, disabled, .. } = decode(WRITTEN, body)?;
        let name = PrincipalName::parse(&name).map_err(|_| Damaged(WRITTEN.into()))?;
        Ok(Told { name, roles, disabled })
    }
}

/// What a principal's command answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PrincipalReply {
    /// First form.
    V1 {
        /// Its entity.
        entity: EntityId,
        /// Its epoch now.
        epoch: u64,
    },
}

impl PrincipalReply {
    /// Reads an answer. Errors: `Damaged`.
    pub fn decode(bytes: &[u8]) -> Result<PrincipalReply, Damaged> {
        decode("principal reply", bytes)
    }
}

fn written(event: Written) -> Result<Outcome, Halt> {
    let Written::V1 { entity, epoch, .. } = &event;
    let reply = encode(&PrincipalReply::V1 { entity: *entity, epoch: *epoch })?;
    Ok(Outcome::new(vec![Event { kind: WRITTEN, body: encode(&event)? }], reply))
}

/// Refuses unless the actor is the server itself or an owner right now, whatever was true when it was authorised.
pub(crate) fn require_owner(view: &View, cx: &Context<'_>) -> Result<(), Halt> {
    if cx.actor.entity == EntityId::SYSTEM {
        return Ok(());
    }
    let refused = || Halt::from(Refusal::new(&code::PRINCIPAL_OWNER_ONLY, "this touches an owner"));
    let name = decode_entity(view.get(&entity_record_name(cx.actor.entity))?.ok_or_else(refused)?)?;
    let actor = Principal::decode(view.get(&record_name(&name))?.ok_or_else(refused)?)?;
    if actor.entity == cx.actor.entity && actor.is_owner() && !actor.disabled { Ok(()) } else { Err(refused()) }
}

/// The principal of this name, able to log in. Errors: `principal.not_found`, `principal.disabled`.
pub(crate) fn enabled(view: &View, name: &PrincipalName) -> Result<Principal, Halt> {
    let missing = || Refusal::new(&code::PRINCIPAL_NOT_FOUND, "there is no principal of this name");
    let principal = Principal::decode(view.get(&record_name(name))?.ok_or_else(missing)?)?;
    if principal.disabled {
        return Err(Refusal::new(&code::PRINCIPAL_DISABLED, "the principal is disabled").into());
    }
    Ok(principal)
}
