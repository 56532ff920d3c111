//! A tenant's policies by name, from which snapshots are made.

use super::built_in;
use super::parse::ValidPolicy;
use super::probe::{self, Probe};
use super::record::StoredPolicy;
use super::snapshot::Snapshot;
use super::statement::Statement;
use crate::limits::{POLICIES_MAX, STATEMENTS_MAX};
use crate::name::PolicyName;
use ledger::code::{self, Refusal};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

/// A policy as shown to people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name.
    pub name: PolicyName,
    /// Its text as written; empty for one that can no longer be read.
    pub text: String,
    /// Whether it ships with the product.
    pub built_in: bool,
    /// Whether it can no longer be read, so that nothing is allowed until it is mended.
    pub broken: bool,
}

/// The policies of one tenant. Cheap to clone; a change makes a new [`Snapshot`].
#[derive(Clone, Debug, Default)]
pub struct PolicyStore {
    policies: BTreeMap<PolicyName, Stored>,
    // INVARIANT: the sum over `policies`; they are too many to be counted at each change.
    statements: usize,
}

#[derive(Clone, Debug)]
enum Stored {
    Valid(Arc<ValidPolicy>),
    /// Stored once, refused by this build. Kept, because leaving out a forbid would open what it closed.
    Broken,
}

impl Stored {
    fn valid(&self) -> Option<&ValidPolicy> {
        match self {
            Stored::Valid(policy) => Some(policy),
            Stored::Broken => None,
        }
    }

    fn statements_count(&self) -> usize {
        match self {
            Stored::Valid(policy) => policy.statements_count(),
            Stored::Broken => 0,
        }
    }
}

impl PolicyStore {
    /// A store with the built-in policies only.
    pub fn new() -> PolicyStore {
        PolicyStore::default()
    }

    /// Whether a policy may be added: bounds on the number of policies and statements of a tenant.
    ///
    /// Errors: `policy.invalid` past a bound (nothing happened).
    pub fn check(&self, policy: &ValidPolicy) -> Result<(), Refusal> {
        let before = self.policies.get(policy.name());
        let policies = self.policies.len().saturating_add(usize::from(before.is_none()));
        let replaced = before.map_or(0, Stored::statements_count);
        let statements = self.statements.saturating_sub(replaced).saturating_add(policy.statements_count());
        if policies > POLICIES_MAX || statements > STATEMENTS_MAX {
            let why = format!("a tenant has at most {POLICIES_MAX} policies with {STATEMENTS_MAX} statements in all");
            return Err(Refusal::new(&code::POLICY_INVALID, why));
        }
        Ok(())
    }

    /// Puts a policy in, replacing one of the same name. Errors: as `check`.
    pub fn put(&mut self, policy: Arc<ValidPolicy>) -> Result<(), Refusal> {
        self.check(&policy)?;
        self.insert(policy.name().clone(), Stored::Valid(policy));
        Ok(())
    }

    fn insert(&mut self, name: PolicyName, stored: Stored) {
        self.statements = self.statements.saturating_add(stored.statements_count());
        let replaced = self.policies.insert(name, stored);
        self.forget(replaced);
    }

    /// Takes what is not there any more out of the sum; whether it was there.
    fn forget(&mut self, gone: Option<Stored>) -> bool {
        let statements = gone.as_ref().map_or(0, Stored::statements_count);
        self.statements = self.statements.saturating_sub(statements);
        gone.is_some()
    }

    /// Takes in a policy as stored. One that this build refuses is kept as broken: until it is mended or
    /// removed every decision of the tenant is no, but for owners reading and writing policies.
    ///
    /// Returns the refusal, to be logged.
    pub fn load(&mut self, name: PolicyName, text: &str) -> Option<Refusal> {
        self.take(name.clone(), ValidPolicy::parse(name, text))
    }

    /// As [`PolicyStore::load`], without checking the types again where that was done against the same schema.
    pub fn load_stored(&mut self, name: PolicyName, stored: &StoredPolicy) -> Option<Refusal> {
        match stored.is_checked() {
            true => self.take(name.clone(), ValidPolicy::checked_before(name, &stored.policy().text)),
            false => self.load(name, &stored.policy().text),
        }
    }

    fn take(&mut self, name: PolicyName, parsed: Result<ValidPolicy, Refusal>) -> Option<Refusal> {
        let parsed = parsed.and_then(|policy| self.put(Arc::new(policy)));
        if parsed.is_err() {
            self.insert(name, Stored::Broken);
        }
        parsed.err()
    }

    /// Takes a policy out; whether it was there.
    pub fn remove(&mut self, name: &PolicyName) -> bool {
        let gone = self.policies.remove(name);
        self.forget(gone)
    }

    /// One policy, built-in ones too.
    pub fn policy(&self, name: &str) -> Option<Listed> {
        self.list().into_iter().find(|listed| listed.name.as_str() == name)
    }

