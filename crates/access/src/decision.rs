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

    /// The ids as owned text, for a row of the access log.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
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
        }
    }
}

/// Whether an act may be done, and which rules said so.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use = "a decision that is dropped decides nothing"]
pub enum Decision {
    /// At least one permit, no forbid, no error.
    Allow {
        /// The permits.
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
