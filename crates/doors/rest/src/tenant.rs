//! Tenants: make, see, list, change, delete.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use crate::time;
use api::policy::PageQuery;
use api::tenant as wire;
use app::tenant::{self, Change, Created, Shown, TenantLimits, TenantState};
use app::{Act, Changed};

/// `POST tenants`
pub(crate) async fn create(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::CreateTenant = call.json()?;
            Ok((Act::tenant_create(&body.name)?, limits(body.limits)))
        },
        tenant::create,
        created,
    )
    .await
}

/// `POST tenants:login`
pub(crate) async fn login(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::LoginToTenant = call.json()?;
            Ok((Act::tenant_login(&body.name)?, ()))
        },
        |grant, ()| tenant::login(grant),
        created,
    )
    .await
}

/// `GET tenants/{name}`
pub(crate) async fn get(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::tenant_read(&call.name)?, ())),
        |grant, ()| tenant::get(grant),
        |found| Answer::json(&shown(found)),
    )
    .await
}

/// `GET tenants`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::tenant_list(), call.query::<PageQuery>()?)),
        |grant, page| tenant::list(grant, page.cursor, page.limit.map(u64::from)),
        |page| {
            let items = page.items.into_iter().map(shown).collect();
            Answer::json(&wire::TenantList { items, next_cursor: page.next })
        },
    )
    .await
}

/// `POST tenants:change`
pub(crate) async fn change(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::ChangeTenant = call.json()?;
            let change = Change { suspended: body.suspended, limits: body.limits.map(limits) };
            Ok((Act::tenant_change(&body.name)?, change))
        },
        tenant::change,
        |changed| changed_to(changed.what, position(changed.position)),
    )
    .await
}

/// `DELETE tenants/{name}`
pub(crate) async fn delete(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::tenant_delete(&call.name)?, ())),
        |grant, ()| tenant::delete(grant),
        |changed| changed_to(changed.what, position(changed.position)),
    )
    .await
}

fn created(changed: Changed<Created>) -> Answer {
    let (position, made) = (position(changed.position), changed.what);
    Answer::json(&wire::CreatedTenant { tenant: shown(made.tenant), login: made.login, position })
}

fn changed_to(tenant: Shown, position: api::Position) -> Answer {
    Answer::json(&wire::TenantChanged { tenant: shown(tenant), position })
}

pub(crate) fn limits(limits: wire::TenantLimits) -> TenantLimits {
    TenantLimits { secrets: limits.secrets, request_rate: limits.request_rate }
}

fn shown(tenant: Shown) -> wire::Tenant {
    let TenantLimits { secrets, request_rate } = tenant.limits;
    wire::Tenant {
        id: tenant.id.to_string(),
        name: tenant.name,
        state: match tenant.state {
            TenantState::Active => wire::TenantState::Active,
            TenantState::Suspended => wire::TenantState::Suspended,
            TenantState::Deleting => wire::TenantState::Deleting,
        },
        limits: wire::TenantLimits { secrets, request_rate },
        created_at: time::shown(tenant.created),
    }
}
