//! Under which keys outcomes are remembered.

use crate::action::Action;
use crate::resource::{Resource, ResourceKind};
use quick_cache::Equivalent;
use std::net::IpAddr;

/// Of conditions that look at no resource and not at the time.
///
/// The slot stands for tenant, entity, its roles and the snapshot, all at once; the plan is one of that snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct ApartKey {
    pub(super) slot: u64,
    pub(super) plan: u64,
    pub(super) action: Action,
    /// Source address, TLS and `cas`, where a condition looks at them.
    pub(super) place: Option<(IpAddr, bool, bool)>,
}

/// Of which statements are about the secrets of a folder, where no policy names a single secret.
///
/// The slot stands for tenant, entity, its roles and the snapshot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct FolderKey {
    slot: u64,
    action: Action,
    folder: Box<str>,
}

/// The same, borrowed. Fields in the same order: both hash alike.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct FolderRef<'a> {
    pub(super) slot: u64,
    pub(super) action: Action,
    pub(super) folder: &'a str,
}

impl Equivalent<FolderKey> for FolderRef<'_> {
    fn equivalent(&self, key: &FolderKey) -> bool {
        (self.slot, self.action, self.folder) == (key.slot, key.action, &*key.folder)
    }
}

impl FolderRef<'_> {
    pub(super) fn to_owned(self) -> FolderKey {
        FolderKey { slot: self.slot, action: self.action, folder: self.folder.into() }
    }
}

/// Of conditions that look at the resource.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    slot: u64,
    plan: u64,
    permitted: bool,
    action: Action,
    kind: ResourceKind,
    id: Box<str>,
}

/// The same, borrowed. Fields in the same order: both hash alike.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct KeyRef<'a> {
    slot: u64,
    plan: u64,
    permitted: bool,
    action: Action,
    kind: ResourceKind,
    id: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        (self.slot, self.plan, self.permitted, self.action, self.kind, self.id)
            == (key.slot, key.plan, key.permitted, key.action, key.kind, &*key.id)
    }
}

impl<'a> KeyRef<'a> {
    pub(super) fn new(slot: u64, plan: u64, permitted: bool, action: Action, resource: &'a Resource) -> KeyRef<'a> {
        KeyRef { slot, plan, permitted, action, kind: resource.kind(), id: resource.id() }
    }

    pub(super) fn to_owned(self) -> Key {
        let KeyRef { slot, plan, permitted, action, kind, id } = self;
        Key { slot, plan, permitted, action, kind, id: id.into() }
    }
}
