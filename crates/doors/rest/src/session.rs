//! Sessions: login, issue, see, revoke.

use crate::answer::Answer;
use crate::call::{Call, answered};
use crate::show::position;
use crate::time;
use api::session as wire;
use app::code::{SESSION_INVALID, SESSION_NOT_FOUND};
use app::session::{self, Issued, Shown};
use app::{Act, PrincipalName, Refusal};

/// `POST sessions:login`
pub(crate) async fn login(call: Box<Call>) -> Answer {
    let token = call.json::<wire::Login>().map(|body| body.token);
    let Call { house, arrival, .. } = *call;
    let reply = match token {
        Ok(token) => session::login(&house.app, arrival, token).await,
        Err(refusal) => house.app.turn_away(arrival, refusal).await,
    };
    answered(reply, false, |changed| issued(changed.what))
}

/// `POST sessions`
pub(crate) async fn issue(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let body: wire::IssueSession = call.json()?;
            let life = body.ttl.map(|ttl| time::span(&ttl, &SESSION_INVALID, "ttl")).transpose()?;
            Ok((Act::session_issue(PrincipalName::parse(&body.principal)?), life))
        },
        session::issue,
        |changed| issued(changed.what),
    )
    .await
}

/// `GET sessions/self`
pub(crate) async fn own(call: Box<Call>) -> Answer {
    call.act(|_| Ok((Act::session_self(), ())), |grant, ()| session::own(grant), |found| Answer::json(&shown(found)))
        .await
}

/// `DELETE sessions/{id}`
pub(crate) async fn revoke(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let unknown = |_bad| Refusal::new(&SESSION_NOT_FOUND, "there is no such session");
            Ok((Act::session_revoke(call.name.parse().map_err(unknown)?), ()))
        },
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
    }
}
