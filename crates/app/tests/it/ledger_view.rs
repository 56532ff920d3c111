//! Checkpoint, entries and proofs as an outsider checks them.

use crate::house::{code, house};
use app::{Act, ledger_view};
use crypto::merkle;
use crypto::note::{Checkpoint, VerifierKey};

#[tokio::test]
async fn an_outsider_verifies_entries_against_the_checkpoint() {
    let house = house().await;
    let owner = house.owner().await;
    let written = owner.put("a/b", "v").await.unwrap();
    let act = Act::ledger_read;
    let note = owner.act(act(), b"", ledger_view::settled_checkpoint).await.into_outcome().unwrap();
    let key = owner.act(act(), b"", ledger_view::verifier_key).await.into_outcome().unwrap();
    let key: VerifierKey = key.parse().unwrap();
    let checkpoint = Checkpoint::open(&note, &key).unwrap();
    let index = written.position.index;
    assert!(checkpoint.size > index);
    let entries = owner.act(Act::ledger_entries(), b"", |grant| ledger_view::entries(grant, 0, None)).await;
    let entries = entries.into_outcome().unwrap();
    assert!(entries.items.iter().zip(0u64..).all(|(entry, index)| entry.index == index));
    let entry = &entries.items[usize::try_from(index).unwrap()];
    assert_eq!(entry.kind.as_deref(), Some("secret.version.written"));
    let size = checkpoint.size;
    let proof = owner.act(act(), b"", move |grant| ledger_view::inclusion(grant, index, size)).await;
    let proof = proof.into_outcome().unwrap();
    assert!(merkle::verify_inclusion(&entry.leaf_hash, index, size, &proof, &checkpoint.root).is_ok());
    owner.put("a/c", "v").await.unwrap();
    let note = owner.act(act(), b"", ledger_view::settled_checkpoint).await.into_outcome().unwrap();
    let newer = Checkpoint::open(&note, &key).unwrap();
    let proof = owner.act(act(), b"", move |grant| ledger_view::consistency(grant, size, newer.size)).await;
    let proof = proof.into_outcome().unwrap();
    assert!(merkle::verify_consistency(size, &checkpoint.root, newer.size, &newer.root, &proof).is_ok());
    let beyond = owner.act(Act::ledger_entries(), b"", |grant| ledger_view::entries(grant, u64::MAX, None)).await;
    assert_eq!(code(beyond.into_outcome()), "ledger.range");
}

#[tokio::test]
async fn an_operation_tells_whether_it_took_effect() {
    let house = house().await;
    let owner = house.owner().await;
    owner.put("a", "v").await.unwrap();
    let entries = house.ledger.entries(0, 1_000).await.unwrap();
    let (_, fact) = house.ledger.open_entry(entries.last().unwrap()).unwrap();
    let ask = |id| owner.act(Act::operation_read(), b"", move |grant| app::operation::read(grant, id));
    let size = house.ledger.head().size;
    let effect = ask(fact.operation).await.into_outcome().unwrap();
    assert!(matches!(effect, app::operation::Effect::Applied(Some(position)) if position.index + 1 == size));
    let friend = owner.friend("friend", &[]).await;
    let id = fact.operation;
    let foreign = friend.act(Act::operation_read(), b"", move |grant| app::operation::read(grant, id)).await;
    assert_eq!(code(foreign.into_outcome()), "operation.not_found");
    let mut other = *fact.operation.as_bytes();
    other[15] ^= 1;
    let other = crypto::id::OperationId::from_bytes(other);
    assert_eq!(ask(other).await.into_outcome().unwrap(), app::operation::Effect::Unknown, "it may still be on its way");
    house.pass(61_000);
    assert_eq!(ask(other).await.into_outcome().unwrap(), app::operation::Effect::NotApplied);
}
