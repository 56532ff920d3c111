//! The stored format under attack.

use std::collections::BTreeSet;

use crypto::aead::*;
use crypto::id::{BlobId, KeyId, TenantId};
use crypto::seam::{Entropy, Guarded, NoEntropy, SystemEntropy, WallMs};
use crypto::secret::SecretBytes;
use crypto::token::Token;
use proptest::prelude::*;
use testkit::entropy::{EntropyFault, Failing, Seeded};

use crate::unhex;

const FAULTS: [EntropyFault; 3] = [EntropyFault::Error, EntropyFault::Zeros, EntropyFault::Repeat];

fn place() -> Aad<'static> {
    Aad::blob(TenantId::SYSTEM, BlobId::from_bytes([1; 16]))
}

fn key<P: Purpose>() -> Key<P> {
    Key::generate(&Seeded::new(1)).unwrap()
}

#[test]
fn bar_01_a_blob_put_elsewhere_is_refused() {
    let (a, b) = (TenantId::from_bytes([1; 16]), TenantId::from_bytes([2; 16]));
    let (blob, other) = (BlobId::from_bytes([3; 16]), BlobId::from_bytes([4; 16]));
    let places = [
        Aad::data_key(a, "secret", "db/password", 1, blob),
        Aad::data_key(a, "secret", "db/user", 1, blob),
        Aad::data_key(b, "secret", "db/password", 1, blob),
        Aad::data_key(a, "secret", "db/password", 2, blob),
        Aad::data_key(a, "secret", "db/password", 1, other),
        Aad::data_key(a, "secretdb", "/password", 1, blob),
        Aad::blob(a, blob),
        Aad::blob(b, blob),
        Aad::blob(a, other),
        Aad::record(a, 0, 1, [1; 16], [2; 16]),
        Aad::record(a, 0, 1, [2; 16], [1; 16]),
        Aad::intent(a, b"1"),
        Aad::volatile(a, b"1"),
    ];
    let (entropy, state, tenant, data) = (Seeded::new(2), key::<StateKey>(), key::<TenantKey>(), key::<DataKey>());
    for (from, here) in places.iter().enumerate() {
        let sealed = state.seal(&entropy, *here, b"value").unwrap();
        let wrapped = tenant.wrap_key(&entropy, *here, &data).unwrap();
        for (to, there) in places.iter().enumerate() {
            assert_eq!(state.open(*there, &sealed).is_ok(), from == to, "{here:?} {there:?}");
            assert_eq!(tenant.unwrap_key::<DataKey>(*there, &wrapped).is_ok(), from == to);
        }
    }
}

#[test]
fn bar_02_each_bit_flipped_is_refused() {
    let (entropy, key) = (Seeded::new(3), key::<LogKey>());
    let sealed = key.seal(&entropy, place(), b"some value to be kept").unwrap();
    let wrapped = key.wrap_key(&entropy, place(), &key).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut changed = sealed.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let error = key.open(place(), &changed).unwrap_err();
        match bit / 8 {
            0 => assert_eq!(error, OpenError::NotABlob),
            1 => assert!(matches!(error, OpenError::NotABlob | OpenError::TooNew { .. })),
            2..=9 => assert!(matches!(error, OpenError::UnknownKey(_))),
            _ => assert_eq!(error, OpenError::Integrity),
        }
    }
    for bit in 0..wrapped.len() * 8 {
        let mut changed = wrapped.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(key.unwrap_key::<LogKey>(place(), &changed).is_err());
    }
}

/// The key id itself is authenticated: the same bytes under another name do not open.
#[test]
fn bar_02_a_renamed_key_does_not_open_the_blob() {
    let bytes = || SecretBytes::from_slice(&[7; 32]);
    let (a, b) = (KeyId::from_bytes([1; 8]), KeyId::from_bytes([2; 8]));
    let (a, b) = (Key::<StateKey>::from_secret(a, bytes()).unwrap(), Key::<StateKey>::from_secret(b, bytes()).unwrap());
    let mut sealed = a.seal(&Seeded::new(1), place(), b"value").unwrap();
    sealed[2..10].copy_from_slice(b.id().as_bytes());
    assert_eq!(b.open(place(), &sealed).unwrap_err(), OpenError::Integrity);
}

#[test]
fn bar_03_each_prefix_is_refused() {
    let (entropy, key) = (Seeded::new(4), key::<StateKey>());
    for plain in [&b""[..], b"x", &[5; 200]] {
        let sealed = key.seal(&entropy, place(), plain).unwrap();
        assert_eq!(sealed.len(), plain.len() + OVERHEAD_BYTES);
        for end in 0..sealed.len() {
            let expected = if end < OVERHEAD_BYTES { OpenError::Truncated } else { OpenError::Integrity };
            assert_eq!(key.open(place(), &sealed[..end]).unwrap_err(), expected);
            assert_eq!(Header::parse(&sealed[..end]).is_err(), end < OVERHEAD_BYTES);
        }
        assert_eq!(key.open(place(), &sealed).unwrap().expose(), plain);
        assert_eq!(Header::parse(&sealed), Ok(Header { key_id: key.id() }));
    }
}

