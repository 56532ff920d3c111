//! Policies: put, see, remove, list.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use crate::time::{read, shown};
use api::policy as wire;
use app::code::REQUEST_INVALID;
use app::policy::{self, Policy, Question};
use app::{Act, Action, Changed, PolicyName, PrincipalName, Refusal, Resource};

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
        |told| {
            let policy::Explained { allowed, reason, rules, roles } = told;
            Answer::json(&wire::Explained { allowed, reason: reason.to_owned(), rules, roles })
        },
    )
    .await
}

fn question(asked: wire::Explain) -> Result<Question, Refusal> {
    let wrong = |why: &str| Refusal::new(&REQUEST_INVALID, why.to_owned());
    let action = Action::named(&asked.action)
        .ok_or_else(|| wrong("`action` names no act; write one such as secret.read (docs/policies.md lists them)"))?;
    let source_ip = asked.source_ip.map(|text| text.parse().map_err(|_bad| wrong("`source_ip` is not an IP address")));
    Ok(Question {
        principal: PrincipalName::parse(&asked.principal)?,
        action,
        resource: Resource::of(action, asked.resource.as_deref())?,
        source_ip: source_ip.transpose()?,
        at: asked.at.map(|at| read(&at, &REQUEST_INVALID, "at")).transpose()?,
        tls: asked.tls,
    })
}

fn changed(changed: Changed<String>) -> Answer {
    Answer::json(&wire::PolicyChanged { name: changed.what, position: position(changed.position) })
}

fn shown_whole(policy: Policy) -> wire::Policy {
    wire::Policy { name: policy.name, text: Some(policy.text), updated_at: policy.changed.map(shown) }
}
