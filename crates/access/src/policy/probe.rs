//! Questions whose answers a change of policies may alter.

use super::parse::ValidPolicy;
use super::scope::ResourceScope;
use super::statement::Statement;
use crate::action::Action;
use crate::resource::{Part, Resource, ResourceKind};
use crate::{PasswordPolicyName, PolicyName, PrincipalName};
use ledger::{Path, Prefix};
use std::collections::BTreeSet;
use std::fmt;

/// An act on something that statements are about; where a statement is about many things, on a made-up one of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// The act.
    pub action: Action,
    /// What it would be done to.
    pub resource: Resource,
    /// Whether that is made up and stands for everything in its folder that no statement names.
    pub made_up: bool,
}

/// Name of what is made up.
const ANYTHING: &str = "aumbry-anything";

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.resource.id();
        match (&self.resource, self.made_up) {
            (_, true) => f.write_str(id.strip_suffix(ANYTHING).unwrap_or(id)).and_then(|()| f.write_str("*")),
            (Resource::Folder(_), _) => write!(f, "{id}/"),
            _ => f.write_str(id),
        }
    }
}

/// Places that statements are about.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Kind, id, and whether it is a folder with all below it.
    places: BTreeSet<(Option<ResourceKind>, Box<str>, bool)>,
}

impl Places {
    pub(super) fn add(&mut self, statement: &Statement) {
        match &statement.resource {
            ResourceScope::Any => self.places.extend(ResourceKind::ALL.map(|kind| (Some(kind), "".into(), true))),
            ResourceScope::Kind(kind) => drop(self.places.insert((Some(*kind), "".into(), true))),
            ResourceScope::Exact(kind, id) => drop(self.places.insert((Some(*kind), id.clone(), false))),
            ResourceScope::Below(folder, kind) => drop(self.places.insert((*kind, folder.clone(), true))),
            ResourceScope::Never => {}
        }
    }

    /// What may be asked about these places, by the acts of changed statements.
    pub(super) fn probes(&self, actions: u64, changed: &Places) -> Vec<Probe> {
        let mut probes = Vec::new();
        for place in self.places.iter().filter(|place| changed.touch(place)) {
            for action in Action::ALL.iter().filter(|action| actions & action.bit() != 0) {
                for (resource, made_up) in resources(place, *action) {
                    let probe = Probe { action: *action, resource, made_up };
                    if !probes.contains(&probe) {
                        probes.push(probe);
                    }
                }
            }
        }
        probes
    }

    /// Whether a statement about one of these may be about something at the place.
    fn touch(&self, place: &(Option<ResourceKind>, Box<str>, bool)) -> bool {
        let within = |inner: &str, outer: &str| {
            outer.is_empty() || inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let (kind, id, _) = place;
        self.places.iter().any(|(own, outer, below)| {
            let kinds = own.is_none() || kind.is_none() || own == kind;
            kinds && (outer == id || (*below && within(id, outer)))
        })
    }
}

fn resources(place: &(Option<ResourceKind>, Box<str>, bool), action: Action) -> Vec<(Resource, bool)> {
    let (kind, id, below) = place;
    let mut found = Vec::new();
    for of in action.resources().iter().filter(|of| kind.is_none_or(|kind| kind == **of)) {
        match of {
            ResourceKind::Secret if *below => {
                let path = if id.is_empty() { ANYTHING.to_owned() } else { format!("{id}/{ANYTHING}") };
                found.extend(Path::parse(&path).map(|path| (Resource::Secret(path), true)));
            }
            ResourceKind::Secret => found.extend(Path::parse(id).map(|path| (Resource::Secret(path), false))),
            ResourceKind::Folder => found.extend(Prefix::parse(id).map(|folder| (Resource::Folder(folder), false))),
            ResourceKind::Policy => {
                let name = if *below { ANYTHING } else { id };
                found.extend(PolicyName::parse(name).map(|name| (Resource::Policy(name), *below)));
            }
            ResourceKind::PrincipalRecord => {
                let name = if *below { ANYTHING } else { id };
                found.extend(PrincipalName::parse(name).map(|name| (Resource::PrincipalRecord(name), *below)));
            }
            ResourceKind::PasswordPolicy => {
                let name = if *below { ANYTHING } else { id };
                found.extend(PasswordPolicyName::parse(name).map(|name| (Resource::PasswordPolicy(name), *below)));
            }
            ResourceKind::System => {
                let parts = Part::ALL.into_iter().filter(|part| *below || part.name() == &**id);
                // An act on the server is about one part of it.
                found.extend(
                    parts.filter(|part| action.part() == Some(*part)).map(|part| (Resource::System(part), false)),
                );
            }
        }
    }
    found
}

/// Questions that a change from some statements to others may answer otherwise, of all statements there are.
pub(super) fn probes<'a>(
    changed: impl Iterator<Item = &'a ValidPolicy>,
    all: impl Iterator<Item = &'a ValidPolicy>,
) -> Vec<Probe> {
    let (mut at, mut actions) = (Places::default(), 0);
    for statement in changed.flat_map(|policy| policy.statements()) {
        at.add(statement);
        actions |= statement.actions;
    }
    let mut places = Places::default();
    all.flat_map(|policy| policy.statements()).for_each(|statement| places.add(statement));
    places.places.extend(at.places.iter().cloned());
    places.probes(actions, &at)
}
