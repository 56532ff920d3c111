//! The `store` sink over a real storage contract.

use super::{Desk, numbered};
use ledger::access_log::{Shelf, StoreSink};
use std::sync::Arc;
use storage::{Memory, Shard, Storage, Transactions};

fn sink(storage: &Arc<dyn Storage>, owner: u8) -> Arc<StoreSink> {
    Arc::new(StoreSink::new(Arc::clone(storage), Shard(0), [owner; 8], false))
}

#[tokio::test]
async fn rows_in_the_store_read_back_after_a_restart_and_two_servers_stay_apart() {
    for transactions in [Transactions::Yes, Transactions::No] {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new(transactions));
        let desk = Desk::over(vec![sink(&storage, 1) as _]).await;
        let other = Desk::over(vec![sink(&storage, 2) as _]).await;
        for round in 0..3 {
            desk.write(numbered(4)).await;
            other.write(numbered(1)).await;
            if round < 2 {
                desk.log.close(&*desk.anchor).await.unwrap();
            }
        }
        let again = Desk::again(vec![sink(&storage, 1) as _], Arc::clone(&desk.anchor), Arc::clone(&desk.clock)).await;
        assert_eq!((again.recovery.segment, again.recovery.last_row), (3, 12));
        assert_eq!(again.recovery.torn, None);
        again.write(["after".to_owned()]).await;
        assert_eq!(again.paths().await.len(), 13);
        again.log.close(&*again.anchor).await.unwrap();
        assert_eq!(again.log.verify(1, 4, &*again.anchor).await.unwrap().bad, []);
        assert_eq!(other.paths().await.len(), 3);
    }
}

#[tokio::test]
async fn the_shelf_of_the_store_cuts_removes_and_knows_its_range() {
    let storage: Arc<dyn Storage> = Arc::new(Memory::new(Transactions::Yes));
    let shelf = sink(&storage, 1);
    let desk = Desk::over(vec![Arc::clone(&shelf) as _]).await;
    assert_eq!(shelf.range().await.unwrap(), None);
    for _ in 0..9 {
        desk.write(numbered(3)).await;
        desk.log.close(&*desk.anchor).await.unwrap();
    }
    assert_eq!(shelf.range().await.unwrap(), Some((1, 9)));
    let whole = shelf.read(5).await.unwrap().unwrap();
    assert_eq!(shelf.head(5).await.unwrap().unwrap(), whole.slice(..ledger::access_log::HEADER_BYTES));
    for size in (1..=whole.len()).rev().step_by(37) {
        shelf.cut(5, size as u64).await.unwrap();
        assert_eq!(shelf.read(5).await.unwrap().unwrap(), whole.slice(..size));
    }
    shelf.remove(9).await.unwrap();
    shelf.remove(1).await.unwrap();
    shelf.remove(1).await.unwrap();
    assert_eq!(shelf.range().await.unwrap(), Some((2, 8)));
    assert_eq!(shelf.read(1).await.unwrap(), None);
}
