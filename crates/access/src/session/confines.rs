//! What a session may not, although its principal may: from where, as which roles, doing what.

use crate::action::Action;
use crate::limits::{ROLES_MAX, SESSION_NETWORKS_MAX, SESSION_SCOPE_MAX};
use crate::name::Role;
use crate::net::Net;
use crate::resource::Resource;
use ledger::code::{self, Refusal};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Bounds as stored. A session has those of every session it was derived from as well, each a layer of its own; what
/// one layer refuses no other allows.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// The only roles that count; every role of the principal when none are named.
    pub roles: Option<Vec<Box<str>>>,
    /// The only acts that may be allowed; whatever policies allow when empty.
    pub scope: Vec<ScopeRule>,
    /// The only networks it may be used from; any when empty.
    pub networks: Vec<Box<str>>,
}

/// Some acts at one place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScopeRule {
    /// Names of actions or of their groups.
    pub actions: Vec<Box<str>>,
    /// A folder with `/` at its end and all below it, the name of one thing, or nothing for everywhere.
    pub place: Box<str>,
}

impl Bounds {
    /// Whether nothing is held back.
    pub fn is_empty(&self) -> bool {
        self.roles.is_none() && self.scope.is_empty() && self.networks.is_empty()
    }

    /// Checks bounds that somebody asks for. Errors: `session.invalid`, naming the field.
    pub fn check(&self) -> Result<(), Refusal> {
        let invalid = |why: String| Err(Refusal::new(&code::SESSION_INVALID, why));
        let roles = self.roles.as_deref().unwrap_or_default();
        if roles.len() > ROLES_MAX {
            return invalid(format!("`roles` has at most {ROLES_MAX}"));
        }
        for role in roles {
            Role::parse(role)?;
        }
        if self.scope.len() > SESSION_SCOPE_MAX {
            return invalid(format!("`scope` has at most {SESSION_SCOPE_MAX} rules"));
        }
        for rule in &self.scope {
            rule.check()?;
        }
        if self.networks.len() > SESSION_NETWORKS_MAX {
            return invalid(format!("`networks` has at most {SESSION_NETWORKS_MAX}"));
        }
        for network in &self.networks {
            if let Err(why) = network.parse::<Net>() {
                return invalid(format!("a network of `networks` {why}"));
            }
        }
        Ok(())
    }
}

impl ScopeRule {
    fn check(&self) -> Result<(), Refusal> {
        let invalid = |why: String| Refusal::new(&code::SESSION_INVALID, why);
        if self.actions.is_empty() || self.actions.len() > Action::ALL.len() {
            return Err(invalid(format!("a rule of `scope` names 1 to {} actions", Action::ALL.len())));
        }
        if self.actions.iter().any(|action| bits(action) == 0) {
            let why = "a rule of `scope` names something that is no action; `aumbry policy actions` lists them";
            return Err(invalid(why.to_owned()));
        }
        let folder = self.place.strip_suffix('/').unwrap_or(&self.place);
        if !folder.is_empty() {
            ledger::Path::parse(folder)
                .map_err(|bad| invalid(format!("the place of a rule of `scope`: {}", bad.detail)))?;
        }
        Ok(())
    }
}

/// The bits of an action or a group by name; 0 for what is neither, such as an action of a newer version.
fn bits(name: &str) -> u64 {
    Action::named(name).map_or_else(|| Action::group_bits(name), Action::bit)
}

/// Bounds of all layers, ready to be asked.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Confines {
    networks: Box<[Box<[Net]>]>,
    scopes: Box<[Box<[Rule]>]>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Rule {
    actions: u64,
    place: Box<str>,
}

impl Confines {
    /// A network that does not parse admits nobody.
    pub(crate) fn of(layers: &[Bounds]) -> Confines {
        let networks = layers.iter().filter(|layer| !layer.networks.is_empty());
        let networks = networks.map(|layer| layer.networks.iter().filter_map(|net| net.parse().ok()).collect());
        let scopes = layers.iter().filter(|layer| !layer.scope.is_empty()).map(|layer| {
            let rule = |rule: &ScopeRule| Rule {
                actions: rule.actions.iter().fold(0, |all, action| all | bits(action)),
                place: rule.place.clone(),
            };
            layer.scope.iter().map(rule).collect()
        });
        Confines { networks: networks.collect(), scopes: scopes.collect() }
    }

    /// Whether the session may be used from there.
    pub fn admit(&self, source: IpAddr) -> bool {
        self.networks.iter().all(|layer| layer.iter().any(|net| net.contains(source)))
    }

