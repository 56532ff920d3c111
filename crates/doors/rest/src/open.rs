//! Routes that answer without a session. They show nothing that is anybody's.

use crate::answer::Answer;
use crate::call::{Call, request_text};
use crate::time::shown;
use api::status::Status;
use app::Refusal;
use app::code::REQUEST_ELSEWHERE;
use http::StatusCode;

/// `GET status`
pub(crate) async fn status(call: Box<Call>) -> Answer {
    let house = &call.house;
    Answer::json(&Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seal: house.surroundings.seal(),
        shares: house.surroundings.wanted(),
        ready: house.surroundings.is_ready(),
        hindrance: house.surroundings.hindrance().map(str::to_owned),
        warning: house.surroundings.warning().map(str::to_owned),
        time: shown(house.clock.wall()),
    })
}

/// `GET openapi.json`
pub(crate) async fn document(call: Box<Call>) -> Answer {
    Answer::text(api::JSON, call.house.document.clone())
}

/// `GET /healthz`: the process answers.
pub(crate) async fn health(_call: Box<Call>) -> Answer {
    Answer::text("text/plain", "ok\n".to_owned())
}

/// `GET /readyz`: requests are served, though perhaps no changes; else what is in the way.
pub(crate) async fn readiness(call: Box<Call>) -> Answer {
    let surroundings = &call.house.surroundings;
    let text = |text: String| Answer::text("text/plain", text);
    match (surroundings.hindrance(), surroundings.is_ready()) {
        (None, _) => text("ready\n".to_owned()),
        (Some(why), true) => text(format!("ready, but {why}\n")),
        (Some(why), false) => text(format!("not ready: {why}\n")).status(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// `GET /metrics`
pub(crate) async fn metrics(call: Box<Call>) -> Answer {
    let (house, arrival) = (&call.house, &call.arrival);
    if !house.settings.metrics.iter().any(|net| net.contains(arrival.source)) {
        let refusal = Refusal::new(&REQUEST_ELSEWHERE, "metrics are not shown to this address");
        return Answer::refused(&refusal, &request_text(&arrival.request), false);
    }
    let page = house.metrics.page(&house.routes, &house.surroundings.gauges());
    Answer::text("text/plain; version=0.0.4; charset=utf-8", page)
}
