//! Evaluation: scope by the index, conditions by Cedar, and how the two are put together.

use super::memo::{ApartKey, FolderRef, KeyRef};
use super::subject::Known;
use super::{Decider, Installed, RequestContext, entities};
use crate::action::Action;
use crate::decision::{Decision, DenyReason, Found, Verdict};
use crate::limits::POLICY_STACK_BYTES;
use crate::policy::{ConditionSet, Plan, Snapshot, types};
use crate::resource::Resource;
use crate::session::SessionFacts;
use cedar_policy::{AuthorizationError, Context, Entities, Request, Response, RestrictedExpression};
use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Deepest condition that is evaluated on the thread's own stack.
const EVALUATED_IN_PLACE: usize = 24;
/// What must be left of it, with room for a debug build's frames.
const STACK_LEFT_BYTES: usize = 512 * 1024;

impl Found {
    /// Cedar reports the forbids alone when any is satisfied, else the permits; errors always.
    fn take(&mut self, response: &Response, rule: impl Fn(&str) -> Arc<str>) {
        let reasons = response.diagnostics().reason().map(|id| rule(id.as_ref()));
        match response.decision() {
            cedar_policy::Decision::Allow => self.permits.extend(reasons),
            cedar_policy::Decision::Deny => self.forbids.extend(reasons),
        }
        let errors = response.diagnostics().errors().map(|AuthorizationError::PolicyEvaluationError(e)| e.policy_id());
        self.errors.extend(errors.map(|id| rule(id.as_ref())));
    }
}

/// One question, as every part of its evaluation needs it.
#[derive(Clone, Copy)]
struct Question<'a> {
    known: &'a Known,
    action: Action,
    resource: &'a Resource,
    cx: &'a RequestContext,
    /// Made once where a condition looks at them.
    entities: &'a OnceCell<Option<Entities>>,
}

impl Decider {
    pub(super) fn evaluate(
        &self,
        snapshot: &Snapshot,
        known: &Known,
        action: Action,
        resource: &Resource,
        cx: &RequestContext,
    ) -> Option<Decision> {
        let question = Question { known, action, resource, cx, entities: &OnceCell::new() };
        let plan = self.plan(snapshot, question)?;
        let verdict = self.apart(&plan, question)?;
        // Policies were checked against what an act can be done to; elsewhere an attribute may be missing.
        let checked = action.resources().contains(&resource.kind());
        let rest = plan.rest(checked && !verdict.permits.is_empty());
        if !verdict.forbids.is_empty() || (rest.resource.is_none() && rest.each.is_none()) {
            return Some(verdict.decision());
        }
        let mut found = Found::default();
        found.add(&verdict);
        if let Some(set) = &rest.resource {
            let key = KeyRef::new(known.slot, plan.id, rest.permitted, action, resource);
            let on_resource = match self.memo.get(&key) {
                Some(on_resource) => on_resource,
                None => {
                    let on_resource = Arc::new(Verdict::from(self.ask(set, question)?));
                    self.made.fetch_add(1, Ordering::Relaxed);
                    self.memo.insert(key.to_owned(), Arc::clone(&on_resource));
                    on_resource
                }
            };
            found.add(&on_resource);
        }
        match &rest.each {
            Some(set) if found.forbids.is_empty() => found.merge(self.ask(set, question)?),
            _ => {}
        }
        Some(Verdict::from(found).decision())
    }

    /// The statements whose scope is met, prepared. All secrets of a folder have the same, unless one is named.
    fn plan(&self, snapshot: &Snapshot, question: Question<'_>) -> Option<Arc<Plan>> {
        let Question { known, action, resource, .. } = question;
        let made = || snapshot.plan(&snapshot.candidates(known.subject(), action, resource)).ok();
        let Some(folder) = resource.folder_of_secret().filter(|_| !snapshot.names_secrets()) else { return made() };
        let key = FolderRef { slot: known.slot, action, folder };
        if let Some(plan) = self.plans.get(&key) {
            return Some(plan);
        }
        let plan = made()?;
        self.plans.insert(key.to_owned(), Arc::clone(&plan));
        Some(plan)
    }

