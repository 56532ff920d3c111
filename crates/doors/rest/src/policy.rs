//! Policies: put, see, remove, list.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use crate::time::shown;
use api::policy as wire;
use app::policy::{self, Policy};
use app::{Act, Changed, PolicyName};

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

fn changed(changed: Changed<String>) -> Answer {
    Answer::json(&wire::PolicyChanged { name: changed.what, position: position(changed.position) })
}

fn shown_whole(policy: Policy) -> wire::Policy {
    wire::Policy { name: policy.name, text: Some(policy.text), updated_at: policy.changed.map(shown) }
}
