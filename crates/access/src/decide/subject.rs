//! A principal as the decider keeps it.

use crate::policy::{Subject, types};
use cedar_policy::EntityUid;
use crypto::id::EntityId;
use std::sync::Arc;

/// A principal with its roles under one snapshot.
#[derive(Debug)]
pub(super) struct Known {
    /// Unique in this process: stands for tenant, entity, roles and snapshot in the keys of what is remembered.
    pub(super) slot: u64,
    pub(super) serial: u64,
    pub(super) roles: Arc<[Box<str>]>,
    pub(super) entity: Box<str>,
    pub(super) uid: Option<EntityUid>,
}

impl Known {
    pub(super) fn new(slot: u64, serial: u64, entity: EntityId, roles: Arc<[Box<str>]>) -> Known {
        let entity: Box<str> = entity.to_string().into();
        let uid = types().map(|types| {
            EntityUid::from_type_name_and_id(types.principal.clone(), cedar_policy::EntityId::new(&*entity))
        });
        Known { slot, serial, roles, entity, uid }
    }

    pub(super) fn subject(&self) -> Subject<'_> {
        Subject { entity: &self.entity, roles: &self.roles }
    }
}
