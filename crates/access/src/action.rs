//! The acts that a policy can name, their groups, and what each can be done to.

use crate::resource::Part;
use crate::resource::ResourceKind::{self, Folder, PasswordPolicy, Policy, PrincipalRecord, Secret, System};
use std::fmt;

macro_rules! actions {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $group:literal, [$($kind:ident),+];)*) => {
        /// Something a principal may be permitted to do.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum Action { $($(#[$doc])* $id),* }

        impl Action {
            /// Every action there is, in the order of the bits of an action set.
            pub const ALL: &'static [Action] = &[$(Action::$id),*];

            /// Its name in policies, rows and the API, such as `secret.read`.
            pub const fn name(self) -> &'static str {
                match self { $(Action::$id => $name),* }
            }

            /// The group it belongs to: `Action::"secret"` in a policy means all of them.
            pub const fn group(self) -> &'static str {
                match self { $(Action::$id => $group),* }
            }

            /// What it can be done to.
            pub const fn resources(self) -> &'static [ResourceKind] {
                match self { $(Action::$id => &[$($kind),+]),* }
            }
        }
    };
}

actions! {
    /// Read a secret's value, of any version.
    SecretRead = "secret.read", "secret", [Secret];
    /// Write a new version, also by rolling back.
    SecretWrite = "secret.write", "secret", [Secret];
    /// Delete so that it can be undeleted.
    SecretDelete = "secret.delete", "secret", [Secret];
    /// Bring a deleted secret or version back.
    SecretUndelete = "secret.undelete", "secret", [Secret];
    /// Destroy versions for good.
    SecretPurge = "secret.purge", "secret", [Secret];
    /// List names below a folder.
    SecretList = "secret.list", "secret", [Folder];
    /// See versions, labels and expiry, not values.
    SecretMetadata = "secret.metadata", "secret", [Secret];
    /// Change labels, expiry and the number of versions kept.
    SecretAnnotate = "secret.annotate", "secret", [Secret];
    /// See policies.
    PolicyRead = "policy.read", "policy", [Policy, System];
    /// Put or remove a policy. As good as every right there is.
    PolicyWrite = "policy.write", "policy", [Policy];
    /// See principals.
    PrincipalRead = "principal.read", "principal", [PrincipalRecord, System];
    /// Make or change a principal and its roles. As good as every right but the owner's.
    PrincipalWrite = "principal.write", "principal", [PrincipalRecord];
    /// Make a session or one-time login for a principal.
    SessionIssue = "session.issue", "session", [PrincipalRecord];
    /// End another's session.
    SessionRevoke = "session.revoke", "session", [PrincipalRecord, System];
    /// See, renew and end one's own session.
    SessionOwn = "session.own", "own", [System];
    /// Ask after one's own operations.
    OperationOwn = "operation.own", "own", [System];
    /// Read checkpoints, proofs and the tenant's own entries.
    LedgerRead = "ledger.read", "ledger", [System];
    /// Read whole entries of all tenants.
    LedgerEntries = "ledger.entries", "ledger", [System];
    /// Query the access log.
    AccessRead = "access.read", "access", [System, Folder, Secret];
    /// See keys and the state of rotation.
    KeyRead = "key.read", "key", [System];
    /// Rotate tenant or root keys.
    KeyRotate = "key.rotate", "key", [System];
    /// Replace the seal's key.
    SealAdmin = "seal.admin", "seal", [System];
    /// See another's sessions, never their tokens.
    SessionRead = "session.read", "session", [System];
    /// Renew another's session.
    SessionRenew = "session.renew", "session", [System];
    /// Derive a session from one's own that may do as much or less and ends with it.
    SessionDerive = "session.derive", "own", [System];
    /// Wrap something, to be opened once by whoever has the token.
    WrapMake = "wrap.make", "own", [System];
    /// Derive a session that outlives the one it is derived from.
    SessionOrphan = "session.orphan", "session", [System];
    /// Make a session that may be renewed for ever.
    SessionPeriodic = "session.periodic", "session", [System];
    /// See tenants.
    TenantRead = "tenant.read", "tenant", [System];
    /// Make tenants, suspend and resume them, set their limits.
    TenantWrite = "tenant.write", "tenant", [System];
    /// Delete tenants with all that is in them.
    TenantDelete = "tenant.delete", "tenant", [System];
    /// Make a one-time login for a tenant's owner: as good as every right in it.
    TenantLogin = "tenant.login", "tenant", [System];
    /// See what applying documents would do.
    ApplyRead = "apply.read", "apply", [System];
    /// Apply documents; each change needs its own right too.
    ApplyWrite = "apply.write", "apply", [System];
    /// See backups and fetch them. They are sealed, and hold everything.
    BackupRead = "backup.read", "backup", [System];
    /// Make a backup.
    BackupCreate = "backup.create", "backup", [System];
    /// Remove a backup.
    BackupRemove = "backup.remove", "backup", [System];
    /// See password policies, and have values made by them.
    PasswordPolicyRead = "password_policy.read", "password_policy", [PasswordPolicy, System];
    /// Put or remove a password policy.
    PasswordPolicyWrite = "password_policy.write", "password_policy", [PasswordPolicy];
    /// See the nodes that share the store.
    NodeRead = "node.read", "node", [System];
}

impl Action {
    /// Finds an action by its name.
    pub fn named(name: &str) -> Option<Action> {
        Action::ALL.iter().copied().find(|action| action.name() == name)
    }

    /// The part of the server that it is about where it names no secret, folder, policy, password policy or principal.
    pub fn part(self) -> Option<Part> {
        let part = match self.group() {
            "policy" => Part::Policies,
            "principal" => Part::Principals,
            "session" => Part::Sessions,
            "ledger" => Part::Ledger,
            "access" => Part::Access,
            "key" => Part::Keys,
            "seal" => Part::Seal,
            "tenant" => Part::Tenants,
            "apply" => Part::Documents,
            "backup" => Part::Backups,
            "node" => Part::Ledger,
            "password_policy" => Part::PasswordPolicies,
            "own" if self == Action::OperationOwn => Part::Operations,
            "own" => Part::Sessions,
            _ => return None,
        };
        self.resources().contains(&System).then_some(part)
    }

    /// Its bit in an action set.
    pub(crate) const fn bit(self) -> u64 {
        1 << (self as u8)
    }

    /// The bits of a group's members; 0 for an unknown group.
    pub(crate) fn group_bits(group: &str) -> u64 {
        Action::ALL.iter().filter(|action| action.group() == group).fold(0, |bits, action| bits | action.bit())
    }

    /// The groups, each once.
    pub(crate) fn groups() -> Vec<&'static str> {
        let mut groups: Vec<&'static str> = Action::ALL.iter().map(|action| action.group()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// The bits of an action set are a u64.
const _: () = assert!(Action::ALL.len() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_group_is_an_action() {
        let mut names: Vec<&str> = Action::ALL.iter().map(|a| a.name()).collect();
        names.extend(Action::groups());
        let before = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(before, names.len());
        for action in Action::ALL {
            assert_eq!(Action::named(action.name()), Some(*action));
            assert_eq!(Action::group_bits(action.group()) & action.bit(), action.bit());
        }
    }
}
