//! Policies: put, see, remove, list.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use crate::time::{read, shown};
use api::policy as wire;
use app::code::REQUEST_INVALID;
use app::policy::{self, Changes, Policy, Question};
use app::{Act, Action, Changed, PolicyName, PrincipalName, Refusal, Resource};
use std::collections::BTreeMap;

/// `PUT policies/{name}`
pub(crate) async fn put(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::policy_write(PolicyName::parse(&call.name)?), call.json::<wire::PutPolicy>()?.text)),
        policy::put,
        changed,
    )
    .await
}

/// `GET policies/{name}`
pub(crate) async fn get(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::policy_read(PolicyName::parse(&call.name)?), ())),
        |grant, ()| policy::get(grant),
        |policy| Answer::json(&shown_whole(policy)),
    )
    .await
}

/// `DELETE policies/{name}`
pub(crate) async fn remove(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::policy_remove(PolicyName::parse(&call.name)?), ())),
        |grant, ()| policy::remove(grant),
        changed,
    )
    .await
}

/// `GET policies`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::policy_list(), call.query::<wire::PageQuery>()?)),
        |grant, page| policy::list(grant, page.cursor, page.limit.map(u64::from)),
        |page| {
            let items = page.items.into_iter().map(|policy| wire::Policy { text: None, ..shown_whole(policy) });
            Answer::json(&wire::PolicyList { items: items.collect(), next_cursor: page.next })
        },
    )
    .await
}

/// `POST policies:explain`
pub(crate) async fn explain(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::policy_explain(), question(call.json()?)?)),
        policy::explain,
        |told| Answer::json(&explained(told)),
    )
    .await
}

fn explained(told: policy::Explained) -> wire::Explained {
    let policy::Explained { allowed, reason, rules, roles } = told;
    wire::Explained { allowed, reason: reason.to_owned(), rules, roles }
}

/// `POST policies:test`
pub(crate) async fn test(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::TestPolicies = call.json()?;
            let questions = body.questions.into_iter().map(question).collect::<Result<Vec<_>, _>>()?;
            Ok((Act::policy_test(), (changes(body.put, body.remove)?, questions)))
        },
        |grant, (changes, questions)| policy::test(grant, changes, questions),
        |answers| Answer::json(&wire::TestedPolicies { answers: answers.into_iter().map(explained).collect() }),
    )
    .await
}

/// `POST policies:diff`
pub(crate) async fn diff(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::DiffPolicies = call.json()?;
            Ok((Act::policy_diff(), changes(body.put, body.remove)?))
        },
        policy::diff,
        |found| {
            let altered = found.altered.into_iter().map(|one| wire::AlteredAccess {
                principal: one.principal,
                action: one.action.name().to_owned(),
                resource: one.resource,
                allowed: one.allowed,
                rules: one.rules,
            });
            let (altered, principals, probes) = (altered.collect(), found.principals, found.probes);
            let conditional = found.conditional;
            Answer::json(&wire::PolicyDifference { altered, principals, probes, conditional })
        },
    )
    .await
}

/// `POST policies:who`
pub(crate) async fn who(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::WhoMay = call.json()?;
            let action = action(&body.action)?;
            Ok((Act::policy_who(), (action, Resource::of(action, body.resource.as_deref())?, body.cas)))
        },
        |grant, (action, resource, cas)| policy::who(grant, action, resource, cas),
        |found| {
            let one = |who: policy::Who| wire::PermittedPrincipal { principal: who.principal, rules: who.rules };
            Answer::json(&wire::ThoseWhoMay { principals: found.into_iter().map(one).collect() })
        },
    )
    .await
}

fn changes(put: BTreeMap<String, String>, remove: Vec<String>) -> Result<Changes, Refusal> {
    let put = put.into_iter().map(|(name, text)| Ok((PolicyName::parse(&name)?, text)));
    let remove = remove.iter().map(|name| PolicyName::parse(name));
    Ok(Changes { put: put.collect::<Result<_, Refusal>>()?, remove: remove.collect::<Result<_, _>>()? })
}

fn action(name: &str) -> Result<Action, Refusal> {
    let why = "`action` names no act; write one such as secret.read (docs/policies.md lists them)";
    Action::named(name).ok_or_else(|| Refusal::new(&REQUEST_INVALID, why))
}

fn question(asked: wire::Explain) -> Result<Question, Refusal> {
    let wrong = |why: &str| Refusal::new(&REQUEST_INVALID, why.to_owned());
    let action = action(&asked.action)?;
    let source_ip = asked.source_ip.map(|text| text.parse().map_err(|_bad| wrong("`source_ip` is not an IP address")));
    Ok(Question {
        principal: PrincipalName::parse(&asked.principal)?,
        action,
        resource: Resource::of(action, asked.resource.as_deref())?,
        source_ip: source_ip.transpose()?,
        at: asked.at.map(|at| read(&at, &REQUEST_INVALID, "at")).transpose()?,
        tls: asked.tls,
        cas: asked.cas,
    })
}

fn changed(changed: Changed<String>) -> Answer {
    Answer::json(&wire::PolicyChanged { name: changed.what, position: position(changed.position) })
}

fn shown_whole(policy: Policy) -> wire::Policy {
    wire::Policy { name: policy.name, text: Some(policy.text), updated_at: policy.changed.map(shown) }
}