/// A destroyed key is told from an unknown one by the ring of keys, which alone remembers it.
#[test]
fn bar_04_newer_version_unknown_key_and_plain_text_are_told_apart() {
    let (entropy, key, other) = (SystemEntropy::new(), key::<StateKey>(), key::<DataKey>());
    let sealed = key.seal(&entropy, place(), b"value").unwrap();
    for version in 2..=255 {
        let mut newer = sealed.clone();
        newer[1] = version;
        assert_eq!(key.open(place(), &newer).unwrap_err(), OpenError::TooNew { version });
        assert_eq!(Header::parse(&newer), Err(OpenError::TooNew { version }));
    }
    let stranger = Key::<StateKey>::generate(&entropy).unwrap();
    assert_eq!(stranger.open(place(), &sealed).unwrap_err(), OpenError::UnknownKey(other.id()));
    for plain in [&b"{\"value\":\"hunter2\",\"more\":\"text to make it as long as a blob\"}"[..], b"x", b"\n", &[0; 64]]
    {
        assert_eq!(key.open(place(), plain).unwrap_err(), OpenError::NotABlob);
    }
    let all = [OpenError::NotABlob, OpenError::UnknownKey(key.id()), OpenError::DestroyedKey(key.id())];
    let texts: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), all.len());
}

#[test]
fn bar_06_no_key_nonce_id_or_token_comes_from_a_broken_generator() {
    for fault in FAULTS {
        let state = key::<StateKey>();
        let broken = Failing::after(0, fault);
        // A source that repeats itself is noticed at the second draw at the latest.
        let first = state.seal(&broken, place(), b"value");
        assert_eq!(first.is_ok(), fault == EntropyFault::Repeat);
        assert_eq!(state.seal(&broken, place(), b"value"), Err(SealFail::NoEntropy), "{fault:?}");
        assert_eq!(state.wrap_key(&broken, place(), &state), Err(SealFail::NoEntropy), "{fault:?}");

        let guarded = Guarded::new(Failing::after(0, fault));
        let _ = Token::mint("ses", &guarded);
        assert_eq!(Key::<DataKey>::generate(&guarded).unwrap_err(), NoEntropy, "{fault:?}");
        assert_eq!(Token::mint("ses", &guarded).map(|_| ()).unwrap_err(), NoEntropy, "{fault:?}");
    }
    for fault in [EntropyFault::Error, EntropyFault::Zeros] {
        let broken = Failing::after(0, fault);
        assert_eq!(Key::<RootKey>::generate(&broken).unwrap_err(), NoEntropy);
        assert_eq!(Token::mint("ses", &broken).map(|_| ()), Err(NoEntropy));
        assert_eq!(TenantId::generate(WallMs(1), &broken), Err(NoEntropy));
        assert_eq!(BlobId::generate(&broken), Err(NoEntropy));
        // The id works and the key bytes do not.
        assert_eq!(Key::<RootKey>::generate(&Failing::after(1, fault)).unwrap_err(), NoEntropy);
    }
    assert!(Key::<DataKey>::from_secret(KeyId::from_bytes([1; 8]), SecretBytes::zeroed(32)).is_err());
}

#[test]
fn bar_06_the_guard_wipes_what_it_refuses() {
    let guarded = Guarded::new(Failing::after(1, EntropyFault::Repeat));
    let (mut first, mut second, mut third) = ([0; 32], [0; 32], [0; 32]);
    guarded.fill_secret(&mut first).unwrap();
    guarded.fill_public(&mut second).unwrap();
    assert_eq!(guarded.fill_secret(&mut third), Err(NoEntropy));
    assert_ne!(second, [0; 32]);
    assert_eq!(third, [0; 32]);
}

#[test]
fn ft_38_a_generator_that_fails_in_flight_stops_sealing_and_then_goes_on() {
    let state = key::<StateKey>();
    assert!(state.seal(&Seeded::new(5), place(), b"a").is_ok());
    let broken = Guarded::new(Failing::after(1, EntropyFault::Zeros));
    let before = state.seal(&broken, place(), b"b").unwrap();
    assert_eq!(state.seal(&broken, place(), b"c"), Err(SealFail::NoEntropy));
    assert!(state.seal(&Seeded::new(6), place(), b"d").is_ok());
    assert_eq!(state.open(place(), &before).unwrap().expose(), b"b");
}

