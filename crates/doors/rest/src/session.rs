//! Sessions: login, issue, derive, see, renew, revoke.

use crate::answer::Answer;
use crate::call::{Call, answered};
use crate::show::position;
use crate::time;
use api::policy::PageQuery;
use api::session as wire;
use app::code::{SESSION_INVALID, SESSION_NOT_FOUND};
use app::session::{self, Issued, Shown};
use app::{Act, Asked, Bounds, PrincipalName, Refusal, ScopeRule};

/// `POST sessions:login`
pub(crate) async fn login(call: Box<Call>) -> Answer {
    let token = call.json::<wire::Login>().map(|body| body.token);
    let Call { house, app, arrival, .. } = *call;
    let Some(app) = app else { return house.sealed(arrival).await };
    let reply = match token {
        Ok(token) => session::login(&app, arrival, token).await,
        Err(refusal) => app.turn_away(arrival, refusal).await,
    };
    answered(reply, false, |changed| issued(changed.what))
}

/// `POST sessions`
pub(crate) async fn issue(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::IssueSession = call.json()?;
            let wire::IssueSession { principal, ttl, max_ttl, period, uses, roles, scope, networks } = body;
            let asked = asked([ttl, max_ttl, period], uses, bounds(roles, scope, networks))?;
            Ok((Act::session_issue(PrincipalName::parse(&principal)?), asked))
        },
        session::issue,
        |changed| issued(changed.what),
    )
    .await
}

/// `POST sessions:derive`
pub(crate) async fn derive(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::DeriveSession = call.json()?;
            let wire::DeriveSession { orphan, ttl, max_ttl, period, uses, roles, scope, networks } = body;
            let asked = asked([ttl, max_ttl, period], uses, bounds(roles, scope, networks))?;
            Ok((Act::session_derive(), (orphan, asked)))
        },
        |grant, (orphan, asked)| session::derive(grant, orphan, asked),
        |changed| issued(changed.what),
    )
    .await
}

/// The three lives that a request may name, and the rest of its terms.
fn asked(lives: [Option<api::Ttl>; 3], uses: Option<u32>, bounds: Bounds) -> Result<Asked, Refusal> {
    let life = |text: Option<api::Ttl>, field| text.map(|text| time::span(&text, &SESSION_INVALID, field)).transpose();
    let [ttl, max_ttl, period] = lives;
    let (ttl, max_ttl, period) = (life(ttl, "ttl")?, life(max_ttl, "max_ttl")?, life(period, "period")?);
    Ok(Asked { ttl, max_ttl, period, uses, bounds })
}

fn bounds(roles: Option<Vec<String>>, scope: Vec<wire::ScopeRule>, networks: Vec<String>) -> Bounds {
    let texts = |list: Vec<String>| list.into_iter().map(String::into_boxed_str).collect::<Vec<_>>();
    let rule = |rule: wire::ScopeRule| ScopeRule { actions: texts(rule.actions), place: rule.place.into() };
    Bounds { roles: roles.map(texts), scope: scope.into_iter().map(rule).collect(), networks: texts(networks) }
}

/// `POST sessions:renew`
pub(crate) async fn renew(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::RenewSession = call.json()?;
            let ttl = body.ttl.map(|ttl| time::span(&ttl, &SESSION_INVALID, "ttl")).transpose()?;
            let act = body.id.map_or_else(|| Ok(Act::session_renew_own()), |id| id_of(&id).map(Act::session_renew));
            Ok((act?, ttl))
        },
        session::renew,
        |changed| {
            let position = position(changed.position);
            Answer::json(&wire::RenewedSession { session: shown(changed.what), position })
        },
    )
    .await
}

/// `GET sessions`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let query: PageQuery = call.query()?;
            Ok((Act::session_list(), query))
        },
        |grant, query| session::list(grant, query.cursor, query.limit.map(u64::from)),
        |page| {
            let items = page.items.into_iter().map(shown).collect();
            Answer::json(&wire::SessionList { items, next_cursor: page.next })
        },
    )
    .await
}

/// `GET sessions/{id}`
pub(crate) async fn get(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::session_read(id_of(&call.name)?), ())),
        |grant, ()| session::read(grant),
        |found| Answer::json(&shown(found)),
    )
    .await
}

/// What is no id is nobody's session.
fn id_of<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_bad| Refusal::new(&SESSION_NOT_FOUND, "there is no such session"))
}

/// `GET sessions/self`
pub(crate) async fn own(call: Box<Call>) -> Answer {
    call.act(|_| Ok((Act::session_self(), ())), |grant, ()| session::own(grant), |found| Answer::json(&shown(found)))
        .await
}

/// `DELETE sessions/{id}`
pub(crate) async fn revoke(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::session_revoke(id_of(&call.name)?), ())),
        |grant, ()| session::revoke(grant),
        |changed| {
            let id = changed.what.to_string();
            Answer::json(&wire::RevokedSession { id, position: position(changed.position) })
        },
    )
    .await
}

fn issued(issued: Issued) -> Answer {
    Answer::json(&wire::IssuedSession { session: shown(issued.session), token: issued.token })
}

fn shown(session: Shown) -> wire::Session {
    wire::Session {
        id: session.id.to_string(),
        principal: session.principal,
        entity: session.entity.to_string(),
        tenant: session.tenant.to_string(),
        roles: session.roles,
        created_at: time::shown(session.created),
        expires_at: time::shown(session.expires),
        renewable_until: session.limit.filter(|_| session.renewable).map(time::shown),
        renewable: session.renewable,
        parents: session.parents.iter().map(ToString::to_string).collect(),
        bounds: session.bounds.into_iter().map(shown_bounds).collect(),
        uses_left: session.uses,
    }
}

fn shown_bounds(bounds: Bounds) -> wire::Bounds {
    let texts = |list: Vec<Box<str>>| list.into_iter().map(String::from).collect::<Vec<_>>();
    let rule = |rule: ScopeRule| wire::ScopeRule { actions: texts(rule.actions), place: rule.place.into() };
    wire::Bounds {
        roles: bounds.roles.map(texts),
        scope: bounds.scope.into_iter().map(rule).collect(),
        networks: texts(bounds.networks),
    }
}
