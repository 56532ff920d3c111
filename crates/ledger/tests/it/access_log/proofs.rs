//! Proofs of rows.

use super::{numbered, one};
use ledger::access_log::{Filter, RowProof};

#[tokio::test]
async fn each_row_of_each_size_of_segment_is_proven_by_its_entry() {
    let (_sink, desk) = one().await;
    for size in [1, 2, 3, 7, 8, 33] {
        desk.write(numbered(size)).await;
        desk.log.close(&*desk.anchor).await.unwrap();
    }
    let rows = desk.log.query(&Filter::default(), None, 1000).await.unwrap().rows;
    let proofs = desk.log.prove(&rows, &*desk.anchor).await.unwrap();
    assert_eq!(proofs.len(), 54);
    for (row, proof) in rows.iter().zip(&proofs) {
        assert_eq!(&proof.open().unwrap(), row);
        assert!(proof.path.len() <= 6, "the proof is small");
        assert_eq!(proof.segment, desk.anchor.segment(row.segment));
    }
}

#[tokio::test]
async fn a_proof_with_anything_changed_proves_nothing() {
    let (_sink, desk) = one().await;
    desk.write(numbered(5)).await;
    desk.log.close(&*desk.anchor).await.unwrap();
    let rows = desk.log.query(&Filter::default(), None, 2).await.unwrap().rows;
    let proof = desk.log.prove(&rows, &*desk.anchor).await.unwrap().remove(1);
    let changed = |change: &dyn Fn(&mut RowProof)| {
        let mut proof = proof.clone();
        change(&mut proof);
        proof.open().is_err()
    };
    for bit in 0..proof.plain.len() * 8 {
        assert!(changed(&|proof| proof.plain[bit / 8] ^= 1 << (bit % 8)), "plain, bit {bit}");
    }
    for bit in 0..proof.frame.len() * 8 {
        assert!(changed(&|proof| proof.frame[bit / 8] ^= 1 << (bit % 8)), "frame, bit {bit}");
    }
    assert!(changed(&|proof| proof.index = 2));
    assert!(changed(&|proof| proof.index = u64::MAX));
    assert!(changed(&|proof| proof.path[0][0] ^= 1));
    assert!(changed(&|proof| proof.path.truncate(1)));
    assert!(changed(&|proof| proof.path.push([0; 32])));
    assert!(changed(&|proof| proof.segment.tree_root[0] ^= 1));
    assert!(changed(&|proof| proof.segment.first_row += 1));
    assert!(changed(&|proof| proof.segment.rows = 9));
    assert!(!changed(&|_| ()), "control: unchanged it proves");
    for end in 0..proof.frame.len() {
        assert!(changed(&|proof| proof.frame.truncate(end)));
    }
}

#[tokio::test]
async fn rows_of_the_open_segment_are_proven_once_it_is_closed() {
    let (_sink, desk) = one().await;
    desk.write(numbered(3)).await;
    let rows = desk.log.query(&Filter::default(), None, 10).await.unwrap().rows;
    assert_eq!(desk.log.prove(&rows, &*desk.anchor).await.unwrap_err().code.name, "ledger.range");
    desk.log.close(&*desk.anchor).await.unwrap();
    assert_eq!(desk.log.prove(&rows, &*desk.anchor).await.unwrap().len(), 3);
}