/// The automatic new version is the key ring's; here the key refuses.
#[test]
fn bar_07_a_key_refuses_at_its_limit_and_not_before() {
    let (entropy, key) = (SystemEntropy::new(), key::<StateKey>());
    assert_eq!((key.seals(), SEAL_LIMIT), (0, 1 << 31));
    key.seal(&entropy, place(), b"x").unwrap();
    key.wrap_key(&entropy, place(), &key).unwrap();
    assert_eq!(key.seals(), 2);
    key.resume_seals(SEAL_LIMIT - 1);
    key.resume_seals(5);
    assert_eq!(key.seals(), SEAL_LIMIT - 1, "counting never goes back");
    let last = key.seal(&entropy, place(), b"x").unwrap();
    for _ in 0..3 {
        assert_eq!(key.seal(&entropy, place(), b"x"), Err(SealFail::Exhausted));
        assert_eq!(key.wrap_key(&entropy, place(), &key), Err(SealFail::Exhausted));
    }
    assert_eq!(key.seals(), SEAL_LIMIT);
    assert_eq!(key.open(place(), &last).unwrap().expose(), b"x", "reading goes on");
}

#[test]
fn bar_07_threads_together_never_pass_the_limit() {
    let key = key::<StateKey>();
    key.resume_seals(SEAL_LIMIT - 100);
    let sealed: usize = std::thread::scope(|scope| {
        let work = || (0..50).filter(|_| key.seal(&SystemEntropy::new(), place(), b"x").is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((sealed, key.seals()), (100, SEAL_LIMIT));
}

#[test]
fn bar_09_equal_values_give_different_blobs() {
    let (entropy, key) = (SystemEntropy::new(), key::<StateKey>());
    let blobs: BTreeSet<_> = (0..1000).map(|_| key.seal(&entropy, place(), b"same").unwrap()).collect();
    assert_eq!(blobs.len(), 1000);
    let nonces: BTreeSet<_> = blobs.iter().map(|blob| blob[10..22].to_vec()).collect();
    assert_eq!(nonces.len(), 1000);
    assert!(blobs.iter().all(|blob| blob.len() == 4 + OVERHEAD_BYTES), "the length shows");
}

#[test]
fn keys_of_all_purposes_come_back_from_their_wrapping() {
    fn check<Q: Purpose>(outer: &Key<TenantKey>) {
        let (inner, entropy) = (key::<Q>(), SystemEntropy::new());
        let wrapped = outer.wrap_key(&entropy, place(), &inner).unwrap();
        assert_eq!(wrapped.len(), WRAPPED_KEY_BYTES);
        let back = outer.unwrap_key::<Q>(place(), &wrapped).unwrap();
        assert_eq!(format!("{back:?}"), format!("Key({} {})", Q::NAME, inner.id()));
    }
    let outer = key::<TenantKey>();
    check::<SealKey>(&outer);
    check::<RootKey>(&outer);
    check::<TenantKey>(&outer);
    check::<DataKey>(&outer);
    check::<LogKey>(&outer);
    check::<StateKey>(&outer);
    check::<NameKey>(&outer);
    check::<CheckpointKey>(&outer);
    let (data, entropy) = (key::<DataKey>(), SystemEntropy::new());
    let sealed = data.seal(&entropy, place(), b"value").unwrap();
    let wrapped = outer.wrap_key(&entropy, place(), &data).unwrap();
    drop(data);
    let back = outer.unwrap_key::<DataKey>(place(), &wrapped).unwrap();
    assert_eq!(back.open(place(), &sealed).unwrap().expose(), b"value");
    assert_eq!(outer.unwrap_key::<LogKey>(place(), &wrapped).unwrap_err(), OpenError::Integrity);
    assert_eq!(outer.open(place(), &wrapped).unwrap_err(), OpenError::Integrity);
}

/// RFC 8032 section 7.1, TEST 1 and TEST 2.
#[test]
fn checkpoint_keys_sign_as_rfc_8032_says() {
    let check = |seed: &str, public: &str, message: &[u8], signature: &str| {
        let key: Key<CheckpointKey> =
            Key::from_secret(KeyId::from_bytes([1; 8]), SecretBytes::new(unhex(seed))).unwrap();
        assert_eq!(key.public()[..], unhex(public));
        assert_eq!(key.sign(message)[..], unhex(signature));
        assert_eq!(verify(&key.public(), message, &unhex(signature)), Ok(()));
        assert_eq!(verify(&key.public(), b"other", &unhex(signature)), Err(BadSignature));
    };
    check(
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        b"",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    );
    check(
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        b"\x72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
}

proptest! {
    #[test]
    fn any_value_comes_back(plain in prop::collection::vec(any::<u8>(), 0..3000), seed in any::<u64>()) {
        let key = key::<DataKey>();
        let sealed = key.seal(&Seeded::new(seed), place(), &plain).unwrap();
        let opened = key.open(place(), &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &plain[..]);
    }

    #[test]
    fn any_bytes_are_refused_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), marked in any::<bool>()) {
        let key = key::<TenantKey>();
        if marked && bytes.len() > 10 {
            bytes[..2].copy_from_slice(&[0xa5, 1]);
            bytes[2..10].copy_from_slice(key.id().as_bytes());
        }
        prop_assert!(key.open(place(), &bytes).is_err());
        prop_assert!(key.unwrap_key::<DataKey>(place(), &bytes).is_err());
    }
}
