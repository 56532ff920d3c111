//! Frozen vectors: blobs of every released format version open for ever, and each refusal has its blob.
//!
//! The files were made by `golden/make.py` with another AES-GCM. A released folder is never changed; a new format
//! version gets a new one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crypto::aead::*;
use crypto::id::{BlobId, KeyId, TenantId};
use crypto::secret::SecretBytes;

use crate::{hex, unhex};

const TENANT: TenantId = TenantId::from_bytes([0x11; 16]);
const INNER_ID: KeyId = KeyId::from_bytes([0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7]);

fn key<P: Purpose>() -> Key<P> {
    let id = KeyId::from_bytes([0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7]);
    Key::from_secret(id, SecretBytes::new((1..=32).collect())).unwrap()
}

fn place(name: &str) -> Aad<'static> {
    let blob = BlobId::from_bytes([0x22; 16]);
    match name {
        "blob" => Aad::blob(TENANT, blob),
        "data_key" => Aad::data_key(TENANT, "secret", "team/größe", 7, blob),
        "entry" => Aad::entry(TENANT, 5, 6),
        "record" => Aad::record(TENANT, 5, 9, [0x33; 16], [0x44; 16]),
        "intent" => Aad::intent(TENANT, b"intent key"),
        "volatile" => Aad::volatile(TENANT, b"volatile key"),
        "ring" => Aad::ring(TENANT, 3, INNER_ID),
        "access_row" => Aad::access_row(TENANT, 5, 6),
        name => {
            assert_eq!(name, "seal_root");
            Aad::seal_root(INNER_ID)
        }
    }
}

fn vectors() -> BTreeMap<String, BTreeMap<String, String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().map(|line| line.split_once(" = ").or(line.split_once(" =")).unwrap());
            let fields = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fields)
        })
        .collect()
}

fn unwraps<Q: Purpose>(at: Aad<'_>, blob: &[u8]) -> Result<KeyId, OpenError> {
    key::<TenantKey>().unwrap_key::<Q>(at, blob).map(|key| key.id())
}

#[test]
fn bar_10_blobs_of_format_version_1_open_or_are_refused_as_frozen() {
    let (vectors, mut seen) = (vectors(), BTreeMap::new());
    for (name, fields) in vectors.iter().filter(|(name, _)| *name != "name_id") {
        let (at, blob) = (place(&fields["place"]), unhex(&fields["blob"]));
        let opened = key::<StateKey>().open(at, &blob);
        let expect = fields["expect"].as_str();
        let unwrapped = match expect {
            "unwraps seal" => unwraps::<SealKey>(at, &blob),
            "unwraps root" => unwraps::<RootKey>(at, &blob),
            "unwraps tenant" => unwraps::<TenantKey>(at, &blob),
            "unwraps log" => unwraps::<LogKey>(at, &blob),
            "unwraps state" => unwraps::<StateKey>(at, &blob),
            "unwraps name" => unwraps::<NameKey>(at, &blob),
            "unwraps checkpoint" => unwraps::<CheckpointKey>(at, &blob),
            _ => unwraps::<DataKey>(at, &blob),
        };
        match expect {
            "opens" => assert_eq!(hex(opened.unwrap().expose()), fields["plain"], "{name}"),
            "unwraps not" => assert_eq!(unwrapped, Err(OpenError::Integrity), "{name}"),
            unwraps if unwraps.starts_with("unwraps") => {
                assert_eq!(opened.unwrap_err(), OpenError::Integrity, "{name} is a key, not a value");
                assert_eq!(unwrapped, Ok(INNER_ID), "{name}");
            }
            reason => {
                let error = opened.unwrap_err();
                let expected = match reason {
                    "Truncated" => OpenError::Truncated,
                    "NotABlob" => OpenError::NotABlob,
                    "TooNew 2" => OpenError::TooNew { version: 2 },
                    "UnknownKey" => OpenError::UnknownKey(INNER_ID),
                    "Integrity" => OpenError::Integrity,
                    other => panic!("{name} expects {other}"),
                };
                assert_eq!(error, expected, "{name}");
            }
        }
        *seen.entry(expect.split_once(' ').map_or(expect, |(head, _)| head)).or_insert(0) += 1;
    }
    let expected = [("Integrity", 6), ("NotABlob", 2), ("Truncated", 3), ("TooNew", 1), ("UnknownKey", 1)];
    let expected = expected.into_iter().chain([("opens", 11), ("unwraps", 12)]);
    assert_eq!(seen, expected.collect(), "a vector is missing or new");
}

#[test]
fn name_ids_are_frozen() {
    let id = key::<NameKey>().id_of(*TENANT.as_bytes(), "team");
    assert_eq!(hex(&id), vectors()["name_id"]["id"]);
}
