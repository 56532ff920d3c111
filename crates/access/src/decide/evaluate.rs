//! Evaluation: scope by the index, conditions by Cedar, and how the two are put together.

use super::memo::{Memo, Open};
use super::subject::Known;
use super::{Decider, Installed, RequestContext, entities};
use crate::action::Action;
use crate::decision::{Decision, DenyReason, RuleIds};
use crate::limits::POLICY_STACK_BYTES;
use crate::policy::{ConditionSet, Kept, Snapshot, types};
use crate::resource::Resource;
use crate::session::SessionFacts;
use cedar_policy::{AuthorizationError, Context, Effect, Entities, EntityUid, Request, Response, RestrictedExpression};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Deepest condition that is evaluated on the thread's own stack.
const EVALUATED_IN_PLACE: usize = 24;
/// What must be left of it, with room for a debug build's frames.
const STACK_LEFT_BYTES: usize = 512 * 1024;

/// Which rules are satisfied and which could not be evaluated.
#[derive(Default)]
struct Found {
    permits: Vec<Arc<str>>,
    forbids: Vec<Arc<str>>,
    errors: Vec<Arc<str>>,
}

impl Found {
    /// Cedar reports the forbids alone when any is satisfied, else the permits; errors always.
    fn add(&mut self, response: &Response, rule: impl Fn(&str) -> Arc<str>) {
        let reasons = response.diagnostics().reason().map(|id| rule(id.as_ref()));
        match response.decision() {
            cedar_policy::Decision::Allow => self.permits.extend(reasons),
            cedar_policy::Decision::Deny => self.forbids.extend(reasons),
        }
        let errors = response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(e)| e.policy_id());
        self.errors.extend(errors.map(|id| rule(id.as_ref())));
    }

    /// Forbidden before unevaluable before permitted before nothing.
    fn decision(self) -> Decision {
        if !self.forbids.is_empty() {
            Decision::Deny { rules: RuleIds::new(self.forbids), why: DenyReason::Forbidden }
        } else if !self.errors.is_empty() {
            Decision::Deny { rules: RuleIds::new(self.errors), why: DenyReason::Unevaluable }
        } else if !self.permits.is_empty() {
            Decision::Allow { rules: RuleIds::new(self.permits) }
        } else {
            Decision::deny(DenyReason::NotPermitted)
        }
    }
}

impl Decider {
    /// Makes the static part of a decision.
    pub(super) fn settle(&self, installed: &Installed, known: &Known, action: Action, resource: &Resource) -> Memo {
        if let Some(denied) = Decider::broken(installed, known, action) {
            return Memo::Settled(denied);
        }
        // Nothing but a defect of ours makes an error here, and then the answer is no.
        self.try_settle(&installed.snapshot, known, action, resource)
            .unwrap_or_else(|| Memo::Settled(Decision::deny(DenyReason::Unevaluable)))
    }

    fn try_settle(&self, snapshot: &Snapshot, known: &Known, action: Action, resource: &Resource) -> Option<Memo> {
        let candidates = snapshot.candidates(known.subject(), action, resource);
        let mut found = Found::default();
        for statement in candidates.iter().filter_map(|number| snapshot.statement(*number)) {
            if statement.condition.is_none() {
                match statement.effect {
                    Effect::Permit => found.permits.push(statement.rule.clone()),
                    Effect::Forbid => found.forbids.push(statement.rule.clone()),
                }
            }
        }
        if !found.forbids.is_empty() {
            return Some(Memo::Settled(found.decision()));
        }
        let conditions = snapshot.conditions(&candidates, Kept::Static).ok()?;
        let dynamic = snapshot.conditions(&candidates, Kept::Dynamic).ok()?;
        if conditions.is_none() && dynamic.is_none() {
            return Some(Memo::Settled(found.decision()));
        }
        let types = types()?;
        let needed = [&conditions, &dynamic].into_iter().flatten().any(|set| set.uses_entities);
        let entities = if needed { entities::of(known, action, resource)? } else { Entities::empty() };
        let (act, thing) = (types.action(action)?.clone(), entities::resource_uid(types, resource));
        if let Some(set) = conditions {
            let response =
                self.ask(&set, (known.uid.clone()?, act.clone(), thing.clone()), Context::empty(), &entities)?;
            found.add(&response, |id| set.rule(id));
        }
        let Some(dynamic) = dynamic.filter(|_| found.forbids.is_empty()) else {
            return Some(Memo::Settled(found.decision()));
        };
        Some(Memo::Open(Arc::new(Open {
            permits: RuleIds::new(found.permits),
            errors: RuleIds::new(found.errors),
            entities: if dynamic.uses_entities { entities } else { Entities::empty() },
            dynamic,
            action: act,
            resource: thing,
        })))
    }

