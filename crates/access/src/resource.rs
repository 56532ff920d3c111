//! What an act is done to, as policies see it.

use crate::action::Action;
use crate::name::{PasswordPolicyName, PolicyName, PrincipalName};
use ledger::code::{self, Refusal};
use ledger::{Path, Prefix};

/// The entity types of resources.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum ResourceKind {
    /// `Secret::"team1/app1/db"`: a secret, in each folder above it.
    Secret,
    /// `Path::"team1/app1"`: a folder, in each folder above it; `Path::""` is the top.
    Folder,
    /// `Policy::"readers"`: a policy by name.
    Policy,
    /// `PrincipalRecord::"alice"`: a principal as something that is administered, by name.
    PrincipalRecord,
    /// `System::"ledger"`: a part of the server.
    System,
    /// `PasswordPolicy::"strong"`: a password policy by name.
    PasswordPolicy,
}

impl ResourceKind {
    /// Every kind, in the order of its number.
    pub const ALL: [ResourceKind; 6] = [
        ResourceKind::Secret,
        ResourceKind::Folder,
        ResourceKind::Policy,
        ResourceKind::PrincipalRecord,
        ResourceKind::System,
        ResourceKind::PasswordPolicy,
    ];

    /// The entity type's name in policies.
    pub const fn type_name(self) -> &'static str {
        match self {
            ResourceKind::Secret => "Secret",
            ResourceKind::Folder => "Path",
            ResourceKind::Policy => "Policy",
            ResourceKind::PrincipalRecord => "PrincipalRecord",
            ResourceKind::System => "System",
            ResourceKind::PasswordPolicy => "PasswordPolicy",
        }
    }

    pub(crate) fn named(type_name: &str) -> Option<ResourceKind> {
        ResourceKind::ALL.into_iter().find(|kind| kind.type_name() == type_name)
    }
}

/// A part of the server that has rights of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    /// The ledger with its proofs.
    Ledger,
    /// The access log as a whole.
    Access,
    /// Tenant and root keys.
    Keys,
    /// What protects the root key.
    Seal,
    /// The list of policies.
    Policies,
    /// The list of principals.
    Principals,
    /// Sessions; one's own among them.
    Sessions,
    /// Operations; one's own.
    Operations,
    /// Tenants of the house.
    Tenants,
    /// Documents that are applied.
    Documents,
    /// Backups of the whole.
    Backups,
    /// The list of password policies.
    PasswordPolicies,
}

impl Part {
    /// Every part.
    pub const ALL: [Part; 12] = [
        Part::Ledger,
        Part::Access,
        Part::Keys,
        Part::Seal,
        Part::Policies,
        Part::Principals,
        Part::Sessions,
        Part::Operations,
        Part::Tenants,
        Part::Documents,
        Part::Backups,
        Part::PasswordPolicies,
    ];

    /// Its id in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Part::Ledger => "ledger",
            Part::Access => "access",
            Part::Keys => "keys",
            Part::Seal => "seal",
            Part::Policies => "policies",
            Part::Principals => "principals",
            Part::Sessions => "sessions",
            Part::Operations => "operations",
            Part::Tenants => "tenants",
            Part::Documents => "documents",
            Part::Backups => "backups",
            Part::PasswordPolicies => "password_policies",
        }
    }
}

/// One thing an act is done to. Built of parsed names only, so a policy never sees a second spelling.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    /// A secret.
    Secret(Path),
    /// A folder.
    Folder(Prefix),
    /// A policy.
    Policy(PolicyName),
    /// A principal that is administered.
    PrincipalRecord(PrincipalName),
    /// A part of the server.
    System(Part),
    /// A password policy.
    PasswordPolicy(PasswordPolicyName),
}

