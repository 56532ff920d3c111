//! Frozen bytes: what version 1 of each event, record and answer looks like on disk. They are never edited;
//! a new form is a new variant beside them.

use crate::house::{House, Records, data_key, fresh, path};
use crypto::id::{BlobId, EntityId};
use crypto::seam::WallMs;
use ledger::{Command, EventRef, Rules};
use secrets::command::{
    Delete, Edit, Metadata, MetadataEdit, OpenedKey, Purge, Put, Rewrap, Rollback, Scope, Undelete,
};
use secrets::{Encoding, SecretRules, folder_name, secret_name};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// One command of each kind, in an order that gives each an effect.
fn story() -> House {
    let mut house = House::new();
    let edit = MetadataEdit {
        labels: Edit::Set([("team".to_owned(), "red".to_owned())].into()),
        expires: Edit::Set(WallMs(1_800_000_000_000)),
        max_versions: Edit::Set(3),
        cas_required: Edit::Set(false),
    };
    let at = || path("a/b");
    let rewrap = |house: &House| {
        let stored = *house.secret("a/b").unwrap().version(1).unwrap().state.stored().unwrap();
        let key = data_key();
        Rewrap { keys: vec![OpenedKey { path: at(), version: 1, place: stored.key, blob_id: stored.blob_id, key }] }
    };
    let clear = MetadataEdit { expires: Edit::Clear, max_versions: Edit::Clear, ..MetadataEdit::default() };
    let put = Put { path: at(), fresh: fresh(1, 300), encoding: Encoding::Json, cas: Some(0), edit };
    let source_blob = BlobId::from_bytes([1; 16]);
    let copy = Rollback { path: at(), source: 1, source_blob, fresh: fresh(2, 300), cas: None };
    let run = |house: &mut House, command: &dyn Command| house.run(command).unwrap();
    run(&mut house, &put);
    run(&mut house, &copy);
    run(&mut house, &Delete { path: at(), versions: Some(vec![1]), cas: None });
    run(&mut house, &Undelete { path: at(), versions: None });
    run(&mut house, &Metadata { path: at(), edit: clear, cas: None });
    let rewrap = rewrap(&house);
    run(&mut house, &rewrap);
    run(&mut house, &Purge { path: at(), scope: Scope::Versions(vec![2]) });
    house
}

const EVENTS: &[(&str, &str)] = &[
    (
        "secret.version.written",
        "0003612f62010101070707070707070707070707070707070001070707070707070707070707070707070001010101010101\
         0101010101010101010101010101010101010101010101010101010101010101010101010101010101ac0202000101047465\
         616d03726564010180a0f1c2b134010103010000",
    ),
    (
        "secret.version.written",
        "0003612f62020002070707070707070707070707070707070002070707070707070707070707070707070002020202020202\
         0202020202020202020202020202020202020202020202020202020202020202020202020202020202ac0202010100000000\
         00",
    ),
    ("secret.deleted", "0003612f620101"),
    ("secret.undeleted", "0003612f620101"),
    ("secret.metadata.written", "0003612f6200010001000000"),
    ("secret.keys.rewrapped", "000103612f6201060707070707070707070707070707070700"),
    ("secret.purged", "0003612f6201020000"),
];

const SECRET: &str = "000003612f6280d095ffbc3186d095ffbc3101047465616d0372656400000003020180d095ffbc3103030303030303030303\
         030303030303ac02020000060707070707070707070707070707070700010707070707070707070707070707070700010101\
         0101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010281d095ff\
         bc3103030303030303030303030303030303ac020201010286d095ffbc31";
/// The same with its owner.
const SECRET_V2: &str = "0103612f6280d095ffbc3186d095ffbc3101047465616d0372656400000003020180d095ffbc310303030303030303030303\
     0303030303ac0202000006070707070707070707070707070707070001070707070707070707070707070707070001010101\
     01010101010101010101010101010101010101010101010101010101010101010101010101010101010101010281d095ffbc\
     3103030303030303030303030303030303ac020201010286d095ffbc3103030303030303030303030303030303";
const FOLDER: &str = "00016101";
const GONE_EVENT: &str = "0003612f6201010101";
const GONE: &str = "000103612f6203";
const REPLY: &str = "000201010087d095ffbc31";

#[test]
fn events_of_version_1_keep_their_bytes() {
    let made: Vec<(&str, String)> = story().log.iter().map(|(event, _)| (event.kind, hex(&event.body))).collect();
    assert_eq!(made, EVENTS.iter().map(|(kind, body)| (*kind, (*body).to_owned())).collect::<Vec<_>>());
}

#[test]
fn records_of_version_1_come_of_frozen_events() {
    let house = story();
    let mut records = Records::new();
    for ((kind, body), (_, stamp)) in EVENTS.iter().zip(&house.log) {
        let body = unhex(body);
        let event = EventRef { kind, body: &body, stamp };
        for name in SecretRules.touches(&event).unwrap() {
            let after = SecretRules.evolve(&name, records.get(&name).map(Vec::as_slice), &event).unwrap().unwrap();
            records.insert(name, after);
        }
    }
    assert_eq!(hex(&records[&secret_name(&path("a/b"))]), SECRET_V2);
    assert_eq!(hex(&records[&folder_name("a")]), FOLDER);
}

#[test]
fn a_record_of_version_1_knows_its_owner_as_long_as_its_first_version_is_kept() {
    let mut house = story();
    let name = secret_name(&path("a/b"));
    let first = secrets::Secret::decode(&unhex(SECRET)).unwrap();
    assert_eq!(first, secrets::Secret::decode(&unhex(SECRET_V2)).unwrap());
    assert_eq!(first.unwrap().owner, Some(EntityId::from_bytes([3; 16])));
    house.records.insert(name.clone(), unhex(SECRET));
    for n in 3..20 {
        let put = Put {
            path: path("a/b"),
            fresh: fresh(n, 3),
            encoding: Encoding::Text,
            cas: None,
            edit: Default::default(),
        };
        house.run(&put).unwrap();
    }
    let written = secrets::Secret::decode(&house.records[&name]).unwrap().unwrap();
    assert_eq!((written.version(1), written.owner), (None, Some(EntityId::from_bytes([3; 16]))), "and from then on");
}

#[test]
fn what_a_complete_purge_leaves_keeps_its_bytes() {
    let mut house = story();
    let reply = house.run(&Purge { path: path("a/b"), scope: Scope::All }).unwrap();
    assert_eq!(hex(&house.log.last().unwrap().0.body), GONE_EVENT);
    assert_eq!(hex(&house.records[&secret_name(&path("a/b"))]), GONE);
    assert_eq!(secrets::Reply::decode(&unhex(REPLY)).unwrap(), reply);
}

#[test]
fn cut_lengthened_and_foreign_bytes_are_damage_not_panic() {
    let house = story();
    for (event, stamp) in &house.log {
        for cut in 0..event.body.len() {
            assert!(SecretRules.touches(&EventRef { kind: event.kind, body: &event.body[..cut], stamp }).is_err());
        }
        let longer = [event.body.as_slice(), &[0]].concat();
        assert!(SecretRules.touches(&EventRef { kind: event.kind, body: &longer, stamp }).is_err());
        assert!(SecretRules.touches(&EventRef { kind: "auth.session.issued", body: &event.body, stamp }).is_err());
    }
    for record in [unhex(SECRET), unhex(SECRET_V2)] {
        for cut in 0..record.len() {
            assert!(secrets::Secret::decode(&record[..cut]).is_err());
        }
    }
}
