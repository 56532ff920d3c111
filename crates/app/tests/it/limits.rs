//! Limits of use cases at their edge and one past it.

use crate::house::{House, code, folder, house, path};
use app::Act;
use app::secret::{self, Encoding, ListQuery, MetadataEdit, NewValue};
use crypto::id::OperationId;
use crypto::{Clock, SecretBytes, sha256};
use ledger::{Actor, Command, Unit};
use secrets::command::{Fresh, Put};

#[tokio::test]
async fn thirty_two_mebibytes_are_read_at_once_and_no_more() {
    let house = house().await;
    let owner = house.owner().await;
    let new = NewValue {
        value: SecretBytes::new(vec![7; 1 << 20]),
        encoding: Encoding::Bytes,
        cas: None,
        edit: MetadataEdit::default(),
    };
    owner.act(Act::secret_write(path("a")), b"", |grant| secret::put(grant, new)).await.into_outcome().unwrap();
    let read = |times: usize| {
        let act = Act::secret_read_many(vec![path("a"); times]).unwrap();
        owner.act(act, b"", secret::read_many)
    };
    assert_eq!(read(32).await.into_outcome().unwrap().len(), 32);
    assert_eq!(code(read(33).await.into_outcome()), "request.invalid");
}

/// Writes secrets `big/<from>` to `big/<to>` in few commits.
async fn fill(house: &House, from: usize, to: usize) {
    let put = |n: usize| {
        let value = house.ledger.prepare_value(house.home, b"v").unwrap();
        let digest = sha256(&value.sealed);
        let fresh = Fresh { key: value.key, blob_id: value.blob_id, sealed: value.sealed, digest, size: 1 };
        let edit = MetadataEdit::default();
        Box::new(Put { path: path(&format!("big/{n}")), fresh, encoding: Encoding::Text, cas: None, edit })
            as Box<dyn Command>
    };
    for start in (from..to).step_by(400) {
        let commands = (start..to.min(start + 400)).map(put).collect();
        let operation = OperationId::generate(house.clock.wall(), &crypto::seam::SystemEntropy::default()).unwrap();
        let unit = Unit { tenant: house.home, actor: Actor::SYSTEM, commands, idempotency: None, operation };
        house.ledger.submit(unit).await.map(drop).unwrap();
    }
}

#[tokio::test]
async fn ten_thousand_children_are_sorted_and_no_more() {
    let house = house().await;
    let owner = house.owner().await;
    let first = || {
        let query = ListQuery { by_name: true, limit: Some(2), ..ListQuery::default() };
        owner.act(Act::secret_list(folder("big")), b"", |grant| secret::list(grant, query))
    };
    fill(&house, 0, 10_000).await;
    let page = first().await.into_outcome().unwrap();
    assert_eq!(page.items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["big/0", "big/1"]);
    fill(&house, 10_000, 10_001).await;
    assert_eq!(code(first().await.into_outcome()), "request.invalid");
    let stored = owner.act(Act::secret_list(folder("big")), b"", |grant| secret::list(grant, ListQuery::default()));
    assert_eq!(stored.await.into_outcome().unwrap().items.len(), 1_000);
}
