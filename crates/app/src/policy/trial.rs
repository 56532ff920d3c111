//! What policies would say: explained, tried before they are written, compared. Nothing here changes anything.

use super::{Explained, Question};
use crate::authenticate::damaged;
use crate::grant::Authorized;
use crate::principal;
use access::policy::Probe;
use access::{
    Action, Decider, Decision, PolicyName, PolicyStore, Principal, RequestContext, Resource, SessionFacts, ValidPolicy,
};
use ledger::code::{POLICY_INVALID, POLICY_NOT_FOUND, REQUEST_INVALID};
use ledger::{RecordKind, Refusal};
use std::sync::Arc;

/// Most questions of one test.
pub const QUESTIONS_MAX: usize = 1_000;
/// Most decisions that one comparison takes.
const DECISIONS_MAX: usize = 200_000;
/// Most principals looked at in one comparison.
const PRINCIPALS_MAX: usize = 10_000;
/// Principals fetched at once.
const FETCH: usize = 256;

/// Policies that would be written or removed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Text by name.
    pub put: Vec<(PolicyName, String)>,
    /// Names.
    pub remove: Vec<PolicyName>,
}

/// A principal whose right a change alters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Altered {
    /// Who.
    pub principal: String,
    /// What.
    pub action: Action,
    /// To what; `*` at its end stands for whatever no policy names.
    pub resource: String,
    /// Whether it may from then on; it might not before, or the other way round.
    pub allowed: bool,
    /// The rules that decide then.
    pub rules: Vec<String>,
}

/// What a change alters.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Difference {
    /// Whose access, by name of the principal.
    pub altered: Vec<Altered>,
    /// How many principals were asked about.
    pub principals: usize,
    /// How many acts on how many things each.
    pub probes: usize,
    /// Rules that come or go whose conditions were judged for one case only: what they change may be more.
    pub conditional: Vec<String>,
}

/// A principal that may do something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// Its name.
    pub principal: String,
    /// The rules that say so, at least one.
    pub rules: Vec<String>,
}

/// Decides over policies that may not be in force.
struct Judge {
    decider: Arc<Decider>,
}

impl Judge {
    /// Over these, whatever is in force.
    fn over(grant: &Authorized, store: &PolicyStore) -> Judge {
        let decider = Decider::new();
        decider.install(grant.tenant(), 0, store.snapshot());
        Judge { decider: Arc::new(decider) }
    }

    fn in_force(grant: &Authorized) -> Judge {
        Judge { decider: Arc::clone(&grant.app.parts().decider) }
    }

    fn ask(
        &self,
        grant: &Authorized,
        principal: &Principal,
        (action, resource): (Action, &Resource),
        circumstances: &RequestContext,
    ) -> Explained {
        let no = |reason, rules| Explained { allowed: false, reason, rules, roles: Vec::new() };
        let facts = SessionFacts::supposed(grant.tenant(), principal, circumstances.now);
        let told = if principal.disabled {
            no("disabled", Vec::new())
        } else if grant.app.beyond(action, &facts) {
            no("home_tenant_only", Vec::new())
        } else {
            match self.decider.decide(&facts, action, resource, circumstances) {
                Decision::Allow { rules } => Explained { allowed: true, reason: "permitted", ..no("", rules.to_vec()) },
                Decision::Deny { rules, why } => no(why.name(), rules.to_vec()),
            }
        };
        let roles = principal.roles.iter().map(|role| role.to_string()).collect();
        Explained { roles, ..told }
    }

    async fn answer(&self, grant: &Authorized, question: &Question) -> Result<Explained, Refusal> {
        let principal = principal::find(grant, &question.principal).await?;
        let asked = grant.circumstances;
        let circumstances = RequestContext {
            cas: question.cas,
            source_ip: question.source_ip.unwrap_or(asked.source_ip),
            now: question.at.unwrap_or(asked.now),
            tls: question.tls.unwrap_or(asked.tls),
        };
        Ok(self.ask(grant, &principal, (question.action, &question.resource), &circumstances))
    }
}

/// Answers whether a principal may do something and which rules say so; nothing is done, and nobody is authenticated.
///
/// Errors: `principal.not_found`.
pub async fn explain(grant: Authorized, question: Question) -> Result<Explained, Refusal> {
    Judge::in_force(&grant).answer(&grant, &question).await
}

/// Answers questions as they would be after these changes, in their order.
///
/// Errors: `policy.invalid` naming the policy, `policy.not_found`, `principal.not_found`, `request.invalid` for too many.
pub async fn test(grant: Authorized, changes: Changes, questions: Vec<Question>) -> Result<Vec<Explained>, Refusal> {
    if questions.len() > QUESTIONS_MAX {
        return Err(Refusal::new(&REQUEST_INVALID, format!("ask at most {QUESTIONS_MAX} questions at once")));
    }
    let (before, changes) = trial(&grant, changes).await?;
    let judge = Judge::over(&grant, &before.with(&changes)?);
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        answers.push(judge.answer(&grant, question).await?);
    }
    Ok(answers)
}

