//! Signed notes against the example that the Go checksum database publishes, and checkpoints.

use crypto::aead::{CheckpointKey, Key};
use crypto::id::KeyId;
use crypto::note::{self, Checkpoint, NOTE_BYTES_MAX, NoteError, Origin, VerifierKey, sign_checkpoint};
use crypto::secret::SecretBytes;

use crate::unhex;

/// The example in the documentation of golang.org/x/mod/sumdb/note, whose format C2SP signed-note is.
const EXAMPLE_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const EXAMPLE_SEED: &str = "810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173";
const EXAMPLE_TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const EXAMPLE_SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn key(seed: &[u8]) -> Key<CheckpointKey> {
    Key::from_secret(KeyId::from_bytes([1; 8]), SecretBytes::from_slice(seed)).unwrap()
}

fn ledger() -> (Origin, Key<CheckpointKey>, VerifierKey) {
    let (origin, key): (Origin, _) = ("cluster/0".parse().unwrap(), key(&[7; 32]));
    let verifier = VerifierKey::new(origin.clone(), key.public());
    (origin, key, verifier)
}

#[test]
fn the_published_example_opens_and_is_made_again() {
    let verifier: VerifierKey = EXAMPLE_KEY.parse().unwrap();
    assert_eq!(verifier.to_string(), EXAMPLE_KEY);
    let signed = format!("{EXAMPLE_TEXT}\n{EXAMPLE_SIGNATURE}");
    assert_eq!(note::open(&signed, &verifier), Ok(EXAMPLE_TEXT));
    let key = key(&unhex(EXAMPLE_SEED));
    assert_eq!(&key.public(), verifier.public());
    assert_eq!(note::sign(EXAMPLE_TEXT, verifier.origin(), &key), Ok(signed));
}

#[test]
fn a_checkpoint_reads_back() {
    let (origin, key, verifier) = ledger();
    for size in [0, 1, u64::MAX] {
        let text = sign_checkpoint(&origin, size, &[9; 32], &key);
        assert_eq!(Checkpoint::open(&text, &verifier), Ok(Checkpoint { origin: origin.clone(), size, root: [9; 32] }));
    }
    let text = sign_checkpoint(&origin, 5, &[0; 32], &key);
    assert!(text.starts_with("cluster/0\n5\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n\u{2014} cluster/0 "));
}

#[test]
fn a_checkpoint_changed_in_any_byte_is_refused() {
    let (origin, key, verifier) = ledger();
    let text = sign_checkpoint(&origin, 123, &[9; 32], &key);
    for place in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1;
        if let Ok(changed) = String::from_utf8(bytes) {
            assert!(Checkpoint::open(&changed, &verifier).is_err(), "byte {place}");
        }
    }
    for end in 0..text.len() {
        if let Some(cut) = text.get(..end) {
            assert!(Checkpoint::open(cut, &verifier).is_err());
        }
    }
}

#[test]
fn signatures_of_witnesses_are_left_alone() {
    let (origin, key, verifier) = ledger();
    let text = sign_checkpoint(&origin, 3, &[9; 32], &key);
    let witnessed = format!("{text}{EXAMPLE_SIGNATURE}");
    assert!(Checkpoint::open(&witnessed, &verifier).is_ok());
    let (body, own) = text.split_once("\n\n").unwrap();
    assert!(Checkpoint::open(&format!("{body}\n\n{EXAMPLE_SIGNATURE}{own}"), &verifier).is_ok());
    assert_eq!(Checkpoint::open(&format!("{body}\n\n{EXAMPLE_SIGNATURE}"), &verifier), Err(NoteError::Unsigned));
    assert_eq!(Checkpoint::open(&format!("{text}not a signature\n"), &verifier), Err(NoteError::Malformed));
    let many = format!("{text}{}", EXAMPLE_SIGNATURE.repeat(100));
    assert_eq!(Checkpoint::open(&many, &verifier), Err(NoteError::Malformed));
    let most = format!("{text}{}", EXAMPLE_SIGNATURE.repeat(99));
    assert!(Checkpoint::open(&most, &verifier).is_ok());
}

#[test]
fn a_note_that_is_no_checkpoint_is_refused_though_signed() {
    let (origin, key, verifier) = ledger();
    let root = "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let check = |text: &str, expected: Result<(), NoteError>| {
        let signed = note::sign(text, &origin, &key).unwrap();
        assert_eq!(Checkpoint::open(&signed, &verifier).map(|_| ()), expected, "{text:?}");
    };
    check(&format!("cluster/0\n5\n{root}\n"), Ok(()));
    check(&format!("cluster/0\n5\n{root}\nan extension line\n"), Ok(()));
    check(&format!("cluster/1\n5\n{root}\n"), Err(NoteError::WrongOrigin));
    check(&format!("cluster/0\n05\n{root}\n"), Err(NoteError::Malformed));
    check(&format!("cluster/0\n+5\n{root}\n"), Err(NoteError::Malformed));
    check(&format!("cluster/0\n18446744073709551616\n{root}\n"), Err(NoteError::Malformed));
    check("cluster/0\n5\nCQkJ\n", Err(NoteError::Malformed));
    check(&format!("cluster/0\n5\n{root}\n\nafter an empty line\n"), Err(NoteError::Malformed));
    check("cluster/0\n5\n", Err(NoteError::Malformed));
    check("\n", Err(NoteError::Malformed));
}

#[test]
fn texts_outside_the_form_are_refused() {
    let (origin, key, verifier) = ledger();
    for text in ["", "x", "\n\n", "x\n\n", "x\n\n\n", "x\r\n\n", "x\n\n\u{2014} cluster/0 AAAA\n"] {
        assert_eq!(note::open(text, &verifier), Err(NoteError::Malformed), "{text:?}");
    }
    assert_eq!(note::sign("no line feed", &origin, &key), Err(NoteError::Malformed));
    assert_eq!(note::sign("bell\x07\n", &origin, &key), Err(NoteError::Malformed));
    let long = |bytes| note::open(&note::sign(&("x".repeat(bytes) + "\n"), &origin, &key).unwrap(), &verifier).err();
    let around = note::sign("\n", &origin, &key).unwrap().len();
    assert_eq!(long(NOTE_BYTES_MAX - around), None);
    assert_eq!(long(NOTE_BYTES_MAX - around + 1), Some(NoteError::Malformed));
}

#[test]
fn bad_verifier_keys_and_origins_are_refused() {
    let check = |text: &str| assert_eq!(text.parse::<VerifierKey>(), Err(NoteError::Malformed), "{text}");
    check("");
    check("PeterNeumann");
    check("PeterNeumann+c74f20a3");
    check("PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    check("PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    check("Peter+Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    check("PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
    check("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10");
    for origin in ["", "a b", "a+b", "a\n", "a\u{a0}b", "a\x7f", &"a".repeat(256)] {
        assert_eq!(origin.parse::<Origin>(), Err(NoteError::Malformed), "{origin:?}");
    }
    assert!("a".repeat(255).parse::<Origin>().is_ok());
}
