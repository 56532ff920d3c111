//! LOG-06 and LEAK-10: what must not stand in clear in a sink. LEAK-15: the search would find it.

use super::one;
use std::sync::atomic::Ordering::SeqCst;

const CANARY: &str = "canary-5f1c9e70";

fn holds(haystack: &[u8], needle: &str) -> bool {
    let needles = [needle.as_bytes().to_vec(), needle.chars().rev().collect::<String>().into_bytes()];
    needles.iter().any(|needle| haystack.windows(needle.len()).any(|part| part == needle))
}

#[tokio::test]
async fn log_06_no_name_of_a_row_stands_in_clear_at_rest() {
    let (sink, desk) = one().await;
    for field in 0..4 {
        let mut row = desk.row(CANARY);
        match field {
            0 => {}
            1 => row.source = CANARY.into(),
            2 => row.act = CANARY.into(),
            _ => row.rules = [CANARY.into()].into(),
        }
        let _recorded = desk.log.record(row).await.unwrap();
    }
    desk.log.close(&*desk.anchor).await.unwrap();
    assert!(!holds(&sink.all(), CANARY));
    assert!(!holds(format!("{:?} {:?}", desk.log, sink).as_bytes(), CANARY), "nor in what is printed of the log");
    assert_eq!(desk.paths().await.iter().filter(|path| *path == CANARY).count(), 4, "control: it was logged");
}

#[tokio::test]
async fn leak_15_a_planted_leak_is_caught_by_the_same_search() {
    let (sink, desk) = one().await;
    desk.keys.sealed.store(true, SeqCst);
    let mut row = desk.row("x");
    row.act = CANARY.into();
    let _recorded = desk.log.record(row).await.unwrap();
    assert!(holds(&sink.all(), CANARY));
}