/// Says whose access these changes would alter: each principal is asked about each act and place that they concern.
///
/// Conditions are judged for the circumstances of this request. Errors: as [`test`]; `request.invalid` when it is too much.
pub async fn diff(grant: Authorized, changes: Changes) -> Result<Difference, Refusal> {
    let (before, changes) = trial(&grant, changes).await?;
    let probes = before.probes(&changes);
    let principals = principals(&grant).await?;
    let decisions = principals.len().saturating_mul(probes.len()).saturating_mul(2);
    if decisions > DECISIONS_MAX {
        let why =
            format!("that takes {decisions} decisions and at most {DECISIONS_MAX} are taken; compare fewer policies");
        return Err(Refusal::new(&REQUEST_INVALID, why));
    }
    let (old, new) = (Judge::over(&grant, &before), Judge::over(&grant, &before.with(&changes)?));
    let (count, conditional) = (principals.len(), before.conditional(&changes));
    let mut difference = Difference { altered: Vec::new(), principals: count, probes: probes.len(), conditional };
    for principal in &principals {
        for probe in &probes {
            difference.altered.extend(altered(&grant, principal, probe, (&old, &new)));
        }
    }
    Ok(difference)
}

fn altered(grant: &Authorized, principal: &Principal, probe: &Probe, (old, new): (&Judge, &Judge)) -> Option<Altered> {
    let question = (probe.action, &probe.resource);
    let before = old.ask(grant, principal, question, &grant.circumstances);
    let after = new.ask(grant, principal, question, &grant.circumstances);
    (before.allowed != after.allowed).then(|| Altered {
        principal: principal.name.as_str().to_owned(),
        action: probe.action,
        resource: probe.to_string(),
        allowed: after.allowed,
        rules: after.rules,
    })
}

/// The principals that may do something, by name.
pub async fn who(grant: Authorized, action: Action, resource: Resource, cas: bool) -> Result<Vec<Who>, Refusal> {
    let judge = Judge::in_force(&grant);
    let circumstances = RequestContext { cas, ..grant.circumstances };
    let mut found = Vec::new();
    for principal in principals(&grant).await? {
        let told = judge.ask(&grant, &principal, (action, &resource), &circumstances);
        if told.allowed {
            found.push(Who { principal: principal.name.as_str().to_owned(), rules: told.rules });
        }
    }
    Ok(found)
}

/// A policy's name and what would stand under it.
type Change = (PolicyName, Option<Arc<ValidPolicy>>);

/// The policies in force, and the changes checked against them.
async fn trial(grant: &Authorized, changes: Changes) -> Result<(PolicyStore, Vec<Change>), Refusal> {
    let before = {
        let stores = grant.app.policies().stores.lock().await;
        stores.get(&grant.tenant()).cloned().unwrap_or_default()
    };
    let mut checked: Vec<Change> = Vec::new();
    for (name, text) in changes.put {
        let named = |refusal: Refusal| Refusal { detail: format!("`{name}`: {}", refusal.detail), ..refusal };
        checked.push((name.clone(), Some(Arc::new(ValidPolicy::parse(name.clone(), &text).map_err(named)?))));
    }
    for name in changes.remove {
        if before.policy(name.as_str()).is_none() {
            return Err(Refusal::new(&POLICY_NOT_FOUND, format!("there is no policy `{name}` to remove")));
        }
        checked.push((name, None));
    }
    let mut names: Vec<&PolicyName> = checked.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != checked.len() {
        return Err(Refusal::new(&POLICY_INVALID, "a policy is named twice"));
    }
    Ok((before, checked))
}

/// All principals of the tenant, by name.
async fn principals(grant: &Authorized) -> Result<Vec<Principal>, Refusal> {
    let mut found: Vec<Principal> = Vec::new();
    let mut after = None;
    loop {
        let page = grant.ledger().children(grant.tenant(), RecordKind::PRINCIPAL, &[], after, FETCH).await?;
        for child in &page {
            found.push(Principal::decode(&child.body).map_err(damaged)?);
        }
        if found.len() > PRINCIPALS_MAX {
            return Err(Refusal::new(&REQUEST_INVALID, format!("there are more than {PRINCIPALS_MAX} principals")));
        }
        after = page.last().map(|child| child.id);
        if page.len() < FETCH {
            found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            return Ok(found);
        }
    }
}