    /// Adds the circumstances to the static part.
    pub(super) fn finish(&self, open: &Open, known: &Known, cx: &RequestContext) -> Decision {
        self.try_finish(open, known, cx).unwrap_or_else(|| Decision::deny(DenyReason::Unevaluable))
    }

    fn try_finish(&self, open: &Open, known: &Known, cx: &RequestContext) -> Option<Decision> {
        let names = (known.uid.clone()?, open.action.clone(), open.resource.clone());
        let response = self.ask(&open.dynamic, names, self.context(cx, open.dynamic.uses_now)?, &open.entities)?;
        let quiet =
            response.diagnostics().reason().next().is_none() && response.diagnostics().errors().next().is_none();
        if quiet && open.errors.is_empty() && !open.permits.is_empty() {
            return Some(Decision::Allow { rules: open.permits.clone() });
        }
        let mut found = Found {
            permits: open.permits.shared().to_vec(),
            forbids: Vec::new(),
            errors: open.errors.shared().to_vec(),
        };
        found.add(&response, |id| open.dynamic.rule(id));
        Some(found.decision())
    }

    /// What the conditions can see of the circumstances. Cedar takes microseconds to make an address, so the part
    /// without the time is kept.
    fn context(&self, cx: &RequestContext, with_now: bool) -> Option<Context> {
        let key = (cx.source_ip, cx.tls);
        let place = match self.places.get(&key) {
            Some(place) => place,
            None => {
                let place = Context::from_pairs(place_of(cx)).ok()?;
                self.places.insert(key, place.clone());
                place
            }
        };
        if with_now { place.merge([now_of(cx)]).ok() } else { Some(place) }
    }

    fn ask(
        &self,
        set: &ConditionSet,
        (principal, action, resource): (EntityUid, EntityUid, EntityUid),
        context: Context,
        entities: &Entities,
    ) -> Option<Response> {
        let request = Request::new(principal, action, resource, context, None).ok()?;
        self.cedar_calls.fetch_add(1, Ordering::Relaxed);
        let evaluate = || self.authorizer.is_authorized(&request, &set.policies, entities);
        // Cedar gives up when less than 100 KiB of stack is left, and giving up denies. Shallow conditions need little.
        Some(if set.depth > EVALUATED_IN_PLACE {
            stacker::grow(POLICY_STACK_BYTES, evaluate)
        } else {
            stacker::maybe_grow(STACK_LEFT_BYTES, POLICY_STACK_BYTES, evaluate)
        })
    }

    /// The same decision by Cedar over every statement as written, without index, split or memory.
    ///
    /// Slow. What [`Decider::decide`] must equal; for tests, and for `explain` where nothing may be trusted.
    pub fn decide_by_the_whole(
        &self,
        who: &SessionFacts,
        action: Action,
        resource: &Resource,
        cx: &RequestContext,
    ) -> Decision {
        let Some(snapshot) = self.snapshot(who.tenant) else { return Decision::deny(DenyReason::NotLoaded) };
        let known = Known::new(0, 0, who.entity, who.roles.clone());
        let installed = Installed { serial: 0, snapshot };
        if let Some(denied) = Decider::broken(&installed, &known, action) {
            return denied;
        }
        let answer = || {
            let types = types()?;
            let set = ConditionSet {
                policies: installed.snapshot.whole().ok()?,
                rules: Vec::new(),
                uses_entities: true,
                uses_now: true,
                depth: usize::MAX,
            };
            let names = (known.uid.clone()?, types.action(action)?.clone(), entities::resource_uid(types, resource));
            let context = Context::from_pairs(place_of(cx).into_iter().chain([now_of(cx)])).ok()?;
            self.ask(&set, names, context, &entities::of(&known, action, resource)?)
        };
        let Some(response) = answer() else { return Decision::deny(DenyReason::Unevaluable) };
        let mut found = Found::default();
        found.add(&response, |id| id.into());
        found.decision()
    }
}

fn place_of(cx: &RequestContext) -> [(String, RestrictedExpression); 2] {
    [
        ("source_ip".to_owned(), RestrictedExpression::new_ip(cx.source_ip.to_string())),
        ("tls".to_owned(), RestrictedExpression::new_bool(cx.tls)),
    ]
}

/// Times past what Cedar's numbers hold stop at their largest.
fn now_of(cx: &RequestContext) -> (String, RestrictedExpression) {
    ("now_ms".to_owned(), RestrictedExpression::new_long(i64::try_from(cx.now.0).unwrap_or(i64::MAX)))
}
