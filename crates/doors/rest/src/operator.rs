//! Shares of the seal's key. Two of these routes are open: who has no key yet can have no session.

use crate::answer::Answer;
use crate::call::{Call, request_text};
use app::code::REQUEST_LIMITED;
use app::{Act, Refusal};
use serde::Serialize;
use std::sync::Arc;

/// `POST operator:init`
pub(crate) async fn init(call: Box<Call>) -> Answer {
    let body = limited(&call).and_then(|()| call.json());
    let Call { house, arrival, .. } = *call;
    let id = arrival.request;
    let outcome = match body {
        Ok(split) => house.surroundings.init(arrival, split).await,
        Err(refusal) => Err(house.surroundings.refuse(arrival, "operator.init", refusal).await),
    };
    shown(&id, outcome)
}

/// `POST operator:unseal`
pub(crate) async fn unseal(call: Box<Call>) -> Answer {
    let body = limited(&call).and_then(|()| call.json());
    let Call { house, arrival, .. } = *call;
    let id = arrival.request;
    let outcome = match body {
        Ok(share) => house.surroundings.unseal(arrival, share).await,
        Err(refusal) => Err(house.surroundings.refuse(arrival, "operator.unseal", refusal).await),
    };
    shown(&id, outcome)
}

/// `POST operator:seal`
pub(crate) async fn seal(call: Box<Call>) -> Answer {
    let surroundings = Arc::clone(&call.house.surroundings);
    call.act(
        |_| Ok((Act::operator_seal(), ())),
        move |grant, ()| surroundings.shut(grant),
        |sealed| Answer::json(&sealed),
    )
    .await
}

/// `POST operator:rekey`
pub(crate) async fn rekey(call: Box<Call>) -> Answer {
    let surroundings = Arc::clone(&call.house.surroundings);
    call.act(
        |call| Ok((Act::operator_rekey(), call.json()?)),
        move |grant, rekey| surroundings.begin_rekey(grant, rekey),
        |ceremony| Answer::json(&ceremony),
    )
    .await
}

/// `GET ceremonies`
pub(crate) async fn ceremonies(call: Box<Call>) -> Answer {
    let surroundings = Arc::clone(&call.house.surroundings);
    call.act(
        |_| Ok((Act::operator_ceremonies(), ())),
        move |_grant, ()| async move { Ok(surroundings.ceremonies()) },
        |ceremonies| Answer::json(&ceremonies),
    )
    .await
}

/// `POST operator:give`
pub(crate) async fn give(call: Box<Call>) -> Answer {
    let surroundings = Arc::clone(&call.house.surroundings);
    call.act(
        |call| Ok((Act::operator_give(), call.json()?)),
        move |grant, share| surroundings.give(grant, share),
        |ceremony| Answer::json(&ceremony),
    )
    .await
}

/// `POST operator:cancel`
pub(crate) async fn cancel(call: Box<Call>) -> Answer {
    let surroundings = Arc::clone(&call.house.surroundings);
    call.act(
        |call| Ok((Act::operator_cancel(), call.json()?)),
        move |grant, cancel| surroundings.cancel(grant, cancel),
        |cancelled| Answer::json(&cancelled),
    )
    .await
}

fn limited(call: &Call) -> Result<(), Refusal> {
    match call.house.shares_rate.take(call.arrival.source, call.house.clock.monotonic()) {
        true => Ok(()),
        false => Err(Refusal::new(&REQUEST_LIMITED, "too many shares from one address")),
    }
}

fn shown<T: Serialize>(request: &[u8; 16], outcome: Result<T, Refusal>) -> Answer {
    match outcome {
        Ok(answer) => Answer::json(&answer),
        Err(refusal) => Answer::refused(&refusal, &request_text(request), false),
    }
}
