//! Ids, tokens, clock and seal through their public faces.

use std::collections::BTreeSet;
use std::time::Duration;

use crypto::aead::{Aad, Key, RootKey, SealKey};
use crypto::id::{BadId, BlobId, EntityId, KeyId, OperationId, SessionId, TenantId};
use crypto::seam::{Entropy, Seal, SealError, SystemEntropy, WallMs};
use crypto::secret::{SecretBytes, SecretText};
use crypto::token::{self, Token};
use proptest::prelude::*;
use testkit::entropy::Seeded;

#[test]
fn ids_sort_by_time_and_carry_80_random_bits() {
    let entropy = SystemEntropy::new();
    let early = TenantId::generate(WallMs(1_000), &entropy).unwrap();
    let late = TenantId::generate(WallMs(1_001), &entropy).unwrap();
    assert!(early < late && early.to_string() < late.to_string());
    let same: BTreeSet<_> = (0..1000).map(|_| SessionId::generate(WallMs(5), &entropy).unwrap()).collect();
    assert_eq!(same.len(), 1000);
    let last = OperationId::generate(WallMs(u64::MAX), &entropy).unwrap();
    assert_eq!(last.as_bytes()[..6], [0xff; 6]);
}

#[test]
fn ids_are_bytes_in_binary_and_text_for_people() {
    let id = EntityId::generate(WallMs(1), &Seeded::new(1)).unwrap();
    assert_eq!(postcard::to_allocvec(&id).unwrap(), id.as_bytes());
    assert_eq!(postcard::from_bytes::<EntityId>(id.as_bytes()).unwrap(), id);
    let json = serde_json::to_string(&id).unwrap();
    assert_eq!(json, format!("\"{id}\""));
    assert_eq!(serde_json::from_str::<EntityId>(&json).unwrap(), id);
    assert!(serde_json::from_str::<TenantId>(&json).is_err());
    assert!(serde_json::from_str::<EntityId>(&json.to_uppercase()).is_err());
    let key = KeyId::generate(&Seeded::new(1)).unwrap();
    assert_eq!(postcard::to_allocvec(&key).unwrap(), key.as_bytes());
    assert_eq!(serde_json::from_str::<KeyId>(&format!("\"{key}\"")).unwrap(), key);
    assert_eq!("".parse::<BlobId>(), Err(BadId));
}

#[test]
fn secret_text_reads_from_json_with_and_without_escapes() {
    let check = |json: &str, expected: &str| {
        assert_eq!(serde_json::from_str::<SecretText>(json).unwrap().expose(), expected);
    };
    check("\"plain\"", "plain");
    check(r#""a\"b\nc\u00e9""#, "a\"b\ncé");
    check("\"\"", "");
    for json in ["1", "null", "[]", "\"a", "{}"] {
        assert!(serde_json::from_str::<SecretText>(json).is_err());
    }
    // What serde says about a wrong type must not repeat the value.
    let error = serde_json::from_str::<Vec<u8>>("\"hunter2\"").unwrap_err().to_string();
    assert!(error.contains("hunter2"), "the control: other types repeat it");
    assert!(!serde_json::from_str::<SecretText>("12345678").unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn wall_time_saturates() {
    assert_eq!(WallMs(5).saturating_add(Duration::from_secs(1)), WallMs(1005));
    assert_eq!(WallMs(5).saturating_add(Duration::MAX), WallMs(u64::MAX));
    assert_eq!(WallMs(5).saturating_since(WallMs(3)), Duration::from_millis(2));
    assert_eq!(WallMs(3).saturating_since(WallMs(5)), Duration::ZERO);
}

/// What a key-file seal is made of.
#[derive(Debug)]
struct KeySeal(Key<SealKey>);

impl Seal for KeySeal {
    fn name(&self) -> String {
        "test".to_owned()
    }

    fn wrap(&self, entropy: &dyn Entropy, secret: &SecretBytes, aad: Aad<'_>) -> Result<Vec<u8>, SealError> {
        self.0.seal(entropy, aad, secret.expose()).map_err(|_| SealError::NoEntropy)
    }

    fn unwrap(&self, wrapped: &[u8], aad: Aad<'_>) -> Result<SecretBytes, SealError> {
        self.0.open(aad, wrapped).map_err(|_| SealError::Mismatch)
    }
}

#[test]
fn a_root_key_comes_back_through_its_seal_and_no_other() {
    let entropy = SystemEntropy::new();
    let (seal, other) = (KeySeal(Key::generate(&entropy).unwrap()), KeySeal(Key::generate(&entropy).unwrap()));
    let root = Key::<RootKey>::generate(&entropy).unwrap();
    let sealed = root.seal_under(&seal, &entropy).unwrap();
    let place = Aad::blob(TenantId::SYSTEM, BlobId::from_bytes([1; 16]));
    let blob = root.seal(&entropy, place, b"value").unwrap();
    let back = Key::unseal(&seal, root.id(), &sealed).unwrap();
    assert_eq!(back.open(place, &blob).unwrap().expose(), b"value");
    assert_eq!(Key::unseal(&other, root.id(), &sealed).unwrap_err(), SealError::Mismatch);
    assert_eq!(Key::unseal(&seal, KeyId::from_bytes([9; 8]), &sealed).unwrap_err(), SealError::Mismatch);
    // A seal that gives something else under the right id.
    let wrong = seal.wrap(&entropy, &SecretBytes::from_slice(&[1; 40]), Aad::seal_root(root.id())).unwrap();
    assert_eq!(Key::unseal(&seal, root.id(), &wrong).unwrap_err(), SealError::Damaged);
}

#[test]
fn token_digests_are_over_the_whole_text() {
    let entropy = Seeded::new(3);
    let (a, b) = (Token::mint("ses", &entropy).unwrap(), Token::mint("login", &entropy).unwrap());
    assert_eq!(token::digest(a.expose()), crypto::sha256(a.expose().as_bytes()));
    assert_ne!(token::digest(a.expose()), token::digest(b.expose()));
    assert_eq!(Token::parse(b.expose()).unwrap().kind, "login");
}

proptest! {
    #[test]
    fn any_id_reads_back_and_any_text_is_taken_without_panic(bytes in any::<[u8; 16]>(), text in ".{0,40}") {
        let id = TenantId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let _ = (text.parse::<TenantId>(), text.parse::<KeyId>(), Token::parse(&text).is_ok());
        let _ = (format!("ten_{text}").parse::<TenantId>(), Token::parse(&format!("aum_{text}")).is_ok());
    }
}
