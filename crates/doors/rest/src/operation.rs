//! What became of a change whose answer was lost.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use api::operation as wire;
use app::code::OPERATION_NOT_FOUND;
use app::operation::{self, Effect};
use app::{Act, Refusal};
use crypto::id::OperationId;

/// `GET operations/{id}`
pub(crate) async fn get(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let unknown = |_bad| Refusal::new(&OPERATION_NOT_FOUND, "there is no such operation");
            Ok((Act::operation_read(), call.name.parse::<OperationId>().map_err(unknown)?))
        },
        |grant, id| async move { Ok((id, operation::read(grant, id).await?)) },
        |(id, effect)| {
            let (effect, place) = match effect {
                Effect::Applied(place) => (wire::Effect::Applied, place),
                Effect::NotApplied => (wire::Effect::NotApplied, None),
                Effect::Unknown => (wire::Effect::Unknown, None),
            };
            Answer::json(&wire::Operation { id: id.to_string(), effect, position: place.map(position) })
        },
    )
    .await
}
