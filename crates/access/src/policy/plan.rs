//! What there is to evaluate for one list of candidates, sorted by what it looks at.

use super::statement::{Condition, Statement};
use crate::decision::{Found, Verdict};
use cedar_policy::{Effect, PolicySet};
use std::sync::Arc;

/// The candidates of a decision, prepared; the same for every request with the same candidates.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Unique within its snapshot.
    pub(crate) id: u64,
    /// Statements without a condition.
    pub(crate) plain: Arc<Verdict>,
    /// Conditions that look neither at the resource nor at the time.
    pub(crate) apart: Option<Box<ConditionSet>>,
    /// What is left while nothing permits yet.
    pub(crate) all: Rest,
    /// What is left once something permits: permits that are true or false are of no consequence then.
    pub(crate) permitted: Rest,
}

/// Conditions that no answer to another resource, or at another time, settles.
#[derive(Debug)]
pub(crate) struct Rest {
    /// Which of a plan's two rests this is.
    pub(crate) permitted: bool,
    /// Conditions that look at the resource and not at the circumstances.
    pub(crate) resource: Option<Box<ConditionSet>>,
    /// Conditions that look at the time, or at resource and circumstances both.
    pub(crate) each: Option<Box<ConditionSet>>,
}

/// Conditions to be evaluated together.
#[derive(Debug)]
pub(crate) struct ConditionSet {
    pub(crate) policies: PolicySet,
    pub(crate) rules: Vec<Arc<str>>,
    pub(crate) uses_entities: bool,
    pub(crate) uses_context: bool,
    pub(crate) uses_now: bool,
    /// Levels of the deepest condition.
    pub(crate) depth: usize,
}

/// Statements that do not make a set; cannot happen while rule ids are unique.
#[derive(Debug)]
pub(crate) struct NotASet;

impl Plan {
    /// What is left after what looks at no resource.
    pub(crate) fn rest(&self, permitted: bool) -> &Rest {
        if permitted { &self.permitted } else { &self.all }
    }

    pub(super) fn new(id: u64, candidates: &[&Arc<Statement>]) -> Result<Plan, NotASet> {
        let mut plain = Found::default();
        let (mut apart, mut resource, mut each) = (Vec::new(), Vec::new(), Vec::new());
        for statement in candidates {
            let rule = Arc::clone(&statement.rule);
            match (&statement.condition, statement.effect) {
                (None, Effect::Permit) => plain.permits.push(rule),
                (None, Effect::Forbid) => plain.forbids.push(rule),
                (Some(condition), effect) => {
                    let list = match condition {
                        Condition { uses_resource: false, uses_now: false, .. } => &mut apart,
                        Condition { uses_resource: true, uses_context: false, .. } => &mut resource,
                        _ => &mut each,
                    };
                    list.push((rule, condition, effect));
                }
            }
        }
        let rest = |permitted: bool| {
            let of = |list: &[Part<'_>]| {
                let moot =
                    |(_, condition, effect): &&Part<'_>| permitted && *effect == Effect::Permit && !condition.can_fail;
                ConditionSet::new(list.iter().filter(|part| !moot(part)).cloned().collect())
            };
            Ok(Rest { permitted, resource: of(&resource)?, each: of(&each)? })
        };
        Ok(Plan {
            id,
            plain: Arc::new(plain.into()),
            all: rest(false)?,
            permitted: rest(true)?,
            apart: ConditionSet::new(apart)?,
        })
    }
}

/// Rule, condition and effect of a statement.
type Part<'a> = (Arc<str>, &'a Condition, Effect);

impl ConditionSet {
    fn new(parts: Vec<Part<'_>>) -> Result<Option<Box<ConditionSet>>, NotASet> {
        if parts.is_empty() {
            return Ok(None);
        }
        let conditions = || parts.iter().map(|(_, condition, _)| *condition);
        let policies = PolicySet::from_policies(conditions().map(|c| c.policy.clone())).map_err(|_| NotASet)?;
        Ok(Some(Box::new(ConditionSet {
            policies,
            uses_entities: conditions().any(|c| c.uses_entities),
            uses_context: conditions().any(|c| c.uses_context),
            uses_now: conditions().any(|c| c.uses_now),
            depth: conditions().map(|c| c.depth).max().unwrap_or(0),
            rules: parts.into_iter().map(|(rule, ..)| rule).collect(),
        })))
    }

    /// Every statement as written: what index and plan must equal.
    pub(crate) fn whole(policies: PolicySet) -> ConditionSet {
        ConditionSet {
            policies,
            rules: Vec::new(),
            uses_entities: true,
            uses_context: true,
            uses_now: true,
            depth: usize::MAX,
        }
    }

    /// The rule with this id.
    pub(crate) fn rule(&self, id: &str) -> Arc<str> {
        self.rules.iter().find(|rule| &***rule == id).cloned().unwrap_or_else(|| id.into())
    }
}
