//! Each limit at its edge and one past it, through commands.

use crate::house::{House, data_key, fresh, path};
use crypto::id::BlobId;
use crypto::seam::WallMs;
use secrets::Encoding;
use secrets::command::{Edit, MetadataEdit, OpenedKey, Put, Rewrap};
use secrets::limits::{REWRAPS_MAX, VALUE_BYTES_MAX, VERSIONS_KEPT_DEFAULT, VERSIONS_KEPT_MAX};

fn put(size: usize, edit: MetadataEdit) -> Put {
    Put { path: path("a"), fresh: fresh(1, size), encoding: Encoding::Bytes, cas: None, edit }
}

#[test]
fn a_value_of_one_mebibyte_is_taken_and_one_byte_more_is_not() {
    let mut house = House::new();
    assert!(house.run(&put(VALUE_BYTES_MAX, MetadataEdit::default())).is_ok());
    let refusal = house.run(&put(VALUE_BYTES_MAX + 1, MetadataEdit::default())).unwrap_err();
    assert_eq!(refusal.code.name, "secret.limit");
}

#[test]
fn ten_versions_are_kept_by_default_and_the_eleventh_drops_the_first() {
    let mut house = House::new();
    for _ in 0..VERSIONS_KEPT_DEFAULT {
        assert!(house.run(&put(1, MetadataEdit::default())).unwrap().pruned.is_empty());
    }
    assert_eq!(house.run(&put(1, MetadataEdit::default())).unwrap().pruned, [1]);
    assert_eq!(house.secret("a").unwrap().versions.len(), 10);
}

#[test]
fn a_hundred_versions_can_be_kept_and_no_more() {
    let mut house = House::new();
    let keep = |kept| MetadataEdit { max_versions: Edit::Set(kept), ..MetadataEdit::default() };
    assert!(house.run(&put(1, keep(VERSIONS_KEPT_MAX))).is_ok());
    for _ in 1..VERSIONS_KEPT_MAX {
        assert!(house.run(&put(1, MetadataEdit::default())).unwrap().pruned.is_empty());
    }
    assert_eq!(house.run(&put(1, MetadataEdit::default())).unwrap().pruned, [1]);
    assert_eq!(house.run(&put(1, keep(VERSIONS_KEPT_MAX + 1))).unwrap_err().code.name, "secret.limit");
    assert_eq!(house.run(&put(1, keep(0))).unwrap_err().code.name, "secret.invalid");
}

#[test]
fn an_expiry_lies_ahead_or_is_refused() {
    let mut house = House::new();
    let until = |at: u64| MetadataEdit { expires: Edit::Set(WallMs(at)), ..MetadataEdit::default() };
    let now = house.now.0;
    assert_eq!(house.run(&put(1, until(now))).unwrap_err().code.name, "secret.invalid");
    assert!(house.run(&put(1, until(now + 1))).is_ok());
}

#[test]
fn five_hundred_keys_are_rewrapped_at_once_and_no_more() {
    let mut house = House::new();
    let key = data_key();
    let opened = |n: usize| OpenedKey {
        path: path(&format!("p/{n}")),
        version: 1,
        place: crate::house::place(1, 0),
        blob_id: BlobId::from_bytes([1; 16]),
        key: key.clone(),
    };
    assert!(house.run(&Rewrap { keys: (0..REWRAPS_MAX).map(opened).collect() }).is_ok());
    let refusal = house.run(&Rewrap { keys: (0..=REWRAPS_MAX).map(opened).collect() }).unwrap_err();
    assert_eq!(refusal.code.name, "secret.limit");
}
