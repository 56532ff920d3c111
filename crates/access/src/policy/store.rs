//! A tenant's policies by name, from which snapshots are made.

use super::built_in;
use super::parse::ValidPolicy;
use super::snapshot::Snapshot;
use crate::limits::{POLICIES_MAX, STATEMENTS_MAX};
use crate::name::PolicyName;
use ledger::code::{self, Refusal};
use std::collections::BTreeMap;
use std::sync::Arc;

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
}

#[derive(Clone, Debug)]
enum Stored {
    Valid(Arc<ValidPolicy>),
    /// Stored once, refused by this build. Kept, because leaving out a forbid would open what it closed.
    Broken,
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
        let others = self.policies.iter().filter(|(name, _)| *name != policy.name());
        let (policies, statements) =
            others.fold((1_usize, policy.statements_count()), |(policies, count), (_, stored)| {
                let more = match stored {
                    Stored::Valid(other) => other.statements_count(),
                    Stored::Broken => 0,
                };
                (policies.saturating_add(1), count.saturating_add(more))
            });
        if policies > POLICIES_MAX || statements > STATEMENTS_MAX {
            let why = format!("a tenant has at most {POLICIES_MAX} policies with {STATEMENTS_MAX} statements in all");
            return Err(Refusal::new(&code::POLICY_INVALID, why));
        }
        Ok(())
    }

    /// Puts a policy in, replacing one of the same name. Errors: as `check`.
    pub fn put(&mut self, policy: Arc<ValidPolicy>) -> Result<(), Refusal> {
        self.check(&policy)?;
        self.policies.insert(policy.name().clone(), Stored::Valid(policy));
        Ok(())
    }

    /// Takes in a policy as stored. One that this build refuses is kept as broken: until it is mended or
    /// removed every decision of the tenant is no, but for owners reading and writing policies.
    ///
    /// Returns the refusal, to be logged.
    pub fn load(&mut self, name: PolicyName, text: &str) -> Option<Refusal> {
        let parsed = ValidPolicy::parse(name.clone(), text).and_then(|policy| self.put(Arc::new(policy)));
        if parsed.is_err() {
            self.policies.insert(name, Stored::Broken);
        }
        parsed.err()
    }

    /// Takes a policy out; whether it was there.
    pub fn remove(&mut self, name: &PolicyName) -> bool {
        self.policies.remove(name).is_some()
    }

    /// One policy, built-in ones too.
    pub fn policy(&self, name: &str) -> Option<Listed> {
        self.list().into_iter().find(|listed| listed.name.as_str() == name)
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

    /// The index over all policies as of `generation`: the ledger position of the last change.
    pub fn snapshot(&self, generation: u64) -> Snapshot {
        let mut broken = Vec::new();
        let mut policies: Vec<Arc<ValidPolicy>> = built_in::all().to_vec();
        for (name, stored) in &self.policies {
            match stored {
                Stored::Valid(policy) => policies.push(policy.clone()),
                Stored::Broken => broken.push(Arc::from(name.as_str())),
            }
        }
        Snapshot::build(generation, &policies, broken)
    }
}

fn listed(policy: &ValidPolicy, built_in: bool) -> Listed {
    Listed { name: policy.name().clone(), text: policy.text().to_owned(), built_in, broken: false }
}
