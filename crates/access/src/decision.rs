//! The answer to "may they?".

use std::fmt;
use std::sync::Arc;

/// Ids of the rules that decided: a policy's name, followed by `#n` where it has several statements.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct RuleIds(Option<Arc<[Arc<str>]>>);

impl RuleIds {
    /// No rule.
    pub const NONE: RuleIds = RuleIds(None);

    pub(crate) fn new(mut ids: Vec<Arc<str>>) -> RuleIds {
        ids.sort_unstable();
        ids.dedup();
        RuleIds((!ids.is_empty()).then(|| ids.into()))
    }

    /// The ids, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.shared().iter().map(|id| &**id)
    }

    /// The ids as owned text.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// The ids, shared, for a row of the access log.
    pub fn to_shared(&self) -> Arc<[Arc<str>]> {
        self.0.clone().unwrap_or_default()
    }

    /// Whether no rule decided.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn shared(&self) -> &[Arc<str>] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl fmt::Debug for RuleIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Why it is no. Exhaustive: a new reason breaks whoever matches.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DenyReason {
    /// A forbid is satisfied.
    Forbidden,
    /// A rule that applies could not be evaluated; nobody knows whether it forbids.
    Unevaluable,
    /// No permit is satisfied.
    NotPermitted,
    /// A stored policy can no longer be read; until an owner mends or removes it nothing else is allowed.
    BrokenPolicy,
    /// The tenant's policies are not loaded.
    NotLoaded,
    /// The session may do less than its principal.
    Confined,
}

impl DenyReason {
    /// A stable name for rows and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            DenyReason::Forbidden => "forbidden",
            DenyReason::Unevaluable => "unevaluable",
            DenyReason::NotPermitted => "not_permitted",
            DenyReason::BrokenPolicy => "broken_policy",
            DenyReason::NotLoaded => "not_loaded",
            DenyReason::Confined => "confined",
        }
    }
}

/// Whether an act may be done, and which rules said so.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a decision that is dropped decides nothing"]
pub enum Decision {
    /// At least one permit, no forbid, no error.
    Allow {
        /// Permits that are satisfied; others need not have been looked at.
        rules: RuleIds,
    },
    /// Anything else.
    Deny {
        /// The forbids, or the rules that could not be evaluated; empty when nothing permits.
        rules: RuleIds,
        /// Why.
        why: DenyReason,
    },
}

impl Decision {
    /// Whether it is a yes.
    pub fn is_allow(&self) -> bool {
        matches!(self, Decision::Allow { .. })
    }

    /// The deciding rules.
    pub fn rules(&self) -> &RuleIds {
        match self {
            Decision::Allow { rules } | Decision::Deny { rules, .. } => rules,
        }
    }

    pub(crate) fn deny(why: DenyReason) -> Decision {
        Decision::Deny { rules: RuleIds::NONE, why }
    }
}

/// Rules that are satisfied or could not be evaluated, while they are gathered.
#[derive(Default, Debug)]
pub(crate) struct Found {
    pub(crate) permits: Vec<Arc<str>>,
    pub(crate) forbids: Vec<Arc<str>>,
    pub(crate) errors: Vec<Arc<str>>,
}

/// What was gathered, to be remembered.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) permits: RuleIds,
    pub(crate) forbids: RuleIds,
    pub(crate) errors: RuleIds,
}

impl From<Found> for Verdict {
    fn from(found: Found) -> Verdict {
        Verdict {
            permits: RuleIds::new(found.permits),
            forbids: RuleIds::new(found.forbids),
            errors: RuleIds::new(found.errors),
        }
    }
}

impl Found {
    pub(crate) fn add(&mut self, verdict: &Verdict) {
        self.permits.extend_from_slice(verdict.permits.shared());
        self.forbids.extend_from_slice(verdict.forbids.shared());
        self.errors.extend_from_slice(verdict.errors.shared());
    }

    pub(crate) fn merge(&mut self, other: Found) {
        self.permits.extend(other.permits);
        self.forbids.extend(other.forbids);
        self.errors.extend(other.errors);
    }
}

impl Verdict {
    /// Forbidden before unevaluable before permitted before nothing.
    pub(crate) fn decision(&self) -> Decision {
        if !self.forbids.is_empty() {
            Decision::Deny { rules: self.forbids.clone(), why: DenyReason::Forbidden }
        } else if !self.errors.is_empty() {
            Decision::Deny { rules: self.errors.clone(), why: DenyReason::Unevaluable }
        } else if !self.permits.is_empty() {
            Decision::Allow { rules: self.permits.clone() }
        } else {
            Decision::deny(DenyReason::NotPermitted)
        }
    }
}
