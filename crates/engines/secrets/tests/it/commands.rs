//! Single promises of single commands.

use crate::house::{House, fresh, path};
use crypto::seam::WallMs;
use ledger::{EventRef, Refusal};
use secrets::command::{Delete, Edit, Metadata, MetadataEdit, OpenedKey, Purge, Put, Rewrap, Rollback, Scope};
use secrets::{Encoding, Reply, paths_named};

fn put(at: &str, cas: Option<u64>) -> Put {
    Put { path: path(at), fresh: fresh(1, 4), encoding: Encoding::Text, cas, edit: MetadataEdit::default() }
}

fn name(result: Result<Reply, Refusal>) -> &'static str {
    result.unwrap_err().code.name
}

#[test]
fn ft_01_version_numbers_go_on_after_a_complete_purge() {
    let mut house = House::new();
    for _ in 0..3 {
        house.run(&put("a/b", None)).unwrap();
    }
    house.run(&Purge { path: path("a/b"), scope: Scope::All }).unwrap();
    assert!(house.secret("a/b").is_none());
    assert!(house.folders().is_empty());
    assert!(house.keys.is_empty() && house.blobs.is_empty());
    assert_eq!(house.run(&put("a/b", Some(0))).unwrap().current, 4);
    assert_eq!(house.secret("a/b").unwrap().versions.len(), 1);
}

#[test]
fn cas_zero_wants_nothing_there_and_n_wants_n() {
    let mut house = House::new();
    assert_eq!(name(house.run(&put("a", Some(1)))), "secret.version_conflict");
    house.run(&put("a", Some(0))).unwrap();
    assert_eq!(name(house.run(&put("a", Some(0)))), "secret.version_conflict");
    assert_eq!(name(house.run(&put("a", Some(2)))), "secret.version_conflict");
    assert_eq!(house.run(&put("a", Some(1))).unwrap().current, 2);
    house.run(&Delete { path: path("a"), versions: None, cas: None }).unwrap();
    assert_eq!(name(house.run(&put("a", Some(0)))), "secret.version_conflict", "a deleted secret is still there");
    assert_eq!(house.run(&put("a", Some(2))).unwrap().current, 3);
}

#[test]
fn a_secret_that_wants_cas_refuses_blind_writes() {
    let mut house = House::new();
    house.run(&put("a", None)).unwrap();
    let edit = MetadataEdit { cas_required: Edit::Set(true), ..MetadataEdit::default() };
    house.run(&Metadata { path: path("a"), edit, cas: Some(1) }).unwrap();
    assert_eq!(name(house.run(&put("a", None))), "secret.invalid");
    assert!(house.run(&put("a", Some(1))).is_ok());
}

#[test]
fn an_update_reads_one_record_and_a_create_two_rounds() {
    let mut house = House::new();
    house.run(&put("a/b/c", None)).unwrap();
    assert_eq!(house.rounds, 2);
    house.run(&put("a/b/c", None)).unwrap();
    assert_eq!(house.rounds, 1);
    house.run(&put("top", None)).unwrap();
    assert_eq!(house.rounds, 1, "nothing lies above it");
}

#[test]
fn an_expired_secret_is_not_read_and_a_new_version_lifts_the_expiry() {
    let mut house = House::new();
    let edit = MetadataEdit { expires: Edit::Set(WallMs(house.now.0 + 10)), ..MetadataEdit::default() };
    house.run(&Put { edit, ..put("a", None) }).unwrap();
    let blob = fresh(1, 4).blob_id;
    house.now = WallMs(house.now.0 + 10);
    let secret = house.secret("a").unwrap();
    assert_eq!(secret.readable(None, house.now).unwrap_err().code.name, "secret.expired");
    let copy = Rollback { path: path("a"), source: 1, source_blob: blob, fresh: fresh(2, 4), cas: None };
    assert_eq!(name(house.run(&copy)), "secret.expired");
    house.run(&put("a", None)).unwrap();
    assert!(house.secret("a").unwrap().readable(None, house.now).is_ok());
}

