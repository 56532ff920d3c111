//! An immutable index over a tenant's policies.

use super::parse::ValidPolicy;
use super::plan::{NotASet, Plan};
use super::scope::{PrincipalScope, ResourceScope, Subject};
use super::statement::Statement;
use crate::action::Action;
use crate::limits::PLANS_MAX;
use crate::resource::{Resource, ResourceKind};
use cedar_policy::PolicySet;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The policies of a tenant at one time: never changes, shared by every request that began under it.
#[derive(Debug)]
pub struct Snapshot {
    statements: Vec<Arc<Statement>>,
    anybody: Shelf,
    entities: HashMap<Box<str>, Shelf>,
    roles: HashMap<Box<str>, Shelf>,
    broken: Vec<Arc<str>>,
    names_secrets: bool,
    /// By candidates.
    plans: RwLock<HashMap<Box<[u32]>, Arc<Plan>>>,
    next_plan: AtomicU64,
}

/// Statements about one principal, one role or anybody, by what they are about.
#[derive(Debug, Default)]
struct Shelf {
    any: Vec<u32>,
    kinds: [Vec<u32>; ResourceKind::ALL.len()],
    exact: HashMap<(ResourceKind, Box<str>), Vec<u32>>,
    below: HashMap<Box<str>, Vec<u32>>,
}

impl Snapshot {
    pub(super) fn build(policies: &[Arc<ValidPolicy>], broken: Vec<Arc<str>>) -> Snapshot {
        let mut snapshot = Snapshot {
            statements: Vec::new(),
            anybody: Shelf::default(),
            entities: HashMap::new(),
            roles: HashMap::new(),
            broken,
            names_secrets: false,
            plans: RwLock::default(),
            next_plan: AtomicU64::new(0),
        };
        for statement in policies.iter().flat_map(|policy| policy.statements()) {
            let Ok(number) = u32::try_from(snapshot.statements.len()) else { break };
            let shelf = match &statement.principal {
                PrincipalScope::Any => Some(&mut snapshot.anybody),
                PrincipalScope::Entity(entity) => Some(snapshot.entities.entry(entity.clone()).or_default()),
                PrincipalScope::Role(role) => Some(snapshot.roles.entry(role.clone()).or_default()),
                PrincipalScope::Never => None,
            };
            if let Some(shelf) = shelf {
                shelf.put(number, &statement.resource);
            }
            snapshot.names_secrets |= matches!(statement.resource, ResourceScope::Exact(ResourceKind::Secret, _));
            snapshot.statements.push(statement.clone());
        }
        snapshot
    }

    /// How many statements it holds, built-in ones too.
    pub fn statements_count(&self) -> usize {
        self.statements.len()
    }

    /// Names of policies that this build cannot read; while there are any, nothing but mending them is allowed.
    pub fn broken(&self) -> &[Arc<str>] {
        &self.broken
    }

    /// Whether the scope of a statement names a single secret, so that secrets of one folder may differ.
    pub(crate) fn names_secrets(&self) -> bool {
        self.names_secrets
    }

    pub(crate) fn statement(&self, number: u32) -> Option<&Arc<Statement>> {
        self.statements.get(usize::try_from(number).ok()?)
    }

    /// Every statement whose scope is satisfied: exactly those of which Cedar would look at the condition.
    ///
    /// In ascending order, each once.
    pub(crate) fn candidates(&self, subject: Subject<'_>, action: Action, resource: &Resource) -> Vec<u32> {
        let mut found = Vec::with_capacity(16);
        self.anybody.gather(resource, &mut found);
        if let Some(shelf) = self.entities.get(subject.entity) {
            shelf.gather(resource, &mut found);
        }
        for role in subject.roles {
            if let Some(shelf) = self.roles.get(role) {
                shelf.gather(resource, &mut found);
            }
        }
        found.retain(|number| {
            self.statement(*number).is_some_and(|s| s.actions & action.bit() != 0 && s.resource.takes(resource))
        });
        found.sort_unstable();
        found.dedup();
        found
    }

    /// What there is to evaluate for these candidates; kept for the next who has the same.
    pub(crate) fn plan(&self, candidates: &[u32]) -> Result<Arc<Plan>, NotASet> {
        if let Some(plan) = self.plans.read().get(candidates) {
            return Ok(Arc::clone(plan));
        }
        let statements: Vec<_> = candidates.iter().filter_map(|number| self.statement(*number)).collect();
        let plan = Arc::new(Plan::new(self.next_plan.fetch_add(1, Ordering::Relaxed), &statements)?);
        let mut plans = self.plans.write();
        if plans.len() >= PLANS_MAX {
            plans.clear();
        }
        plans.insert(candidates.into(), Arc::clone(&plan));
        Ok(plan)
    }

    /// All statements as written, as one set: what the index and the split must equal.
    pub(crate) fn whole(&self) -> Result<PolicySet, NotASet> {
        PolicySet::from_policies(self.statements.iter().map(|statement| statement.whole.clone())).map_err(|_| NotASet)
    }
}

impl Shelf {
    fn put(&mut self, number: u32, scope: &ResourceScope) {
        match scope {
            ResourceScope::Any => self.any.push(number),
            ResourceScope::Kind(kind) => {
                if let Some(shelf) = self.kinds.get_mut(*kind as usize) {
                    shelf.push(number);
                }
            }
            ResourceScope::Exact(kind, id) => self.exact.entry((*kind, id.clone())).or_default().push(number),
            ResourceScope::Below(folder, _) => self.below.entry(folder.clone()).or_default().push(number),
            ResourceScope::Never => {}
        }
    }

    fn gather(&self, resource: &Resource, found: &mut Vec<u32>) {
        let kind = resource.kind();
        found.extend_from_slice(&self.any);
        found.extend(self.kinds.get(kind as usize).into_iter().flatten());
        if !self.exact.is_empty() {
            found.extend(self.exact.get(&(kind, resource.id().into())).into_iter().flatten());
        }
        if !self.below.is_empty() {
            let itself = (kind == ResourceKind::Folder).then(|| resource.id());
            for folder in resource.folders().chain(itself) {
                found.extend(self.below.get(folder).into_iter().flatten());
            }
        }
    }
}
