//! The entities of a request, the only place that makes them: each with every ancestor it has.
//!
//! A role or folder left out would make Cedar skip a forbid without a word.

use super::subject::Known;
use crate::action::Action;
use crate::policy::{Types, types};
use crate::resource::{Resource, ResourceKind};
use cedar_policy::{Entities, Entity, EntityId, EntityUid, RestrictedExpression};
use std::collections::{HashMap, HashSet};

/// The resource's name for Cedar.
pub(super) fn resource_uid(types: &Types, resource: &Resource) -> EntityUid {
    EntityUid::from_type_name_and_id(types.resource_type(resource.kind()).clone(), EntityId::new(resource.id()))
}

/// Principal, action and resource with all their ancestors. `None` never happens: the request is then denied.
pub(super) fn of(known: &Known, action: Action, resource: &Resource) -> Option<Entities> {
    let types = types()?;
    let groups = types.group(action).into_iter().cloned().collect();
    let act = Entity::new_no_attrs(types.action(action)?.clone(), groups);
    let folder = types.resource_type(ResourceKind::Folder);
    let folders: HashSet<EntityUid> = resource.folders().map(|path| uid(folder, path)).collect();
    let thing = Entity::new(resource_uid(types, resource), attributes(resource), folders).ok()?;
    // Cedar looks for cycles among what is added only, and that is most of what this costs.
    known.entities()?.clone().add_entities([act, thing], None).ok()
}

/// The principal alone, in each of its roles.
pub(super) fn of_principal(who: EntityUid, name: &str, roles: &[Box<str>]) -> Option<Entities> {
    let role = &types()?.role;
    let name = HashMap::from([("name".to_owned(), RestrictedExpression::new_string(name.to_owned()))]);
    let principal = Entity::new(who, name, roles.iter().map(|id| uid(role, id)).collect()).ok()?;
    Entities::from_entities([principal], None).ok()
}

fn attributes(resource: &Resource) -> HashMap<String, RestrictedExpression> {
    let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
    match resource {
        Resource::Secret(_) | Resource::Folder(_) => HashMap::from([
            ("path".to_owned(), text(resource.id())),
            ("name".to_owned(), text(resource.last_name())),
            ("space".to_owned(), text(resource.space())),
        ]),
        Resource::Policy(_) | Resource::PrincipalRecord(_) | Resource::PasswordPolicy(_) => {
            HashMap::from([("name".to_owned(), text(resource.id()))])
        }
        Resource::System(_) => HashMap::new(),
    }
}

fn uid(kind: &cedar_policy::EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}