    /// Questions that taking this one for what stands under its name, or taking that out, may answer otherwise.
    ///
    /// Of what conditions look at only one case is asked about; so are things that no statement names.
    pub fn probes(&self, changes: &[(PolicyName, Option<Arc<ValidPolicy>>)]) -> Vec<Probe> {
        let own = || self.policies.values().filter_map(Stored::valid);
        let old = changes.iter().filter_map(|(name, _)| self.policies.get(name).and_then(Stored::valid));
        let new = || changes.iter().filter_map(|(_, policy)| policy.as_deref());
        probe::probes(old.chain(new()), built_in::all().iter().map(|policy| &**policy).chain(own()).chain(new()))
    }

    /// Rules of these changes, coming or going, with conditions that one case does not settle: on the resource, on where a
    /// request comes from, on the time.
    pub fn conditional(&self, changes: &[(PolicyName, Option<Arc<ValidPolicy>>)]) -> Vec<String> {
        let old = changes.iter().filter_map(|(name, _)| self.policies.get(name).and_then(Stored::valid));
        let new = changes.iter().filter_map(|(_, policy)| policy.as_deref());
        let unsettled = |statement: &&Arc<Statement>| {
            statement.condition.as_ref().is_some_and(|condition| condition.uses_resource || condition.uses_context)
        };
        let mut rules: Vec<String> = old
            .chain(new)
            .flat_map(|policy| policy.statements().iter().filter(unsettled).map(|found| found.rule.to_string()))
            .collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The store as it would be after these changes. Errors: as [`PolicyStore::check`].
    pub fn with(&self, changes: &[(PolicyName, Option<Arc<ValidPolicy>>)]) -> Result<PolicyStore, Refusal> {
        let mut after = self.clone();
        for (name, change) in changes {
            match change {
                Some(policy) => after.put(Arc::clone(policy))?,
                None => drop(after.remove(name)),
            }
        }
        Ok(after)
    }

    /// All policies by name, the built-in ones first.
    pub fn list(&self) -> Vec<Listed> {
        let built_in = built_in::all().iter().map(|policy| listed(policy, true));
        let own = self.policies.iter().map(|(name, stored)| match stored {
            Stored::Valid(policy) => listed(policy, false),
            Stored::Broken => Listed { name: name.clone(), text: String::new(), built_in: false, broken: true },
        });
        built_in.chain(own).collect()
    }

    /// The index over all policies. Tenants that have none of their own share one.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        static BUILT_IN: LazyLock<Arc<Snapshot>> =
            LazyLock::new(|| Arc::new(Snapshot::build(built_in::all(), Vec::new())));
        if self.policies.is_empty() {
            return Arc::clone(&BUILT_IN);
        }
        let mut broken = Vec::new();
        let mut policies: Vec<Arc<ValidPolicy>> = built_in::all().to_vec();
        for (name, stored) in &self.policies {
            match stored {
                Stored::Valid(policy) => policies.push(policy.clone()),
                Stored::Broken => broken.push(Arc::from(name.as_str())),
            }
        }
        Arc::new(Snapshot::build(&policies, broken))
    }
}

fn listed(policy: &ValidPolicy, built_in: bool) -> Listed {
    Listed { name: policy.name().clone(), text: policy.text().to_owned(), built_in, broken: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_through_every_change() {
        let name = |name: &str| PolicyName::parse(name).unwrap();
        let text = |count: usize| "permit (principal, action, resource is Secret);\n".repeat(count);
        let mut store = PolicyStore::new();
        let put = |store: &mut PolicyStore, of: &str, count: usize| {
            store.put(Arc::new(ValidPolicy::parse(name(of), &text(count)).unwrap())).unwrap();
        };
        put(&mut store, "a", 3);
        put(&mut store, "b", 2);
        assert_eq!(store.statements, 5);
        put(&mut store, "a", 1);
        assert_eq!(store.statements, 3, "replaced");
        assert!(store.load(name("b"), "no policy").is_some());
        assert_eq!(store.statements, 1, "broken");
        put(&mut store, "b", 4);
        assert!(store.remove(&name("a")) && !store.remove(&name("a")));
        assert_eq!(store.statements, 4, "removed");
        store.statements = STATEMENTS_MAX;
        assert!(store.check(&ValidPolicy::parse(name("b"), &text(4)).unwrap()).is_ok());
        assert!(store.check(&ValidPolicy::parse(name("b"), &text(5)).unwrap()).is_err());
    }

    #[test]
    fn a_policy_checked_before_is_taken_without_its_types() {
        let known = |n: usize| PolicyName::parse(&format!("p{n}")).unwrap();
        let text = "permit (principal in Role::\"r\", action, resource in Path::\"a/b\") when { context.tls };";
        for n in 0..3 {
            let before = ValidPolicy::checked_before(known(n), text).unwrap();
            let whole = ValidPolicy::parse(known(n), text).unwrap();
            assert_eq!((before.text(), before.statements_count()), (whole.text(), whole.statements_count()));
        }
    }
}