    /// What is settled without the resource.
    fn apart(&self, plan: &Plan, question: Question<'_>) -> Option<Arc<Verdict>> {
        let Some(set) = plan.apart.as_ref().filter(|_| plan.plain.forbids.is_empty()) else {
            return Some(Arc::clone(&plan.plain));
        };
        let Question { known, action, cx, .. } = question;
        let place = set.uses_context.then_some((cx.source_ip, cx.tls, cx.cas));
        let key = ApartKey { slot: known.slot, plan: plan.id, action, place };
        if let Some(verdict) = self.apart.get(&key) {
            return Some(verdict);
        }
        let mut found = self.ask(set, question)?;
        found.add(&plan.plain);
        let verdict = Arc::new(Verdict::from(found));
        self.made.fetch_add(1, Ordering::Relaxed);
        self.apart.insert(key, Arc::clone(&verdict));
        Some(verdict)
    }

    /// What the conditions can see of the circumstances. Cedar takes microseconds to make an address, so the part
    /// without the time is kept.
    fn context(&self, cx: &RequestContext, with_now: bool) -> Option<Context> {
        let key = (cx.source_ip, cx.tls, cx.cas);
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

    fn ask(&self, set: &ConditionSet, question: Question<'_>) -> Option<Found> {
        let Question { known, action, resource, cx, entities } = question;
        let types = types()?;
        let (act, thing) = (types.action(action)?.clone(), entities::resource_uid(types, resource));
        let context = if set.uses_context { self.context(cx, set.uses_now)? } else { Context::empty() };
        let none = Entities::empty();
        let entities = match set.uses_entities {
            true => entities.get_or_init(|| entities::of(known, action, resource)).as_ref()?,
            false => &none,
        };
        let request = Request::new(known.uid.clone()?, act, thing, context, None).ok()?;
        self.cedar_calls.fetch_add(1, Ordering::Relaxed);
        let evaluate = || self.authorizer.is_authorized(&request, &set.policies, entities);
        // Cedar gives up when less than 100 KiB of stack is left, and giving up denies. Shallow conditions need little.
        let response = if set.depth > EVALUATED_IN_PLACE {
            stacker::grow(POLICY_STACK_BYTES, evaluate)
        } else {
            stacker::maybe_grow(STACK_LEFT_BYTES, POLICY_STACK_BYTES, evaluate)
        };
        let mut found = Found::default();
        found.take(&response, |id| set.rule(id));
        Some(found)
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
        let known = Known::new(0, 0, who);
        let installed = Installed { serial: 0, generation: 0, snapshot };
        if let Some(denied) = Decider::broken(&installed, &known, action) {
            return denied;
        }
        let asked = || {
            let whole = ConditionSet::whole(installed.snapshot.whole().ok()?);
            self.ask(&whole, Question { known: &known, action, resource, cx, entities: &OnceCell::new() })
        };
        match asked() {
            Some(found) => Verdict::from(found).decision(),
            None => Decision::deny(DenyReason::Unevaluable),
        }
    }
}

fn place_of(cx: &RequestContext) -> [(String, RestrictedExpression); 3] {
    [
        ("source_ip".to_owned(), RestrictedExpression::new_ip(cx.source_ip.to_string())),
        ("tls".to_owned(), RestrictedExpression::new_bool(cx.tls)),
        ("cas".to_owned(), RestrictedExpression::new_bool(cx.cas)),
    ]
}

/// Times past what Cedar's numbers hold stop at their largest.
fn now_of(cx: &RequestContext) -> (String, RestrictedExpression) {
    ("now_ms".to_owned(), RestrictedExpression::new_long(i64::try_from(cx.now.0).unwrap_or(i64::MAX)))
}
