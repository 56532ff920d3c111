//! The plan of a run: which variable gets which secret, with everything refused that would surprise.

use std::collections::{BTreeMap, BTreeSet};

use client::{Error, Reference};

use crate::fault;
use crate::inject::name;

/// Which variables get which secrets.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    bindings: BTreeMap<String, Reference>,
}

/// What the user lets through.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    /// Dangerous names that are meant.
    pub(crate) names: BTreeSet<String>,
    /// Whether variables that are set already may be replaced.
    pub(crate) replace: bool,
}

impl Plan {
    /// Adds a variable.
    ///
    /// Errors: `Invalid` for a name that is none, for a dangerous one that is not permitted, and when the name
    /// is already bound to another secret.
    pub(crate) fn bind(&mut self, name: &str, reference: Reference, permits: &Permits) -> Result<(), Error> {
        name::check(name)?;
        if name::dangerous(name) && !permits.names.contains(name) {
            let detail = format!("{name} would change what the program runs, loads or trusts");
            return Err(fault::invalid(detail, "choose another name, or add --allow-name with it if it is meant"));
        }
        match self.bindings.get(name) {
            Some(present) if *present != reference => {
                let detail = format!("{name} would be both `{}` and `{}`", present.path, reference.path);
                Err(fault::invalid(detail, "give one of them another name with --env NAME=path"))
            }
            _ => {
                self.bindings.insert(name.to_owned(), reference);
                Ok(())
            }
        }
    }

    /// Checks the plan against what is set already; a variable that holds a reference may be replaced by it.
    ///
    /// Errors: `Invalid`, naming the first variable that has another value.
    pub(crate) fn check_against(&self, present: impl Fn(&str) -> Present, permits: &Permits) -> Result<(), Error> {
        let clash = self.bindings.keys().find(|name| !permits.replace && present(name) == Present::Value);
        match clash {
            Some(name) => {
                let hint = "unset it, choose another name, or add --replace";
                Err(fault::invalid(format!("{name} is set already"), hint))
            }
            None => Ok(()),
        }
    }

    /// The variables and their references, by name.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = (&str, &Reference)> {
        self.bindings.iter().map(|(name, reference)| (name.as_str(), reference))
    }

    /// The references, each once.
    pub(crate) fn references(&self) -> BTreeSet<&Reference> {
        self.bindings.values().collect()
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }
}

/// What a variable holds before the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Present {
    /// It is not set.
    Nothing,
    /// A reference, which the run resolves.
    Reference,
    /// Anything else.
    Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(path: &str) -> Reference {
        client::reference(path).unwrap()
    }

    #[test]
    fn cli_07_a_dangerous_name_needs_its_own_permit() {
        let mut plan = Plan::default();
        let permits = Permits { names: ["PATH".to_owned()].into(), replace: true };
        for name in ["LD_PRELOAD", "BASH_ENV", "AUMBRY_TOKEN"] {
            assert!(plan.bind(name, path("a"), &permits).is_err(), "{name}");
        }
        assert!(plan.bind("PATH", path("a"), &Permits::default()).is_err());
        assert!(plan.bind("PATH", path("a"), &permits).is_ok());
    }

    #[test]
    fn cli_07_two_secrets_for_one_name_are_refused_and_the_same_one_twice_is_not() {
        let mut plan = Plan::default();
        let permits = Permits { replace: true, ..Permits::default() };
        plan.bind("DB", path("db/a"), &permits).unwrap();
        plan.bind("DB", path("db/a"), &permits).unwrap();
        let refused = plan.bind("DB", path("db/b"), &permits).unwrap_err();
        assert_eq!(&*refused.detail, "DB would be both `db/a` and `db/b`");
        assert_eq!(plan.bindings().count(), 1);
    }

    #[test]
    fn cli_07_a_variable_that_is_set_is_replaced_only_when_asked() {
        let mut plan = Plan::default();
        plan.bind("DB", path("db"), &Permits::default()).unwrap();
        let replace = Permits { replace: true, ..Permits::default() };
        assert!(plan.check_against(|_| Present::Nothing, &Permits::default()).is_ok());
        assert!(plan.check_against(|_| Present::Reference, &Permits::default()).is_ok());
        assert!(plan.check_against(|_| Present::Value, &Permits::default()).is_err());
        assert!(plan.check_against(|_| Present::Value, &replace).is_ok());
    }
}
