//! Principals: put, see, list.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use api::policy::PageQuery;
use api::principal as wire;
use app::code::PRINCIPAL_INVALID;
use app::principal::{self, Shown};
use app::{Act, PrincipalName, Refusal};

/// `PUT principals/{name}`
pub(crate) async fn put(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::PutPrincipal = call.json()?;
            let bad = |_bad| Refusal::new(&PRINCIPAL_INVALID, "`entity` is no id of an identity, `ent_…`");
            let identity = body.entity.as_deref().map(|text| text.parse().map_err(bad)).transpose()?;
            Ok((Act::principal_write(PrincipalName::parse(&call.name)?), (body.roles, body.disabled, identity)))
        },
        |grant, (roles, disabled, identity)| principal::put(grant, roles, disabled, identity),
        |changed| {
            let principal = shown(changed.what);
            Answer::json(&wire::PrincipalChanged { principal, position: position(changed.position) })
        },
    )
    .await
}

/// `GET principals/{name}`
pub(crate) async fn get(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::principal_read(PrincipalName::parse(&call.name)?), ())),
        |grant, ()| principal::get(grant),
        |found| Answer::json(&shown(found)),
    )
    .await
}

/// `GET principals`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::principal_list(), call.query::<PageQuery>()?)),
        |grant, page| principal::list(grant, page.cursor, page.limit.map(u64::from)),
        |page| {
            let items = page.items.into_iter().map(shown).collect();
            Answer::json(&wire::PrincipalList { items, next_cursor: page.next })
        },
    )
    .await
}

fn shown(principal: Shown) -> wire::Principal {
    wire::Principal {
        name: principal.name,
        entity: principal.entity.to_string(),
        roles: principal.roles,
        disabled: principal.disabled,
    }
}
