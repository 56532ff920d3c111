//! Keys and the seal: see, rotate, re-key.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::position;
use crate::time::shown;
use api::key as wire;
use app::keys::{self, KeyShown, Rotated};
use app::{Act, Authorized, Changed, Refusal};
use std::sync::Arc;

/// `GET keys`
pub(crate) async fn list(call: Box<Call>) -> Answer {
    call.act(
        |_| Ok((Act::key_read(), ())),
        |grant, ()| keys::list(grant),
        |found| Answer::json(&wire::KeyList { items: found.into_iter().map(key).collect() }),
    )
    .await
}

/// `POST keys:rotate`
pub(crate) async fn rotate(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let scope = call.json::<wire::RotateKeys>()?.scope;
            let act = match scope {
                wire::Scope::Tenant => Act::key_rotate_tenant(),
                wire::Scope::Root => Act::key_rotate_root(),
            };
            Ok((act, scope))
        },
        rotated,
        |(scope, changed)| {
            let Changed { what, position: place, .. } = changed;
            let remaining = u64::from(what.sweeping);
            Answer::json(&wire::Rotated {
                scope,
                key: what.key.to_string(),
                remaining,
                position: Some(position(place)),
            })
        },
    )
    .await
}

async fn rotated(grant: Authorized, scope: wire::Scope) -> Result<(wire::Scope, Changed<Rotated>), Refusal> {
    let changed = match scope {
        wire::Scope::Tenant => keys::rotate_tenant(grant).await?,
        wire::Scope::Root => keys::rotate_root(grant).await?,
    };
    Ok((scope, changed))
}

/// `POST seal:rekey`
pub(crate) async fn rekey(call: Box<Call>) -> Answer {
    let surroundings = Arc::clone(&call.house.surroundings);
    call.act(
        |_| Ok((Act::seal_rekey(), ())),
        move |grant, ()| surroundings.rekey(grant),
        |seal| {
            let advice = "back the new key file up now; the old one opens nothing of this store any more".to_owned();
            Answer::json(&wire::Rekeyed { seal, advice })
        },
    )
    .await
}

fn key(key: KeyShown) -> wire::Key {
    wire::Key {
        id: key.id.to_string(),
        purpose: key.purpose.to_owned(),
        state: if key.current { "active" } else { "retired" }.to_owned(),
        created_at: shown(key.created),
        seals: Some(key.seals),
    }
}