    /// Whether anything is left out of what policies may allow.
    pub fn is_scoped(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// Whether policies may be asked at all. What concerns only the session itself and what hangs on it is never held back.
    pub fn cover(&self, action: Action, resource: &Resource) -> bool {
        (action.group() == "own" && action != Action::WrapMake)
            || self.scopes.iter().all(|layer| layer.iter().any(|rule| rule.covers(action, resource)))
    }
}

impl Rule {
    fn covers(&self, action: Action, resource: &Resource) -> bool {
        if self.actions & action.bit() == 0 {
            return false;
        }
        let (place, id) = (&*self.place, resource.id());
        match (place.strip_suffix('/'), resource) {
            _ if place.is_empty() || place == "/" => true,
            (Some(folder), Resource::Secret(_) | Resource::Folder(_)) => {
                let rest = id.strip_prefix(folder);
                rest.is_some_and(|rest| {
                    rest.starts_with('/') || (rest.is_empty() && matches!(resource, Resource::Folder(_)))
                })
            }
            (None, Resource::Folder(_)) => false,
            (None, _) => place == id,
            (Some(_), _) => false,
        }
    }
}

/// The roles that count under all layers.
pub(crate) fn roles_within<'a>(roles: &'a [Box<str>], layers: &'a [Bounds]) -> impl Iterator<Item = &'a Box<str>> {
    roles.iter().filter(|role| {
        layers.iter().all(|layer| layer.roles.as_ref().is_none_or(|only| only.iter().any(|one| one == *role)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::PolicyName;
    use ledger::{Path, Prefix};

    fn layer(actions: &[&str], place: &str) -> Bounds {
        let actions = actions.iter().map(|name| (*name).into()).collect();
        Bounds { scope: vec![ScopeRule { actions, place: place.into() }], ..Bounds::default() }
    }

    fn secret(path: &str) -> Resource {
        Resource::Secret(Path::parse(path).unwrap())
    }

    #[test]
    fn a_scope_covers_whole_segments_of_its_place_and_its_actions_only() {
        let confines = Confines::of(&[layer(&["secret.read", "secret.list"], "db/")]);
        for (action, resource, wanted) in [
            (Action::SecretRead, secret("db/a"), true),
            (Action::SecretRead, secret("db/a/b"), true),
            (Action::SecretRead, secret("db"), false),
            (Action::SecretRead, secret("dbx/a"), false),
            (Action::SecretRead, secret("x/db/a"), false),
            (Action::SecretWrite, secret("db/a"), false),
            (Action::SecretList, Resource::Folder(Prefix::parse("db").unwrap()), true),
            (Action::SecretList, Resource::Folder(Prefix::parse("db/x").unwrap()), true),
            (Action::SecretList, Resource::Folder(Prefix::default()), false),
            (Action::PolicyRead, Resource::Policy(PolicyName::parse("db").unwrap()), false),
            (Action::SessionOwn, Resource::System(crate::Part::Sessions), true),
            (Action::WrapMake, Resource::System(crate::Part::Sessions), false),
        ] {
            assert_eq!(confines.cover(action, &resource), wanted, "{action} {resource:?}");
        }
        let one = Confines::of(&[layer(&["secret"], "db/a")]);
        assert!(one.cover(Action::SecretWrite, &secret("db/a")) && !one.cover(Action::SecretRead, &secret("db/a/b")));
        let all = Confines::of(&[layer(&["secret"], "")]);
        assert!(all.cover(Action::SecretWrite, &secret("x")));
        assert!(!all.cover(Action::KeyRead, &Resource::System(crate::Part::Keys)));
    }

    #[test]
    fn every_layer_must_cover_and_admit() {
        let nets =
            |list: &[&str]| Bounds { networks: list.iter().map(|net| (*net).into()).collect(), ..Bounds::default() };
        let confines = Confines::of(&[layer(&["secret"], "db/"), Bounds::default(), layer(&["secret.read"], "")]);
        assert!(confines.cover(Action::SecretRead, &secret("db/a")));
        assert!(
            !confines.cover(Action::SecretRead, &secret("a")) && !confines.cover(Action::SecretWrite, &secret("db/a"))
        );
        let confines = Confines::of(&[nets(&["10.0.0.0/8", "::1"]), nets(&["10.1.0.0/16"])]);
        assert!(confines.admit([10, 1, 2, 3].into()));
        assert!(!confines.admit([10, 2, 2, 3].into()) && !confines.admit([11, 1, 2, 3].into()));
        assert!(!Confines::of(&[nets(&["nonsense"])]).admit([10, 1, 2, 3].into()));
        assert!(Confines::default().admit([10, 1, 2, 3].into()));
    }

    #[test]
    fn bounds_that_say_nothing_sensible_are_refused() {
        let bad = [
            layer(&[], "db/"),
            layer(&["secret.fly"], "db/"),
            layer(&["secret"], "../x"),
            Bounds { networks: vec!["10.0.0.1/8".into()], ..Bounds::default() },
            Bounds { roles: Some(vec!["No Role".into()]), ..Bounds::default() },
        ];
        for bounds in bad {
            assert!(bounds.check().is_err(), "{bounds:?}");
        }
        assert!(layer(&["secret", "key.read"], "db/").check().is_ok() && Bounds::default().check().is_ok());
    }

    #[test]
    fn roles_count_only_where_every_layer_names_them() {
        let roles: Vec<Box<str>> = vec!["a".into(), "b".into(), "c".into()];
        let only = |names: &[&str]| Bounds {
            roles: Some(names.iter().map(|name| (*name).into()).collect()),
            ..Bounds::default()
        };
        let within = |layers: &[Bounds]| roles_within(&roles, layers).map(|role| role.to_string()).collect::<Vec<_>>();
        assert_eq!(within(&[]), ["a", "b", "c"]);
        assert_eq!(within(&[only(&["a", "b"]), Bounds::default(), only(&["b", "x"])]), ["b"]);
        assert!(within(&[only(&[])]).is_empty());
    }
}
