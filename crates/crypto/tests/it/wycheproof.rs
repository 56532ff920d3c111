//! Project Wycheproof. Each set says how many cases it must have, so that a filter that matches nothing fails.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use crypto::aead::verify;
use crypto::hmac_sha256;
use wycheproof::TestResult;

/// Cases read, run, left out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count {
    read: usize,
    valid: usize,
    refused: usize,
    skipped: usize,
}

/// The primitive by the two calls that the crate makes; its own framing has golden files. Left out: 128 and 192 bit
/// keys, which the crate does not use, and nonces of other lengths than 96 bits, which it cannot express.
#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let mut count = Count { read: set.number_of_tests, ..Count::default() };
    for group in set.test_groups {
        for case in &group.tests {
            if group.key_size != 256 || group.nonce_size != 96 {
                count.skipped += 1;
                continue;
            }
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &case.key).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&case.nonce).unwrap();
            let mut plain = vec![0xee; case.ct.len()];
            let opened = key.open_separate_gather(nonce(), Aad::from(&case.aad), &case.ct, &case.tag, &mut plain);
            if case.result == TestResult::Invalid {
                assert!(opened.is_err(), "case {}", case.tc_id);
                count.refused += 1;
                continue;
            }
            assert!(opened.is_ok(), "case {}", case.tc_id);
            assert_eq!(plain, case.pt[..]);
            let (mut ct, mut tag) = (vec![0; case.pt.len()], vec![0; 16]);
            key.seal_out_of_place_scatter(nonce(), Aad::from(&case.aad), &case.pt, &mut ct, &[], &mut tag).unwrap();
            assert_eq!((&ct[..], &tag[..]), (&case.ct[..], &case.tag[..]), "case {}", case.tc_id);
            count.valid += 1;
        }
    }
    assert_eq!(count, Count { read: 316, valid: 39, refused: 27, skipped: 250 });
}

/// Tags cut to 128 bits are compared by their head, which is how record ids use them.
#[test]
fn hmac_sha256_agrees_with_wycheproof() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let mut count = Count { read: set.number_of_tests, ..Count::default() };
    for group in set.test_groups {
        for case in &group.tests {
            let tag = hmac_sha256(&case.key, &case.msg);
            let equal = tag[..group.tag_size / 8] == case.tag[..];
            assert_eq!(equal, case.result == TestResult::Valid, "case {}", case.tc_id);
            *if equal { &mut count.valid } else { &mut count.refused } += 1;
        }
    }
    assert_eq!(count, Count { read: 174, valid: 66, refused: 108, skipped: 0 });
}

#[test]
fn ed25519_agrees_with_wycheproof() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let mut count = Count { read: set.number_of_tests, ..Count::default() };
    for group in set.test_groups {
        let public = group.key.pk[..].try_into().unwrap();
        for case in &group.tests {
            let verified = verify(&public, &case.msg, &case.sig).is_ok();
            assert_eq!(verified, case.result == TestResult::Valid, "case {}", case.tc_id);
            *if verified { &mut count.valid } else { &mut count.refused } += 1;
        }
    }
    assert_eq!(count, Count { read: 151, valid: 88, refused: 63, skipped: 0 });
}
