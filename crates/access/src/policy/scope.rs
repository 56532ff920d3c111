//! Scopes: whom, which acts and what a statement is about, in a form the index can look up.

use crate::action::Action;
use crate::resource::{Resource, ResourceKind};
use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, PrincipalConstraint, ResourceConstraint};

/// Who asks, as the index looks it up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The entity id as text.
    pub(crate) entity: &'a str,
    /// Every role, transitively; there are no roles of roles.
    pub(crate) roles: &'a [Box<str>],
}

/// Whom a statement is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PrincipalScope {
    Any,
    Entity(Box<str>),
    Role(Box<str>),
    /// Matches nobody.
    Never,
}

impl PrincipalScope {
    pub(super) fn of(constraint: &PrincipalConstraint) -> PrincipalScope {
        match constraint {
            PrincipalConstraint::Any => PrincipalScope::Any,
            PrincipalConstraint::Is(kind) if is(kind, "Principal") => PrincipalScope::Any,
            PrincipalConstraint::Eq(uid) if is(uid.type_name(), "Principal") => PrincipalScope::Entity(id(uid)),
            PrincipalConstraint::In(uid) => PrincipalScope::within(uid),
            PrincipalConstraint::IsIn(kind, uid) if is(kind, "Principal") => PrincipalScope::within(uid),
            _ => PrincipalScope::Never,
        }
    }

    fn within(uid: &EntityUid) -> PrincipalScope {
        if is(uid.type_name(), "Principal") {
            PrincipalScope::Entity(id(uid))
        } else if is(uid.type_name(), "Role") {
            PrincipalScope::Role(id(uid))
        } else {
            PrincipalScope::Never
        }
    }
}

/// What a statement is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ResourceScope {
    Any,
    Kind(ResourceKind),
    Exact(ResourceKind, Box<str>),
    /// The folder itself and all below it, of one kind or of both.
    Below(Box<str>, Option<ResourceKind>),
    /// Matches nothing.
    Never,
}

impl ResourceScope {
    pub(super) fn of(constraint: &ResourceConstraint) -> ResourceScope {
        match constraint {
            ResourceConstraint::Any => ResourceScope::Any,
            ResourceConstraint::Is(kind) => kind_of(kind).map_or(ResourceScope::Never, ResourceScope::Kind),
            ResourceConstraint::Eq(uid) => ResourceScope::exact(uid),
            ResourceConstraint::In(uid) => match kind_of(uid.type_name()) {
                Some(ResourceKind::Folder) => ResourceScope::Below(id(uid), None),
                _ => ResourceScope::exact(uid),
            },
            ResourceConstraint::IsIn(kind, uid) => match (kind_of(kind), kind_of(uid.type_name())) {
                (Some(kind), Some(ResourceKind::Folder)) => ResourceScope::Below(id(uid), Some(kind)),
                (Some(kind), Some(of)) if kind == of => ResourceScope::exact(uid),
                _ => ResourceScope::Never,
            },
        }
    }

    fn exact(uid: &EntityUid) -> ResourceScope {
        kind_of(uid.type_name()).map_or(ResourceScope::Never, |kind| ResourceScope::Exact(kind, id(uid)))
    }

    /// Whether a resource of this kind may match, once the folder does.
    pub(super) fn takes(&self, resource: &Resource) -> bool {
        match self {
            ResourceScope::Below(_, Some(kind)) => *kind == resource.kind(),
            _ => true,
        }
    }
}

/// The acts a statement is about.
pub(super) fn action_bits(constraint: &ActionConstraint) -> u64 {
    let one = |uid: &EntityUid| Action::named(uid.id().unescaped()).map_or(0, Action::bit);
    match constraint {
        ActionConstraint::Any => u64::MAX,
        ActionConstraint::Eq(uid) => one(uid),
        ActionConstraint::In(uids) => {
            uids.iter().fold(0, |bits, uid| bits | one(uid) | Action::group_bits(uid.id().unescaped()))
        }
    }
}

fn is(kind: &EntityTypeName, name: &str) -> bool {
    kind.namespace_components().next().is_none() && kind.basename() == name
}

fn kind_of(kind: &EntityTypeName) -> Option<ResourceKind> {
    if kind.namespace_components().next().is_some() { None } else { ResourceKind::named(kind.basename()) }
}

fn id(uid: &EntityUid) -> Box<str> {
    uid.id().unescaped().into()
}
