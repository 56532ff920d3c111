//! The ledger and its proofs.

use crate::answer::Answer;
use crate::call::Call;
use crate::show::{base64, hashes};
use crate::time::shown;
use api::ledger as wire;
use app::code::ROUTE_NOT_FOUND;
use app::ledger_view::{self, Entry};
use app::{Act, Refusal};
use crypto::SecretBytes;
use crypto::merkle::Tile;

/// `GET ledger/checkpoint`
pub(crate) async fn checkpoint(call: Box<Call>) -> Answer {
    call.act(
        |_| Ok((Act::ledger_read(), ())),
        |grant, ()| ledger_view::settled_checkpoint(grant),
        |note| Answer::text("text/plain; charset=utf-8", note),
    )
    .await
}

/// `GET ledger/key`
pub(crate) async fn key(call: Box<Call>) -> Answer {
    call.act(
        |_| Ok((Act::ledger_read(), ())),
        |grant, ()| ledger_view::verifier_key(grant),
        |key| Answer::json(&wire::VerifierKey { key }),
    )
    .await
}

/// `GET ledger/entries`
pub(crate) async fn entries(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::ledger_entries(), call.query::<wire::EntriesQuery>()?)),
        |grant, query| ledger_view::entries(grant, query.from, query.limit.map(u64::from)),
        |found| {
            let items = found.items.into_iter().map(entry).collect();
            Answer::json(&wire::Entries { items, size: found.size })
        },
    )
    .await
}

/// `GET ledger/proofs/inclusion`
pub(crate) async fn inclusion(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::ledger_read(), call.query::<wire::InclusionQuery>()?)),
        |grant, query| ledger_view::inclusion(grant, query.index, query.size),
        |proof| Answer::json(&wire::Proof { hashes: hashes(&proof) }),
    )
    .await
}

/// `GET ledger/proofs/consistency`
pub(crate) async fn consistency(call: Box<Call>) -> Answer {
    call.act(
        |call| Ok((Act::ledger_read(), call.query::<wire::ConsistencyQuery>()?)),
        |grant, query| ledger_view::consistency(grant, query.from, query.to),
        |proof| Answer::json(&wire::Proof { hashes: hashes(&proof) }),
    )
    .await
}

/// `GET ledger/tile/{tile}`
pub(crate) async fn tile(call: Box<Call>) -> Answer {
    call.act(
        |call| {
            let unknown = |_bad| Refusal::new(&ROUTE_NOT_FOUND, "this is not the name of a tile");
            Ok((Act::ledger_read(), format!("tile/{}", call.name).parse::<Tile>().map_err(unknown)?))
        },
        ledger_view::tile,
        |bytes| Answer::bytes(api::OCTETS, SecretBytes::new(bytes)),
    )
    .await
}

fn entry(entry: Entry) -> wire::Entry {
    wire::Entry {
        index: entry.index,
        leaf_hash: base64(&entry.leaf_hash),
        sealed: entry.sealed.map(|bytes| base64(&bytes)),
        time: entry.time.map(shown),
        kind: entry.kind,
    }
}