impl Resource {
    /// What `action` would be done to, from text: nothing for the part of the server that it is about, a folder with `/` at its
    /// end (`/` alone is the top), otherwise a secret's path or a name.
    ///
    /// Errors: `request.invalid` where the action is never done to that; those of paths and names.
    pub fn of(action: Action, text: Option<&str>) -> Result<Resource, Refusal> {
        let kinds = action.resources();
        let resource = match text {
            None => action.part().map(Resource::System),
            Some("/") => Some(Resource::Folder(Prefix::default())),
            Some(text) if text.ends_with('/') => Some(Resource::Folder(Prefix::parse(text)?)),
            Some(text) if kinds.contains(&ResourceKind::Secret) => Some(Resource::Secret(Path::parse(text)?)),
            Some(text) if kinds.contains(&ResourceKind::Policy) => Some(Resource::Policy(PolicyName::parse(text)?)),
            Some(text) if kinds.contains(&ResourceKind::PrincipalRecord) => {
                Some(Resource::PrincipalRecord(PrincipalName::parse(text)?))
            }
            Some(text) if kinds.contains(&ResourceKind::PasswordPolicy) => {
                Some(Resource::PasswordPolicy(PasswordPolicyName::parse(text)?))
            }
            Some(_) => None,
        };
        resource.filter(|resource| kinds.contains(&resource.kind())).ok_or_else(|| {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.type_name()).collect();
            let why = format!("`{action}` is not done to that but to: {}", kinds.join(", "));
            Refusal::new(&code::REQUEST_INVALID, why)
        })
    }

    /// Its kind.
    pub fn kind(&self) -> ResourceKind {
        match self {
            Resource::Secret(_) => ResourceKind::Secret,
            Resource::Folder(_) => ResourceKind::Folder,
            Resource::Policy(_) => ResourceKind::Policy,
            Resource::PrincipalRecord(_) => ResourceKind::PrincipalRecord,
            Resource::System(_) => ResourceKind::System,
            Resource::PasswordPolicy(_) => ResourceKind::PasswordPolicy,
        }
    }

    /// Its id within its kind.
    pub fn id(&self) -> &str {
        match self {
            Resource::Secret(path) => path.as_str(),
            Resource::Folder(prefix) => prefix.as_str(),
            Resource::Policy(name) => name.as_str(),
            Resource::PrincipalRecord(name) => name.as_str(),
            Resource::System(part) => part.name(),
            Resource::PasswordPolicy(name) => name.as_str(),
        }
    }

    /// The folders that hold it, top (`""`) first, itself never among them.
    pub(crate) fn folders(&self) -> impl Iterator<Item = &str> {
        let text = match self {
            Resource::Secret(path) => path.as_str(),
            Resource::Folder(prefix) => prefix.as_str(),
            _ => "",
        };
        let top = (!text.is_empty()).then_some("");
        top.into_iter().chain(text.match_indices('/').filter_map(move |(at, _)| text.get(..at)))
    }

    /// The folder that a secret lies in; none for anything else.
    pub(crate) fn folder_of_secret(&self) -> Option<&str> {
        let Resource::Secret(path) = self else { return None };
        Some(path.as_str().rsplit_once('/').map_or("", |(folder, _)| folder))
    }

    /// The second segment of a secret's or folder's path, empty where there is none: whose own space it may be.
    pub(crate) fn space(&self) -> &str {
        self.id().split('/').nth(1).unwrap_or_default()
    }

    /// Its last segment; empty at the top.
    pub(crate) fn last_name(&self) -> &str {
        self.id().rsplit('/').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_names_what_an_action_is_done_to_and_nothing_else() {
        let of = |action, text| Resource::of(action, text).map(|resource| (resource.kind(), resource.id().to_owned()));
        let found = |kind, id: &str| Ok((kind, id.to_owned()));
        assert_eq!(of(Action::SecretRead, Some("a/b")), found(ResourceKind::Secret, "a/b"));
        assert_eq!(of(Action::SecretList, Some("a/")), found(ResourceKind::Folder, "a"));
        assert_eq!(of(Action::SecretList, Some("/")), found(ResourceKind::Folder, ""));
        assert_eq!(of(Action::PolicyRead, Some("readers")), found(ResourceKind::Policy, "readers"));
        assert_eq!(of(Action::SessionIssue, Some("web")), found(ResourceKind::PrincipalRecord, "web"));
        for action in Action::ALL.iter().filter(|action| action.resources().contains(&ResourceKind::System)) {
            assert_eq!(Resource::of(*action, None).unwrap().kind(), ResourceKind::System, "{action}");
        }
        for (action, text) in [
            (Action::SecretRead, None),
            (Action::SecretRead, Some("a/")),
            (Action::SecretList, Some("a")),
            (Action::PolicyWrite, None),
            (Action::KeyRotate, Some("a")),
            (Action::SecretRead, Some("../a")),
            (Action::PolicyRead, Some("A B")),
        ] {
            assert!(Resource::of(action, text).is_err(), "{action} {text:?}");
        }
    }

    #[test]
    fn ancestors_are_all_folders_above_and_the_top() {
        let secret = Resource::Secret(Path::parse("a/b/c").unwrap());
        assert_eq!(secret.folders().collect::<Vec<_>>(), ["", "a", "a/b"]);
        let folder = Resource::Folder(Prefix::parse("a/b/").unwrap());
        assert_eq!(folder.folders().collect::<Vec<_>>(), ["", "a"]);
        assert_eq!(Resource::Folder(Prefix::default()).folders().count(), 0);
        assert_eq!(Resource::Policy(PolicyName::parse("x").unwrap()).folders().count(), 0);
        assert_eq!(secret.last_name(), "c");
    }
}
