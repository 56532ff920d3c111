//! A principal as the decider keeps it.

use super::entities;
use crate::name::PrincipalName;
use crate::policy::{Subject, types};
use crate::session::SessionFacts;
use cedar_policy::{Entities, EntityUid};
use std::sync::{Arc, OnceLock};

/// A principal with its roles under one snapshot.
#[derive(Debug)]
pub(super) struct Known {
    /// Unique in this process: stands for tenant, entity, roles and snapshot in the keys of what is remembered.
    pub(super) slot: u64,
    pub(super) serial: u64,
    pub(super) roles: Arc<[Box<str>]>,
    pub(super) entity: Box<str>,
    /// Belongs to the entity for ever.
    pub(super) name: PrincipalName,
    pub(super) uid: Option<EntityUid>,
    entities: OnceLock<Option<Entities>>,
}

impl Known {
    pub(super) fn new(slot: u64, serial: u64, who: &SessionFacts) -> Known {
        let entity: Box<str> = who.entity.to_string().into();
        let uid = types().map(|types| {
            EntityUid::from_type_name_and_id(types.principal.clone(), cedar_policy::EntityId::new(&*entity))
        });
        let (roles, name) = (Arc::clone(&who.roles), who.principal.clone());
        Known { slot, serial, roles, entity, name, uid, entities: OnceLock::new() }
    }

    /// The principal with its roles, for Cedar.
    pub(super) fn entities(&self) -> Option<&Entities> {
        let make = || entities::of_principal(self.uid.clone()?, self.name.as_str(), &self.roles);
        self.entities.get_or_init(make).as_ref()
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { entity: &self.entity, roles: &self.roles }
    }
}
