//! Wrapped things: made, and opened once.

use crate::answer::Answer;
use crate::call::{Call, answered, request_text};
use crate::secret_wire::unwrapped;
use crate::show::position;
use crate::time;
use api::wrap as wire;
use app::code::{REQUEST_INVALID, SESSION_INVALID, WRAP_OPENED};
use app::{Act, Path, Refusal, wrap};
use std::time::Duration;

/// How long something waits when nothing is said.
const WAIT: Duration = Duration::from_secs(3600);

/// `POST wraps`
pub(crate) async fn make(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let wire::MakeWrap { text, secret, version, ttl } = call.json()?;
            let wait = ttl.map(|ttl| time::span(&ttl, &SESSION_INVALID, "ttl")).transpose()?.unwrap_or(WAIT);
            let act = match (&text, secret) {
                (Some(_), None) if version.is_none() => Act::wrap_text(),
                (None, Some(path)) => Act::wrap_secret(Path::parse(&path)?, version),
                _ => return Err(Refusal::new(&REQUEST_INVALID, "say `text`, or `secret` and perhaps its `version`")),
            };
            Ok((act, (text, wait)))
        },
        |grant, (text, wait)| wrap::make(grant, text, wait),
        |changed| {
            let expires_at = time::shown(changed.what.expires);
            Answer::json(&wire::MadeWrap {
                token: changed.what.token,
                expires_at,
                position: position(changed.position),
            })
        },
    )
    .await
}

/// `POST wraps:open`
pub(crate) async fn open(call: Box<Call>) -> Answer {
    let token = call.json::<wire::OpenWrap>().map(|body| body.token);
    let Call { house, app, arrival, .. } = *call;
    let Some(app) = app else { return house.sealed(arrival).await };
    let reply = match token {
        Ok(token) => wrap::open(&app, arrival, token).await,
        Err(refusal) => app.turn_away(arrival, refusal).await,
    };
    if reply.outcome().is_err_and(|refusal| refusal.code == &WRAP_OPENED) {
        tracing::warn!(request = request_text(&reply.request()), "something wrapped was opened a second time");
    }
    answered(reply, false, |changed| unwrapped(&changed.what, changed.position))
}