#[test]
fn a_rollback_whose_source_changed_meanwhile_is_refused() {
    let mut house = House::new();
    house.run(&put("a", None)).unwrap();
    let other = fresh(9, 4).blob_id;
    let copy = Rollback { path: path("a"), source: 1, source_blob: other, fresh: fresh(2, 4), cas: None };
    assert_eq!(name(house.run(&copy)), "secret.state_conflict");
}

#[test]
fn a_rollback_is_a_new_version_that_names_its_source() {
    let mut house = House::new();
    house.run(&put("a", None)).unwrap();
    house.run(&Put { fresh: fresh(2, 4), encoding: Encoding::Bytes, ..put("a", None) }).unwrap();
    let source_blob = fresh(1, 4).blob_id;
    let copy = Rollback { path: path("a"), source: 1, source_blob, fresh: fresh(3, 4), cas: Some(2) };
    assert_eq!(house.run(&copy).unwrap().current, 3);
    let secret = house.secret("a").unwrap();
    let version = secret.version(3).unwrap();
    assert_eq!((version.copied_from, version.encoding), (Some(1), Encoding::Text));
    assert_eq!(secret.versions.len(), 3);
}

#[test]
fn the_version_at_a_time_is_the_newest_written_by_then() {
    let mut house = House::new();
    let start = house.now.0;
    for _ in 0..3 {
        house.run(&put("a", None)).unwrap();
        house.now = WallMs(house.now.0 + 100);
    }
    let secret = house.secret("a").unwrap();
    let at = |ms: u64| secret.version_at(WallMs(ms)).map(|version| version.number);
    assert_eq!((at(start - 1), at(start), at(start + 199), at(start + 900)), (None, Some(1), Some(2), Some(3)));
}

#[test]
fn a_rewrap_moves_keys_that_still_stand_and_passes_over_the_rest() {
    let mut house = House::new();
    for at in ["a", "b", "c"] {
        house.run(&put(at, None)).unwrap();
    }
    let opened: Vec<OpenedKey> = house
        .secrets()
        .iter()
        .map(|secret| {
            let stored = *secret.versions[0].state.stored().unwrap();
            let key = crate::house::data_key();
            OpenedKey { path: path(&secret.path), version: 1, place: stored.key, blob_id: stored.blob_id, key }
        })
        .collect();
    house.run(&Purge { path: path("b"), scope: Scope::All }).unwrap();
    let before = house.secret("a").unwrap();
    assert_eq!(house.run(&Rewrap { keys: opened.clone() }).unwrap().current, 2);
    let after = house.secret("a").unwrap();
    assert_ne!(before.versions[0].state, after.versions[0].state);
    assert_eq!(before.changed, after.changed);
    let events = house.log.len();
    assert_eq!(house.run(&Rewrap { keys: opened }).unwrap().current, 0, "a second time finds them moved");
    assert_eq!(house.log.len(), events);
}

#[test]
fn a_large_rewrap_is_split_into_events_that_fit_an_entry() {
    let mut house = House::new();
    let folder = vec!["f".repeat(200); 5].join("/");
    let mut keys = Vec::new();
    for n in 0..100 {
        let at = format!("{folder}/{n}");
        house.run(&put(&at, None)).unwrap();
        let stored = *house.secret(&at).unwrap().versions[0].state.stored().unwrap();
        let key = crate::house::data_key();
        keys.push(OpenedKey { path: path(&at), version: 1, place: stored.key, blob_id: stored.blob_id, key });
    }
    let before = house.log.len();
    assert_eq!(house.run(&Rewrap { keys }).unwrap().current, 100);
    let made = house.log.split_off(before);
    assert!(made.len() > 1);
    assert!(made.iter().all(|(event, _)| event.body.len() < 60_000));
}

#[test]
fn every_event_tells_which_paths_it_is_about() {
    let mut house = House::new();
    house.run(&put("a/b", None)).unwrap();
    house.run(&Purge { path: path("a/b"), scope: Scope::All }).unwrap();
    for (event, stamp) in &house.log {
        let event = EventRef { kind: event.kind, body: &event.body, stamp };
        assert_eq!(paths_named(&event).unwrap(), ["a/b"]);
    }
}
