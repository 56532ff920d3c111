//! Names of policies, principals and roles: one spelling each, refused if not canonical.

use crate::limits::NAME_BYTES_MAX;
use ledger::code::{self, Refusal};
use std::fmt;

/// The role that may do everything.
pub const OWNER: &str = "owner";
/// Names that other systems treat as special; refused so that nobody expects the same here.
const RESERVED: [&str; 2] = ["root", "default"];
/// First part of the names of what belongs to the product.
pub(crate) const BUILT_IN: &str = "aumbry:";

fn canonical(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && text.len() <= NAME_BYTES_MAX
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
}

const GRAMMAR: &str = "1 to 64 of a-z 0-9 . _ -, beginning with a letter or digit";

macro_rules! name {
    ($(#[$doc:meta])* $id:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $id(Box<str>);

        impl $id {
            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A policy's name in its tenant. Lower case, so that no two names differ by case only.
    PolicyName
}
name! {
    /// A principal's name in its tenant; never changes. Authority hangs on the entity id, not on it.
    PrincipalName
}
name! {
    /// A password policy's name in its tenant.
    PasswordPolicyName
}
name! {
    /// A role's name: `Role::"readers"` in a policy.
    Role
}

impl PolicyName {
    /// Reads a name. Errors: `policy.built_in` for names of the product, `policy.invalid` otherwise.
    pub fn parse(text: &str) -> Result<PolicyName, Refusal> {
        if text.starts_with(BUILT_IN) {
            return Err(Refusal::new(&code::POLICY_BUILT_IN, "names that begin with `aumbry:` belong to the product"));
        }
        if RESERVED.contains(&text) {
            return Err(Refusal::new(&code::POLICY_INVALID, "this policy name is reserved; choose another"));
        }
        if !canonical(text) {
            return Err(Refusal::new(&code::POLICY_INVALID, format!("a policy name is {GRAMMAR}")));
        }
        Ok(PolicyName(text.into()))
    }

    /// The name of a policy that ships with the product.
    pub(crate) fn built_in(name: &str) -> PolicyName {
        PolicyName(format!("{BUILT_IN}{name}").into())
    }

    /// Whether it ships with the product and cannot be changed.
    pub fn is_built_in(&self) -> bool {
        self.0.starts_with(BUILT_IN)
    }
}

impl PrincipalName {
    /// Reads a name. Errors: `principal.invalid`.
    pub fn parse(text: &str) -> Result<PrincipalName, Refusal> {
        if !canonical(text) {
            return Err(Refusal::new(&code::PRINCIPAL_INVALID, format!("a principal's name is {GRAMMAR}")));
        }
        Ok(PrincipalName(text.into()))
    }
}

impl PasswordPolicyName {
    /// Reads a name. Errors: `password_policy.invalid`.
    pub fn parse(text: &str) -> Result<PasswordPolicyName, Refusal> {
        if !canonical(text) {
            let why = format!("a password policy's name is {GRAMMAR}");
            return Err(Refusal::new(&code::PASSWORD_POLICY_INVALID, why));
        }
        Ok(PasswordPolicyName(text.into()))
    }
}

impl Role {
    /// Reads a role. Errors: `principal.invalid`.
    pub fn parse(text: &str) -> Result<Role, Refusal> {
        if !canonical(text) {
            return Err(Refusal::new(&code::PRINCIPAL_INVALID, format!("a role's name is {GRAMMAR}")));
        }
        Ok(Role(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pol_10_reserved_and_uncanonical_policy_names_are_refused() {
        for bad in ["root", "Root", " root", "default/../root", "", "a/b", "A", "a b", "-a", ".a", "aumbry:owner", "é"]
        {
            assert!(PolicyName::parse(bad).is_err(), "{bad}");
        }
        assert!(PolicyName::parse(&"a".repeat(64)).is_ok());
        assert!(PolicyName::parse(&"a".repeat(65)).is_err());
        assert!(PolicyName::parse("team1.read-only_2").is_ok());
    }
}
