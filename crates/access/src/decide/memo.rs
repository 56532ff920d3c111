//! What is remembered of a decision, and under which key.

use super::Action;
use crate::decision::{Decision, RuleIds};
use crate::policy::ConditionSet;
use crate::resource::ResourceKind;
use cedar_policy::{Entities, EntityUid};
use quick_cache::Equivalent;
use std::sync::Arc;

/// The slot stands for tenant, entity, its roles and the snapshot, all at once.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key {
    slot: u64,
    action: Action,
    kind: ResourceKind,
    id: Box<str>,
}

/// The same, borrowed. Fields in the same order: both hash alike.
#[derive(Clone, Copy, Hash, Debug)]
pub(super) struct KeyRef<'a> {
    pub(super) slot: u64,
    pub(super) action: Action,
    pub(super) kind: ResourceKind,
    pub(super) id: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.slot == key.slot && self.action == key.action && self.kind == key.kind && *self.id == *key.id
    }
}

impl KeyRef<'_> {
    pub(super) fn to_owned(self) -> Key {
        Key { slot: self.slot, action: self.action, kind: self.kind, id: self.id.into() }
    }
}

/// The static part of a decision.
#[derive(Clone, Debug)]
pub(super) enum Memo {
    /// No rule looks at the circumstances, or a forbid is satisfied already.
    Settled(Decision),
    /// Rules that look at the circumstances are left.
    Open(Arc<Open>),
}

/// A decision that waits for the circumstances.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) permits: RuleIds,
    pub(super) errors: RuleIds,
    pub(super) dynamic: Arc<ConditionSet>,
    pub(super) action: EntityUid,
    pub(super) resource: EntityUid,
    /// Empty unless a condition looks at them.
    pub(super) entities: Entities,
}
