//! Policies that ship with the product. Listed like any other, never changed or removed.

use super::parse::ValidPolicy;
use crate::name::PolicyName;
use std::sync::{Arc, LazyLock};

const TEXTS: [(&str, &str); 2] = [
    (
        "owner",
        "// The role `owner` may do everything. A forbid still holds.\npermit (principal in Role::\"owner\", action, resource);\n",
    ),
    (
        "self",
        "// Everyone may see, renew and end their own session, derive lesser ones, hand over what they have, and ask after their own operations.\n\
         permit (principal, action in Action::\"own\", resource is System);\n",
    ),
];

/// The built-in policies; empty only when this build's own texts do not parse, which a test excludes.
pub(super) fn all() -> &'static [Arc<ValidPolicy>] {
    static ALL: LazyLock<Vec<Arc<ValidPolicy>>> = LazyLock::new(|| {
        TEXTS
            .iter()
            .filter_map(|(name, text)| ValidPolicy::parse(PolicyName::built_in(name), text).ok())
            .map(Arc::new)
            .collect()
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_policy_is_valid() {
        for (name, text) in TEXTS {
            ValidPolicy::parse(PolicyName::built_in(name), text).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
        assert_eq!(all().len(), TEXTS.len());
    }
}
