//! Documents: plan, apply.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use api::apply as wire;
use app::Act;
use app::apply::{self, Application, Planned, Step};

/// `POST documents:plan`
pub(crate) async fn plan(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::apply_plan(), read(call.json()?)?)),
        apply::plan,
        |steps| Answer::json(&wire::ApplyPlan { steps: steps.into_iter().map(shown).collect() }),
    )
    .await
}

/// `POST documents:apply`
pub(crate) async fn apply(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::apply(), read(call.json()?)?)),
        apply::apply,
        |changed| {
            let steps = changed.what.into_iter().map(shown).collect();
            Answer::json(&wire::Applied { steps, position: position(changed.position) })
        },
    )
    .await
}

fn read(body: wire::Apply) -> Result<Application, app::Refusal> {
    let wire::Apply { set, documents, prune } = body;
    Ok(Application { set, documents: crate::document::read(documents)?, prune })
}

fn shown(planned: Planned) -> wire::Planned {
    wire::Planned {
        kind: planned.member.kind.word().to_owned(),
        name: planned.member.name,
        step: match planned.step {
            Step::Create => wire::Step::Create,
            Step::Update => wire::Step::Update,
            Step::Keep => wire::Step::Keep,
            Step::Prune => wire::Step::Prune,
        },
    }
}
